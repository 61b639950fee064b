"""Test of whether a conductance took two states in a series of reads, or only scattered.

A cell that switches is in its high state during one stretch of a cycle. For every stretch the mean
inside is compared with the mean outside: for independent reads of one state with normal scatter
the ratio of the difference to its error has Student's distribution, so that the smallest
probability times the number of stretches bounds the probability that scatter alone shows such a
window. The stretches are those of circular binary segmentation (A. B. Olshen et al., Biostatistics
5, 557 (2004), doi:10.1093/biostatistics/kxh008). Slow drift and telegraph noise are changes of
state, not scatter, and count as such.
"""

from __future__ import annotations

import numpy as np

from hwloop.types import BoolArray, FloatArray

FALSE_POSITIVES = 0.01
"""Bound on the probability that any cell of a map that only scatters is taken to switch."""
_RESOLUTION = 1e-9
"""Relative: least scatter of a read, so that rounding is not a window."""


def chance_of_window(seen_conductance_s: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the bound on the probability that scatter alone shows such a window, (...).

    ``seen_conductance_s``: (reads, ...), siemens; ``weights``: (reads,), inverse variances in any
    unit. 1 for a cell without a window; NaN for one with a gap, or with fewer than three reads.
    """
    from scipy.special import stdtr

    reads = len(weights)
    shape = seen_conductance_s.shape[1:]
    if reads < 3:
        return np.full(shape, np.nan)
    share = (weights / weights.sum())[:, None]
    seen = seen_conductance_s.reshape(reads, -1)
    mean = (share * seen).sum(axis=0)
    residual = seen - mean
    whole = (share * residual**2).sum(axis=0)
    between = np.minimum(_largest_between(share * residual, share), whole)
    within = np.maximum(whole - between, (_RESOLUTION * mean) ** 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(between > 0, np.sqrt(between / within * (reads - 2)), 0.0)
    stretches = reads * (reads - 1) / 2
    chance = np.minimum(2 * stretches * stdtr(reads - 2, -ratio), 1.0)
    return np.where(np.isnan(whole), np.nan, chance).reshape(shape)


def chance_and_level(
    levels_v: FloatArray, seen_conductance_s: FloatArray, *, direct: bool
) -> tuple[FloatArray, FloatArray]:
    """Return the chance of a sweep's window, (...), and ln G about its middle, (levels, ...).

    ``levels_v``: (levels,), volts; ``seen_conductance_s``: (levels, ...), siemens. ``direct``: read
    at the levels, so that the scatter may be that of the current: the window has to stand out of
    either. The middle is the geometric mean of the lowest and highest, NaN for a cell without a
    window or with one that is not positive.
    """
    chance = chance_of_window(seen_conductance_s, np.ones(len(levels_v)))
    if direct:
        chance = np.maximum(chance, chance_of_window(seen_conductance_s, levels_v**2))
    low_conductance_s, high_conductance_s = (
        seen_conductance_s.min(axis=0),
        seen_conductance_s.max(axis=0),
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        ln_middle = np.where(
            high_conductance_s > low_conductance_s,
            np.log(low_conductance_s * high_conductance_s) / 2,
            np.nan,
        )
        return chance, np.log(seen_conductance_s) - ln_middle


def _largest_between(residual: FloatArray, share: FloatArray) -> FloatArray:
    """Return the largest variance between inside and outside of a stretch, (cells,).

    ``residual``: (reads, cells), times its share of the weight, ``share`` (reads, 1).
    """
    zero = np.zeros((1, residual.shape[1]))
    total = np.concatenate([zero, np.cumsum(residual, axis=0)])
    weight = np.concatenate([[[0.0]], np.cumsum(share, axis=0)])
    largest = np.zeros(residual.shape[1])
    for length in range(1, len(share)):
        inside = weight[length:] - weight[:-length]
        between = (total[length:] - total[:-length]) ** 2 / (inside * (1 - inside))
        # The stretch of all reads has no outside; it is never this long.
        largest = np.maximum(largest, between.max(axis=0))
    return largest


def stands_out(chance: FloatArray) -> BoolArray:
    """Return the cells whose window is no scatter, by :data:`FALSE_POSITIVES` for the whole map."""
    cells = int(np.isfinite(chance).sum())
    found: BoolArray = chance * cells <= FALSE_POSITIVES
    return found
