"""Find two lines whose leads were exchanged during a run, from the reads before and after."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from hwloop.types import BoolArray, FloatArray

MOVED = 0.2  # change of ln G above which a cell reads otherwise than before
EXPLAINED = 0.25  # of that change, at most MOVED: so near a cell reads as its counterpart did
LEAST_CELLS = 2  # pairs of cells that have to read as each other did


def exchanged_lines(
    before_conductance_s: FloatArray, after_conductance_s: FloatArray, unpulsed: BoolArray
) -> str | None:
    """Return which two lines read as each other did before; None where no two do.

    Conductances of reads, (rows, cols), NaN where unknown or not above 0. ``unpulsed``: the cells
    whose change no pulse since then explains; at least two of them have to have moved. Lines whose
    cells read alike cannot be told apart.
    """
    before, after = _logarithm(before_conductance_s), _logarithm(after_conductance_s)
    found: list[tuple[float, str]] = []
    for kind, maps in (
        ("row", (before, after, unpulsed)),
        ("col", (before.T, after.T, unpulsed.T)),
    ):
        for pair in combinations(range(len(maps[0])), 2):
            lines = list(pair)
            residual = _residual(maps[0][lines], maps[1][lines], maps[2][lines])
            if residual is not None:
                found.append((residual, f"{kind}{pair[0]} and {kind}{pair[1]}"))
    return min(found)[1] if found else None


def _logarithm(conductance_s: FloatArray) -> FloatArray:
    """Return ln G; NaN for what is unknown, at compliance, or not above 0."""
    usable = np.isfinite(conductance_s) & (conductance_s > 0)
    return np.log(conductance_s, out=np.full_like(conductance_s, np.nan), where=usable)


def _residual(before: FloatArray, after: FloatArray, unpulsed: BoolArray) -> float | None:
    """Return how far two lines, (2, cells) of ln G, read from what each other did; None if far."""
    change = np.abs(after - before)
    crosswise = np.abs(after - before[::-1])
    known = np.isfinite(change).all(axis=0) & np.isfinite(crosswise).all(axis=0)
    largest = np.where(known, change.max(axis=0), 0.0)
    moved = np.asarray(largest > MOVED)
    beyond_pulses = (change > MOVED) & unpulsed & moved
    if moved.sum() < LEAST_CELLS or beyond_pulses.sum() < LEAST_CELLS:
        return None
    explained = np.asarray((crosswise < np.minimum(EXPLAINED * largest, MOVED)).all(axis=0))
    return float(crosswise[:, moved].mean()) if explained[moved].all() else None
