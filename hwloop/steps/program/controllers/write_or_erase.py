"""Write in one direction; where a cell goes over, erase it and write again.

The part that ISPP and the gate-stepped algorithms of 1T1R cells share.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwloop.steps.program.controllers.base import Move, Side, State, Train, next_pulse
from hwloop.types import BoolArray, FloatArray


def write_or_erase(
    state: State,
    need: Side,
    trains: tuple[Train | None, Train | None],
    *,
    write: int,
    attempts: int,
    deep: BoolArray | None = None,
    begin_again: bool = False,
    most_erases: int | None = None,
) -> tuple[State, Move]:
    """The next pulse of the train of side ``write``, or of the other where a cell is beyond.

    A cell that is being erased goes on being erased until it is ``deep`` enough, if that is
    given. ``begin_again``: a cell that has had the whole train and is still short is erased too.
    Given up: where it is to be erased and there is no erasing train, or its ``attempts`` or
    ``most_erases``, pulses, are used up.
    """
    beyond = need == -write
    erasing = (state.side == -write) & (need != 0)
    if deep is not None:
        beyond = beyond | (erasing & ~deep)
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


def deep_enough(
    seen_conductance_s: FloatArray, erase_to_conductance_s: float | None, *, write: int
) -> BoolArray | None:
    """Where an erased cell is at or beyond ``erase_to_conductance_s``; None where any will do."""
    if erase_to_conductance_s is None:
        return None
    deep: BoolArray = (
        seen_conductance_s <= erase_to_conductance_s
        if write > 0
        else seen_conductance_s >= erase_to_conductance_s
    )
    return deep
