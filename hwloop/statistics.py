"""Figures with their uncertainty."""

from __future__ import annotations

import math


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % confidence interval of a fraction (E. B. Wilson, JASA 22, 209 (1927))."""
    z = 1.959964
    fraction = successes / trials
    centre = fraction + z * z / (2 * trials)
    spread = z * math.sqrt(fraction * (1 - fraction) / trials + z * z / (4 * trials**2))
    scale = 1 + z * z / trials
    return (centre - spread) / scale, (centre + spread) / scale
