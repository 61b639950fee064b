"""Pulse and verify the cells of one group until each of them is reached or given up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from hwloop.steps.array import Array
from hwloop.steps.program.cell_table import (
    BUDGET,
    GIVEN_UP,
    REACHED,
    STUCK,
    UNREADABLE,
    WAITING,
    CellTable,
)
from hwloop.steps.program.controllers.base import Controller, IntArray, Side, State
from hwloop.steps.program.pulses import apply, read
from hwloop.types import BoolArray, FloatArray


@dataclass(frozen=True)
class Budgets:
    """Budgets of one cell; ``patience``: pulses at full strength without progress.

    Progress is half of the width of its window, or a tenth of the distance to its target where that
    is less: a cell that creeps towards a wide window is not stuck.
    """

    pulses: int
    energy_j: float
    stress_s: float
    patience: int
    hits: int

    @property
    def are_of_pulses_alone(self) -> bool:
        """Return whether neither energy nor stress is bounded."""
        return bool(np.isinf(self.energy_j) and np.isinf(self.stress_s))


@dataclass(frozen=True)
class Round:
    """Counts after one pulse of each cell still at work, or after a ramp of several."""

    number: int
    at_work: int
    pulses: int
    error_conductance_s: FloatArray


@dataclass(eq=False)
class _AtWork:
    """Cells that are still being programmed, by their flat indices."""

    index: IntArray
    state: State
    hits: IntArray
    since_conductance_s: FloatArray
    idle: IntArray

    def keep(self, which: BoolArray) -> None:
        self.index, self.hits = self.index[which], self.hits[which]
        self.since_conductance_s, self.idle = self.since_conductance_s[which], self.idle[which]
        self.state = self.state.kept(which)


def program(
    array: Array, controller: Controller, table: CellTable, index: IntArray, budgets: Budgets
) -> Iterator[Round]:
    """Program the cells of ``index``, and enter in the table how each of them ended."""
    _note(table, index, read(array, table, index), UNREADABLE)
    index = index[table.status[index] == WAITING]
    work = _AtWork(
        index,
        controller.begin(table.target_conductance_s[index]),
        np.zeros(index.size, np.int64),
        table.seen_conductance_s[index].copy(),
        np.zeros(index.size, np.int64),
    )
    number = 0
    while work.index.size:
        number += 1
        given = _round(array, controller, table, work, budgets)
        index = work.index
        error_conductance_s = table.seen_conductance_s[index] - table.target_conductance_s[index]
        yield Round(number, index.size, given, error_conductance_s)


def _round(
    array: Array, controller: Controller, table: CellTable, work: _AtWork, budgets: Budgets
) -> int:
    """Judge the cells, then move each that is not done; return the number of pulses."""
    need = table.side(work.index)
    work.hits = np.where(need == 0, work.hits + 1, 0)
    done = work.hits >= budgets.hits
    _end(table, work, done, REACHED)
    need = need[~done]
    state, move = controller.move(
        work.state, seen_conductance_s=table.seen_conductance_s[work.index], need=need
    )
    work.state = state
    ends = {
        STUCK: (work.idle >= budgets.patience) & (need != 0),
        BUDGET: (move.side != 0) & ~_affordable(table, work, move.amplitude_v, controller, budgets),
        GIVEN_UP: move.given_up,
    }
    status = np.full(work.index.size, WAITING)
    for ended, which in ends.items():
        status[which] = ended
    table.status[work.index] = status
    going = status == WAITING
    if not going.all():
        move, need = move.kept(going), need[going]
        work.keep(going)
    if not work.index.size:
        return 0
    before_conductance_s = table.seen_conductance_s[work.index]
    left = budgets.pulses - table.pulses[work.index]
    left = np.minimum(left, np.maximum(1, budgets.patience - work.idle))
    if not budgets.are_of_pulses_alone:
        left = np.ones_like(left)
    given = apply(array, table, work.index, move, controller.trains, left)
    work.state = replace(work.state, number=work.state.number + np.maximum(given.pulses - 1, 0))
    _judge_progress(table, work, move.at_end, before_conductance_s, need, given.pulses)
    _end(table, work, given.failed, UNREADABLE)
    return int(given.pulses.sum())


def _judge_progress(
    table: CellTable,
    work: _AtWork,
    at_end: BoolArray,
    before_conductance_s: FloatArray,
    need: Side,
    pulses: IntArray,
) -> None:
    """Count the strongest pulses without progress, and mark cells that are stuck."""
    index = work.index
    seen_conductance_s, window_conductance_s = (
        table.seen_conductance_s[index],
        table.high_conductance_s[index] - table.low_conductance_s[index],
    )
    away_conductance_s = np.abs(seen_conductance_s - table.target_conductance_s[index])
    enough_conductance_s = np.minimum(window_conductance_s / 2, away_conductance_s / 10)
    crossed = (need != 0) & (table.side(index) == -need)
    over, jump_conductance_s = (
        index[crossed],
        np.abs(seen_conductance_s - before_conductance_s)[crossed],
    )
    table.smallest_jump_conductance_s[over] = np.minimum(
        table.smallest_jump_conductance_s[over], jump_conductance_s
    )
    moved = (
        (np.abs(seen_conductance_s - work.since_conductance_s) >= enough_conductance_s)
        | crossed
        | ~at_end
    )
    work.idle = np.where(moved, 0, work.idle + pulses)
    work.since_conductance_s = np.where(moved, seen_conductance_s, work.since_conductance_s)


def _affordable(
    table: CellTable,
    work: _AtWork,
    amplitude_v: FloatArray,
    controller: Controller,
    budgets: Budgets,
) -> BoolArray:
    index = work.index
    affordable: BoolArray = table.pulses[index] < budgets.pulses
    if not budgets.are_of_pulses_alone:
        up, down = (0.0 if train is None else train.width_s for train in controller.trains)
        width_s = np.where(amplitude_v > 0, up, down)
        if up and down and controller.trains[0] is not None and controller.trains[0].sign < 0:
            width_s = np.where(amplitude_v > 0, down, up)
        energy_j = np.square(amplitude_v) * np.abs(table.seen_conductance_s[index]) * width_s
        affordable &= table.energy_j[index] + energy_j <= budgets.energy_j
        affordable &= table.stress_s[index] + width_s <= budgets.stress_s * (1 + 1e-12)
    return affordable


def _end(table: CellTable, work: _AtWork, which: BoolArray, status: int) -> None:
    if which.any():
        table.status[work.index[which]] = status
        work.keep(~which)


def _note(table: CellTable, index: IntArray, which: BoolArray, status: int) -> None:
    table.status[index[which]] = status
