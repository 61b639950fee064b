"""Random telegraph noise: single traps that switch a cell between two levels.

A cell has a trap with the probability ``trapped``. Filled, the trap takes the fraction a off its
conductance, G ← G (1 − a). It is filled after a mean time τ_c and emptied after τ_e, both lognormal
over the cells. Between two moments dt apart it is advanced exactly: with 1/τ = 1/τ_c + 1/τ_e and
the equilibrium occupation p = τ_e/(τ_c + τ_e), P(filled) = p + (s − p) · exp(−dt/τ) from s = 0 or
1. The noise of one trap is a Lorentzian, S(f) = 4 (a G)² p (1 − p) τ / [1 + (2πfτ)²]. Source: S.
Machlup, J. Appl. Phys. 25, 341 (1954); in resistive memory D. Ielmini et al., Appl. Phys. Lett. 96,
053503 (2010). The amplitude is fixed for a cell, at most 1, and follows its conductance. With
``series_ohm`` it is that of a thin filament: the cell shows (1 − G R_s)^``series_exponent`` of it.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field
from typing_extensions import override

from hwloop.settings.model import Settings
from hwloop.settings.units import Number, PositiveOhm, PositiveSecond
from hwloop.types import FloatArray
from hwloop_sim.cells.effect import Effect, EffectKind
from hwloop_sim.effects.dependence import SeriesExponent, shown_of_series

_Part = Annotated[Number, Field(ge=0, le=1)]
_LogSigma = Annotated[Number, Field(ge=0, le=5)]


class RandomTelegraphSettings(Settings):
    """Settings of random telegraph noise: medians, with sigmas of the logarithm.

    ``amplitude``: a; ``capture_s``, ``emission_s``: τ_c, τ_e. ``series_ohm``: R_s. The exponent is
    2 by default: one for the series resistance, one as a trap blocks less of a thicker filament.
    """

    trapped: _Part = 1.0
    amplitude: _Part
    amplitude_sigma: _LogSigma = 0.0
    capture_s: PositiveSecond
    emission_s: PositiveSecond
    time_sigma: _LogSigma = 0.0
    series_ohm: PositiveOhm | None = None
    series_exponent: SeriesExponent = 2.0


class RandomTelegraph(Effect):
    """A trap in some of the cells, in equilibrium when they are made."""

    time_varying = True

    def __init__(
        self, settings: RandomTelegraphSettings, shape: tuple[int, ...], rng: np.random.Generator
    ) -> None:
        self._rng = rng
        self._series_ohm, self._series_exponent = settings.series_ohm, settings.series_exponent
        has_trap = rng.random(shape) < settings.trapped
        drawn = settings.amplitude * rng.lognormal(0, settings.amplitude_sigma, shape)
        self._amplitude = np.where(has_trap, np.minimum(drawn, 1.0), 0.0)
        capture_s = settings.capture_s * rng.lognormal(0, settings.time_sigma, shape)
        emission_s = settings.emission_s * rng.lognormal(0, settings.time_sigma, shape)
        self._rate_per_s = 1 / capture_s + 1 / emission_s
        self._filled_part = emission_s / (capture_s + emission_s)
        self._filled = rng.random(shape) < self._filled_part

    @override
    def elapsed(self, conductance_s: FloatArray, duration_s: float) -> FloatArray:
        left = np.exp(-self._rate_per_s * duration_s)
        probability = self._filled_part + (self._filled - self._filled_part) * left
        self._filled = self._rng.random(left.shape) < probability
        return conductance_s

    @override
    def seen(self, conductance_s: FloatArray) -> FloatArray:
        part = self._amplitude * self._filled
        if self._series_ohm is not None:
            part = part * shown_of_series(conductance_s, self._series_ohm) ** self._series_exponent
        shown_conductance_s: FloatArray = conductance_s * (1 - part)
        return shown_conductance_s


RANDOM_TELEGRAPH = EffectKind(
    name="random_telegraph",
    summary="Single traps that switch a cell between two levels",
    settings=RandomTelegraphSettings,
    make=RandomTelegraph,
    order=100,
    arrays=lambda _: 3.125,
)
