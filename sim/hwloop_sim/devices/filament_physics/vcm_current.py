"""The current of JART VCM v1b: an explicit function of voltage, concentration and filament.

The current through a Schottky contact behind disc, plug, oxide and lines has no closed form. This
is the published fit of its solution, y = ln(N/N_L):

    i = p1 (p2 (e^((y − p3)/p4) − 1) + y − p3) + p5 / (p6 + p7 e^(−p10 (y − p9)))^(1/p11)

for SET, v < 0; for RESET p1 = 0. The p depend on the voltage and on d_r and d_l, the deviations of
radius and length in tenths of the nominal values.
Source: V. Ntinas et al., SMACD 2023, doi:10.1109/SMACD58065.2023.10192107, with the numbers that
its authors publish; it stands for the implicit current of C. Bengel et al., IEEE Trans. Circuits
Syst. I 67, 4618 (2020), doi:10.1109/TCSI.2020.3018502. Valid for radii and lengths within a tenth
of the nominal, d from −1 to 1, and up to :data:`HIGHEST_V`: beyond 1.85 V the current of the
thinnest filament falls with rising voltage. Functions of numbers, to be compiled, and of arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import register_jitable

HIGHEST_V = 1.8
NOMINAL_RADIUS_M = 45e-9
NOMINAL_LENGTH_M = 0.4e-9
LOGARITHM_PER_M3 = 4e23
"""N_L, from which the fit counts its logarithm."""


@register_jitable
def tenths(value: Any, nominal: float) -> Any:
    """Return the deviation from the nominal value in tenths of it."""
    return (value - nominal) / (0.1 * nominal)


@register_jitable
def step_down(v: Any, high: Any, low: Any, middle: Any, width: Any) -> Any:
    """Return the logistic function that is ``low`` far below ``middle`` and ``high`` above it."""
    return high + (low - high) / (1.0 + np.exp((v - middle) / width))


@register_jitable
def reset_coefficients(v: Any, d_r: Any, d_l: Any) -> Any:
    """Return p5 in amperes, p6, p7 p8^−p10, p10 and 1/p11 at v ≥ 0, volts; p9 is 0."""
    p5 = (1.3769e-3 + 2.3087e-4 * d_r + 1.3293e-7 * d_l) * -np.expm1(-8.1819e-2 * v)
    p6 = 1.9687e-1 + 2.6129e-2 * d_r - 2.1833e-2 * v
    rest = -97.606 + (-7.4338e-1 + 1.1713e-1 * d_r) * d_r + 2.4377 * d_l
    by_l = -2.3728 + (-9.0456e-3 - 1.2221e-3 * d_r) * d_r
    decaying = 99.296 + (6.9547e-1 - 1.3724e-1 * d_r) * d_r + by_l * d_l
    p7 = rest + 7.825 * v + decaying * np.exp(-7.1092e-2 * v)
    p8 = 1.1713e-1 - 3.832e-3 * d_l + 8.137e-2 * v
    p10 = 9.7733e-1 + 5.9623e-5 * d_l + (3.5214e-2 + 1.2856e-2 * v) * v
    p11 = 9.4207e-1 - 6.7239e-4 * d_l + (3.8953e-2 + 2.3436e-2 * v) * v
    return p5, p6, p7 * p8**-p10, p10, 1.0 / p11


@register_jitable
def exponential_coefficients(v: Any, d_r: Any, d_l: Any) -> Any:
    """Return p1 in amperes, p2, p3 and p4 at v < 0, volts."""
    numerator = (-2.7034e-3 - 1.8077e-4 * d_r - 2.0831e-4 * d_l) * v
    numerator += (-4.5379e-6 + 1.7313e-4 * d_r - 8.9677e-5 * d_l) * v * v
    by_v = 9.9115e-1 + 5.7155e-3 * d_r - 2.3237e-2 * d_l
    by_v2 = 4.4093e-1 - 9.7198e-4 * d_r - 1.8507e-3 * d_l
    scale = 1.183 - 6.2246e-2 * d_r + 1.1419e-1 * d_l
    p1 = scale * numerator / (1.0 + by_v * v + by_v2 * v * v)
    p3 = 6.8845 + 1.2536e-1 * d_r + 2.5983e-1 * d_l
    p3 = p3 + (-5.8995e-1 + 6.5498e-2 * d_r + 8.5666e-2 * d_l) * v
    p4 = 2589.0 + (2.9537 - 8.2522e-2 * d_r + 7.2255e-2 * d_l) * np.exp(5.4031e-1 * v)
    return p1, -2595.5, p3, p4


@register_jitable
def logistic_coefficients(v: Any, d_r: Any, d_l: Any) -> Any:
    """Return p5 in amperes, p7, p9, p10 and 1/p11 at v < 0, volts; p6 is 1."""
    p5 = (6.4705e-4 + 1.5169e-5 * d_r + 1.326e-6 * d_l) * v
    p5 = p5 + (5.1529e-5 + (6.7042e-7 + 1.0756e-6 * d_r) * d_r) * v * v
    p7 = 1.1708e-1 + 4.8662e-4 * d_r + 3.7351e-3 * d_l
    p9_high = 3.9052 - 5.4723e-1 * d_r + 3.6802e-2 * d_l
    p9 = step_down(v, p9_high, 9.613, -4.5637e-1, 1.431 + 0.36 * d_r)
    p10 = step_down(v, 4.6925e-1, 3.4731 + 1.1444e-2 * d_r, -1.1871, 5.6947e-1)
    power = step_down(v, 10.667 + 3.629e-1 * d_r, 1.2812e-1, 7.4414e-1, 4.2381e-1)
    return p5, p7, p9, p10, power


@register_jitable
def reset_current_a(y: Any, v: Any, d_r: Any, d_l: Any) -> Any:
    """Return the current at v ≥ 0, amperes; ``y``: ln(N/N_L)."""
    p5, p6, p7, p10, power = reset_coefficients(v, d_r, d_l)
    return p5 * (p6 + p7 * np.exp(-p10 * y)) ** -power


@register_jitable
def set_current_a(y: Any, v: Any, d_r: Any, d_l: Any) -> Any:
    """Return the current at v < 0, amperes, negative; ``y``: ln(N/N_L)."""
    p1, p2, p3, p4 = exponential_coefficients(v, d_r, d_l)
    p5, p7, p9, p10, power = logistic_coefficients(v, d_r, d_l)
    above = y - p3
    logistic = p5 * (1.0 + p7 * np.exp(-p10 * (y - p9))) ** -power
    return p1 * (p2 * np.expm1(above / p4) + above) + logistic


def small_conductance_s(y: Any, d_r: Any, d_l: Any) -> Any:
    """Return the conductance at small positive voltages, siemens: the limit of i/v."""
    _, p6, p7, p10, power = reset_coefficients(0.0, d_r, d_l)
    return _slope_s(d_r, d_l) * (p6 + p7 * np.exp(-p10 * y)) ** -power


def logarithm_at(conductance_s: Any, d_r: Any, d_l: Any) -> Any:
    """Return ln(N/N_L) at a conductance at small positive voltages; ±inf beyond any state."""
    _, p6, p7, p10, power = reset_coefficients(0.0, d_r, d_l)
    with np.errstate(divide="ignore"):
        left = (_slope_s(d_r, d_l) / conductance_s) ** (1.0 / power) - p6
        return -np.log(np.maximum(left, 0.0) / p7) / p10


def _slope_s(d_r: Any, d_l: Any) -> Any:
    return (1.3769e-3 + 2.3087e-4 * d_r + 1.3293e-7 * d_l) * 8.1819e-2
