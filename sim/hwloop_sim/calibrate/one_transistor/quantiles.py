"""Quantiles of values with gaps, along the last axis."""

from __future__ import annotations

import numpy as np

from hwloop.types import FloatArray

_OF_NORMAL = 1.4826


def quantiles(values: FloatArray, *parts: float) -> FloatArray:
    """Compute quantiles, (parts, ...), of the values that are not NaN; NaN if there are none.

    Interpolates linearly as ``numpy.nanquantile`` does, which is many times slower.
    """
    ordered = np.sort(values, axis=-1)
    last = np.count_nonzero(~np.isnan(ordered), axis=-1) - 1
    found = []
    for part in parts:
        place = part * np.maximum(last, 0)
        low = np.floor(place).astype(int)
        high = np.minimum(low + 1, np.maximum(last, 0))
        below, above = (
            np.take_along_axis(ordered, one[..., None], -1)[..., 0] for one in (low, high)
        )
        found.append(below + (place - low) * (above - below))
    return np.array(found)


def median(values: FloatArray) -> FloatArray:
    """Compute the median of the values that are not NaN."""
    return np.asarray(quantiles(values, 0.5)[0])


def spread(values: FloatArray) -> FloatArray:
    """Compute the median absolute deviation, scaled to the standard deviation of a normal."""
    return _OF_NORMAL * median(np.abs(values - median(values)[..., None]))
