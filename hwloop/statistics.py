"""Confidence intervals, distances between distributions, and deviations of samples."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from hwloop.types import FloatArray


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a fraction, low and high (E. B. Wilson, JASA 22, 209 (1927))."""
    z = 1.959964
    fraction = successes / trials
    centre = fraction + z * z / (2 * trials)
    spread = z * math.sqrt(fraction * (1 - fraction) / trials + z * z / (4 * trials**2))
    scale = 1 + z * z / trials
    return (centre - spread) / scale, (centre + spread) / scale


def ks_distance(first: ArrayLike, second: ArrayLike) -> float:
    """Return the largest distance of two empirical distributions (Kolmogorov–Smirnov, 0 to 1)."""
    a, b = np.sort(np.ravel(first)), np.sort(np.ravel(second))
    both = np.concatenate([a, b])
    of_a = np.searchsorted(a, both, side="right") / a.size
    of_b = np.searchsorted(b, both, side="right") / b.size
    return float(np.abs(of_a - of_b).max())


def ks_expected(first: int, second: int) -> tuple[float, float]:
    """Return the mean and the 95 % quantile of :func:`ks_distance` for equal distributions.

    ``first``, ``second``: sizes of two samples of independent values. Large-sample limits of the
    Kolmogorov distribution: √(π/2) ln 2 and 1.358, each times √((n + m)/(n m)) (G. Marsaglia et
    al., J. Stat. Softw. 8(18) (2003)).
    """
    scale = math.sqrt((first + second) / (first * second))
    return math.sqrt(math.pi / 2) * math.log(2) * scale, 1.358 * scale


def mean_and_deviation(values: ArrayLike) -> tuple[float, float, int]:
    """Return mean, sample standard deviation and number of the finite ones of ``values``.

    The mean is NaN without a finite value, the deviation NaN with fewer than two.
    """
    finite = np.asarray(values, dtype=np.float64).ravel()
    finite = finite[np.isfinite(finite)]
    mean = float(finite.mean()) if finite.size else math.nan
    return mean, sample_deviation(finite), finite.size


def sample_deviation(values: FloatArray) -> float:
    """Return the sample standard deviation of finite values; NaN with fewer than two."""
    return float(values.std(ddof=1)) if values.size > 1 else math.nan
