"""Adapt the amplitude, with pulses of both polarities.

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
from hwloop.steps.program.controllers.base import (
    Move,
    PulseTrain,
    Side,
    State,
    different,
    next_pulse,
)
from hwloop.types import FloatArray


class Alibart(Settings):
    """Settings: ``up``, the train that raises the conductance, and ``down``, that lowers it."""

    name: Literal["alibart"]
    up: PulseTrain
    down: PulseTrain

    @model_validator(mode="after")
    def _both(self) -> Alibart:
        different(self.up, self.down)
        return self

    @property
    def trains(self) -> tuple[PulseTrain | None, PulseTrain | None]:
        """The train that raises the conductance, and the one that lowers it."""
        return self.up, self.down

    def begin(self, target_conductance_s: FloatArray) -> State:
        """Return the state of cells without a pulse."""
        return State.new(target_conductance_s.shape)

    def move(
        self,
        state: State,
        *,
        seen_conductance_s: FloatArray,  # noqa: ARG002 - other controllers look at it
        need: Side,
    ) -> tuple[State, Move]:
        """Return pulses of the polarity needed; its train begins anew after a change of sign."""
        return next_pulse(state, need, self.trains)
