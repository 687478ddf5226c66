"""Every row of every table, as data: what it is, how often it is run, what must come first.

A row is named "experiment/variant", as in "table-3.1/trans-reproj". What makes it stands in the
`rows` of its chapter; here it gets its place. The command line, the Snakefile, the tests and the
pages read this list, and no other.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from types import ModuleType

from posebook.data import sources
from posebook.data.done import only_embedded
from posebook.factorization import rows as factorization
from posebook.lifting import rows as lifting
from posebook.video import rows as video

CHAPTERS: dict[str, ModuleType] = {
    "video": video, "lifting": lifting, "factorization": factorization,
}  # fmt: skip
# The notebook that runs one row of a chapter.
NOTEBOOKS = {
    "video": "notebooks/ch02_06_training.ipynb",
    "lifting": "notebooks/ch03_11_training.ipynb",
    "factorization": "notebooks/ch04_04_training.ipynb",
}
# The base network that rows of chapter 2 start from, by what it was trained on and by its loss.
BASE_OF = {
    ("stills", "heatmap"): "base-network/base",
    ("clips", "heatmap"): "base-network/base-clips",
    ("stills", "regression"): "table-2.4/res50-regression",
    ("stills", "integral"): "table-2.4/res50-integral",
}
# They learn the dictionary that others of their seed find: on single pictures, on pairs of views.
DICTIONARY_OF = "table-4.1/baseline-cf"
CONSISTENT_DICTIONARY_OF = "beyond-4/consistent"


@dataclass(frozen=True)
class Row:
    """A row of a table. seeds: how often it is run at most; None for as often as asked for."""

    experiment: str
    variant: str
    chapter: str
    seeds: int | None = None

    @property
    def name(self) -> str:
        return f"{self.experiment}/{self.variant}"

    def runs(self, seeds: int) -> range:
        """The seeds that it is run with when `seeds` are asked for."""
        return range(seeds if self.seeds is None else min(seeds, self.seeds))

    def first(self, seed: int) -> tuple[str, int] | None:
        """The row and seed that must come first: it makes what others then find, or None."""
        if self.chapter == "factorization":
            on_pairs = factorization.VARIANTS[self.variant].consistent_dictionary
            made_by = CONSISTENT_DICTIONARY_OF if on_pairs else DICTIONARY_OF
            return None if self.name == made_by else (made_by, seed)
        if self.chapter == "video" and self.experiment != "base-network":
            variant = video.VARIANTS[self.variant]
            made_by = BASE_OF[variant.pretrained, variant.loss]
            # The row that makes a base network starts from another one.
            if (self.name, seed) == (made_by, video.BASE_SEED):
                made_by = BASE_OF[variant.pretrained, "heatmap"]
            made_first = (made_by, video.BASE_SEED)
            return None if made_first == (self.name, seed) else made_first
        return None


# Rows of chapter 2: those whose errors are taken apart, and those that all protocols count.
TAKEN_APART = (
    "table-2.3/res50", "table-2.3/res50-of", "table-2.3/res50-tce-bc",
    "table-2.5/res50-ms-tce-bc-re",
)  # fmt: skip
COUNTED = (
    "table-2.1/ours", "table-2.5/res50-ms-tce-bc-re", "table-2.1/ours-split2",
    "table-2.1/ours-split3", "table-2.2/ours-penn13-clips", "table-2.2/ours-penn13",
)  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """What is drawn or counted from what trained rows left, as experiments of its own.

    asked: only when it is asked for by name: it times this machine, or fetches something.
    """

    name: str
    experiments: tuple[str, ...]
    rows: tuple[str, ...]
    every_seed: bool = False
    asked: bool = False


DRAWN = {
    drawn.name: drawn
    for drawn in (
        Drawn(
            "figure-3.5", ("figure-3.5",),
            ("table-3.1/reproj", "table-3.1/reproj-adv", "table-3.1/trans-reproj"),
        ),
        Drawn("figure-4.4", ("figure-4.4",), ("table-4.1/baseline-cf",)),
        Drawn(
            "conditions", ("conditions", "protocols", "figure-2.6", "figure-2.8"),
            tuple(dict.fromkeys((*TAKEN_APART, *COUNTED))), every_seed=True,
        ),
        Drawn("floors", ("floors",), ()),
        Drawn(
            "away-from-home", ("away-from-home",),
            (
                "table-3.1/trans-reproj", "table-3.1/trans-reproj-da", "table-3.1/supervised",
                "beyond-3/consensus-augmented-flip", "table-4.1/baseline",
                "table-4.1/baseline-hd", "table-4.1/baseline-adv", "table-4.1/baseline-cf",
                "beyond-4/consistent",
            ),
            asked=True,
        ),
        Drawn("runtime", ("runtime",), (), asked=True),
    )
}  # fmt: skip
# Rows that a table or figure shows beside those that are filed under its name.
ALSO_SHOWN = {
    "table-2.1": ("table-2.5/res50-ms-tce-bc-re",),
    "table-2.3": ("base-network/base",),
    "table-2.4": ("table-2.3/res50", "table-2.3/res50-tce-bc"),
    "table-2.5": ("table-2.3/res50-tce-bc", "literal-2.5/ms-literal"),
    "figure-2.5": ("table-2.5/res50-ms-tce-bc-re", "table-2.2/ours-penn13"),
    "figure-2.7": TAKEN_APART,
    "figure-2.9": (
        "figure-2.9-between/stride3", "figure-2.9-between/stride5", "figure-2.9-between/stride7",
        "table-2.3/res50", "table-2.3/res50-tce-c", "table-2.3/res50-tce-bc",
    ),
    "table-3.2": ("table-3.1/trans-reproj",),
    "consistency-3d": ("table-3.1/trans-reproj", "table-3.2/temporal-dilated"),
    "table-3.3": (
        "table-3.1/supervised", "table-3.1/trans-reproj", "table-3.1/trans-reproj-da",
    ),
    "table-3.4": ("table-3.1/trans-reproj", "table-3.1/trans-reproj-da"),
    "figure-3.1": ("figure-3.5",),
    "figure-3.6": ("table-3.1/trans-reproj",),
    "table-4.2": ("table-4.1/baseline-cf",),
    "table-4.3": ("table-4.1/baseline-cf",),
    "table-4.4": ("table-4.1/baseline-cf", "table-4.3/ours-da"),
    "figure-4.3": ("table-4.1/baseline", "table-4.1/baseline-cf"),
}  # fmt: skip


def rows(dataset: str = "") -> dict[str, Row]:
    """All rows by name, in the order in which they are run; those that an official data set can
    have.

    Raises:
        ValueError: for an unknown data set.
    """
    chapters = {
        name: module for name, module in CHAPTERS.items()
        if not dataset or dataset in module.DATASETS
    }  # fmt: skip
    if not chapters:
        known = dict.fromkeys(name for module in CHAPTERS.values() for name in module.DATASETS)
        raise ValueError(f"there is no data set {dataset}; there are {', '.join(known)}")
    found = [
        Row(
            experiment, variant, chapter,
            module.FEWER_SEEDS.get(experiment, module.FEWER_SEEDS.get(variant)),
        )
        for chapter, module in chapters.items()
        for experiment, variants in module.EXPERIMENTS.items()
        for variant in variants
        if _fits(chapter, module.VARIANTS[variant], dataset or module.DATASETS[0])
    ]
    return {row.name: row for row in found}


def _fits(chapter: str, variant: object, dataset: str) -> bool:
    """Whether a data set can be as a row wants it: what is generated has options of its own."""
    generated = dataset in sources.GENERATED_VIEWS
    return chapter == "video" or generated or not only_embedded(variant)


def find(name: str) -> Row:
    """The row called "experiment/variant". Raises ValueError that says which names are near."""
    known = rows()
    if name not in known:
        mine = [row for row in known if row.partition("/")[0] in (name, f"table-{name}")]
        near = get_close_matches(name, known, n=3, cutoff=0.4)
        if mine:
            hint = f"`python -m posebook results {name}` runs all of its rows, such as {mine[0]}"
        elif near:
            hint = f"did you mean {' or '.join(near)}?"
        else:
            hint = "`python -m posebook list` has all"
        raise ValueError(f"there is no row {name}; {hint}")
    return known[name]


def refuse_absent(row: Row, dataset: str) -> None:
    """Raise FileNotFoundError with the remedy where a row's official data is not installed."""
    variant = CHAPTERS[row.chapter].VARIANTS[row.variant]
    sources.refuse_absent(dataset, stills=getattr(variant, "pretrained", "") == "stills")


def select(names: list[str], dataset: str = "") -> tuple[dict[str, Row], dict[str, Drawn]]:
    """Rows, and what is drawn from rows, that belong to tables, figures, experiments or rows.

    Args:
        names: such as "table-3.1", "figure-2.9", "conditions", "table-3.1/reproj"; none for all.
            What is drawn from the embedded data alone is left out for another `dataset`.

    Raises:
        ValueError: for a name that nothing has.
    """
    known = rows(dataset)
    drawn = {} if dataset and not dataset.startswith("embedded-") else DRAWN
    drawn = {name: found for name, found in drawn.items() if known.keys() >= set(found.rows)}
    if not names:
        return known, {name: found for name, found in drawn.items() if not found.asked}
    experiments = {row.experiment for row in known.values()}
    chosen: dict[str, None] = {}
    for name in names:
        wanted = [name, *ALSO_SHOWN.get(name, ())]
        mine = [
            row for row in known for want in wanted if row == want or row.startswith(f"{want}/")
        ]
        mine += [d.name for d in drawn.values() for want in wanted if want in d.experiments]
        if not mine and dataset and (chapter := _chapter_of(name)):
            there = ", ".join(CHAPTERS[chapter].DATASETS)
            raise ValueError(f"{name} is not run on {dataset}; its chapter's data sets are {there}")
        if not mine and drawn_experiments() & set(wanted):
            raise ValueError(f"{name} is drawn from the embedded data alone, not from {dataset}")
        if not mine:
            every = sorted({*experiments, *ALSO_SHOWN, *DRAWN, *drawn_experiments()})
            near = get_close_matches(name, [*every, *known], n=3, cutoff=0.4)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(every)}"
            raise ValueError(f"nothing is called {name}; {hint}")
        chosen.update(dict.fromkeys(mine))
    pictures = {name: drawn[name] for name in chosen if name in drawn}
    for found in pictures.values():
        chosen.update(dict.fromkeys(row for row in found.rows if row in known))
    return {name: known[name] for name in known if name in chosen}, pictures


def drawn_experiments() -> set[str]:
    """What is drawn goes by the names of its records' experiments as well, such as "figure-2.6"."""
    return {experiment for found in DRAWN.values() for experiment in found.experiments}


def _chapter_of(name: str) -> str:
    """The chapter of a row or an experiment with rows of its own; "" for what is neither."""
    return next((r.chapter for r in rows().values() if name in (r.name, r.experiment)), "")


def settings(chapter: str, profile: str, variant: str, dataset: str = "") -> tuple:
    """The chapter's `Profile` and `Variant` called so, the variant as its data set wants it.

    Args:
        chapter: "video", "lifting" or "factorization".
        dataset: default the embedded one.

    Raises:
        ValueError: that lists the known ones.
    """
    if chapter not in CHAPTERS:
        raise ValueError(f"unknown chapter {chapter!r}; known: {', '.join(CHAPTERS)}")
    module = CHAPTERS[chapter]
    dataset = dataset or module.DATASETS[0]
    for kind, name, known in (
        ("profile", profile, module.PROFILES), ("variant", variant, module.VARIANTS),
        ("dataset", dataset, module.DATASETS),
    ):  # fmt: skip
        if name not in known:
            raise ValueError(f"unknown {kind} {name!r}; known: {', '.join(known)}")
    found = module.VARIANTS[variant]
    adapted = getattr(module, "for_dataset", lambda variant, _: variant)(found, dataset)
    return module.PROFILES[profile], adapted


def command(names: list[str], profile: str) -> str:
    """The command that computes tables, figures or rows again, as it stands on the pages."""
    kinds = {"table": "TABLE", "figure": "FIGURE"}
    if len(names) == 1:
        kind, _, number = names[0].partition("-")
        if kind in kinds and "/" not in number:
            return f"make results PROFILE={profile} {kinds[kind]}={number}"
    return f"make results PROFILE={profile} ROW={','.join(names)}"
