"""Find two lines whose leads were exchanged during a run, from the reads before and after.

A cell that nobody has pulsed reads as before, and one that was pulsed has moved as its pulses
drive it. Where two lines go against that, and each reads as the other did but for its pulses, their
leads are exchanged. Where pulses explain the change of every cell, nothing shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from hwloop.types import BoolArray, FloatArray

MOVED = 0.2  # change of ln G above which a cell reads otherwise than before, whatever its noise
LEAST_MOVED = 0.05  # the same where cells repeat their reads much better
NEAR = 0.25  # of the difference of two cells: so near one reads as the other did, at most MOVED
PRECISION = 0.2  # of what counts as moved: agreement beyond it is chance
LEAST_CELLS = 2  # cells, and pairs of cells, that have to read as each other did
LEAST_SURPRISE = 4.0  # sum over these cells of ln(change / distance to the other's read)


@dataclass(frozen=True)
class KnownCells:
    """The cells at a time, (rows, cols): what they read last, and pulses since, by direction.

    ``conductance_s``: NaN where unknown. ``up``, ``down``: pulses that raise and lower it.
    """

    conductance_s: FloatArray
    up: BoolArray
    down: BoolArray

    def unexplained(self, after_conductance_s: FloatArray) -> BoolArray:
        """Return the cells whose change is not in the direction of a pulse since their read."""
        with np.errstate(invalid="ignore"):
            return ~_driven(after_conductance_s - self.conductance_s, self.up, self.down)


def exchanged_lines(
    before: KnownCells, after_conductance_s: FloatArray, *, moved: float = MOVED
) -> str | None:
    """Return which two lines read as each other did before; None where no two do.

    ``moved``: change of ln G that is none of a read's scatter. Lines whose cells read alike cannot
    be told apart.
    """
    maps = np.array(
        [_logarithm(before.conductance_s), _logarithm(after_conductance_s), before.up, before.down]
    )
    found: list[tuple[float, str]] = []
    for kind, lines in (("row", maps), ("col", maps.swapaxes(1, 2))):
        for pair in combinations(range(lines.shape[1]), 2):
            surprise = _surprise(*lines[:, list(pair)], moved=moved)
            if surprise > LEAST_SURPRISE:
                found.append((surprise, f"{kind}{pair[0]} and {kind}{pair[1]}"))
    return max(found)[1] if found else None


def _logarithm(conductance_s: FloatArray) -> FloatArray:
    """Return ln G; NaN for what is unknown, at compliance, or not above 0."""
    usable = np.isfinite(conductance_s) & (conductance_s > 0)
    return np.log(conductance_s, out=np.full_like(conductance_s, np.nan), where=usable)


def _surprise(
    before: FloatArray, after: FloatArray, up: FloatArray, down: FloatArray, *, moved: float
) -> float:
    """Return how surely two lines, (2, cells) of ln G, read as each other did; 0 where not."""
    known = np.isfinite(before + after).all(axis=0)
    before, after = before[:, known], after[:, known]
    raised, lowered = up[:, known] > 0, down[:, known] > 0
    change, crosswise = after - before, after - before[::-1]
    near = np.abs(crosswise) < np.clip(
        NEAR * np.abs(before[0] - before[1]), 2 * PRECISION * moved, MOVED
    )
    # The leads may have been exchanged before the pulses or after: those of both lines count.
    either_raised, either_lowered = raised | raised[::-1], lowered | lowered[::-1]
    agrees = (near | _driven(crosswise, either_raised, either_lowered)).all(axis=0)
    changed = np.abs(change) > moved
    if not agrees[changed.any(axis=0)].all():
        return 0.0
    evidence = changed & ~_driven(change, raised, lowered) & near
    # One pair of cells may have done that by itself, unless every other pair agrees with it.
    pairs = agrees if agrees.all() else evidence.any(axis=0)
    if evidence.sum() < LEAST_CELLS or pairs.sum() < LEAST_CELLS:
        return 0.0
    distance = np.maximum(np.abs(crosswise[evidence]), PRECISION * moved)
    return float(np.log(np.abs(change[evidence]) / distance).sum())


def _driven(change: FloatArray, raised: BoolArray, lowered: BoolArray) -> BoolArray:
    driven: BoolArray = ((change > 0) & raised) | ((change < 0) & lowered)
    return driven
