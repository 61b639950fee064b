"""Relaxation after programming: a pulsed cell settles away from its programmed conductance.

After each pulse that moved a cell, a final deviation d is drawn for it, normal with mean ``mean``
and standard deviation ``sigma``; the cell then follows G(t) = G₀ · [1 + d · (1 − exp(−(t/τ)^β))], t
the time since the pulse. A further pulse takes it from its present state and draws anew. Source:
the form is the stretched exponential usual for relaxation (R. Kohlrausch, 1854); that the spread
grows towards the middle states is measured on 1T1R cells by B. Q. Le, A. Levy et al., IEEE Trans.
Electron Devices 68, 4397 (2021), doi:10.1109/TED.2021.3097975: standard deviation 3 to 7 µS before
and 4 to 21 µS after 30 min at 80 °C. With ``series_ohm`` the deviation is that of the part in
series with it, of which the cell shows (1 − G₀ R_s)^``series_exponent``. Temperature counts as
time, see :mod:`hwloop_sim.effects.acceleration`. 1 + d is held at 0.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.settings.units import Fraction, Number, PositiveOhm, PositiveSecond
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.cells.effect import Effect, EffectKind
from hwloop_sim.effects.acceleration import Acceleration
from hwloop_sim.effects.dependence import SeriesExponent, shown_of_series


class RelaxationSettings(Acceleration):
    """Settings of relaxation.

    ``mean``, ``sigma``: of the final deviation relative to G; ``tau_s``, ``beta``: of its course,
    at ``reference_k``.
    """

    mean: Annotated[Number, Field(gt=-1, lt=1)] = 0.0
    sigma: Fraction
    tau_s: PositiveSecond
    beta: Annotated[Number, Field(gt=0, le=1)] = 1.0
    series_ohm: PositiveOhm | None = None
    series_exponent: SeriesExponent = 1.0


class Relaxation(Effect):
    """The age of each cell's last change, and its final deviation."""

    def __init__(
        self, settings: RelaxationSettings, shape: tuple[int, ...], rng: np.random.Generator
    ) -> None:
        self._settings = settings
        self._rng = rng
        self._faster = np.exp(settings.acceleration_exponent)
        self._final = np.zeros(shape)
        self._age_s = np.zeros(shape)

    @override
    def pulsed(
        self, before_conductance_s: FloatArray, after_conductance_s: FloatArray, pulse: PulseMap
    ) -> FloatArray:
        moved = after_conductance_s != before_conductance_s
        settings = self._settings
        drawn = self._rng.normal(settings.mean, settings.sigma, after_conductance_s.shape)
        if settings.series_ohm is not None:
            shown = shown_of_series(after_conductance_s, settings.series_ohm)
            drawn = drawn * shown**settings.series_exponent
        self._final = np.where(moved, np.maximum(drawn, -1.0), self._final)
        self._age_s = np.where(moved, 0.0, self._age_s)
        return after_conductance_s

    @override
    def held(self, conductance_s: FloatArray, addressed: BoolArray) -> FloatArray:
        self._final = np.where(addressed, 0.0, self._final)  # without a pulse nothing relaxes
        self._age_s = np.where(addressed, 0.0, self._age_s)
        return conductance_s

    @override
    def elapsed(self, conductance_s: FloatArray, duration_s: float) -> FloatArray:
        before = 1 + self._final * self._progress(self._age_s)
        self._age_s = self._age_s + duration_s * self._faster
        after = 1 + self._final * self._progress(self._age_s)
        factor = np.divide(after, before, out=np.zeros_like(after), where=before > 0)
        return conductance_s * factor

    def _progress(self, age_s: FloatArray) -> FloatArray:
        done: FloatArray = -np.expm1(-((age_s / self._settings.tau_s) ** self._settings.beta))
        return done


RELAXATION = EffectKind(
    name="relaxation",
    summary="What a cell does in the time after it was programmed",
    settings=RelaxationSettings,
    make=Relaxation,
    order=30,
    arrays=lambda _: 2,
)
