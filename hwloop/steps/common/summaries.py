"""Summary figures over cells and cycles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwloop.statistics import sample_deviation
from hwloop.types import FloatArray


def median_text(values: FloatArray, unit: str) -> str:
    """Format finite values as ``"median 32 nS (5 to 95 %: 20 nS to 44 nS)"``."""
    from hwloop.settings.units import format_quantity

    finite = values[np.isfinite(values)]
    if not finite.size:
        return "no value"
    low, middle, high = (
        format_quantity(float(v), unit, digits=3) if unit else f"{v:.3g}"
        for v in np.percentile(finite, (5, 50, 95))
    )
    if finite.size == 1:
        return middle
    return f"median {middle} (5 to 95 %: {low} to {high})"


def crossing_v(levels_v: FloatArray, ln: FloatArray) -> FloatArray:
    """Return the level where ``ln`` first rises through 0, linear between levels of one sign."""
    rising = (ln[:-1] < 0) & (ln[1:] >= 0)
    first = rising.argmax(axis=0)[None]
    below = np.take_along_axis(ln, first, axis=0)[0]
    above = np.take_along_axis(ln, first + 1, axis=0)[0]
    start_v, end_v = levels_v[first[0]], levels_v[first[0] + 1]
    # Through 0 V the polarity changes, and the first level of the new one did it.
    start_v = np.where(start_v * end_v < 0, end_v, start_v)
    found = rising.any(axis=0)
    part = np.divide(-below, above - below, out=np.zeros_like(below), where=found)
    return np.where(found, start_v + part * (end_v - start_v), np.nan)


def over_cells(of: Callable[[FloatArray], float], values: FloatArray) -> FloatArray:
    """Apply ``of`` to the finite values along the last axis; NaN where there is none."""
    lines = values.reshape(-1, values.shape[-1])
    out = [of(line[np.isfinite(line)]) if np.isfinite(line).any() else np.nan for line in lines]
    return np.array(out, dtype=np.float64).reshape(values.shape[:-1])


def cycle_and_device_spread(
    mean: FloatArray, sigma: FloatArray, cycles: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Compute the spread over cycles, and the spread over cells without their share; (...).

    ``mean``, ``sigma``: of each cell over its ``cycles``, (..., rows, cols), NaN where there is
    none: the variance of a mean over n cycles holds 1/n of theirs. The second is 0 where cells are
    equal within what can be told.
    """
    lines = (*mean.shape[:-2], -1)
    within, added = (
        over_cells(lambda v: float(np.mean(v)), values.reshape(lines))
        for values in (sigma**2, sigma**2 / np.maximum(cycles, 1))
    )
    between = over_cells(sample_deviation, mean.reshape(lines)) ** 2
    # One cycle tells nothing of the others.
    return np.sqrt(within), np.sqrt(np.maximum(between - np.nan_to_num(added), 0.0))


def nonlinearity(path_conductance_s: FloatArray) -> FloatArray:
    """Return the largest signed distance of a path from the line between its ends, over its range.

    ``path_conductance_s``: (points, ...), siemens; returns (...), NaN where the ends are equal.
    """
    points = len(path_conductance_s)
    along = np.linspace(0, 1, points).reshape(-1, *(1,) * (path_conductance_s.ndim - 1))
    distance = (path_conductance_s - path_conductance_s[0]) - along * (
        path_conductance_s[-1] - path_conductance_s[0]
    )
    largest = np.take_along_axis(distance, np.abs(distance).argmax(axis=0)[None], axis=0)[0]
    return ratio_or_nan(largest, path_conductance_s[-1] - path_conductance_s[0])


def ratio_or_nan(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Return the ratio; NaN where the denominator is 0."""
    out = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    np.divide(numerator, denominator, out=out, where=denominator != 0)
    return out
