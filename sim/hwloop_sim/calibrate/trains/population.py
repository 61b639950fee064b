"""Speeds of trains: what changes with the cycles of a cell, and what differs between cells.

The logarithm of the speed of a train is a_c + g(n) + e: a_c of its cell, normal over the cells;
g of how many trains n of this pulse the cell has had, straight between knots in ln(1 + n); e of the
train. g is fitted by least squares within the cells; then the variance between cells and that
within them are told apart by the mean squares of a one-way analysis of variance (S. R. Searle, G.
Casella and C. E. McCulloch, Variance Components, 1992, ch. 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwloop.types import FloatArray
from hwloop_sim.calibrate.trains.train_likelihood import error_of_root

LEAST_CYCLES = 8
"""Fewest cycles of a cell from which ageing is fitted."""
_MOST_KNOTS = 6
_CLEARLY = 10.0
"""Gain of ln of the likelihood that ageing must bring to be stated."""
_LEAST_CELLS = 3
"""Fewest cells whose spread is stated."""


@dataclass(frozen=True)
class Ageing:
    """Speed of trains by the number of trains that a cell has had.

    ``cycles``: knots, rising from 0. ``ln_speed``: there. ``errors``: one standard error of each.
    """

    cycles: FloatArray
    ln_speed: FloatArray
    errors: FloatArray

    def at(self, cycles: NDArray[np.intp]) -> FloatArray:
        """Return ln of the speed after so many trains, held beyond the last knot."""
        return np.interp(np.log1p(cycles), np.log1p(self.cycles), self.ln_speed)


def ageing(
    ln_speeds: FloatArray, cells: NDArray[np.intp], cycles: NDArray[np.intp]
) -> Ageing | None:
    """Fit how the speed changes with the cycles; None if too few, or if the change may be chance.

    All (trains,). Neighbouring trains of a wandering cell count for less than one train each.
    """
    if np.unique(cycles).size < LEAST_CYCLES:
        return None
    own = (cells[:, np.newaxis] == np.unique(cells)).astype(np.float64)
    constant = _Line(own, ln_speeds, own.shape[1])
    lines = [
        (knots, _Line(_columns(own, cycles, knots), ln_speeds, own.shape[1]))
        for knots in (_knots(cycles, count) for count in range(2, _MOST_KNOTS + 1))
        if knots.size + own.shape[1] < ln_speeds.size
    ]
    if not lines:
        return None
    knots, best = min(lines, key=lambda one: one[1].criterion)
    if (constant.cost - best.cost) / best.inflation < _CLEARLY:
        return None
    level = float(best.values[: own.shape[1]].mean())
    changes = np.concatenate([[0.0], best.values[own.shape[1] :]])
    return Ageing(knots, level + changes, best.errors(own.shape[1]))


def _knots(cycles: NDArray[np.intp], count: int) -> FloatArray:
    """Return numbers of cycles from 0 to the most, evenly in ln(1 + n)."""
    return np.unique(np.rint(np.expm1(np.linspace(0.0, np.log1p(cycles.max()), count))))


def _columns(own: FloatArray, cycles: NDArray[np.intp], knots: FloatArray) -> FloatArray:
    hats = [np.interp(np.log1p(cycles), np.log1p(knots), row) for row in np.eye(knots.size)[1:]]
    return np.column_stack([own, *hats])


class _Line:
    """Least squares of ln speeds; ``cells``: number of leading columns that are cells."""

    def __init__(self, columns: FloatArray, ln_speeds: FloatArray, cells: int) -> None:
        self.values, *_ = np.linalg.lstsq(columns, ln_speeds, rcond=None)
        self._columns, self._cells = columns, cells
        count, width = columns.shape
        left = ln_speeds - columns @ self.values
        square = max(float(left @ left), 1e-12 * count)
        self.cost = 0.5 * count * float(np.log(square / count))
        self.criterion = self.cost + 0.5 * width * float(np.log(count))
        self._variance = square / max(count - width, 1)
        lag = float(np.clip(left[1:] @ left[:-1] / square, 0.0, 0.9))
        self.inflation = (1 + lag) / (1 - lag)

    def errors(self, cells: int) -> FloatArray:
        """Return the standard errors of the level and of the level with each change."""
        inverse = np.linalg.pinv(self._columns.T @ self._columns) * self._variance * self.inflation
        size = self._columns.shape[1] - cells
        reach = np.zeros((size + 1, self._columns.shape[1]))
        reach[:, :cells] = 1 / cells
        reach[1:, cells:] = np.eye(size)
        return np.asarray(np.sqrt(np.einsum("ij,jk,ik->i", reach, inverse, reach)))


@dataclass(frozen=True)
class Components:
    """Standard deviations of ln speed between and within cells, with one standard error of each.

    ``summary``: what the data cannot tell, or what was taken for what.
    """

    cell_spread: float
    train_spread: float
    errors: tuple[float, float]
    summary: str


def components(
    ln_speeds: FloatArray, cells: NDArray[np.intp], *, spread: float, error: float
) -> Components:
    """Divide the spread of trains into that between cells and that within them.

    ``ln_speeds``: (trains,), without ageing. ``spread``, ``error``: of all trains together, apart
    from the scatter of their pulses, which would pass for a spread within cells.
    """
    numbers, counts = np.unique(cells, return_counts=True)
    known, trains = numbers.size, cells.size
    if known == 1:
        return Components(0.0, spread, (0.0, error), "one cell: how cells differ is not determined")
    if known == trains:
        summary = (
            f"one train of each of {known} cells: cell to cell and cycle to cycle cannot be told"
            f" apart, and all of it, {spread:.3g}, is given as cell_spread"
        )
        return Components(spread, 0.0, (error, 0.0), summary)
    if known < _LEAST_CELLS:
        summary = f"{known} cells: how cells differ is not determined; it is within train_spread"
        return Components(0.0, spread, (0.0, error), summary)
    means = np.array([ln_speeds[cells == one].mean() for one in numbers])
    within = sum(
        float(np.square(ln_speeds[cells == one] - m).sum())
        for one, m in zip(numbers, means, strict=True)
    )
    between = float(counts @ np.square(means - ln_speeds.mean())) / (known - 1)
    within /= trains - known
    each = (trains - float(np.square(counts).sum()) / trains) / (known - 1)
    square = max((between - within) / each, 0.0)
    of_square = np.hypot(between * np.sqrt(2 / (known - 1)), within * np.sqrt(2 / (trains - known)))
    own = min(float(np.sqrt(square)), spread)
    rest = float(np.sqrt(max(spread**2 - own**2, 0.0)))
    summary = (
        f"{known} cells, {counts.min()} to {counts.max()} trains each: ln speed differs by"
        f" {own:.3g} from cell to cell (cell_spread), {rest:.3g} from train to train"
    )
    return Components(own, rest, (error_of_root(square, float(of_square / each)), error), summary)
