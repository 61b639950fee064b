"""Incremental step pulse programming: one direction, a fixed step a pulse.

Source: K.-D. Suh et al., IEEE J. Solid-State Circuits 30, 1149 (1995), doi:10.1109/4.475701, for
NAND flash; for resistive memories with an erase after an overshoot, B. Q. Le, A. Levy et al., IEEE
Trans. Electron Devices 68, 4397 (2021), doi:10.1109/TED.2021.3097975.
"""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from hwloop.settings.model import Settings
from hwloop.settings.units import Count, PositiveSiemens
from hwloop.steps.program.controllers.base import Move, PulseTrain, Side, State, different
from hwloop.steps.program.controllers.write_or_erase import at_reset_depth, write_or_erase
from hwloop.types import FloatArray


class Ispp(Settings):
    """Settings: ``write``, the train that steps; ``raises``: whether it raises conductance.

    ``erase``: the way back of a cell that is beyond its window; without it such a cell is given up.
    ``erase_to_conductance_s``: erase until a read is at or beyond it; left out, until the cell is
    on the side from which it can be written. ``attempts``: how often a cell is written.
    ``begin_again``: a cell that is still short after the whole train is erased too, instead of
    getting its last pulse over and over. ``most_erases``: pulses of ``erase`` that a cell may get.
    """

    name: Literal["ispp"]
    write: PulseTrain
    erase: PulseTrain | None = None
    raises: bool = True
    erase_to_conductance_s: PositiveSiemens | None = None
    attempts: Count = 1
    begin_again: bool = False
    most_erases: Count | None = None

    @model_validator(mode="after")
    def _both(self) -> Ispp:
        if self.erase is not None:
            different(self.write, self.erase)
        elif (
            self.attempts > 1
            or self.begin_again
            or (self.erase_to_conductance_s, self.most_erases) != (None, None)
        ):
            raise ValueError(
                "erase_to_conductance_s, attempts, begin_again and most_erases need erase"
            )
        return self

    @property
    def trains(self) -> tuple[PulseTrain | None, PulseTrain | None]:
        """The train that raises the conductance, and the one that lowers it."""
        return (self.write, self.erase) if self.raises else (self.erase, self.write)

    def begin(self, target_conductance_s: FloatArray) -> State:
        """Return the state of cells without a pulse."""
        return State.new(target_conductance_s.shape)

    def move(
        self, state: State, *, seen_conductance_s: FloatArray, need: Side
    ) -> tuple[State, Move]:
        """Return the next pulse of the write train, or an erase pulse."""
        write = 1 if self.raises else -1
        return write_or_erase(
            state,
            need,
            self.trains,
            write=write,
            attempts=self.attempts,
            at_depth=at_reset_depth(seen_conductance_s, self.erase_to_conductance_s, write=write),
            begin_again=self.begin_again,
            most_erases=self.most_erases,
        )
