"""Retention: the state drifts with time and temperature.

With ν, a power law from the moment of the last change: G(t) = G(0) · (1 + t'/t₀)^(−ν), ν normal
over the cells. With τ, an exponential approach to ``rest_conductance_s``: G(t) = G∞ + (G(0) − G∞)
exp(−t'/τ). Both: two effects. Temperature counts as time: t' = t · exp[(Eₐ/k)(1/T_ref − 1/T)]
(Arrhenius). Sources: D. Ielmini et al., IEEE Trans. Electron Devices 54, 308 (2007) for the power
law; JEDEC JEP122 for the acceleration. A temperature that changes during a run is not modelled.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.settings.units import Fraction, Number, PositiveSecond, Siemens
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.cells.effect import Effect, EffectKind
from hwloop_sim.effects.acceleration import Acceleration


class DriftSettings(Acceleration):
    """Settings of drift: a power law, or an exponential approach.

    ``nu``, ``nu_sigma``, ``t0_s``: of the power law; ``tau_s``, ``rest_conductance_s``: of the
    exponential. ``activation_ev``, ``temperature_k``, ``reference_k``: τ and t₀ hold at the
    reference.
    """

    nu: Annotated[Number, Field(ge=-0.5, le=0.5)] = 0.0
    nu_sigma: Fraction = 0.0
    t0_s: PositiveSecond = 1.0
    tau_s: PositiveSecond | None = None
    rest_conductance_s: Annotated[Siemens, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _some(self) -> DriftSettings:
        if (self.tau_s is None) != (self.rest_conductance_s is None):
            raise ValueError("tau_s and rest_conductance_s go together")
        if (self.nu == 0 and self.nu_sigma == 0) == (self.tau_s is None):
            raise ValueError("give nu or nu_sigma for a power law, or tau_s for an exponential one")
        return self


class Drift(Effect):
    """The exponent of each cell, and the time since it was last changed or set."""

    def __init__(
        self, settings: DriftSettings, shape: tuple[int, ...], rng: np.random.Generator
    ) -> None:
        self._settings = settings
        self._faster = np.exp(settings.acceleration_exponent)
        self._nu = rng.normal(settings.nu, settings.nu_sigma, shape)
        self._log_age = np.zeros(shape)  # ln(1 + t'/t₀)
        self._age_s = np.zeros(shape)

    @override
    def pulsed(
        self, before_conductance_s: FloatArray, after_conductance_s: FloatArray, pulse: PulseMap
    ) -> FloatArray:
        moved = after_conductance_s != before_conductance_s
        self._age_s = np.where(moved, 0.0, self._age_s)
        self._log_age = np.where(moved, 0.0, self._log_age)
        return after_conductance_s

    @override
    def held(self, conductance_s: FloatArray, addressed: BoolArray) -> FloatArray:
        self._age_s = np.where(addressed, 0.0, self._age_s)
        self._log_age = np.where(addressed, 0.0, self._log_age)
        return conductance_s

    @override
    def elapsed(self, conductance_s: FloatArray, duration_s: float) -> FloatArray:
        settings = self._settings
        aged_s = duration_s * self._faster
        self._age_s = self._age_s + aged_s
        if settings.tau_s is not None and settings.rest_conductance_s is not None:
            remaining = np.exp(-aged_s / settings.tau_s)
            decayed_conductance_s: FloatArray = (
                settings.rest_conductance_s
                + (conductance_s - settings.rest_conductance_s) * remaining
            )
            return decayed_conductance_s
        before, self._log_age = self._log_age, np.log1p(self._age_s / settings.t0_s)
        drifted_conductance_s: FloatArray = conductance_s * np.exp(
            -self._nu * (self._log_age - before)
        )
        return drifted_conductance_s


DRIFT = EffectKind(
    name="drift",
    summary="Retention: power law and exponential decay, with temperature",
    settings=DriftSettings,
    make=Drift,
    order=40,
    arrays=lambda _: 3,
)
