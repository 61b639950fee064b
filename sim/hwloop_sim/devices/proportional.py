"""Proportional: beyond a threshold the conductance moves in proportion to voltage and time.

dx/dt = k (v − v_t) for v > v_t, k (v + v_t) for v < −v_t, 0 between; G = G_min + (G_max − G_min) x.
Source: VTEAM, S. Kvatinsky et al., IEEE Trans. Circuits Syst. II 62, 786 (2015),
doi:10.1109/TCSII.2015.2433536, with exponents of 1, thresholds of one size and no window, and with
the conductance in place of the resistance linear in the state. An idealisation: no device is known
that has it over its whole range. Cells begin at x = 0.5; the constants are chosen so that 1 V
beyond the threshold moves a cell over its range in 1 ms. Valid for studies of what an update
proportional to an error would do.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from hwloop.settings.units import Number, PositiveSiemens, PositiveVolt
from hwloop_sim.devices.common.state_device import (
    StateDevice,
    StateModel,
    StateSettings,
    state_kind,
)


class ProportionalSettings(StateSettings):
    """Settings of the proportional model.

    ``min_conductance_s``, ``max_conductance_s``: the range. ``threshold_v``: v_t.
    ``speed_per_vs``: k.
    """

    spreadable: ClassVar = ("min_conductance_s", "max_conductance_s", "threshold_v", "speed_per_vs")
    ordered: ClassVar = (("min_conductance_s", "max_conductance_s"),)

    min_conductance_s: PositiveSiemens = 1e-6
    max_conductance_s: PositiveSiemens = 1e-4
    threshold_v: PositiveVolt = 0.6
    speed_per_vs: Annotated[Number, Field(gt=0)] = 1e3


class Proportional(StateDevice):
    """Cells with a threshold below which nothing happens."""

    @property
    @override
    def still_v(self) -> float:
        return float(self._parameters["threshold_v"].min())


def _parameters(settings: ProportionalSettings) -> dict[str, float]:
    return {name: getattr(settings, name) for name in settings.spreadable}


def _rate(x: float, v: float, p: Any) -> float:  # noqa: ARG001
    if v > p.threshold_v:
        return float(p.speed_per_vs * (v - p.threshold_v))
    if v < -p.threshold_v:
        return float(p.speed_per_vs * (v + p.threshold_v))
    return 0.0


def _next_break_point(x: float, v: float, p: Any) -> float:  # noqa: ARG001
    return 1.0 if v > 0.0 else 0.0


PROPORTIONAL = state_kind(
    StateModel(
        name="proportional",
        parameters=_parameters,
        rate=_rate,
        next_break_point=_next_break_point,
        conductance_s=lambda x, p: (
            p.min_conductance_s + (p.max_conductance_s - p.min_conductance_s) * x
        ),
        state=lambda g, p: (g - p.min_conductance_s) / (p.max_conductance_s - p.min_conductance_s),
        begin=0.5,
    ),
    ProportionalSettings,
    "Moves in proportion to the voltage beyond a threshold, and to its time",
    Proportional,
)
