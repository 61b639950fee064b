"""Medians, and smallest, of repeated timings."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence


def median_s(work: Callable[[], object], repeats: int) -> float:
    """The median of ``repeats`` timings, seconds, after one that warms up."""
    work()
    return statistics.median(_timed_s(work) for _ in range(repeats))


def least_and_median_s(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """The smallest and the median of ``repeats`` timings, seconds, after one that warms up.

    On a machine that does other work the smallest is the one that says what the code costs.
    """
    work()
    timings_s = [_timed_s(work) for _ in range(repeats)]
    return min(timings_s), statistics.median(timings_s)


def processor_medians_s(works: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """The median processor time of each work, seconds; they take turns, after one turn to warm up.

    For a ratio on a machine that does other work: what one of them suffers the others do, too.
    """
    turns = [[_processor_s(work) for work in works] for _ in range(repeats + 1)]
    return [statistics.median(times_s) for times_s in zip(*turns[1:], strict=True)]


def _processor_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _timed_s(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
