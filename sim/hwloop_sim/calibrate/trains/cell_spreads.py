"""Differences between cells in the number of pulses ν of ``soft_bounds``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwloop.types import FloatArray
from hwloop_sim.calibrate.result import Fit
from hwloop_sim.calibrate.trains.train_likelihood import error_of_root

Losses = Callable[[FloatArray], FloatArray]
_NAMES = ("up_pulses", "down_pulses")
_LEAST_CELLS = 3
"""Fewest cells whose spread is stated."""
_WIDEST, _FINEST, _GRID, _BEND = 2.0, 1e-3, 9, 0.05
"""Search of ln ν of a cell: from so far to so near, points at a time; step of its second
difference."""


@dataclass(frozen=True)
class PulsesSpread:
    """Differences of ln ν between cells in one direction.

    ``own``: of the cell of each train, less their mean, (trains,). ``sigma``: standard deviation
    over the ``cells``, less the errors of the estimates; ``error``: its standard error.
    """

    own: FloatArray
    sigma: float
    error: float
    cells: int


def cell_spread(losses: Losses, cells: NDArray[np.intp]) -> PulsesSpread:
    """Estimate ln ν of each cell from the loss of its trains alone.

    ``losses``: −ln of the likelihood of each train, given ln ν of its cell less that of all, both
    (trains,). ``cells``: the number of the cell of each train.
    """
    numbers, place = np.unique(cells, return_inverse=True)

    def of_cells(own: FloatArray) -> FloatArray:
        return np.bincount(place, losses(own[place]), numbers.size).astype(np.float64)

    # All cells at once, as the loss of one does not depend on another: by the best of a grid that
    # narrows around it.
    best, width = np.zeros(numbers.size), _WIDEST
    while width > _FINEST:
        grid = best + np.linspace(-width, width, _GRID)[:, np.newaxis]
        found = np.array([of_cells(one) for one in grid])
        best = grid[np.argmin(found, axis=0), np.arange(numbers.size)]
        width *= 2.0 / (_GRID - 1)
    below, at, above = (of_cells(best + step) for step in (-_BEND, 0.0, _BEND))
    variance = _BEND**2 / np.maximum(below - 2 * at + above, 1e-12)
    told = variance < 1.0
    if told.sum() < _LEAST_CELLS:
        return PulsesSpread(np.zeros(cells.size), 0.0, 0.0, int(told.sum()))
    centred = np.where(told, best - best[told].mean(), 0.0)
    seen = float(np.var(best[told], ddof=1))
    square = max(seen - float(variance[told].mean()), 0.0)
    count = int(told.sum())
    error = error_of_root(square, seen * float(np.sqrt(2 / (count - 1))))
    return PulsesSpread(centred[place], float(np.sqrt(square)), error, count)


def with_spread(
    fit: Fit, spreads: Sequence[PulsesSpread], cells: Sequence[NDArray[np.intp]]
) -> Fit:
    """Add the spread of ν over the cells to a fit, and the words on what was taken as a cell."""
    settings, uncertainty = dict(fit.settings), dict(fit.uncertainty)
    messages, found = list(fit.messages), {}
    for name, one, own in zip(_NAMES, spreads, cells, strict=True):
        if one.cells < _LEAST_CELLS:
            messages.append(f"{name}: {one.cells} cells: how cells differ is not determined")
            continue
        found[name] = {"sigma": float(f"{min(one.sigma, 2.0):.4g}")}
        uncertainty[f"spread.{name}"] = one.error
        alone = np.unique(own).size == own.size
        told = (
            "; one train of each, so that cycle to cycle cannot be told apart from it"
            if alone
            else "; what differs from cycle to cycle counts as scatter of pulses"
        )
        messages.append(
            f"{name}: over {one.cells} cells its logarithm differs by {one.sigma:.3g} ±"
            f" {one.error:.2g} (spread){told}; bounds are those of all cells"
        )
    if found:
        settings["spread"] = found
    return replace(fit, settings=settings, uncertainty=uncertainty, messages=messages)
