"""Adaptive amplitude with both polarities.

Read; the sign of the error picks the polarity; as long as the cell stays on the same side the
amplitude grows by a step a pulse; once it has gone over, the polarity turns round and its amplitude
begins anew. Source: F. Alibart et al., Nanotechnology 23, 075201 (2012),
doi:10.1088/0957-4484/23/7/075201, who reach 1 % of the conductance. With amplitudes that do not
step it is a search with equal pulses.
"""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from hwloop.settings.model import Settings
from hwloop.steps.program.controllers.base import Move, Side, State, Train, next_pulse, opposite
from hwloop.types import FloatArray


class Alibart(Settings):
    """``up`` raises the conductance, ``down`` lowers it."""

    name: Literal["alibart"]
    up: Train
    down: Train

    @model_validator(mode="after")
    def _both(self) -> Alibart:
        opposite(self.up, self.down)
        return self

    @property
    def trains(self) -> tuple[Train | None, Train | None]:
        """Both."""
        return self.up, self.down

    def begin(self, target_conductance_s: FloatArray) -> State:
        """Nothing is known."""
        return State.new(target_conductance_s.shape)

    def move(
        self,
        state: State,
        *,
        seen_conductance_s: FloatArray,  # noqa: ARG002 - other controllers look at it
        need: Side,
    ) -> tuple[State, Move]:
        """The polarity that is needed; its train begins where it was not the latest."""
        return next_pulse(state, need, self.trains)
