"""Medians, and smallest, of repeated timings."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


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


@dataclass(frozen=True)
class Medians:
    """Median wall time and median processor time of a work, seconds; ``least_s`` of the wall."""

    wall_s: float
    processor_s: float
    least_s: float

    def __str__(self) -> str:
        """Return the times for a table of figures."""
        return (
            f"{self.least_s:9.3f} s least, {self.wall_s:.3f} s median,"
            f" {self.processor_s:.3f} s of the processor"
        )

    def beside(self, other: Medians) -> str:
        """Return the ratios to another one's times for a table of figures."""
        wall, processor = self.wall_s / other.wall_s, self.processor_s / other.processor_s
        return f"{wall:9.2f} × ({processor:.2f} × of processor time)"


def medians_in_turns(
    works: Sequence[Callable[[], object]], repeats: int, *, clear: Callable[[], object]
) -> list[Medians]:
    """The medians of each work; they take turns, after one turn to warm up.

    For a ratio on a machine that does other work: what one of them suffers the others do, too.
    ``clear`` removes what a work has left, and is not timed.
    """
    turns = [[_both_s(work, clear) for work in works] for _ in range(repeats + 1)]
    found = []
    for times_s in zip(*turns[1:], strict=True):
        walls_s, processors_s = zip(*times_s, strict=True)
        medians_s = statistics.median(walls_s), statistics.median(processors_s)
        found.append(Medians(*medians_s, min(walls_s)))
    return found


def _both_s(work: Callable[[], object], clear: Callable[[], object]) -> tuple[float, float]:
    began, began_processor = time.perf_counter(), time.process_time()
    work()
    taken_s = time.perf_counter() - began, time.process_time() - began_processor
    clear()
    return taken_s


def empty_folder(folder: Path) -> None:
    """Delete the files of a folder."""
    for path in folder.iterdir():
        path.unlink()


def _timed_s(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
