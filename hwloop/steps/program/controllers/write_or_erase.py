"""Write in one direction; where a cell overshoots, erase it and write again.

Shared by ISPP and the gate-stepped algorithms of 1T1R cells.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwloop.steps.program.controllers.base import Move, PulseTrain, Side, State, next_pulse
from hwloop.types import BoolArray, FloatArray


def write_or_erase(
    state: State,
    need: Side,
    trains: tuple[PulseTrain | None, PulseTrain | None],
    *,
    write: int,
    attempts: int,
    at_depth: BoolArray | None = None,
    begin_again: bool = False,
    most_erases: int | None = None,
) -> tuple[State, Move]:
    """Return the next pulse of each cell: of the writing train, or of the erasing one.

    ``write``: the side that the writing train moves a cell to; a cell beyond its window is erased.
    ``at_depth``: cells at their reset depth; a cell that is being erased is erased until it is one
    of them. ``begin_again``: a cell that is still short after the whole train is erased too. A
    cell is given up where it is to be erased without an erasing train, or after its ``attempts``
    at writing, or its ``most_erases`` pulses of erasing.
    """
    beyond = need == -write
    erasing = (state.side == -write) & (need != 0)
    if at_depth is not None:
        beyond = beyond | (erasing & ~at_depth)
    train = trains[(1 - write) // 2]
    if begin_again and train is not None:
        beyond = beyond | (
            (state.side == write) & (state.number + 1 >= train.pulses) & (need == write)
        )
    # A turn is a begin of either train: every two of them are one more attempt.
    used = (state.side == write) & (state.turns // 2 + 1 >= attempts)
    erase = trains[(1 + write) // 2]
    given_up = beyond if erase is None else beyond & used
    if most_erases is not None:
        given_up = given_up | (beyond & (state.erases >= most_erases))
    side = np.where(beyond, np.int8(-write), np.where(need == write, np.int8(write), np.int8(0)))
    after, move = next_pulse(state, side, trains, given_up=given_up)
    return replace(after, erases=state.erases + (move.side == -write)), move


def at_reset_depth(
    seen_conductance_s: FloatArray, erase_to_conductance_s: float | None, *, write: int
) -> BoolArray | None:
    """Return which cells are at or beyond the reset depth; None without one."""
    if erase_to_conductance_s is None:
        return None
    at_depth: BoolArray = (
        seen_conductance_s <= erase_to_conductance_s
        if write > 0
        else seen_conductance_s >= erase_to_conductance_s
    )
    return at_depth
