"""Vacancies of JART VCM v1b: how fast their concentration changes in a disc at a voltage.

    dN/dt = −(N_plug + N)/2 · (a ν/l) (e^(−W_−/kT) − e^(−W_+/kT)) F,
    W_± = W (√(1 − γ²) ± γ π/2 + γ asin γ),   γ = z a E/(π W),   T = T_0 + i (v − i R_s) R_th,
    R_s = R_oxide + R_line (1 + R_line α R_th,line i²),

with E = i/(N z e μ A), R_th of the oxide and F = 1 − (N/N_max)^10 for SET, v < 0, and with
E = (v − i R_s)/L, 0.27 R_th and F = 1 − (N_min/N)^10 for RESET, v > 0; A = π r², R_th falls with
1/r². Source and values: C. Bengel et al., IEEE Trans. Circuits Syst. I 67, 4618 (2020),
doi:10.1109/TCSI.2020.3018502, of a HfO2/TiOx cell. Valid while γ < 1, which it is at the voltages
that the current covers. Functions of numbers, to be compiled, and of arrays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.extending import register_jitable

from hwloop_sim.devices.filament_physics.vcm_current import (
    LOGARITHM_PER_M3,
    NOMINAL_LENGTH_M,
    NOMINAL_RADIUS_M,
    reset_current_a,
    set_current_a,
    tenths,
)

LOWEST_PER_M3, HIGHEST_PER_M3 = 4e23, 22e26
"""N of the states 0 and 1: the outermost bounds of the source."""
DECADES_E = math.log(HIGHEST_PER_M3 / LOWEST_PER_M3)
"""Logarithm of N from state 0 to 1."""

_ELEMENTARY_C = 1.602e-19  # this and the next with the digits of the source
_BOLTZMANN_J_PER_K = 1.3807e-23
_CHARGES = 2.0
_HOP_M = 0.25e-9
_AMBIENT_K = 293.0
_MOBILITY_M2_PER_VS = 4e-6
_PLUG_PER_M3 = 20e26
_CELL_LENGTH_M = 3e-9
_THERMAL_K_PER_W = 15.72e6
_RESET_HEATING = 0.27
_OXIDE_OHM = 650.0
_LINE_OHM = 719.2437
_LINE_K_PER_W = 90471.47
_LINE_PER_K = 3.92e-3


@register_jitable
def concentration_per_m3(x: Any) -> Any:
    """Return N at a state, 1/m³."""
    return LOWEST_PER_M3 * np.exp(x * DECADES_E)


@register_jitable
def state_of(n_per_m3: Any) -> Any:
    """Return the state at a concentration, 1/m³."""
    return np.log(n_per_m3 / LOWEST_PER_M3) / DECADES_E


@register_jitable
def filament(x: Any, p: Any) -> Any:
    """Return radius and length, metres: those of a cycle are approached as N moves to its bound."""
    way_per_m3 = p.to_per_m3 - p.from_per_m3
    # A cell that has no way to go keeps its radius and length: the two are equal then.
    part = (concentration_per_m3(x) - p.from_per_m3) / (way_per_m3 + (way_per_m3 == 0.0))
    r_m = p.radius_m * (p.radius_from + (p.radius_to - p.radius_from) * part)
    return r_m, p.length_m * (p.length_from + (p.length_to - p.length_from) * part)


@register_jitable
def _hops_per_s(field_v_per_m: float, kelvin: float, p: Any) -> float:
    """Return how often a vacancy hops along the field, less against it."""
    gamma = _CHARGES * _HOP_M * field_v_per_m / (math.pi * p.activation_energy_ev)
    barrier = p.activation_energy_ev * _ELEMENTARY_C / (_BOLTZMANN_J_PER_K * kelvin)
    mean = barrier * (math.sqrt(1.0 - gamma**2) + gamma * math.asin(gamma))
    tilt = barrier * gamma * math.pi / 2.0
    return float(p.attempt_frequency_per_s * (math.exp(tilt - mean) - math.exp(-tilt - mean)))


@register_jitable
def growth_per_s(x: float, v: float, left: float, p: Any) -> float:
    """Return dx/dt; ``left``: the distance to the bound in x, which slows the motion."""
    r_m, length_m = filament(x, p)
    y = x * DECADES_E + math.log(LOWEST_PER_M3 / LOGARITHM_PER_M3)
    d_r, d_l = tenths(r_m, NOMINAL_RADIUS_M), tenths(length_m, NOMINAL_LENGTH_M)
    n_per_m3 = concentration_per_m3(x)
    current_a = set_current_a(y, v, d_r, d_l) if v < 0.0 else reset_current_a(y, v, d_r, d_l)
    line_ohm = _LINE_OHM * (1.0 + _LINE_OHM * _LINE_PER_K * _LINE_K_PER_W * current_a**2)
    cell_v = v - current_a * (_OXIDE_OHM + line_ohm)
    heated_k = current_a * cell_v * _THERMAL_K_PER_W * (NOMINAL_RADIUS_M / r_m) ** 2
    if v < 0.0:
        carried_c = n_per_m3 * _CHARGES * _ELEMENTARY_C
        field_v_per_m = current_a / (carried_c * _MOBILITY_M2_PER_VS * math.pi * r_m**2)
    else:
        field_v_per_m = cell_v / _CELL_LENGTH_M
        heated_k *= _RESET_HEATING
    hops_per_s = _hops_per_s(field_v_per_m, _AMBIENT_K + heated_k, p)
    flow = (_PLUG_PER_M3 + n_per_m3) / 2.0 * _HOP_M / length_m * hops_per_s
    return float(flow * math.expm1(-10.0 * DECADES_E * left) / (n_per_m3 * DECADES_E))
