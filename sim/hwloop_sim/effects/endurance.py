"""Endurance: the window closes with the number of cycles of a cell.

A cell's wear n is the conductance that pulses have moved it through, in full cycles: n ← n + |ΔG| /
[2 (G_max − G_min)]. The remaining fraction of the window is w(n) = 1/(1 + (n/n½)^β), and the state
is held between G_c − w (G_c − G_min) and G_c + w (G_max − G_c), where G_c is
``closes_at_conductance_s``. The form is chosen, not derived: half closed at n½, gradual in log n;
n½ and β are to be measured.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.settings.model import Settings
from hwloop.settings.units import Number, PositiveSiemens, Siemens
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.cells.effect import Effect, EffectKind


class EnduranceEffectSettings(Settings):
    """Settings of endurance.

    ``min_conductance_s``, ``max_conductance_s``: the fresh window; ``closes_at_conductance_s``,
    ``half_cycles``, ``beta``: its closing.
    """

    min_conductance_s: Annotated[Siemens, Field(ge=0)]
    max_conductance_s: PositiveSiemens
    closes_at_conductance_s: Annotated[Siemens, Field(ge=0)]
    half_cycles: Annotated[Number, Field(gt=0)]
    beta: Annotated[Number, Field(gt=0, le=10)] = 1.0
    cycles_before: Annotated[Number, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> EnduranceEffectSettings:
        if (
            not self.min_conductance_s <= self.closes_at_conductance_s <= self.max_conductance_s
            or self.min_conductance_s == self.max_conductance_s
        ):
            raise ValueError(
                f"min_conductance_s {self.min_conductance_s:g}, closes_at_conductance_s"
                f" {self.closes_at_conductance_s:g} and max_conductance_s"
                f" {self.max_conductance_s:g}"
                " must ascend"
            )
        return self


class Endurance(Effect):
    """The wear of each cell, in full cycles, and the window that is left to it.

    Neither pulses nor drift nor reads take a cell out of the window.
    """

    limiting = True

    def __init__(
        self,
        settings: EnduranceEffectSettings,
        shape: tuple[int, ...],
        rng: np.random.Generator,  # noqa: ARG002 - nothing is drawn
    ) -> None:
        self._settings = settings
        self._cycles = np.full(shape, settings.cycles_before)

    @override
    def begin(self, conductance_s: FloatArray) -> FloatArray:
        return self._held(conductance_s)

    @override
    def pulsed(
        self, before_conductance_s: FloatArray, after_conductance_s: FloatArray, pulse: PulseMap
    ) -> FloatArray:
        full_conductance_s = 2 * (
            self._settings.max_conductance_s - self._settings.min_conductance_s
        )
        after_conductance_s = self._held(after_conductance_s)
        self._cycles = (
            self._cycles + np.abs(after_conductance_s - before_conductance_s) / full_conductance_s
        )
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
        settings = self._settings
        left = 1 / (1 + (self._cycles / settings.half_cycles) ** settings.beta)
        low_conductance_s = settings.closes_at_conductance_s - left * (
            settings.closes_at_conductance_s - settings.min_conductance_s
        )
        high_conductance_s = settings.closes_at_conductance_s + left * (
            settings.max_conductance_s - settings.closes_at_conductance_s
        )
        return np.clip(conductance_s, low_conductance_s, high_conductance_s)


ENDURANCE = EffectKind(
    name="endurance",
    summary="The window closes with the cycles that a cell has had",
    settings=EnduranceEffectSettings,
    make=Endurance,
    order=60,
    arrays=lambda _: 1,
)
