"""1/f noise of the conductance.

G ← G + σ_G(G) · x, where x is a sum of Ornstein–Uhlenbeck processes of equal variance whose
correlation times are spaced evenly in their logarithm, from 1/(2π f_high) to 1/(2π f_low), one a
factor of √10. S_x(f) = (1/m) Σ_k 4 τ_k/[1 + (2π f τ_k)²] falls with f between the two frequencies,
is white below and falls with f² above; x has variance 1. Each of the m processes is advanced over
any time dt in closed form, x ← x e^(−dt/τ) + √((1 − e^(−2dt/τ))/m) ξ. Sources: the sum, A. van der
Ziel, Physica 16, 359 (1950); the step, D. T. Gillespie, Phys. Rev. E 54, 2084 (1996); noise with
σ_G/G that falls with G in resistive memory, S. Ambrogio et al., IEEE Trans. Electron Devices 62,
3805 (2015).
"""

from __future__ import annotations

from math import ceil, log10, pi
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.settings.units import Hertz
from hwloop.types import FloatArray
from hwloop_sim.cells.effect import Effect, EffectKind
from hwloop_sim.effects.dependence import Dependence

Frequency = Annotated[Hertz, Field(gt=0, le=1e12)]


class FlickerNoiseSettings(Dependence):
    """Settings of 1/f noise; ``fraction``: σ_G/G between ``low_hz`` and ``high_hz``.

    Dependence on the conductance as in :class:`Dependence`.
    """

    low_hz: Frequency = 1e-3
    high_hz: Frequency = 1e3

    @model_validator(mode="after")
    def _ordered(self) -> FlickerNoiseSettings:
        if self.low_hz * 10 > self.high_hz:
            raise ValueError(
                f"high_hz {self.high_hz:g} must be at least ten times low_hz {self.low_hz:g}"
            )
        return self

    @property
    def processes(self) -> int:
        """Return the number of processes that cover the band: two a decade, one at each end."""
        return ceil(2 * log10(self.high_hz / self.low_hz) - 1e-9) + 1

    def times_s(self) -> FloatArray:
        """Return the correlation times of the processes, (processes,), seconds."""
        return np.geomspace(1 / (2 * pi * self.high_hz), 1 / (2 * pi * self.low_hz), self.processes)


class FlickerNoise(Effect):
    """The processes of every cell, in equilibrium when it is made."""

    time_varying = True

    def __init__(
        self, settings: FlickerNoiseSettings, shape: tuple[int, ...], rng: np.random.Generator
    ) -> None:
        self._settings = settings
        self._rng = rng
        self._times_s = settings.times_s()
        self._scale = 1 / np.sqrt(settings.processes)
        self._parts = [rng.normal(0, self._scale, shape) for _ in self._times_s]
        self._sum = sum(self._parts, np.zeros(shape))

    @override
    def elapsed(self, conductance_s: FloatArray, duration_s: float) -> FloatArray:
        self._sum = np.zeros_like(self._sum)
        for part, time_s in zip(self._parts, self._times_s, strict=True):
            part *= np.exp(-duration_s / time_s)
            spread = self._scale * np.sqrt(-np.expm1(-2 * duration_s / time_s))
            part += self._rng.normal(0, spread, part.shape)
            self._sum += part
        return conductance_s

    @override
    def seen(self, conductance_s: FloatArray) -> FloatArray:
        return np.maximum(
            conductance_s + self._settings.sigma_conductance_s(conductance_s) * self._sum, 0.0
        )


FLICKER_NOISE = EffectKind(
    name="flicker_noise",
    summary="1/f noise of the conductance, dependent on the conductance",
    settings=FlickerNoiseSettings,
    make=FlickerNoise,
    order=110,
    arrays=lambda settings: settings.processes + 2,
)
