"""Groups of points that differ only in the seed: their results, with the spread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hwloop.statistics import mean_and_deviation
from hwloop.sweep.grid import SEED, shown
from hwloop.sweep.table import Result


@dataclass(frozen=True)
class Spread:
    """Mean, sample standard deviation, and number of values; NaN where there are too few."""

    mean: float
    deviation: float
    count: int


@dataclass(frozen=True)
class Group:
    """The points of one combination of settings other than the seed."""

    results: tuple[Result, ...]

    @property
    def finished(self) -> tuple[Result, ...]:
        """Results of the points that completed."""
        return tuple(one for one in self.results if one.ended.status == "completed")

    def spread(self, name: str) -> Spread:
        """Return the spread of a figure over the seeds."""
        return self._spread(lambda one: one.figures.get(name, float("nan")))

    @property
    def reached(self) -> Spread:
        """Spread of the fraction that reached every aim."""
        return self._spread(lambda one: one.reached)

    def _spread(self, value: Callable[[Result], float]) -> Spread:
        return Spread(*mean_and_deviation([value(one) for one in self.finished]))


def groups(results: Sequence[Result]) -> tuple[Group, ...]:
    """Return one group for each combination of the settings other than the seed, in order."""
    found: dict[tuple[str, ...], list[Result]] = {}
    for one in results:
        key = tuple(shown(value) for name, value in one.point.values if name != SEED)
        found.setdefault(key, []).append(one)
    return tuple(Group(tuple(members)) for members in found.values())
