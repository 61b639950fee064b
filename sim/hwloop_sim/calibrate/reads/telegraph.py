"""Random telegraph noise in a series of reads: two levels that are clearly apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwloop.types import BoolArray, FloatArray

_APART = 6.0
"""Distance of the levels, in deviations within them, below which they are not told apart."""
_LEAST_SWITCHES = 10
_ROUNDS = 50


@dataclass(frozen=True)
class Telegraph:
    """Two levels of one cell.

    ``amplitude``: fraction of the upper level by which the lower is below it. ``capture_s``,
    ``emission_s``: mean times in the upper and in the lower level. ``switches``: how often it went
    down and up. ``low``: whether each read was at the lower level.
    """

    amplitude: float
    capture_s: float
    emission_s: float
    switches: int
    low: FloatArray


def telegraph(relative: FloatArray, time_s: FloatArray) -> Telegraph | None:
    """Return the telegraph noise of a series without drift; None if no two levels are clear.

    ``relative``: reads over their mean, (reads,). A read counts as the other level once it is past
    three quarters of the way to it, so that noise within a level makes no switches.
    """
    ends = np.quantile(relative, [0.02, 0.98])
    lower, upper = float(ends[0]), float(ends[1])
    for _ in range(_ROUNDS):
        low = relative < (lower + upper) / 2
        if low.all() or not low.any():
            return None
        lower, upper = float(relative[low].mean()), float(relative[~low].mean())
    within = float(np.sqrt(np.mean(np.square(relative - np.where(low, lower, upper)))))
    if upper - lower < _APART * max(within, 1e-12):
        return None
    low = _held(relative, lower, upper)
    spent_s = np.diff(time_s)
    down = int(np.sum(low[1:] & ~low[:-1]))
    up = int(np.sum(~low[1:] & low[:-1]))
    if min(down, up) < _LEAST_SWITCHES:
        return None
    upper_s, lower_s = float(spent_s[~low[:-1]].sum()), float(spent_s[low[:-1]].sum())
    shown = low.astype(np.float64)
    return Telegraph(1 - lower / upper, upper_s / down, lower_s / up, down + up, shown)


def _held(relative: FloatArray, lower: float, upper: float) -> BoolArray:
    """Return whether each read is at the lower level; reads in between keep the last level."""
    quarter = (upper - lower) / 4
    sure = np.where(relative < lower + quarter, 1, np.where(relative > upper - quarter, 0, -1))
    last = np.maximum.accumulate(np.where(sure >= 0, np.arange(sure.size), -1))
    first = sure[np.argmax(sure >= 0)]
    return np.asarray(np.where(last >= 0, sure[last], first) == 1)
