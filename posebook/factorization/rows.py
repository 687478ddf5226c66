"""Chapter 4's rows as data: what is trained, on what, and for how long.

A variant says what makes a row of a table; a profile says how large everything is. Rows share a
stage, the dictionary learned by structure from motion, which is trained once for a seed and kept.
"""

from dataclasses import dataclass, fields, replace

from posebook.data.done import refuse_idle
from posebook.data.sources import GENERATED_VIEWS, OFFICIAL_VIEWS, ViewsSize
from posebook.factorization.pictures import Pictures

DATASETS = (*GENERATED_VIEWS, *OFFICIAL_VIEWS)


@dataclass(frozen=True)
class Variant:
    """What makes a row.

    Attributes:
        dictionary: what turns a code into a body: "none" (the pose is the output), a "hierarchy" of
            levels, a "single" level, or the principal "components" of true poses.
        code: numbers in the code phi_n, the atoms of the last level.
        levels: 0 for the profile's.
        pretrained: the dictionary is first learned by equation 4.7, with `camera` as its head, from
            the best of so many random `starts`.
        restarts: a network without such a dictionary begins itself from the best of so many.
        chosen_by: what tells the best start, its "loss" or the "agreement" of its bodies of one
            instant over the views.
        as_long: a network without such a dictionary also trains for the steps of one.
        consistent_dictionary: equation 4.4 has a say in that already, on pairs of views.
        reflected: of half of all pairs the second view is shown in the mirror, left for right
            (see `posebook.factorization.pairs`), in both stages of training.
        imitation: the network then begins by imitating the encoder that learned it.
        viewpoint: what the network's second head gives, "omega" or two "columns" of the rotation.
        consistency: "none", "literal" (eq. 4.4), "scale-free", or "sequence", which asks of several
            instants of a take that one turn explains both views.
        lam: lambda of equation 4.8.
        adversarial: a critic that has seen unpaired true poses.
        canonical: C3DPO's second network.
        views: as in `posebook.lifting.rows`.
        headings: which ways people face, as in `posebook.data.recorded.views`.
        recentre: as in `posebook.factorization.pictures`.
        projection: as there.
    """

    dictionary: str = "hierarchy"
    code: int = 10
    levels: int = 0
    pretrained: bool = True
    starts: int = 4
    restarts: int = 1
    chosen_by: str = "loss"
    as_long: bool = False
    consistent_dictionary: bool = False
    reflected: bool = False
    camera: str = "svd"
    imitation: bool = True
    viewpoint: str = "columns"
    consistency: str = "literal"
    lam: float = 1.0
    adversarial: bool = False
    canonical: bool = False
    views: str = "real"
    recentre: str = "shift"
    projection: str = "perspective"
    noise: str = "full"
    headings: str = "all"

    def __post_init__(self) -> None:
        learned = (self.pretrained, "a dictionary that is learned first (pretrained)")
        sized = (self.dictionary in ("hierarchy", "single"), "a dictionary that is no principal "
                 "components, whose number follows from the variance")  # fmt: skip
        for name in ("pretrained", "canonical"):
            if getattr(self, name) and self.dictionary == "none":
                raise ValueError(f"{name} needs a dictionary, and this row has none")
        if self.reflected and self.consistency == "sequence":
            raise ValueError("the loss of a sequence knows no mirror; reflected must be False")
        readers = {
            "lam": (self.consistency != "none", "a loss with consistency (equation 4.8)"),
            "starts": learned,
            "restarts": (not self.pretrained, "a row that learns no dictionary first"),
            "as_long": (not self.pretrained, "a row that learns no dictionary first"),
            "chosen_by": ((self.starts if self.pretrained else self.restarts) > 1,
                          "more than one start"),
            "consistent_dictionary": learned,
            "camera": learned,
            "code": sized,
            "levels": (self.dictionary == "hierarchy", "dictionary='hierarchy'"),
        }
        refuse_idle(self, readers)


_OURS = Variant()
_UNTRAINED = Variant(pretrained=False, imitation=False)
_DIRECT = replace(_UNTRAINED, dictionary="none")
_SINGLE = Variant(dictionary="single")
_CONSISTENT = Variant(consistent_dictionary=True, reflected=True)
_LITERAL = Variant(camera="linear", imitation=False, viewpoint="omega")
VARIANTS: dict[str, Variant] = {
    # Table 4.1
    "baseline": replace(_DIRECT, consistency="none"),
    "baseline-hd": Variant(consistency="none"),
    "baseline-adv": Variant(consistency="none", adversarial=True),
    "baseline-cf": _OURS,
    # Table 4.2
    "pca-dictionary": replace(
        _UNTRAINED, dictionary="components", consistency="none", adversarial=True
    ),
    # From one start it mixes both signs of depth with four seeds of five; so it has as many starts
    # and steps as ours
    "c3dpo": replace(
        _UNTRAINED, dictionary="single", consistency="none", canonical=True,
        restarts=4, chosen_by="agreement", as_long=True,
    ),
    "ours-sd": _SINGLE,
    # Table 4.3
    "ours-da": Variant(views="virtual"),
    # The letter of the thesis, all at once and one by one
    "literal-cf": _LITERAL,
    "literal-hd": replace(_LITERAL, consistency="none"),
    "camera-linear": Variant(camera="linear"),
    "camera-two-layer": Variant(camera="two-layer"),
    "omega": Variant(viewpoint="omega"),
    # Table 4.1 as the thesis begins: networks that take over the dictionary and nothing else
    "cf-alone": Variant(imitation=False),
    "hd-alone": Variant(consistency="none", imitation=False),
    "adv-alone": Variant(consistency="none", adversarial=True, imitation=False),
    # A dictionary from the first start, good or bad
    "cf-one-start": Variant(starts=1),
    "hd-one-start": Variant(consistency="none", starts=1),
    # Consistency from the first step of the dictionary on, and the person in the mirror
    "consistent": _CONSISTENT,
    "consistent-hd": replace(_CONSISTENT, consistency="none"),
    "consistent-unreflected": replace(_CONSISTENT, reflected=False),
    "reflected-cf": Variant(reflected=True),
    # Since the thesis: one turn for a whole sequence (Ingwersen et al. 2025)
    "sequence-cf": Variant(consistency="sequence"),
    # A code as long as the other view asks for (page 4.8), and virtual cameras
    "code-25-da": Variant(code=25, views="virtual"),
    # Table 4.1 where people face two ways, as in recorded studios
    "studio-baseline": replace(_DIRECT, consistency="none", headings="studio"),
    "studio-hd": Variant(consistency="none", headings="studio"),
    "studio-adv": Variant(consistency="none", adversarial=True, headings="studio"),
    "studio-cf": Variant(headings="studio"),
    "studio-consistent": replace(_CONSISTENT, headings="studio"),
    # What else we add
    "cf-direct": _DIRECT,
    "cf-untrained": _UNTRAINED,
    "cf-scale-free": Variant(consistency="scale-free"),
    "ray-centred": Variant(recentre="ray"),
    "scale-free-ray-centred": Variant(consistency="scale-free", recentre="ray"),
    "orthographic": Variant(projection="orthographic"),
    "exact-joints": Variant(noise="none"),
    "lambda-0.3": Variant(lam=0.3),
    "lambda-3": Variant(lam=3.0),
    "code-25": Variant(code=25),
    "levels-6": Variant(levels=6),
    "levels-12": Variant(levels=12),
}  # fmt: skip

# What is run, in this order. The row `baseline-cf` of table-4.1 is also "ours" of Tables 4.2 to
# 4.4, and the row with the default of everything in the two experiments that we add.
EXPERIMENTS: dict[str, tuple[str, ...]] = {
    "table-4.1": ("baseline-cf", "baseline", "baseline-hd", "baseline-adv"),
    "table-4.2": ("ours-sd", "c3dpo", "pca-dictionary"),
    "table-4.3": ("ours-da",),
    "starts-4.5": ("cf-one-start", "hd-one-start"),
    "literal-4.7": (
        "literal-cf", "literal-hd", "camera-linear", "camera-two-layer", "omega",
    ),
    "imitation-4.1": ("cf-alone", "hd-alone", "adv-alone"),
    "ablation-4.7": (
        "cf-direct", "cf-scale-free", "orthographic", "ray-centred", "scale-free-ray-centred",
        "exact-joints", "levels-6", "levels-12", "code-25", "cf-untrained", "lambda-0.3",
        "lambda-3",
    ),
    "headings-4.1": (
        "studio-baseline", "studio-hd", "studio-adv", "studio-cf", "studio-consistent",
    ),
    "beyond-4": (
        "consistent", "consistent-hd", "consistent-unreflected", "reflected-cf", "sequence-cf",
        "code-25-da",
    ),
}  # fmt: skip

FEWER_SEEDS: dict[str, int] = {}  # none: all are run as often as a verdict asks


@dataclass(frozen=True)
class Profile:
    """How large an experiment is: `dictionary_steps` of eq. 4.7, then `steps` of eq. 4.8.

    Attributes:
        levels: of the dictionary, from 125 atoms to the code.
        dictionary_batch: single pictures.
        batch: pairs of pictures.
        epochs: where above 0 they set the steps, by the data's size.
        dictionary_epochs: likewise the steps of the dictionary.
    """

    size: ViewsSize
    width: int
    blocks: int
    dropout: float
    levels: int
    dictionary_batch: int
    dictionary_steps: int
    dictionary_rate: float
    dictionary_schedule: str
    batch: int
    steps: int
    learning_rate: float
    schedule: str | tuple[float, ...]
    critic_width: int
    evaluations: int = 20
    epochs: int = 0
    dictionary_epochs: int = 0


_THESIS = Profile(
    ViewsSize(48, 64), 1024, 4, 0.25, 12, 1024, 36000, 1e-3, "constant",
    1024, 15750, 1e-3, (50 / 70,), 1000,
)  # fmt: skip

# On a laptop three levels: of 3, 6 and 12 the number with the smallest error on a training person
# that was left out. Twelve need more steps than there is time for (the rows levels-6, levels-12).
PROFILES: dict[str, Profile] = {
    "smoke": Profile(
        ViewsSize(1, 12, 1), 32, 2, 0.0, 3, 64, 20, 2e-3, "one-cycle",
        64, 40, 4e-3, "one-cycle", 32, 2,
    ),
    "laptop": Profile(
        ViewsSize(32, 27), 128, 4, 0.0, 3, 256, 1500, 2e-3, "one-cycle",
        256, 3000, 4e-3, "one-cycle", 128,
    ),
    # Eight times the width and the steps, at the thesis' rate for that width: where the curves go.
    "night": Profile(
        ViewsSize(32, 27), 1024, 4, 0.0, 3, 256, 12000, 1e-3, "one-cycle",
        256, 24000, 1e-3, "one-cycle", 1024,
    ),
    # The thesis' sizes: 40 epochs of 900 batches of 1024 pictures, 70 of 225 batches of pairs.
    "gpu": _THESIS,
    # The same on data of any size, such as the official sets.
    "paper": replace(_THESIS, epochs=70, dictionary_epochs=40),
}  # fmt: skip


def unread(variant: Variant) -> tuple[str, ...]:
    """Settings of a variant and a profile that a row does not read."""
    of_dictionary = tuple(field.name for field in fields(Profile) if "dictionary" in field.name)
    unread = () if variant.pretrained else of_dictionary
    return unread if variant.adversarial else (*unread, "critic_width")


def in_steps(profile: Profile, pictures: Pictures) -> Profile:
    """A profile whose epochs, if it counts in them, are steps over these pictures."""
    if not profile.epochs:
        return profile
    epoch = max(1, len(pictures) // profile.batch)
    single = max(1, len(pictures) * pictures.views // profile.dictionary_batch)
    return replace(
        profile, steps=profile.epochs * epoch,
        dictionary_steps=profile.dictionary_epochs * single,
    )  # fmt: skip
