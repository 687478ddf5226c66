"""Table 4.1 as the thesis begins: networks that take over the dictionary and nothing else.

    python -m posebook.imitation --profile laptop --variant adv-alone --seed 0

The rows of `posebook.factorization` first imitate the encoder that learned their dictionary; these
do not, and agree with them in everything else.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from posebook import factorization, results
from posebook.training import only_run_in

EXPERIMENT = "imitation-4.1"
# Row -> the row of Table 4.1 that it is without imitation. They are listed here and not there,
# where any change outdates every result of the chapter.
TABLE = {"cf-alone": "baseline-cf", "hd-alone": "baseline-hd", "adv-alone": "baseline-adv"}
ROWS = {name: replace(factorization.VARIANTS[row], imitation=False) for name, row in TABLE.items()}


def run(
    profile: str, variant: str, seed: int, folder: Path | None = None,
    dictionaries: Path | None = None,
) -> dict:  # fmt: skip
    """Train and measure one row; the record for `write_result`.

    folder, dictionaries: as for `posebook.factorization.run`. Raises ValueError for another row.
    """
    if variant not in ROWS:
        raise ValueError(f"unknown variant {variant!r}; known: {', '.join(ROWS)}")
    size, row = factorization.PROFILES[profile], ROWS[variant]
    with only_run_in(folder):
        _, record = factorization._run(
            size, row, profile, variant, seed, factorization.SOURCE, EXPERIMENT, folder,
            dictionaries, "cpu",
        )  # fmt: skip
    return record


def main() -> None:
    """Write one record into book/results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=factorization.PROFILES, default="laptop")
    parser.add_argument("--variant", choices=ROWS, required=True)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    runs = Path("runs", wanted.profile)
    record = run(
        wanted.profile, wanted.variant, wanted.seed,
        runs / EXPERIMENT / f"{wanted.variant}--seed{wanted.seed}", runs / "dictionaries",
    )  # fmt: skip
    print("written:", results.write_result(results.results_folder(), record))


if __name__ == "__main__":
    # Under its own name, under which the record lists it among the code that made it.
    from posebook.imitation import main as run_main

    run_main()
