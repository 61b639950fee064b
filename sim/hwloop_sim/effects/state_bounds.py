"""Stochastic state bounds: every cell has a lowest and a highest conductance of its own.

Lognormal: low = ``min_conductance_s`` · exp(σ_min ξ), high = ``max_conductance_s`` · exp(σ_max ξ),
drawn again where low ≥ high; the state is held between them. Normal in resistance, with
``on_sigma_ohm`` or ``off_sigma_ohm``: R_off = 1/``min_conductance_s`` + σ_off ξ and R_on =
1/``max_conductance_s`` + σ_on ξ, each held at 1 ohm or more; the state is brought below 1/R_on,
then above 1/R_off, which wins where they cross. With ``states`` a cell shows the nearest of that
many equally spaced conductances between its own bounds. Sources: lognormal spreads of both states,
X. Guan, S. Yu and H.-S. P. Wong, IEEE Trans. Electron Devices 59, 1172 (2012); normal resistances
and states between them as in MemTorch 1.1.6, C. Lammie et al., Neurocomputing 485, 124 (2022).
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.settings.model import Settings
from hwloop.settings.units import Number, PositiveSiemens, Resistance
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.cells.effect import Effect, EffectKind

_LEAST_OHM = 1.0
_LogSigma = Annotated[Number, Field(ge=0, le=3)]


class StateBoundsSettings(Settings):
    """Settings of state bounds, which are drawn for each cell.

    ``min_conductance_s``, ``max_conductance_s``: medians of the bounds. ``min_sigma``,
    ``max_sigma``: of their logarithms; ``on_sigma_ohm``, ``off_sigma_ohm``: of their resistances.
    ``states``: number of conductances that a cell shows; continuous if left out.
    """

    min_conductance_s: PositiveSiemens
    max_conductance_s: PositiveSiemens
    min_sigma: _LogSigma = 0.0
    max_sigma: _LogSigma = 0.0
    on_sigma_ohm: Resistance | None = None
    off_sigma_ohm: Resistance | None = None
    states: Annotated[int, Field(strict=True, ge=2, le=1_000_000)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> StateBoundsSettings:
        if self.min_conductance_s >= self.max_conductance_s:
            raise ValueError(
                f"min_conductance_s {self.min_conductance_s:g} must be below max_conductance_s"
                f" {self.max_conductance_s:g}"
            )
        if self.normal and (self.min_sigma or self.max_sigma):
            raise ValueError(
                "give min_sigma and max_sigma for lognormal bounds, or on_sigma_ohm and"
                " off_sigma_ohm for normal resistances"
            )
        return self

    @property
    def normal(self) -> bool:
        """Return whether the resistances are drawn, normally, and not the conductances."""
        return self.on_sigma_ohm is not None or self.off_sigma_ohm is not None

    def draw(
        self, shape: tuple[int, ...], rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        """Draw the lower and the upper bound of every cell, siemens."""
        if self.normal:
            on_ohm = rng.normal(1 / self.max_conductance_s, self.on_sigma_ohm or 0.0, shape)
            off_ohm = rng.normal(1 / self.min_conductance_s, self.off_sigma_ohm or 0.0, shape)
            return 1 / np.maximum(off_ohm, _LEAST_OHM), 1 / np.maximum(on_ohm, _LEAST_OHM)
        low_conductance_s, high_conductance_s = np.full(shape, np.inf), np.zeros(shape)
        # The medians are in order, so at least half of each round's draws are.
        while (wrong := low_conductance_s >= high_conductance_s).any():
            count = int(wrong.sum())
            low_conductance_s[wrong] = self.min_conductance_s * rng.lognormal(
                0, self.min_sigma, count
            )
            high_conductance_s[wrong] = self.max_conductance_s * rng.lognormal(
                0, self.max_sigma, count
            )
        return low_conductance_s, high_conductance_s


class StateBounds(Effect):
    """The bounds of each cell, fixed when it is made."""

    limiting = True

    def __init__(
        self, settings: StateBoundsSettings, shape: tuple[int, ...], rng: np.random.Generator
    ) -> None:
        self._states = settings.states
        self._low_conductance_s, self._high_conductance_s = settings.draw(shape, rng)

    @override
    def begin(self, conductance_s: FloatArray) -> FloatArray:
        return self._held(conductance_s)

    @override
    def pulsed(
        self, before_conductance_s: FloatArray, after_conductance_s: FloatArray, pulse: PulseMap
    ) -> FloatArray:
        return self._held(after_conductance_s)

    @override
    def held(self, conductance_s: FloatArray, addressed: BoolArray) -> FloatArray:
        return self._held(conductance_s)

    @override
    def elapsed(self, conductance_s: FloatArray, duration_s: float) -> FloatArray:
        return self._held(conductance_s)

    @override
    def read(self, conductance_s: FloatArray, voltage_v: FloatArray) -> FloatArray:
        return self._held(conductance_s)

    def _held(self, conductance_s: FloatArray) -> FloatArray:
        return np.maximum(
            np.minimum(conductance_s, self._high_conductance_s), self._low_conductance_s
        )

    @override
    def seen(self, conductance_s: FloatArray) -> FloatArray:
        if self._states is None:
            return conductance_s
        low_conductance_s = self._low_conductance_s
        # Where the bounds cross there is one state, the lower bound.
        span_conductance_s = np.maximum(self._high_conductance_s - low_conductance_s, 0.0)
        share = np.divide(
            conductance_s - low_conductance_s,
            span_conductance_s,
            out=np.zeros_like(span_conductance_s),
            where=span_conductance_s > 0,
        )
        last = self._states - 1
        level = np.clip(np.rint(share * last), 0, last)
        return np.asarray(low_conductance_s + level / last * span_conductance_s)


STATE_BOUNDS = EffectKind(
    name="state_bounds",
    summary="A lowest and a highest conductance for each cell",
    settings=StateBoundsSettings,
    make=StateBounds,
    order=70,
    arrays=lambda _: 2,
)
