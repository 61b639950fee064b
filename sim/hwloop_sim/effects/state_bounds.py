"""Stochastic state bounds: every cell has a lowest and a highest conductance of its own.

low = ``min_conductance_s`` · exp(σ_min ξ), high = ``max_conductance_s`` · exp(σ_max ξ), drawn again
where low ≥ high; the state is held between them. Source: lognormal spreads of both states, X. Guan,
S. Yu and H.-S. P. Wong, IEEE Trans. Electron Devices 59, 1172 (2012); that each device draws its
R_on and R_off is done by C. Lammie et al., "MemTorch", Neurocomputing 485, 124 (2022), there
normally.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.settings.model import Settings
from hwloop.settings.units import Number, PositiveSiemens
from hwloop.types import FloatArray
from hwloop_sim.cells.effect import Effect, EffectKind

_LogSigma = Annotated[Number, Field(ge=0, le=3)]


class StateBoundsSettings(Settings):
    """Settings of state bounds, which are drawn for each cell.

    ``min_conductance_s``, ``max_conductance_s``: medians of the bounds. The sigmas are of their
    logarithms.
    """

    min_conductance_s: PositiveSiemens
    max_conductance_s: PositiveSiemens
    min_sigma: _LogSigma = 0.0
    max_sigma: _LogSigma = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> StateBoundsSettings:
        if self.min_conductance_s >= self.max_conductance_s:
            raise ValueError(
                f"min_conductance_s {self.min_conductance_s:g} must be below max_conductance_s"
                f" {self.max_conductance_s:g}"
            )
        return self


class StateBounds(Effect):
    """The bounds of each cell, fixed when it is made."""

    def __init__(
        self, settings: StateBoundsSettings, shape: tuple[int, ...], rng: np.random.Generator
    ) -> None:
        self._low_conductance_s = np.full(shape, np.inf)
        self._high_conductance_s = np.zeros(shape)
        # The medians are in order, so at least half of each round's draws are.
        while (wrong := self._low_conductance_s >= self._high_conductance_s).any():
            count = int(wrong.sum())
            self._low_conductance_s[wrong] = settings.min_conductance_s * rng.lognormal(
                0, settings.min_sigma, count
            )
            self._high_conductance_s[wrong] = settings.max_conductance_s * rng.lognormal(
                0, settings.max_sigma, count
            )

    @override
    def begin(self, conductance_s: FloatArray) -> FloatArray:
        return self._held(conductance_s)

    @override
    def pulsed(
        self, before_conductance_s: FloatArray, after_conductance_s: FloatArray, pulse: PulseMap
    ) -> FloatArray:
        return self._held(after_conductance_s)

    @override
    def elapsed(self, conductance_s: FloatArray, duration_s: float) -> FloatArray:
        return self._held(conductance_s)

    @override
    def read(self, conductance_s: FloatArray, voltage_v: FloatArray) -> FloatArray:
        return self._held(conductance_s)

    def _held(self, conductance_s: FloatArray) -> FloatArray:
        return np.clip(conductance_s, self._low_conductance_s, self._high_conductance_s)


STATE_BOUNDS = EffectKind(
    name="state_bounds",
    summary="A lowest and a highest conductance for each cell",
    settings=StateBoundsSettings,
    make=StateBounds,
    order=70,
    arrays=lambda _: 2,
)
