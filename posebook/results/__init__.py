"""Published results: written, read back, compared over seeds, and where each number comes from."""

from posebook.paths import results_folder
from posebook.results.provenance import code_digest, commit, data_digest, device_name
from posebook.results.records import read_result, read_results, read_rows, write_result
from posebook.results.statistics import METRICS, Gap, compare, ratio, summary, told, verdict
