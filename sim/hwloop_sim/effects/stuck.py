"""Stuck cells: a fraction shows a high conductance, another a low one, whatever is done to it.

Each cell draws once, on its own: stuck high with the probability ``high_fraction``, stuck low with
``low_fraction``; or for each of the two (MemTorch 1.1.6 draws low cells, then high ones over them).
Source: fault statistics of C.-Y. Chen et al., IEEE Trans. Comput. 64, 180 (2015):
stuck-at-one 9.04 %, stuck-at-zero 1.75 % of a 4 Mb resistive memory.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.settings.model import Settings
from hwloop.settings.units import Number, Siemens
from hwloop.types import FloatArray
from hwloop_sim.cells.effect import Effect, EffectKind

_Part = Annotated[Number, Field(ge=0, le=1)]
_Level = Annotated[Siemens, Field(ge=0)]


class StuckSettings(Settings):
    """Settings of stuck cells.

    ``high_fraction`` of them at ``high_conductance_s``, ``low_fraction`` at ``low_conductance_s``.
    ``drawn``: once for both; or ``low_then_high``: each of the two by itself, and a cell drawn by
    both is at the high one.
    """

    high_fraction: _Part = 0.0
    high_conductance_s: _Level | None = None
    low_fraction: _Part = 0.0
    low_conductance_s: _Level | None = None
    drawn: Literal["once", "low_then_high"] = "once"

    @model_validator(mode="after")
    def _consistent(self) -> StuckSettings:
        if self.drawn == "once" and self.high_fraction + self.low_fraction > 1:
            raise ValueError(
                f"high_fraction {self.high_fraction:g} and low_fraction {self.low_fraction:g}"
                " together exceed 1"
            )
        if self.high_fraction and self.high_conductance_s is None:
            raise ValueError("high_fraction needs high_conductance_s")
        if self.low_fraction and self.low_conductance_s is None:
            raise ValueError("low_fraction needs low_conductance_s")
        if (
            self.high_conductance_s is not None
            and self.low_conductance_s is not None
            and self.high_conductance_s <= self.low_conductance_s
        ):
            raise ValueError(
                f"high_conductance_s {self.high_conductance_s:g} must be above low_conductance_s"
                f" {self.low_conductance_s:g}"
            )
        return self


class Stuck(Effect):
    """The stuck cells, and the conductance that each shows."""

    def __init__(
        self, settings: StuckSettings, shape: tuple[int, ...], rng: np.random.Generator
    ) -> None:
        draw = rng.random(shape)
        high = draw < settings.high_fraction
        low = ~high & (draw < settings.high_fraction + settings.low_fraction)
        if settings.drawn == "low_then_high":
            low = ~high & (rng.random(shape) < settings.low_fraction)
        self._stuck = high | low
        self._at_conductance_s = np.where(
            high, settings.high_conductance_s or 0.0, settings.low_conductance_s or 0.0
        )

    @override
    def seen(self, conductance_s: FloatArray) -> FloatArray:
        return np.where(self._stuck, self._at_conductance_s, conductance_s)


STUCK = EffectKind(
    name="stuck",
    summary="Cells stuck at a high or at a low conductance",
    settings=StuckSettings,
    make=Stuck,
    order=90,
    arrays=lambda _: 1.125,
)
