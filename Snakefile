"""The graph of long runs: a training notebook and its parameters -> one result file.

    make results PROFILE=laptop                        the published numbers
    snakemake --cores 8 --config profile=gpu seeds=5   Snakemake itself, with all its options

What Snakemake keeps track of is the executed notebook under runs/. The result in book/results is
written by the notebook, whole or not at all, and is no declared output: Snakemake would delete
the published file before each run and after a failed one. So would it the checkpoints.
"""

import hashlib
import json
from pathlib import Path

import posebook.lifting
from posebook.results import PROFILES, code_digest, imported_modules
from snakemake.exceptions import WorkflowError

NOTEBOOK = "notebooks/ch03_06_training.ipynb"
RUN = "{profile}/{experiment}/{variant}--seed{seed}"
# Rows of Table 3.1 whose poses are drawn; as in posebook.examples, which would enter the digest.
EXAMPLES = ("reproj", "reproj-adv", "trans-reproj")
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
PROFILE = config.get("profile", "laptop")
SEEDS = range(int(config.get("seeds", 3)))

if PROFILE not in PROFILES:
    raise WorkflowError(f"there is no profile {PROFILE}; there are {', '.join(PROFILES)}")


def digest_of_code(notebook):
    """Digest of a notebook's code cells, so that an edit of its prose runs nothing again."""
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return hashlib.sha256("\0".join(code).encode()).hexdigest()


wildcard_constraints:
    profile="|".join(PROFILES),
    seed=r"\d+",


rule all:
    input:
        [
            f"runs/{RUN}.ipynb".format(
                profile=PROFILE, experiment=experiment, variant=variant, seed=seed
            )
            for experiment, variants in posebook.lifting.EXPERIMENTS.items()
            for variant in variants
            for seed in SEEDS
        ],
        [
            f"runs/{PROFILE}/figure-3.6/{variant}--seed{seed}.done"
            for variant in LITERAL
            for seed in SEEDS
        ],
        [
            f"runs/{PROFILE}/ablation-3.3/{variant}--seed{seed}.done"
            for variant in ABLATION
            for seed in SEEDS
        ],
        f"runs/{PROFILE}/figure-3.5.done",


rule train:
    input:
        ancient(NOTEBOOK),
    output:
        f"runs/{RUN}.ipynb",
    params:
        result="book/results",
        dataset=f"-p dataset {config['dataset']}" if "dataset" in config else "",
        # By digest, not by time: neither a fresh checkout nor an edited docstring runs it again.
        code=(digest_of_code(NOTEBOOK), code_digest(imported_modules())),
    log:
        f"runs/{RUN}.log",
    threads: 1
    shell:
        "python tools/run_notebook.py {input} {output} -p profile {wildcards.profile}"
        " -p experiment {wildcards.experiment} -p variant {wildcards.variant}"
        " -p seed {wildcards.seed} -p out {params.result} {params.dataset} > {log} 2>&1"


rule literal:
    # Section 3.5 without our safeguards; a module of its own, see posebook/literal.py.
    output:
        touch("runs/{profile}/figure-3.6/{variant}--seed{seed}.done"),
    params:
        code=code_digest([*imported_modules(), "posebook.literal"]),
    log:
        "runs/{profile}/figure-3.6/{variant}--seed{seed}.log",
    threads: 1
    shell:
        "python -m posebook.literal --profile {wildcards.profile}"
        " --variant {wildcards.variant} --seed {wildcards.seed} > {log} 2>&1"


rule ablation:
    output:
        touch("runs/{profile}/ablation-3.3/{variant}--seed{seed}.done"),
    params:
        code=code_digest([*imported_modules(), "posebook.ablation"]),
    log:
        "runs/{profile}/ablation-3.3/{variant}--seed{seed}.log",
    threads: 1
    shell:
        "python -m posebook.ablation --profile {wildcards.profile}"
        " --variant {wildcards.variant} --seed {wildcards.seed} > {log} 2>&1"


rule examples:
    # Poses for Figures 3.1c and 3.5, from the checkpoints of the first seed.
    input:
        [f"runs/{{profile}}/table-3.1/{variant}--seed0.ipynb" for variant in EXAMPLES],
    output:
        touch("runs/{profile}/figure-3.5.done"),
    shell:
        "python -m posebook.examples --profile {wildcards.profile}"
