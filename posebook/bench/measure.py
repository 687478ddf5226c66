"""Timing a fast form beside a plain one, in turns, and what the machine could do at most."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

AT_LEAST = 0.1  # seconds that a form is called for in each round: a single call finds cold caches


@dataclass(frozen=True)
class Case:
    """What is timed.

    Attributes:
        unit: what one call gives.
        count: how many of them.
        fast: the fast form.
        plain: the plain one, or None.
        plain_count: as `count`, from a call of the plain form, where that is slow.
        flops: of one call of the fast form, 0 where memory and not arithmetic sets the pace.
        bytes: read and written by the fast form; beside flops, what its products move at least.
        expected: ratio of both forms' multiplications for one unit, 0 where nobody counts.
    """

    name: str
    unit: str
    count: int
    fast: Callable[[], object]
    plain: Callable[[], object] | None = None
    plain_count: int = 0
    flops: float = 0.0
    bytes: float = 0.0
    expected: float = 0.0


def clock(device: str = "cpu") -> float:
    """Seconds of this process; what else the machine does meanwhile is left out. On a card seconds
    on the clock, when all is done that was asked of it."""
    if torch.device(device).type != "cuda":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def seconds(function: Callable[[], object], device: str = "cpu") -> float:
    """Seconds by `clock` of a call."""
    began = clock(device)
    function()
    return clock(device) - began


def matrix_rate(
    size: int = 1024, repeats: int = 5, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> float:
    """Floating-point operations a second of a product of matrices, the best of some."""
    a, b, out = (torch.ones(size, size, device=device, dtype=dtype) for _ in range(3))
    product = lambda: torch.mm(a, b, out=out)  # noqa: E731
    return 2 * size**3 / min(seconds(product, device) for _ in range(repeats))


def memory_rate(numbers: int = 2**25, repeats: int = 5) -> float:
    """Bytes a second, read and written, of a copy that no cache holds, the best of some."""
    a, b = torch.ones(numbers), torch.ones(numbers)
    return 8 * numbers / min(seconds(lambda: b.copy_(a)) for _ in range(repeats))


def run(cases: Sequence[Case], rounds: int) -> dict[str, object]:
    """Every case in every round, both forms in turn: a change of the machine's mood meets both."""
    found: dict[str, list[list[float]]] = {case.name: [] for case in cases}
    calls: dict[Callable, int] = {}
    rates = []
    for number in tqdm(range(rounds + 1), desc="rounds", delay=5):
        rates.append((matrix_rate(repeats=2), memory_rate(repeats=2)))
        for case in cases:
            forms = [(case.fast, case.count)]
            forms += [(case.plain, case.plain_count or case.count)] if case.plain else []
            if number:
                found[case.name].append([_a_call(form, calls[form]) / n for form, n in forms])
            else:  # sets up, and says how often a form is called in the rounds that count
                calls |= {form: max(1, round(AT_LEAST / max(seconds(form), 1e-6)))
                          for form, _ in forms}  # fmt: skip
    matrix, memory = np.max(rates, axis=0).tolist()
    rows = [_row(case, np.array(found[case.name]), matrix, memory) for case in cases]
    return {"matrix_flops_per_second": matrix, "memory_bytes_per_second": memory, "cases": rows}


def _a_call(form: Callable[[], object], calls: int) -> float:
    """Seconds of one of so many calls."""

    def all_of_them():
        for _ in range(calls):
            form()

    return seconds(all_of_them) / calls


def _row(case: Case, times: np.ndarray, matrix: float, memory: float) -> dict[str, object]:
    row = {"name": case.name, "unit": case.unit, "microseconds": _spread(1e6 * times[:, 0])}
    row["per_second"] = float(1 / np.median(times[:, 0]))
    if case.plain:
        row["plain_microseconds"] = _spread(1e6 * times[:, 1])
        row["ratio"] = _spread(times[:, 1] / times[:, 0])
    if case.expected:
        row["expected_ratio"] = case.expected
    if case.flops:
        row["share_of_matrix_rate"] = case.flops / (case.count * times[:, 0].min() * matrix)
    if case.flops and case.bytes:
        row["flops_per_byte"] = case.flops / case.bytes
    elif case.bytes:
        row["share_of_memory_rate"] = case.bytes / (case.count * times[:, 0].min() * memory)
    return row


def _spread(values: np.ndarray) -> list[float]:
    """Median, and the quartiles over rounds."""
    return [float(value) for value in np.percentile(values, [50, 25, 75])]


def table(found: dict[str, object]) -> str:
    """The result as text."""
    lines = [
        f"matrix products {found['matrix_flops_per_second'] / 1e9:.0f} GFLOP/s, "
        f"memory {found['memory_bytes_per_second'] / 1e9:.1f} GB/s, one process",
        "",
        f"{'':34}{'us a unit (quartiles)':>26}{'plain':>12}{'times faster':>24}{'':4}",
    ]
    for row in found["cases"]:
        middle, low, high = row["microseconds"]
        text = f"{row['name']:34}{middle:12.2f} ({low:.2f} - {high:.2f})".ljust(62)
        if "ratio" in row:
            ratio, low, high = row["ratio"]
            text += f"{row['plain_microseconds'][0]:10.2f}{ratio:10.1f} ({low:.1f} - {high:.1f})"
        if "expected_ratio" in row:
            text += f", {row['expected_ratio']:.2f} by multiplications"
        for rate in ("matrix", "memory"):
            if f"share_of_{rate}_rate" in row:
                text += f"  {row[f'share_of_{rate}_rate']:.2f} of the {rate} rate"
        lines.append(text)
    return "\n".join(lines)
