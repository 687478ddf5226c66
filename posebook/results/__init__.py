"""Published results: written, read back, compared over seeds, and where each number comes from."""

from posebook.paths import folder_of, results_folder
from posebook.results.provenance import (
    code_digest,
    commit,
    data_digest,
    device_name,
    versions,
)
from posebook.results.records import (
    PROFILES,
    read_result,
    read_results,
    read_rows,
    validate,
    write_result,
)
from posebook.results.statistics import (
    METRICS,
    SEEDS_FOR_A_VERDICT,
    Gap,
    Metric,
    compare,
    ratio,
    summary,
    verdict,
)

__all__ = [
    "METRICS", "PROFILES", "SEEDS_FOR_A_VERDICT", "Gap", "Metric", "code_digest", "commit",
    "compare", "data_digest", "device_name", "folder_of", "ratio", "read_result", "read_results",
    "read_rows", "results_folder", "summary", "validate", "verdict", "versions", "write_result",
]  # fmt: skip
