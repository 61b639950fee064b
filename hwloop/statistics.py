"""Figures with their uncertainty."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from hwloop.types import FloatArray


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % confidence interval of a fraction (E. B. Wilson, JASA 22, 209 (1927))."""
    z = 1.959964
    fraction = successes / trials
    centre = fraction + z * z / (2 * trials)
    spread = z * math.sqrt(fraction * (1 - fraction) / trials + z * z / (4 * trials**2))
    scale = 1 + z * z / trials
    return (centre - spread) / scale, (centre + spread) / scale


def ks_distance(first: ArrayLike, second: ArrayLike) -> float:
    """The largest distance of two empirical distributions (two-sample Kolmogorov–Smirnov)."""
    a, b = np.sort(np.ravel(first)), np.sort(np.ravel(second))
    both = np.concatenate([a, b])
    of_a = np.searchsorted(a, both, side="right") / a.size
    of_b = np.searchsorted(b, both, side="right") / b.size
    return float(np.abs(of_a - of_b).max())


def ks_expected(first: int, second: int) -> tuple[float, float]:
    """Mean, and what 95 % stay below, of that distance for equal distributions of so many values.

    Limits of the Kolmogorov distribution for large samples: √(π/2) ln 2 and 1.358, each times
    √((n + m)/(n m)) (G. Marsaglia et al., J. Stat. Softw. 8(18) (2003)); of independent values.
    """
    scale = math.sqrt((first + second) / (first * second))
    return math.sqrt(math.pi / 2) * math.log(2) * scale, 1.358 * scale


def mean_and_deviation(values: ArrayLike) -> tuple[float, float, int]:
    """Mean and sample standard deviation of the finite ones of ``values``, and their number.

    NaN is the mean of none, and the deviation of fewer than two.
    """
    finite = np.asarray(values, dtype=np.float64).ravel()
    finite = finite[np.isfinite(finite)]
    mean = float(finite.mean()) if finite.size else math.nan
    return mean, sample_deviation(finite), finite.size


def sample_deviation(values: FloatArray) -> float:
    """Sample standard deviation of finite values; NaN of fewer than two."""
    return float(values.std(ddof=1)) if values.size > 1 else math.nan
