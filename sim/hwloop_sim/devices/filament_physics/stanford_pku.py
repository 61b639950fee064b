"""Stanford-PKU: the gap between the tip of a filament and its electrode grows and shrinks.

i = I_0 e^(−g/g_0) sinh(v/V_0), dg/dt = −v_0 e^(−E_a/kT) sinh(γ a_0 q v/(t_ox k T)),
T = T_0 + |v i| R_th, γ = γ_0 − β (g/1 nm)³, and no motion where γ |v|/t_ox < F_min.
The state is x = (g − g_min)/(g_max − g_min). ``fluctuation_m_per_s``, δ: in a pulse the gap takes a
random walk as well, dg = δ/(1 + e^((T_crit − T)/T_smth)) ξ Δt in each ``fluctuation_step_s``, Δt.
Its steps are longer here, up to a tenth of g_0, and of the same variance.
Sources: X. Guan, S. Yu and H.-S. P. Wong, IEEE Electron Device Lett. 33, 1405 (2012),
doi:10.1109/LED.2012.2210856; Z. Jiang et al., SISPAD 2014, doi:10.1109/SISPAD.2014.6931558, and the
values of its Verilog-A, doi:10.4231/D37H1DN48, which MemTorch has too. Cells begin at the largest
gap. Positive voltage raises the conductance, which is that at small voltages; :meth:`current_a` is
the whole relation. Valid up to 5 V of either sign, fluctuations for pulses of microseconds: over
longer ones the walk would exceed the gap. Unlike the source, nothing fluctuates at 0 V.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

import numpy as np
from numba.extending import register_jitable
from pydantic import Field
from scipy.constants import Boltzmann, elementary_charge
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.errors import Unsupported
from hwloop.settings.units import (
    ElectronVolt,
    Kelvin,
    KelvinPerWatt,
    MetrePerSecond,
    Number,
    PositiveAmpere,
    PositiveMetre,
    PositiveSecond,
    PositiveVolt,
    VoltPerMetre,
    format_quantity,
)
from hwloop.types import FloatArray
from hwloop_sim.devices.common import integrate
from hwloop_sim.devices.common.state_device import (
    StateDevice,
    StateModel,
    StateSettings,
    state_kind,
)

HIGHEST_V = 5.0
_VOLT_PER_KELVIN = float(Boltzmann / elementary_charge)
_FINE = 0.1
"""Random walk within one step, as a part of g_0."""

_Positive = Annotated[Number, Field(gt=0)]


class StanfordPkuSettings(StateSettings):
    """Settings of the Stanford-PKU model.

    ``i_0_a``, ``g_0_m``, ``v_0_v``: of the current. ``velocity_m_per_s``: v_0;
    ``activation_energy_ev``: E_a; ``gamma_0``, ``beta``: of the field at the tip;
    ``atom_spacing_m``: a_0; ``oxide_m``: t_ox; ``lowest_field_v_per_m``: F_min;
    ``thermal_k_per_w``: R_th; ``ambient_k``: T_0. ``fluctuation_m_per_s`` and the rest: of the
    random walk.
    """

    spreadable: ClassVar = (
        "i_0_a",
        "g_0_m",
        "v_0_v",
        "gap_min_m",
        "gap_max_m",
        "velocity_m_per_s",
        "activation_energy_ev",
        "gamma_0",
        "beta",
        "thermal_k_per_w",
    )
    ordered: ClassVar = (("gap_min_m", "gap_max_m"), ("gap_max_m", "oxide_m"))

    i_0_a: PositiveAmpere = 1e-3
    g_0_m: PositiveMetre = 0.25e-9
    v_0_v: PositiveVolt = 0.25
    gap_min_m: PositiveMetre = 0.2e-9
    gap_max_m: PositiveMetre = 1.7e-9
    velocity_m_per_s: Annotated[MetrePerSecond, Field(gt=0)] = 10.0
    activation_energy_ev: Annotated[ElectronVolt, Field(gt=0, le=5)] = 0.6
    gamma_0: _Positive = 16.0
    beta: Annotated[Number, Field(ge=0)] = 0.8
    atom_spacing_m: PositiveMetre = 0.25e-9
    oxide_m: PositiveMetre = 12e-9
    lowest_field_v_per_m: Annotated[VoltPerMetre, Field(ge=0)] = 1.4e9
    thermal_k_per_w: Annotated[KelvinPerWatt, Field(ge=0)] = 2.1e3
    ambient_k: Annotated[Kelvin, Field(gt=0)] = 298.0
    fluctuation_m_per_s: Annotated[MetrePerSecond, Field(ge=0)] = 0.0
    fluctuation_step_s: PositiveSecond = 1e-9
    critical_k: Annotated[Kelvin, Field(gt=0)] = 450.0
    smoothing_k: Annotated[Kelvin, Field(gt=0)] = 500.0


def _parameters(settings: StanfordPkuSettings) -> dict[str, float]:
    of_walk = {"fluctuation_m_per_s", "fluctuation_step_s", "critical_k", "smoothing_k"}
    names = StanfordPkuSettings.model_fields.keys() - StateSettings.model_fields.keys() - of_walk
    return {name: float(getattr(settings, name)) for name in sorted(names)}


@register_jitable
def _gap_m(x: Any, p: Any) -> Any:
    return p.gap_min_m + x * (p.gap_max_m - p.gap_min_m)


@register_jitable
def _amperes(x: Any, v: Any, p: Any) -> Any:
    return p.i_0_a * np.exp(-_gap_m(x, p) / p.g_0_m) * np.sinh(v / p.v_0_v)


@register_jitable
def _kelvin(x: Any, v: Any, p: Any) -> Any:
    return p.ambient_k + np.abs(v * _amperes(x, v, p)) * p.thermal_k_per_w


@register_jitable
def _last_state(v: float, p: Any) -> float:
    """Return the state up to which the field at the tip moves ions; below 0 where it never does."""
    weakened = p.gamma_0 - p.lowest_field_v_per_m * p.oxide_m / abs(v)
    if weakened < 0.0:
        return -1.0
    if weakened >= p.beta * (p.gap_max_m * 1e9) ** 3:
        return 1.0
    gap_m = 1e-9 * (weakened / p.beta) ** (1.0 / 3.0)
    return float((gap_m - p.gap_min_m) / (p.gap_max_m - p.gap_min_m))


def _rate(x: float, v: float, p: Any) -> float:
    if x > _last_state(v, p):
        return 0.0
    gamma = p.gamma_0 - p.beta * (_gap_m(x, p) * 1e9) ** 3
    thermal_v = _VOLT_PER_KELVIN * _kelvin(x, v, p)
    tilt = gamma * p.atom_spacing_m / p.oxide_m * v / thermal_v
    barrier = p.activation_energy_ev / thermal_v
    hops = (math.exp(tilt - barrier) - math.exp(-tilt - barrier)) / 2.0
    return float(-p.velocity_m_per_s * hops / (p.gap_max_m - p.gap_min_m))


def _next_break_point(x: float, v: float, p: Any) -> float:  # noqa: ARG001 - the same at any state
    return 0.0 if v > 0.0 else _last_state(v, p)


def _conductance_s(x: Any, p: Any) -> Any:
    return p.i_0_a / p.v_0_v * np.exp(-_gap_m(x, p) / p.g_0_m)


def _state(conductance_s: Any, p: Any) -> Any:
    gap_m = -p.g_0_m * np.log(conductance_s * p.v_0_v / p.i_0_a)
    return (gap_m - p.gap_min_m) / (p.gap_max_m - p.gap_min_m)


class StanfordPku(StateDevice):
    """Cells whose gaps take a random walk in a pulse where ``fluctuation_m_per_s`` is above 0."""

    def __init__(
        self,
        model: StateModel[Any],
        settings: StanfordPkuSettings,
        shape: tuple[int, ...],
        rng: np.random.Generator,
    ) -> None:
        super().__init__(model, settings, shape, rng)
        self._settings = settings
        self._rng = rng

    @property
    def _longest_s(self) -> float:
        """Return the duration after which the walk is as wide as the gap can be."""
        settings = self._settings
        range_m = settings.gap_max_m - settings.gap_min_m
        return range_m**2 / (settings.fluctuation_m_per_s**2 * settings.fluctuation_step_s)

    @override
    def check(self, pulse: PulseMap) -> None:
        super().check(pulse)
        if not self._settings.fluctuation_m_per_s:
            return
        duration_s = pulse.count * pulse.width_s
        if duration_s > self._longest_s:
            raise Unsupported(
                f"stanford_pku: {format_quantity(duration_s, 's')} was asked for, but with"
                f" fluctuation_m_per_s {self._settings.fluctuation_m_per_s:g} this device model"
                f" covers up to {format_quantity(self._longest_s, 's')}, after which the gap would"
                " be anywhere"
            )

    @property
    @override
    def deterministic(self) -> bool:
        return not self._settings.fluctuation_m_per_s

    @override
    def pulse(self, pulse: PulseMap) -> None:
        if not self._settings.fluctuation_m_per_s:
            super().pulse(pulse)
            return
        self.check(pulse)
        settings, shape = self._settings, self._state.shape
        voltage_v = np.broadcast_to(self._sign * pulse.amplitude_v, shape)
        duration_s = pulse.count * pulse.width_s
        walked_m2 = settings.fluctuation_m_per_s**2 * settings.fluctuation_step_s * duration_s
        steps = math.ceil(
            min(walked_m2 / (_FINE * settings.g_0_m) ** 2, duration_s / settings.fluctuation_step_s)
        )
        for _ in range(steps):
            moved = integrate.advance(
                self._model.compiled, self._state, voltage_v, duration_s / steps, self._parameters
            )
            self._state = self._walked(moved, voltage_v, math.sqrt(walked_m2 / steps))

    def _walked(self, state: FloatArray, voltage_v: FloatArray, step_m: float) -> FloatArray:
        """Return the states after one step of the walk, held between the bounds."""
        settings, p = self._settings, self._p
        heat = (settings.critical_k - _kelvin(state, voltage_v, p)) / settings.smoothing_k
        part = step_m / (p.gap_max_m - p.gap_min_m) / (1.0 + np.exp(heat))
        walked = np.clip(state + part * self._rng.normal(size=state.shape), 0.0, 1.0)
        return np.where(voltage_v != 0.0, walked, state)


STANFORD_PKU = state_kind(
    StateModel(
        name="stanford_pku",
        parameters=_parameters,
        rate=_rate,
        next_break_point=_next_break_point,
        conductance_s=_conductance_s,
        state=_state,
        begin=1.0,
        rising=False,
        current_a=_amperes,
        highest_v=HIGHEST_V,
    ),
    StanfordPkuSettings,
    "A gap at the tip of a filament, with field, heat and fluctuation (Stanford-PKU)",
    StanfordPku,
)
