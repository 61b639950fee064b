"""Program 1T1R cells: SET in steps of gate or electrode, RESET after an overshoot.

Sources. Gate stepped, electrode fixed, RESET on overshoot: E. J. Merced-Grafals et al.,
Nanotechnology 27, 365202 (2016), doi:10.1088/0957-4484/27/36/365202 (64 levels, mean error below
0.5 %, 100 ns). ISPVA (electrode): E. Pérez et al., Electronics 10, 1084 (2021),
doi:10.3390/electronics10091084; with the gate in its place it is known as IGVVA. Begin at a
gate that the target says, from a sweep made before (what RADAR calls range-dependent): B. Q. Le,
A. Levy et al., IEEE Trans. Electron Devices 68, 4397 (2021), doi:10.1109/TED.2021.3097975.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hwloop.settings.model import Settings
from hwloop.settings.units import Count, PositiveSiemens, PositiveVolt
from hwloop.steps.program.controllers.base import Move, PulseTrain, Side, State, different
from hwloop.steps.program.controllers.write_or_erase import at_reset_depth, write_or_erase
from hwloop.types import FloatArray


class GateStepped(Settings):
    """Settings: the trains ``set`` and ``reset``; the voltage that steps makes the variant.

    ``set.gate`` steps: IGVVA; ``set.amplitude`` steps: ISPVA. ``reset`` may step too, and begins
    anew at every overshoot. ``reset_to_conductance_s``: RESET until a read is at or below it; left
    out, until it is below the window. ``begin_gate``: (conductance, gate) points of a sweep: a cell
    begins at the gate that its target says. ``attempts``: how often a cell is SET.
    """

    name: Literal["gate_stepped"]
    set: PulseTrain
    reset: PulseTrain
    reset_to_conductance_s: PositiveSiemens | None = None
    begin_gate: tuple[tuple[PositiveSiemens, PositiveVolt], ...] | None = Field(
        default=None, min_length=1
    )
    attempts: Count = 20

    @model_validator(mode="after")
    def _gates(self) -> GateStepped:
        different(self.set, self.reset)
        for name, train in (("set", self.set), ("reset", self.reset)):
            if train.gate is None:
                raise ValueError(f"{name} has no gate; a 1T1R cell needs one")
        return self

    @property
    def trains(self) -> tuple[PulseTrain | None, PulseTrain | None]:
        """SET, which raises the conductance, and RESET, which lowers it."""
        return self.set, self.reset

    def begin(self, target_conductance_s: FloatArray) -> State:
        """Return the first state of cells, with the gate voltage for each target."""
        gates = self.set.gate_steps
        if self.begin_gate is None or gates is None:
            return State.new(target_conductance_s.shape)
        return State.new(
            target_conductance_s.shape, gates.first_v(target_conductance_s, self.begin_gate)
        )

    def move(
        self, state: State, *, seen_conductance_s: FloatArray, need: Side
    ) -> tuple[State, Move]:
        """Return the next SET pulse, or RESET after an overshoot."""
        at_depth = at_reset_depth(seen_conductance_s, self.reset_to_conductance_s, write=1)
        return write_or_erase(
            state, need, self.trains, write=1, attempts=self.attempts, at_depth=at_depth
        )
