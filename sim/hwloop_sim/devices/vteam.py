"""VTEAM: a threshold in the voltage, beyond which the barrier moves by a power law.

dw/dt = k_off (v/v_off − 1)^α_off f(w) for v > v_off > 0, k_on (v/v_on − 1)^α_on f(w) for
v < v_on < 0, 0 between; R(w) linear or exponential (:mod:`hwloop_sim.devices.common.barrier`).
Source: S. Kvatinsky, M. Ramadan, E. G. Friedman and A. Kolodny, IEEE Trans. Circuits Syst. II 62,
786 (2015), doi:10.1109/TCSII.2015.2433536. Defaults: the authors' published model file
(asic2.group, memristor models), which MemTorch uses too. Windows:
:mod:`hwloop_sim.devices.common.windows`. Cells begin at x = 0.5. Positive voltage *lowers* the
conductance, as in the source; ``flipped: true`` turns the device round. Valid for two-terminal
devices with a clear threshold; no stochastic switching, no heating.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from hwloop.settings.units import PositiveVolt, Volt
from hwloop_sim.devices.common import integrate
from hwloop_sim.devices.common.barrier import (
    BarrierSettings,
    Exponent,
    NegativeSpeed,
    Speed,
    barrier_conductance_s,
    barrier_parameters,
    barrier_state,
)
from hwloop_sim.devices.common.state_device import StateModel, state_kind
from hwloop_sim.devices.common.windows import window

_window = integrate.compiled(window)


class VteamSettings(BarrierSettings):
    """Settings of VTEAM: the thresholds ``v_off_v``, ``v_on_v``, and :class:`BarrierSettings`."""

    spreadable: ClassVar = (*BarrierSettings.spreadable, "v_off_v", "v_on_v")

    k_off_m_per_s: Speed = 5e-4
    k_on_m_per_s: NegativeSpeed = -10.0
    alpha_off: Exponent = 1.0
    v_off_v: PositiveVolt = 0.02
    v_on_v: Annotated[Volt, Field(lt=0)] = -0.2


def _rate(x: float, v: float, p: Any) -> float:
    if v > p.v_off_v:
        speed = p.k_off_m_per_s * (v / p.v_off_v - 1.0) ** p.alpha_off
        return float(speed / p.span_m * _window(x, True, p))
    if v < p.v_on_v:
        speed = p.k_on_m_per_s * (v / p.v_on_v - 1.0) ** p.alpha_on
        return float(speed / p.span_m * _window(x, False, p))
    return 0.0


def _next_break_point(x: float, v: float, p: Any) -> float:  # noqa: ARG001
    return 1.0 if v > 0.0 else 0.0


VTEAM = state_kind(
    StateModel(
        name="vteam",
        parameters=barrier_parameters,
        rate=_rate,
        next_break_point=_next_break_point,
        conductance_s=barrier_conductance_s,
        state=barrier_state,
        begin=0.5,
        rising=False,
    ),
    VteamSettings,
    "Threshold in the voltage, power law beyond it",
)
