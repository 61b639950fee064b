"""Medians, and smallest, of repeated timings."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


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


def _timed_s(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
