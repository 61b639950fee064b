"""Endurance: the window closes with the cycles that a cell has had.

A cell's wear n is the conductance that pulses have moved it through, in full cycles: n ← n + |ΔG| /
[2 (G_max − G_min)]. What is left of the window is w(n) = 1/(1 + (n/n½)^β), and the state is held
between G_c − w (G_c − G_min) and G_c + w (G_max − G_c), where G_c is ``closes_at_conductance_s``.
The form is chosen, not derived: half closed at n½, gradual in log n; n½ and β are to be measured.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from hwloop.array.operations import PulseMap
from hwloop.settings.model import Settings
from hwloop.settings.units import Number, PositiveSiemens, Siemens
from hwloop.types import FloatArray
from hwloop_sim.cells.effect import Effect, EffectKind


class EnduranceSettings(Settings):
    """A window of conductance that closes with wear.

    ``min_conductance_s``, ``max_conductance_s``: the fresh window. ``half_cycles``, ``beta``: how
    it closes.
    """

    min_conductance_s: Annotated[Siemens, Field(ge=0)]
    max_conductance_s: PositiveSiemens
    closes_at_conductance_s: Annotated[Siemens, Field(ge=0)]
    half_cycles: Annotated[Number, Field(gt=0)]
    beta: Annotated[Number, Field(gt=0, le=10)] = 1.0
    cycles_before: Annotated[Number, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> EnduranceSettings:
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
    """The wear of each cell, in full cycles."""

    def __init__(
        self,
        settings: EnduranceSettings,
        shape: tuple[int, ...],
        rng: np.random.Generator,  # noqa: ARG002 - nothing is drawn
    ) -> None:
        self._settings = settings
        self._cycles = np.full(shape, settings.cycles_before)

    def begin(self, conductance_s: FloatArray) -> FloatArray:
        """Inside the window that is left."""
        return self._held(conductance_s)

    def pulsed(
        self,
        before_conductance_s: FloatArray,
        after_conductance_s: FloatArray,
        pulse: PulseMap,  # noqa: ARG002 - a hook
    ) -> FloatArray:
        """Wear by what was done, then hold inside the window that is left."""
        full_conductance_s = 2 * (
            self._settings.max_conductance_s - self._settings.min_conductance_s
        )
        after_conductance_s = self._held(after_conductance_s)
        self._cycles = (
            self._cycles + np.abs(after_conductance_s - before_conductance_s) / full_conductance_s
        )
        return self._held(after_conductance_s)

    def elapsed(self, conductance_s: FloatArray, duration_s: float) -> FloatArray:  # noqa: ARG002
        """Drift cannot leave the window."""
        return self._held(conductance_s)

    def read(self, conductance_s: FloatArray, voltage_v: FloatArray) -> FloatArray:  # noqa: ARG002
        """Nor can the disturbance of reads."""
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
    settings=EnduranceSettings,
    make=Endurance,
    order=60,
    arrays=lambda _: 1,
)
