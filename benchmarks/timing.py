"""Medians of repeated timings."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def median_s(work: Callable[[], object], repeats: int) -> float:
    """The median of ``repeats`` timings, seconds, after one that warms up."""
    work()
    return statistics.median(_timed_s(work) for _ in range(repeats))


def _timed_s(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
