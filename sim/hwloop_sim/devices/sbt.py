"""SBT: a threshold in the voltage, drift by the current (equation 3 of the review).

dw/dt = μ R_on/D · i_off/(i − i_0) · f(w) for v > V_T+, μ R_on/D · i/i_on · f(w) for v < V_T−,
0 between; i = v/R(w), R = R_on w/D + R_off (1 − w/D), x = w/D.
Source: Y. Zhang, X. Wang, Y. Li and E. G. Friedman, IEEE Trans. Circuits Syst. II 64, 767 (2017),
doi:10.1109/TCSII.2016.2605069; equation 3 of H. Ling, "Research on Memristor-Based Neural
Networks". The review gives no figures: R_on, R_off and D are HP's, the others are chosen so that a
pulse of 1 V and 1 ms moves w by about 1 %. Cells begin at x = 0.1. Positive voltage raises the
conductance. Valid where i > i_0 whenever v > V_T+, which the settings must grant: V_T+/R_off > i_0.
Note that upwards a higher voltage moves the state *more slowly*, as the equation says.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from hwloop.settings.units import (
    Ampere,
    PositiveAmpere,
    PositiveMetre,
    PositiveOhm,
    PositiveVolt,
    SquareMetrePerSecondOhm,
    Volt,
)
from hwloop_sim.devices.common import integrate
from hwloop_sim.devices.common.mixed_resistance import (
    mixed_conductance_s,
    mixed_resistance_ohm,
    mixed_state,
)
from hwloop_sim.devices.common.state_device import StateModel, StateSettings, state_kind
from hwloop_sim.devices.common.windows import DriftWindow, Joglekar, window, window_parameters

_window = integrate.compiled(window)
_resistance_ohm = integrate.compiled(mixed_resistance_ohm)


class SbtSettings(StateSettings):
    """Settings of the SBT model; ``mobility_m2_per_s_ohm``: μ, in the unit of the equation."""

    spreadable: ClassVar = (
        "r_on_ohm",
        "r_off_ohm",
        "thickness_m",
        "mobility_m2_per_s_ohm",
        "v_positive_v",
        "v_negative_v",
        "i_off_a",
        "i_on_a",
    )
    ordered: ClassVar = (("r_on_ohm", "r_off_ohm"),)

    r_on_ohm: PositiveOhm = 100.0
    r_off_ohm: PositiveOhm = 16e3
    thickness_m: PositiveMetre = 10e-9
    mobility_m2_per_s_ohm: Annotated[SquareMetrePerSecondOhm, Field(gt=0)] = 1e-17
    v_positive_v: PositiveVolt = 0.3
    v_negative_v: Annotated[Volt, Field(lt=0)] = -0.3
    i_off_a: PositiveAmpere = 1e-4
    i_on_a: PositiveAmpere = 1e-4
    i_0_a: Annotated[Ampere, Field(ge=0)] = 0.0
    window: DriftWindow = Joglekar(name="joglekar", p=2)

    @model_validator(mode="after")
    def _current_above_i_0(self) -> SbtSettings:
        least_a = self.v_positive_v / self.r_off_ohm
        if self.i_0_a >= least_a:
            raise ValueError(
                f"i_0_a {self.i_0_a:g} must be below v_positive_v / r_off_ohm = {least_a:g}"
            )
        return self


def _parameters(settings: SbtSettings) -> dict[str, float]:
    names = (*settings.spreadable, "i_0_a")
    return {
        **{name: getattr(settings, name) for name in names},
        **window_parameters(settings.window),
    }


def _rate(x: float, v: float, p: Any) -> float:
    if p.v_negative_v <= v <= p.v_positive_v:
        return 0.0
    current_a = v / _resistance_ohm(x, p)
    pace = p.mobility_m2_per_s_ohm * p.r_on_ohm / p.thickness_m**2
    if v > 0.0:
        return float(pace * p.i_off_a / (current_a - p.i_0_a) * _window(x, True, p))
    return float(pace * current_a / p.i_on_a * _window(x, False, p))


def _next_break_point(x: float, v: float, p: Any) -> float:  # noqa: ARG001
    return 1.0 if v > 0.0 else 0.0


SBT = state_kind(
    StateModel(
        name="sbt",
        parameters=_parameters,
        rate=_rate,
        next_break_point=_next_break_point,
        conductance_s=mixed_conductance_s,
        state=mixed_state,
        begin=0.1,
    ),
    SbtSettings,
    "Threshold in the voltage, drift by the current, equation 3 of the review",
)
