"""The graph of long runs: a training notebook and its parameters -> one result file.

    make results PROFILE=laptop                        the published numbers
    make results TABLE=3.1 PROFILE=gpu                 those of one table
    snakemake --cores 8 --config profile=gpu seeds=5   Snakemake itself, with all its options

Which rows there are, and what must come first, says `posebook.experiments.catalogue`. What
Snakemake keeps track of is the executed notebook under runs/. The result in book/results is
written by the notebook, whole or not at all, and is no declared output: Snakemake would delete
the published file before each run and after a failed one. So would it the checkpoints.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from shlex import quote

from posebook.data.sources import motion_of
from posebook.experiments import catalogue
from posebook.experiments.graph import NEEDS, read_config
from posebook.paths import CLONE, folder_of, results_folder, runs_folder
from posebook.results.provenance import versions
from posebook.storage import key_of
from snakemake.exceptions import WorkflowError

# Commands run in the clone and with this Python, wherever Snakemake was started.
shell.prefix(
    f"set -euo pipefail; cd {quote(str(CLONE))}; "
    f"export PATH={quote(str(Path(sys.executable).parent))}:$PATH; "
)
try:
    PROFILE, SEEDS, DATASET, ONLY = read_config(config)
    ROWS = catalogue.rows(DATASET)
    WANTED, DRAWN = catalogue.select(ONLY, DATASET)
    MOTION = motion_of(DATASET)
except (ValueError, FileNotFoundError) as problem:
    raise WorkflowError(str(problem)) from None
RUNS = folder_of(DATASET, runs_folder())
RUN = str(RUNS / "{profile}/{experiment}/{variant}--seed{seed}")


def row_of(wildcards):
    return ROWS[f"{wildcards.experiment}/{wildcards.variant}"]


def executed(row, seed):
    """The notebook that a run of a row leaves."""
    return RUN.format(
        profile=PROFILE, experiment=row.experiment, variant=row.variant, seed=seed
    ) + ".ipynb"


def first_of(wildcards):
    """The run that must come first, if there is one. Its time does not matter, only that it is."""
    first = row_of(wildcards).first(int(wildcards.seed))
    return [] if first is None else ancient(executed(ROWS[first[0]], first[1]))


def value_of(wildcards):
    """What makes the number of a run; an edit of the code is none of it.

    A number that has moved is forgotten by `posebook.experiments.graph`, once.
    """
    row = row_of(wildcards)
    size, variant = catalogue.settings(row.chapter, PROFILE, row.variant, DATASET)
    packages = {name: version.split("+")[0] for name, version in versions().items()}
    return key_of(
        profile=json.dumps(asdict(size)), variant=json.dumps(asdict(variant)),
        packages=packages, **MOTION,
    )  # fmt: skip


def threads_of(wildcards):
    """Small layers: two runs side by side beat one on two cores. But all wait for the base."""
    return 2 if wildcards.experiment == "base-network" else 1


MB, MINUTES, CARDS = NEEDS[PROFILE]


def rows_of(wildcards):
    """The runs whose checkpoints and predictions are drawn."""
    drawn = catalogue.DRAWN[wildcards.name]
    return [
        executed(ROWS[name], seed)
        for name in drawn.rows
        for seed in (ROWS[name].runs(SEEDS) if drawn.every_seed else range(1))
    ]


wildcard_constraints:
    profile=PROFILE,
    experiment="|".join({row.experiment for row in ROWS.values()}).replace(".", r"\."),
    seed=r"\d+",


rule all:
    input:
        [executed(row, seed) for row in WANTED.values() for seed in row.runs(SEEDS)],
        [str(RUNS / PROFILE / f"{name}.done") for name in DRAWN],


rule row:
    input:
        first_of,
    output:
        RUN + ".ipynb",
    params:
        value=value_of,
        notebook=lambda wildcards: catalogue.NOTEBOOKS[row_of(wildcards).chapter],
        result=str(results_folder()),
        dataset=f"-p dataset {DATASET}" if DATASET else "",
    log:
        RUN + ".log",
    threads: threads_of
    resources:
        mem_mb=MB,
        runtime=MINUTES,
        gpu=CARDS,
    shell:
        "python tools/run_notebook.py {params.notebook} {output:q} -p profile {wildcards.profile}"
        " -p experiment {wildcards.experiment} -p variant {wildcards.variant}"
        " -p seed {wildcards.seed} -p out {params.result:q} {params.dataset} > {log:q} 2>&1"


rule drawn:
    input:
        rows_of,
    output:
        str(RUNS / "{profile}/{name}.done"),  # a list of what was drawn
    log:
        str(RUNS / "{profile}/{name}.log"),
    resources:
        mem_mb=MB,
        runtime=MINUTES,
    shell:
        "python -m posebook draw {wildcards.name} --profile {wildcards.profile}"
        " > {output:q} 2> {log:q}"
