"""TEAM: a threshold in the current, beyond which the barrier moves by a power law.

dw/dt = k_off (i/i_off − 1)^α_off f(w) for i > i_off > 0, k_on (i/i_on − 1)^α_on f(w) for
i < i_on < 0, 0 between; i = v/R(w), R linear or exponential
(:mod:`hwloop_sim.devices.common.barrier`).
Source: S. Kvatinsky, E. G. Friedman, A. Kolodny and U. C. Weiser, IEEE Trans. Circuits Syst. I 60,
211 (2013), doi:10.1109/TCSI.2012.2215714. Defaults: k, α, i and w of the authors' model file
(S. Kvatinsky et al., IEEEI 2012, doi:10.1109/EEEI.2012.6377081); R_on and R_off as in their VTEAM
file, at which 1 V is beyond the threshold. Windows: :mod:`hwloop_sim.devices.common.windows`. Cells
begin at
x = 0.5. Positive voltage *lowers* the conductance, as in the source; ``flipped: true`` turns the
device round. Switching off lowers the current: at a constant voltage it ends where the current has
fallen to i_off. Valid for currents through the cell that the drive really fixes by v/R.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

from pydantic import Field

from hwloop.settings.units import Ampere, PositiveAmpere
from hwloop_sim.devices.common import integrate
from hwloop_sim.devices.common.barrier import (
    BarrierSettings,
    Exponent,
    NegativeSpeed,
    Speed,
    barrier_conductance_s,
    barrier_parameters,
    barrier_resistance_ohm,
    barrier_state,
)
from hwloop_sim.devices.common.state_device import StateModel, state_kind
from hwloop_sim.devices.common.windows import window

_window = integrate.compiled(window)
_resistance_ohm = integrate.compiled(barrier_resistance_ohm)


class TeamSettings(BarrierSettings):
    """Settings of TEAM: the thresholds ``i_off_a`` and ``i_on_a``, and :class:`BarrierSettings`."""

    spreadable: ClassVar = (*BarrierSettings.spreadable, "i_off_a", "i_on_a")

    k_off_m_per_s: Speed = 8e-13
    k_on_m_per_s: NegativeSpeed = -8e-13
    alpha_off: Exponent = 3.0
    i_off_a: PositiveAmpere = 115e-6
    i_on_a: Annotated[Ampere, Field(lt=0)] = -8.9e-6


def _at_threshold(threshold_a: float, v: float, p: Any) -> float:
    """Return the x at which v drives the threshold current; anywhere, also outside [0, 1]."""
    limit_ohm = v / threshold_a
    if p.exponential:
        return math.log(limit_ohm / p.r_on_ohm) / math.log(p.r_off_ohm / p.r_on_ohm)
    return float((limit_ohm - p.r_on_ohm) / (p.r_off_ohm - p.r_on_ohm))


_edge = integrate.compiled(_at_threshold)


def _rate(x: float, v: float, p: Any) -> float:
    threshold_a = p.i_off_a if v > 0.0 else p.i_on_a
    below = _edge(threshold_a, v, p) - x
    if below <= 0.0:
        return 0.0
    # i/i_off − 1 from the distance to the threshold, so that it is exact close to it.
    if p.exponential:
        excess = math.expm1(below * math.log(p.r_off_ohm / p.r_on_ohm))
    else:
        excess = below * (p.r_off_ohm - p.r_on_ohm) / _resistance_ohm(x, p)
    if v > 0.0:
        return float(p.k_off_m_per_s * excess**p.alpha_off / p.span_m * _window(x, True, p))
    return float(p.k_on_m_per_s * excess**p.alpha_on / p.span_m * _window(x, False, p))


def _next_break_point(x: float, v: float, p: Any) -> float:  # noqa: ARG001
    return min(1.0, _edge(p.i_off_a, v, p)) if v > 0.0 else 0.0


TEAM = state_kind(
    StateModel(
        name="team",
        parameters=barrier_parameters,
        rate=_rate,
        next_break_point=_next_break_point,
        conductance_s=barrier_conductance_s,
        state=barrier_state,
        begin=0.5,
        rising=False,
    ),
    TeamSettings,
    "Threshold in the current, power law beyond it",
)
