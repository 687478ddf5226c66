"""The graph of long runs: a training notebook and its parameters -> one result file.

    make results PROFILE=laptop                        the published numbers
    snakemake --cores 8 --config profile=gpu seeds=5   Snakemake itself, with all its options

What Snakemake keeps track of is the executed notebook under runs/. The result in book/results is
written by the notebook, whole or not at all, and is no declared output: Snakemake would delete
the published file before each run and after a failed one. So would it the checkpoints.
"""

import hashlib
import importlib
import json
import sys
from functools import cache
from pathlib import Path

import posebook.factorization
import posebook.lifting
import posebook.video
from posebook.results import PROFILES, code_digest, folder_of
from snakemake.exceptions import WorkflowError

# The module of a chapter's experiments -> the notebook that runs one of them.
CHAPTERS = {
    posebook.video: "notebooks/ch02_05_training.ipynb",
    posebook.lifting: "notebooks/ch03_06_training.ipynb",
    posebook.factorization: "notebooks/ch04_04_training.ipynb",
}
# An official data set belongs to some chapters, and has none of the rows beside their tables.
DATASET = config.get("dataset", "")
if DATASET and not any(DATASET in chapter.DATASETS for chapter in CHAPTERS):
    known = dict.fromkeys(name for chapter in CHAPTERS for name in chapter.DATASETS)
    raise WorkflowError(f"there is no data set {DATASET}; there are {', '.join(known)}")
CHAPTER_OF = {
    name: chapter
    for chapter in CHAPTERS
    for name in chapter.EXPERIMENTS
    if not DATASET or DATASET in chapter.DATASETS
}
# What many rows start from, a dictionary or a base network, is made by one of them first.
FIRST = ("table-4.1", "baseline-cf")
FIRST_BY_BASE = {
    ("stills", "heatmap"): ("base-network", "base"),
    ("clips", "heatmap"): ("base-network", "base-clips"),
    ("stills", "regression"): ("table-2.4", "res50-regression"),
    ("stills", "integral"): ("table-2.4", "res50-integral"),
}
RUN = "{profile}/{experiment}/{variant}--seed{seed}"
RUNS = folder_of(DATASET, "runs") if DATASET else "runs"
# A module that is run by itself knows one folder: what other code left there would be refused.
OWN_CODE = (
    'test "$(cat {params.folder}/.code 2> /dev/null)" = "{params.code}" || rm -rf {params.folder};'
    " mkdir -p {params.folder}; echo {params.code} > {params.folder}/.code; "
)
# Rows of Table 3.1 whose poses are drawn; as in posebook.examples, which would enter the digest.
EXAMPLES = ("reproj", "reproj-adv", "trans-reproj")
# Rows of chapter 2 whose predictions are looked at closer; as in posebook.video_examples.
VIDEO_EXAMPLES = (
    "table-2.3/res50",
    "table-2.3/res50-of",
    "table-2.3/res50-tce-bc",
    "table-2.5/res50-ms-tce-bc-re",
    "table-2.1/ours",
    "table-2.1/ours-split2",
    "table-2.1/ours-split3",
    "table-2.2/ours-penn13",
    "table-2.2/ours-penn13-clips",
)
# Rows of Figure 3.6 that are trained to the letter, by posebook.literal; named here likewise.
LITERAL = ("root-vector-plain", "root-vector-plain-pretrained")
# Rows that take Table 3.3 apart, by posebook.ablation.
ABLATION = (
    "triangulated-root",
    "global-labels",
    "lambda-3",
    "triangulated-root-target-strong-occlusion",
    "triangulated-labels-weighted-strong-occlusion",
    "supervised-strong-occlusion",
)
# Rows of Table 4.1 without imitation, by posebook.imitation.
IMITATION = ("cf-alone", "hd-alone", "adv-alone")
PROFILE = config.get("profile", "laptop")
SEEDS = range(int(config.get("seeds", 3)))

if PROFILE not in PROFILES:
    raise WorkflowError(f"there is no profile {PROFILE}; there are {', '.join(PROFILES)}")


# What is made beside the tables, from the embedded data alone.
BESIDE = [
    *(
        f"runs/{PROFILE}/{experiment}/{variant}--seed{seed}.done"
        for experiment, variants in (
            ("figure-3.6", LITERAL),
            ("ablation-3.3", ABLATION),
            ("imitation-4.1", IMITATION),
        )
        for variant in variants
        for seed in SEEDS
    ),
    f"runs/{PROFILE}/figure-3.5.done",
    f"runs/{PROFILE}/figure-4.4.done",
    f"runs/{PROFILE}/video-examples.done",
]


@cache
def digest_of_code(notebook):
    """Digest of a notebook's code cells, so that an edit of its prose runs nothing again."""
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return hashlib.sha256("\0".join(code).encode()).hexdigest()


def modules_of(name):
    """The posebook modules that a module imports, as a process that starts with it would see."""

    def forget():
        ours = [module for module in sys.modules if module.partition(".")[0] == "posebook"]
        return {module: sys.modules.pop(module) for module in ours}

    kept = forget()
    importlib.import_module(name)
    found = importlib.import_module("posebook.results").imported_modules()
    forget()
    sys.modules.update(kept)
    return found


@cache
def code_behind(name):
    """Digest of a module and of all that it imports."""
    return code_digest(modules_of(name))


def notebook_of(wildcards):
    return ancient(CHAPTERS[CHAPTER_OF[wildcards.experiment]])


def first_of(wildcards):
    """The run that must come first, if there is one."""
    chapter, run = CHAPTER_OF[wildcards.experiment], (wildcards.experiment, wildcards.variant)
    first, seed = None, wildcards.seed
    if chapter is posebook.factorization and run != FIRST:
        first = FIRST
    if chapter is posebook.video:
        row, seed = chapter.VARIANTS[wildcards.variant], chapter.BASE_SEED
        first = FIRST_BY_BASE[row.pretrained, row.loss]
        if (*run, int(wildcards.seed)) == (*first, seed):  # it makes its own base, from another one
            first = None if not row.trained else FIRST_BY_BASE[row.pretrained, "heatmap"]
    if first is None:
        return []
    return ancient(f"{RUNS}/{wildcards.profile}/{first[0]}/{first[1]}--seed{seed}.ipynb")


def code_of(wildcards):
    """By digest, not by time: neither a fresh checkout nor an edited docstring runs it again."""
    chapter = CHAPTER_OF[wildcards.experiment]
    return digest_of_code(CHAPTERS[chapter]), code_behind(chapter.__name__)


def seeds_of(chapter, experiment):
    """The base network and what no claim rests on are run once; all else once a seed."""
    return range(1) if experiment in getattr(chapter, "ONE_SEED", ()) else SEEDS


def threads_of(wildcards):
    """Small layers: two runs side by side beat one on two cores. But all wait for the base."""
    return 2 if wildcards.experiment == "base-network" else 1


wildcard_constraints:
    profile="|".join(PROFILES),
    experiment="|".join(CHAPTER_OF).replace(".", r"\."),
    seed=r"\d+",


rule all:
    input:
        [
            f"{RUNS}/{RUN}.ipynb".format(
                profile=PROFILE, experiment=experiment, variant=variant, seed=seed
            )
            for experiment, chapter in CHAPTER_OF.items()
            for variant in chapter.EXPERIMENTS[experiment]
            for seed in seeds_of(chapter, experiment)
        ],
        [] if DATASET else BESIDE,


rule train:
    input:
        first_of,
        notebook=notebook_of,
    output:
        f"{RUNS}/{RUN}.ipynb",
    params:
        result="book/results",
        dataset=f"-p dataset {DATASET}" if DATASET else "",
        code=code_of,
    log:
        f"{RUNS}/{RUN}.log",
    threads: threads_of
    shell:
        "python tools/run_notebook.py {input.notebook} {output} -p profile {wildcards.profile}"
        " -p experiment {wildcards.experiment} -p variant {wildcards.variant}"
        " -p seed {wildcards.seed} -p out {params.result} {params.dataset} > {log} 2>&1"


rule literal:
    # Section 3.5 without our safeguards; a module of its own, see posebook/literal.py.
    output:
        touch("runs/{profile}/figure-3.6/{variant}--seed{seed}.done"),
    params:
        code=code_behind("posebook.literal"),
        folder="runs/{profile}/figure-3.6/{variant}--seed{seed}",
    log:
        "runs/{profile}/figure-3.6/{variant}--seed{seed}.log",
    threads: 1
    shell:
        OWN_CODE + "python -m posebook.literal --profile {wildcards.profile}"
        " --variant {wildcards.variant} --seed {wildcards.seed} > {log} 2>&1"


rule ablation:
    output:
        touch("runs/{profile}/ablation-3.3/{variant}--seed{seed}.done"),
    params:
        code=code_behind("posebook.ablation"),
        folder="runs/{profile}/ablation-3.3/{variant}--seed{seed}",
    log:
        "runs/{profile}/ablation-3.3/{variant}--seed{seed}.log",
    threads: 1
    shell:
        OWN_CODE + "python -m posebook.ablation --profile {wildcards.profile}"
        " --variant {wildcards.variant} --seed {wildcards.seed} > {log} 2>&1"


def imitation_first(wildcards):
    """The first row learns the dictionary of its seed, and the others find it."""
    first = "runs/{profile}/imitation-4.1/{variant}--seed{seed}.done"
    if wildcards.variant == IMITATION[0]:
        return []
    return ancient(first.format(**{**wildcards, "variant": IMITATION[0]}))


rule imitation:
    input:
        imitation_first,
    output:
        touch("runs/{profile}/imitation-4.1/{variant}--seed{seed}.done"),
    params:
        code=code_behind("posebook.imitation"),
        folder="runs/{profile}/imitation-4.1/{variant}--seed{seed}",
    log:
        "runs/{profile}/imitation-4.1/{variant}--seed{seed}.log",
    threads: 1
    shell:
        OWN_CODE + "python -m posebook.imitation --profile {wildcards.profile}"
        " --variant {wildcards.variant} --seed {wildcards.seed} > {log} 2>&1"


rule examples:
    # Poses for Figures 3.1c and 3.5, from the checkpoints of the first seed.
    input:
        [f"runs/{{profile}}/table-3.1/{variant}--seed0.ipynb" for variant in EXAMPLES],
    output:
        touch("runs/{profile}/figure-3.5.done"),
    params:
        code=code_behind("posebook.examples"),
    shell:
        "python -m posebook.examples --profile {wildcards.profile}"


rule factorization_examples:
    # Poses on real detections for Figure 4.4, from the checkpoint of the first seed.
    input:
        "runs/{profile}/table-4.1/baseline-cf--seed0.ipynb",
    output:
        touch("runs/{profile}/figure-4.4.done"),
    params:
        code=code_behind("posebook.factorization_examples"),
    shell:
        "python -m posebook.factorization_examples --profile {wildcards.profile}"


rule video_examples:
    # Errors by condition, protocols, strips and offset fields of chapter 2.
    input:
        [
            f"runs/{{profile}}/{row}--seed{seed}.ipynb"
            for row in VIDEO_EXAMPLES
            for seed in seeds_of(posebook.video, row.split("/")[0])
        ],
    output:
        touch("runs/{profile}/video-examples.done"),
    params:
        code=code_behind("posebook.video_examples"),
    shell:
        "python -m posebook.video_examples --profile {wildcards.profile}"
