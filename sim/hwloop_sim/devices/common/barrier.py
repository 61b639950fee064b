"""The tunnel barrier w between two bounds of TEAM and VTEAM, with its two resistance laws.

x = (w − w_on)/(w_off − w_on): 0 is R_on, 1 is R_off; a positive voltage switches *off*.
R = R_on + (R_off − R_on) x, or R_on (R_off/R_on)^x where the barrier is a tunnel.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from hwloop.settings.units import Metre, MetrePerSecond, Number, PositiveOhm
from hwloop_sim.devices.common.state_device import StateSettings
from hwloop_sim.devices.common.windows import LengthWindow, NoWindow, window_parameters

Exponent = Annotated[Number, Field(gt=0, le=100)]


class BarrierSettings(StateSettings):
    """Settings of a device whose state is the width of a barrier.

    ``k_…``: speeds at twice the threshold, m/s; ``alpha_…``: exponents with which they grow beyond
    it.
    """

    spreadable: ClassVar[tuple[str, ...]] = (
        "r_on_ohm",
        "r_off_ohm",
        "k_on_m_per_s",
        "k_off_m_per_s",
    )
    ordered: ClassVar = (("r_on_ohm", "r_off_ohm"), ("w_on_m", "w_off_m"))

    r_on_ohm: PositiveOhm = 50.0
    r_off_ohm: PositiveOhm = 1000.0
    resistance: Literal["linear", "exponential"] = "linear"
    w_on_m: Metre = 0.0
    w_off_m: Metre = 3e-9
    alpha_on: Exponent = 3.0
    window: LengthWindow = NoWindow()


Speed = Annotated[MetrePerSecond, Field(gt=0)]
NegativeSpeed = Annotated[MetrePerSecond, Field(lt=0)]


def barrier_parameters(settings: Any) -> dict[str, float]:
    """Return the record p, with the speeds k as rates of x, per second, under the same names."""
    span_m = settings.w_off_m - settings.w_on_m
    names = (*settings.spreadable, "alpha_on", "alpha_off")
    return {
        **{name: getattr(settings, name) for name in names},
        "span_m": span_m,
        "exponential": float(settings.resistance == "exponential"),
        **window_parameters(settings.window, low_m=settings.w_on_m, high_m=settings.w_off_m),
    }


def barrier_resistance_ohm(x: float, p: Any) -> float:
    """Return the resistance of one cell, ohms."""
    if p.exponential:
        return float(p.r_on_ohm * math.exp(x * math.log(p.r_off_ohm / p.r_on_ohm)))
    return float(p.r_on_ohm + (p.r_off_ohm - p.r_on_ohm) * x)


def barrier_conductance_s(x: Any, p: Any) -> Any:
    """Return the conductance 1/R of all cells, siemens."""
    exponential = p.r_on_ohm * np.exp(x * np.log(p.r_off_ohm / p.r_on_ohm))
    return 1.0 / np.where(p.exponential, exponential, p.r_on_ohm + (p.r_off_ohm - p.r_on_ohm) * x)


def barrier_state(conductance_s: Any, p: Any) -> Any:
    """Return the state x of a conductance, siemens."""
    ratio = 1.0 / (conductance_s * p.r_on_ohm)
    span = p.r_off_ohm / p.r_on_ohm
    return np.where(p.exponential, np.log(ratio) / np.log(span), (ratio - 1.0) / (span - 1.0))
