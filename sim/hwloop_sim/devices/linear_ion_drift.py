"""Linear ion drift: the boundary between doped and undoped oxide drifts with the current.

R(x) = R_on x + R_off (1 − x), x = w/D; dx/dt = μ R_on/D² · i · f(x), i = v/R(x).
Source: D. B. Strukov, G. S. Snider, D. R. Stewart and R. S. Williams, Nature 453, 80 (2008),
doi:10.1038/nature06932, with its figures (R_off/R_on = 160, D = 10 nm, μ = 1e-10 cm²/(V s));
R_on = 100 ohm is what the window papers use. Windows f: :mod:`hwloop_sim.devices.common.windows`.
Cells begin at
x = 0.1. Positive voltage raises the conductance. Valid as a picture of the pinched loop and its
frequency dependence: real films drift exponentially with the field and have a threshold, this
model has neither, so that every read above 0 V moves it where reads are given as pulses.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from hwloop.settings.units import PositiveMetre, PositiveOhm, SquareMetrePerVoltSecond
from hwloop_sim.devices.common import integrate
from hwloop_sim.devices.common.mixed_resistance import (
    mixed_conductance_s,
    mixed_resistance_ohm,
    mixed_state,
)
from hwloop_sim.devices.common.state_device import StateModel, StateSettings, state_kind
from hwloop_sim.devices.common.windows import DriftWindow, NoWindow, window, window_parameters

_window = integrate.compiled(window)
_resistance_ohm = integrate.compiled(mixed_resistance_ohm)


class LinearIonDriftSettings(StateSettings):
    """Settings of linear ion drift.

    ``mobility_m2_per_vs``: of the dopants; ``thickness_m``: of the film, D.
    """

    spreadable: ClassVar = ("r_on_ohm", "r_off_ohm", "thickness_m", "mobility_m2_per_vs")
    ordered: ClassVar = (("r_on_ohm", "r_off_ohm"),)

    r_on_ohm: PositiveOhm = 100.0
    r_off_ohm: PositiveOhm = 16e3
    thickness_m: PositiveMetre = 10e-9
    mobility_m2_per_vs: Annotated[SquareMetrePerVoltSecond, Field(gt=0)] = 1e-14
    window: DriftWindow = NoWindow()


def _parameters(settings: LinearIonDriftSettings) -> dict[str, float]:
    return {
        **{name: getattr(settings, name) for name in settings.spreadable},
        **window_parameters(settings.window),
    }


def _rate(x: float, v: float, p: Any) -> float:
    current_a = v / _resistance_ohm(x, p)
    drift = p.mobility_m2_per_vs * p.r_on_ohm / p.thickness_m**2
    return float(drift * current_a * _window(x, v > 0.0, p))


def _next_break_point(x: float, v: float, p: Any) -> float:  # noqa: ARG001
    return 1.0 if v > 0.0 else 0.0


LINEAR_ION_DRIFT = state_kind(
    StateModel(
        name="linear_ion_drift",
        parameters=_parameters,
        rate=_rate,
        next_break_point=_next_break_point,
        conductance_s=mixed_conductance_s,
        state=mixed_state,
        begin=0.1,
    ),
    LinearIonDriftSettings,
    "HP's drifting boundary, with Joglekar, Biolek and Prodromakis windows",
)
