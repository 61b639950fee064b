"""JART VCM v1b: oxygen vacancies hop through a hot filament behind a Schottky contact.

The state is the logarithm of their concentration N in the disc at the contact, between the
outermost bounds 0.004 and 22 · 10^26 m⁻³ of the source; ``vcm_motion`` moves it, and the current is
the explicit one of ``vcm_current``. SET is a runaway, over in less than a thousandth of its delay;
RESET is gradual. ``spread`` of radius, length and bounds of N: from cell to cell,
lognormal, drawn again outside of the bounds of the source. ``cycle_to_cycle``: at a reversal of the
voltage a cell draws a radius, a length and the bound that it moves to, around its own values within
the same bounds; radius and length go from the old to the new as N goes from where it was to its
bound (equations 21 to 24 of the source). The widths of these distributions are chosen by the user.
Sources: C. Bengel et al., IEEE Trans. Circuits Syst. I 67, 4618 (2020),
doi:10.1109/TCSI.2020.3018502, a HfO2/TiOx cell; V. Ntinas et al., SMACD 2023,
doi:10.1109/SMACD58065.2023.10192107, the explicit current. Cells begin at N_min. Negative voltage
raises the conductance, which is that at small positive voltages; :meth:`current_a` is the whole
relation. Valid up to 1.8 V of either sign; no forming, no relaxation, no noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from numba.extending import register_jitable
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.messages import nearest
from hwloop.settings.units import ElectronVolt, Metre, PerCubicMetre, PerSecond
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.cells.variability import ParameterSpread
from hwloop_sim.devices.common.state_device import (
    StateDevice,
    StateModel,
    StateSettings,
    per_cell,
    state_kind,
    within,
)
from hwloop_sim.devices.filament_physics.vcm_current import (
    HIGHEST_V,
    LOGARITHM_PER_M3,
    NOMINAL_LENGTH_M,
    NOMINAL_RADIUS_M,
    logarithm_at,
    reset_current_a,
    set_current_a,
    small_conductance_s,
    tenths,
)
from hwloop_sim.devices.filament_physics.vcm_motion import (
    HIGHEST_PER_M3,
    LOWEST_PER_M3,
    concentration_per_m3,
    filament,
    growth_per_s,
    state_of,
)

_BOUNDS = {
    "radius_m": (40.5e-9, 49.5e-9),
    "length_m": (0.36e-9, 0.44e-9),
    "min_per_m3": (LOWEST_PER_M3, 0.25e26),
    "max_per_m3": (18e26, HIGHEST_PER_M3),
}
"""Bounds of the parameters that vary, of the source."""


def _between(name: str) -> Any:
    low, high = _BOUNDS[name]
    return Field(ge=low, le=high)


class JartVcmSettings(StateSettings):
    """Settings of JART VCM v1b.

    ``radius_m``: of the filament; ``length_m``: of the disc; ``min_per_m3``, ``max_per_m3``: bounds
    of N; ``attempt_frequency_per_s``: ν; ``activation_energy_ev``: W. ``cycle_to_cycle``: spread
    of what a reversal draws anew, by the names of the first four.
    """

    spreadable: ClassVar = (*_BOUNDS, "attempt_frequency_per_s")
    truncated: ClassVar = _BOUNDS

    radius_m: Annotated[Metre, _between("radius_m")] = NOMINAL_RADIUS_M
    length_m: Annotated[Metre, _between("length_m")] = NOMINAL_LENGTH_M
    min_per_m3: Annotated[PerCubicMetre, _between("min_per_m3")] = 0.008e26
    max_per_m3: Annotated[PerCubicMetre, _between("max_per_m3")] = 20e26
    attempt_frequency_per_s: Annotated[PerSecond, Field(ge=1e10, le=1e14)] = 2e13
    activation_energy_ev: Annotated[ElectronVolt, Field(ge=0.8, le=1.5)] = 1.35
    cycle_to_cycle: Mapping[str, ParameterSpread] = {}

    @model_validator(mode="after")
    def _known_cycle(self) -> JartVcmSettings:
        for name in self.cycle_to_cycle:
            if name not in _BOUNDS:
                raise ValueError(
                    f"cycle_to_cycle: {name!r} is not drawn at a reversal{nearest(name, _BOUNDS)}"
                )
        return self


def _parameters(settings: JartVcmSettings) -> dict[str, float]:
    names = (*settings.spreadable, "activation_energy_ev")
    of_cycle = dict.fromkeys(("radius_from", "radius_to", "length_from", "length_to"), 1.0)
    bounds = {"min_part": 1.0, "max_part": 1.0, "from_per_m3": 0.0, "to_per_m3": 0.0}
    return {name: float(getattr(settings, name)) for name in names} | of_cycle | bounds


@register_jitable
def _next_break_point(x: float, v: float, p: Any) -> float:  # noqa: ARG001 - a bound of its own
    if v < 0.0:
        return float(state_of(p.max_per_m3 * p.max_part))
    return float(state_of(p.min_per_m3 * p.min_part))


def _rate(x: float, v: float, p: Any) -> float:
    left = _next_break_point(x, v, p) - x
    if left * v >= 0.0:
        return 0.0
    return float(growth_per_s(x, v, abs(left), p))


def _bounds(p: Any) -> tuple[Any, Any]:
    return state_of(p.min_per_m3 * p.min_part), state_of(p.max_per_m3 * p.max_part)


def _seen(x: Any, p: Any) -> tuple[Any, Any, Any]:
    """Return the arguments of the current: logarithm of N, deviations of radius and length."""
    radius_m, length_m = filament(x, p)
    logarithm = np.log(concentration_per_m3(x) / LOGARITHM_PER_M3)
    return logarithm, tenths(radius_m, NOMINAL_RADIUS_M), tenths(length_m, NOMINAL_LENGTH_M)


def _current_a(x: Any, v: Any, p: Any) -> Any:
    seen = _seen(x, p)
    positive_a = reset_current_a(seen[0], np.maximum(v, 0.0), *seen[1:])
    return np.where(
        np.asarray(v) < 0, set_current_a(seen[0], np.minimum(v, 0.0), *seen[1:]), positive_a
    )


def _conductance_s(x: Any, p: Any) -> Any:
    return small_conductance_s(*_seen(x, p))


def _state(conductance_s: Any, p: Any) -> Any:
    """Return the state of cells whose filament is where it came from."""
    d_r = tenths(p.radius_m * p.radius_from, NOMINAL_RADIUS_M)
    d_l = tenths(p.length_m * p.length_from, NOMINAL_LENGTH_M)
    return state_of(LOGARITHM_PER_M3 * np.exp(logarithm_at(conductance_s, d_r, d_l)))


class JartVcm(StateDevice):
    """Cells that draw a new filament at each reversal where ``cycle_to_cycle`` says so."""

    def __init__(
        self,
        model: StateModel[Any],
        settings: JartVcmSettings,
        shape: tuple[int, ...],
        rng: np.random.Generator,
    ) -> None:
        self._cycle: Mapping[str, ParameterSpread] = {}
        super().__init__(model, settings, shape, rng)
        self._settings = settings
        self._cycle = settings.cycle_to_cycle
        self._rng = rng
        self._direction = np.zeros(shape)
        if self._cycle and self._parameters.size == 1:
            self._parameters = np.repeat(self._parameters, self._state.size)
            self._p = per_cell(self._parameters, shape)

    @override
    def begin_pulse(self, pulse: PulseMap) -> None:
        if self._cycle:
            self._turn(np.broadcast_to(self._sign * pulse.amplitude_v, self._state.shape))

    @override
    def set_conductance(self, conductance_s: FloatArray) -> None:
        if not self._cycle:
            super().set_conductance(conductance_s)
            return
        # A bound that was drawn meanwhile does not move a cell that is beyond it.
        self._hold_filament(np.ones(self._state.shape, dtype=bool))
        self._state = np.clip(_state(conductance_s, self._p), 0.0, 1.0)
        self._p.from_per_m3[...] = concentration_per_m3(self._state)

    def _hold_filament(self, where: BoolArray) -> None:
        """Let radius and length of cells begin a new way from where they are."""
        p = self._p
        radius_m, length_m = filament(self._state, p)
        p.radius_from[where] = (radius_m / p.radius_m)[where]
        p.length_from[where] = (length_m / p.length_m)[where]
        p.from_per_m3[where] = concentration_per_m3(self._state)[where]

    def _turn(self, voltage_v: FloatArray) -> None:
        """Draw radius, length and bound of the cells whose voltage has another sign than before."""
        direction = np.sign(voltage_v)
        turned = (direction != 0) & (direction != self._direction)
        self._direction = np.where(turned, direction, self._direction)
        if not turned.any():
            return
        self._hold_filament(turned)
        p, up, down = self._p, turned & (direction < 0), turned & (direction > 0)
        drawn = (("radius_m", p.radius_to, turned), ("length_m", p.length_to, turned))
        for name, field, where in (
            *drawn,
            ("max_per_m3", p.max_part, up),
            ("min_per_m3", p.min_part, down),
        ):
            if name in self._cycle:
                own = within(self._settings, name, getattr(p, name))
                factors = self._cycle[name].factors(turned.shape, self._rng, within=own)
                field[where] = factors[where]
        p.to_per_m3[up] = (p.max_per_m3 * p.max_part)[up]
        p.to_per_m3[down] = (p.min_per_m3 * p.min_part)[down]


JART_VCM = state_kind(
    StateModel(
        name="jart_vcm",
        parameters=_parameters,
        rate=_rate,
        next_break_point=_next_break_point,
        conductance_s=_conductance_s,
        state=_state,
        begin=0.0,
        current_a=_current_a,
        bounds=_bounds,
        highest_v=HIGHEST_V,
    ),
    JartVcmSettings,
    "Vacancies hopping in a hot filament behind a Schottky contact (JART VCM v1b)",
    JartVcm,
)
