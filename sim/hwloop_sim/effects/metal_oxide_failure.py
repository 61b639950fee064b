"""Endurance failure of metal-oxide cells, as MemTorch models it, after a number of cycles.

The threshold of a state is x₀ = p₀ exp(p₁ c + p₂ T_c), with the cell size c in nanometres and T_c =
min(T_th/T, 1); without a temperature x₀ = p₀ exp(p₁) and T_c = 0. Beyond it, x > x₀, every cell
whose resistance is below (low-resistance state) or above (high-resistance state) the middle of R_on
and R_off fails: suddenly, to ``stable_ohm``, or gradually, R = R₀ (x/x₀)^(p₃ (p₁ c + p₂ T_c)).
Low-resistance cells are treated first, then those that are above the middle by then. Source: C.
Lammie, M. Rahimi Azghadi and D. Ielmini, Semicond. Sci. Technol. 36, 065003 (2021), in the code of
MemTorch 1.1.6, which takes ``r_on + r_off / 2`` for the middle, a slip of operator precedence:
``middle: memtorch`` repeats it. Only what cells show changes, not the state behind.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.settings.model import Settings
from hwloop.settings.units import Kelvin, Number, PositiveMetre, PositiveOhm
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.cells.effect import Effect, EffectKind

_PositiveKelvin = Annotated[Kelvin, Field(gt=0, le=1000)]


class FailingState(Settings):
    """Parameters p₀ to p₃ of one state, and the resistance that it fails to."""

    p: tuple[Number, Number, Number, Number]
    stable_ohm: PositiveOhm

    def threshold(self, cell_nm: float, temperature: float | None) -> float:
        """Return the number of cycles beyond which the state fails."""
        if temperature is None:
            return self.p[0] * float(np.exp(self.p[1]))
        return self.p[0] * float(np.exp(self.p[1] * cell_nm + self.p[2] * temperature))


class MetalOxideFailureSettings(Settings):
    """Settings of the failure after ``cycles``.

    ``low``, ``high``: of the low- and the high-resistance state; a state that is left out does not
    fail. ``on_ohm``, ``off_ohm``: R_on and R_off, between which ``middle`` is the arithmetic mean,
    or MemTorch's R_on + R_off/2. ``temperature_k``: none if left out.
    """

    cycles: Annotated[Number, Field(gt=0)]
    mode: Literal["sudden", "gradual"]
    low: FailingState | None = None
    high: FailingState | None = None
    on_ohm: PositiveOhm
    off_ohm: PositiveOhm
    middle: Literal["mean", "memtorch"] = "mean"
    cell_m: PositiveMetre = 10e-9
    temperature_k: _PositiveKelvin | None = None
    threshold_k: _PositiveKelvin = 298.0

    @model_validator(mode="after")
    def _ordered(self) -> MetalOxideFailureSettings:
        if self.on_ohm >= self.off_ohm:
            raise ValueError(f"on_ohm {self.on_ohm:g} must be below off_ohm {self.off_ohm:g}")
        if self.low is None and self.high is None:
            raise ValueError("give low or high: the state that fails")
        return self

    @property
    def middle_ohm(self) -> float:
        """Return the resistance that parts the two states."""
        if self.middle == "memtorch":
            return self.on_ohm + self.off_ohm / 2
        return (self.on_ohm + self.off_ohm) / 2


class MetalOxideFailure(Effect):
    """The failure of the cells; it depends on their state alone, and nothing is drawn."""

    def __init__(
        self,
        settings: MetalOxideFailureSettings,
        shape: tuple[int, ...],  # noqa: ARG002 - nothing is kept for a cell
        rng: np.random.Generator,  # noqa: ARG002 - nothing is drawn
    ) -> None:
        self._settings = settings

    @override
    def seen(self, conductance_s: FloatArray) -> FloatArray:
        settings = self._settings
        with np.errstate(divide="ignore"):
            shown_ohm = 1 / conductance_s  # infinite where a cell does not conduct
        if settings.low is not None:
            shown_ohm = self._failed(settings.low, shown_ohm, shown_ohm < settings.middle_ohm)
        if settings.high is not None:
            shown_ohm = self._failed(settings.high, shown_ohm, shown_ohm > settings.middle_ohm)
        return np.asarray(1 / shown_ohm)

    def _failed(self, state: FailingState, shown_ohm: FloatArray, mask: BoolArray) -> FloatArray:
        settings = self._settings
        cell_nm = settings.cell_m * 1e9
        temperature = (
            None
            if settings.temperature_k is None
            else min(settings.threshold_k / settings.temperature_k, 1.0)
        )
        threshold = state.threshold(cell_nm, temperature)
        if settings.cycles <= threshold:
            return shown_ohm
        if settings.mode == "sudden":
            return np.where(mask, state.stable_ohm, shown_ohm)
        exponent = state.p[3] * (state.p[1] * cell_nm + state.p[2] * (temperature or 0.0))
        return np.where(mask, shown_ohm * (settings.cycles / threshold) ** exponent, shown_ohm)


METAL_OXIDE_FAILURE = EffectKind(
    name="metal_oxide_failure",
    summary="Endurance failure of either state after a number of cycles, as in MemTorch",
    settings=MetalOxideFailureSettings,
    make=MetalOxideFailure,
    order=75,
    arrays=lambda _: 0,
)
