"""Switching by chance of a binary cell: the law, and the voltage at which it has a given rate.

P = 1 − exp(−t/τ(V)), τ = τ_0 exp(−V/V_0), after S. H. Jo, K.-H. Kim and W. Lu, Nano Lett. 9, 496
(2009), doi:10.1021/nl803669s. Valid for V > 0 of the polarity that switches.
"""

from __future__ import annotations

import numpy as np

from hwloop.types import FloatArray

_LARGEST_EXPONENT = 700.0  # e^700 is finite, and a cell switches for certain long before


def switching_probability(
    voltage_v: FloatArray,
    width_s: float,
    *,
    time_s: FloatArray | float,
    scale_v: FloatArray | float,
) -> FloatArray:
    """Compute the probability that a cell switches within ``width_s`` at ``voltage_v``, volts.

    ``time_s``: τ_0. ``scale_v``: V_0.
    """
    exponent = np.minimum(voltage_v / scale_v + np.log(width_s / time_s), _LARGEST_EXPONENT)
    return np.asarray(-np.expm1(-np.exp(exponent)))


def switching_voltage_v(
    log_rate: FloatArray, width_s: float, *, time_s: float, scale_v: float
) -> FloatArray:
    """Compute the voltage, volts, at which ``width_s`` is e^``log_rate`` waiting times.

    The cell then switches with 1 − exp(−exp(``log_rate``)).
    """
    return np.asarray(scale_v * (log_rate + np.log(time_s / width_s)))
