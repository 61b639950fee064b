"""Pulse and verify the cells of one group until each of them is reached or given up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
from hwloop.steps.program.cells_at_work import CellsAtWork
from hwloop.steps.program.controllers.base import Controller, IntArray, Move, Side
from hwloop.steps.program.pulses import apply, read
from hwloop.steps.program.verify.cell_reads import VerifyReads
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


def program(
    array: Array,
    reads: VerifyReads,
    controller: Controller,
    table: CellTable,
    index: IntArray,
    budgets: Budgets,
) -> Iterator[Round]:
    """Program the cells of ``index``, and enter in the table how each of them ended."""
    table.status[index[read(reads, table, index)]] = UNREADABLE
    index = index[table.status[index] == WAITING]
    work = CellsAtWork.of(table, index, controller.begin(table.target_conductance_s[index]))
    number = 0
    while work.index.size:
        number += 1
        given = _round(array, reads, controller, table, work, budgets)
        error_conductance_s = work.seen_conductance_s - work.target_conductance_s
        yield Round(number, work.index.size, given, error_conductance_s)


def _round(
    array: Array,
    reads: VerifyReads,
    controller: Controller,
    table: CellTable,
    work: CellsAtWork,
    budgets: Budgets,
) -> int:
    """Judge the cells, then move each that is not done; return the number of pulses."""
    work.hits = np.where(work.need == 0, work.hits + 1, 0)
    work.end(table, work.hits >= budgets.hits, REACHED)
    work.state, move = controller.move(
        work.state, seen_conductance_s=work.seen_conductance_s, need=work.need
    )
    ended = _ended(work, move, controller, budgets)
    if ended is not None and work.end(table, ended != WAITING, ended):
        move = move.kept(ended == WAITING)
    if not work.index.size:
        return 0
    before_conductance_s, need = work.seen_conductance_s, work.need
    given = apply(array, reads, work, move, controller.trains, _most_pulses(work, budgets))
    work.judge()
    _judge_progress(work, move.at_end, before_conductance_s, need, given.pulses)
    work.end(table, given.failed, UNREADABLE)
    return int(given.pulses.sum())


def _ended(
    work: CellsAtWork, move: Move, controller: Controller, budgets: Budgets
) -> NDArray[np.int64] | None:
    """Return how each cell ends before its next pulse, or WAITING; None where none ends."""
    status = None
    unaffordable = (move.side != 0) & ~_affordable(work, move, controller, budgets)
    for ended, which in (
        (STUCK, (work.idle >= budgets.patience) & (work.need != 0)),
        (BUDGET, unaffordable),
        (GIVEN_UP, move.given_up),
    ):
        if which.any():
            status = np.full(work.index.size, WAITING) if status is None else status
            status[which] = ended
    return status


def _most_pulses(work: CellsAtWork, budgets: Budgets) -> Callable[[], IntArray]:
    """Return what tells how many pulses each cell may get at once."""

    def most() -> IntArray:
        if not budgets.are_of_pulses_alone:
            return np.ones_like(work.idle)
        left = budgets.pulses - work.pulses
        return np.minimum(left, np.maximum(1, budgets.patience - work.idle))

    return most


def _judge_progress(
    work: CellsAtWork,
    at_end: BoolArray,
    before_conductance_s: FloatArray,
    need: Side,
    pulses: IntArray,
) -> None:
    """Count the strongest pulses without progress, and note the jumps over a window."""
    seen_conductance_s = work.seen_conductance_s
    crossed = (need != 0) & (work.need == -need)
    over = np.flatnonzero(crossed)
    if over.size:
        jump_conductance_s = np.abs(seen_conductance_s[over] - before_conductance_s[over])
        smallest_conductance_s = work.smallest_jump_conductance_s
        smallest_conductance_s[over] = np.minimum(smallest_conductance_s[over], jump_conductance_s)
    away_conductance_s = np.abs(seen_conductance_s - work.target_conductance_s)
    window_conductance_s = work.high_conductance_s - work.low_conductance_s
    enough_conductance_s = np.minimum(window_conductance_s / 2, away_conductance_s / 10)
    moved = np.abs(seen_conductance_s - work.since_conductance_s) >= enough_conductance_s
    moved |= crossed
    moved |= ~at_end
    work.idle = work.idle + pulses
    work.idle[moved] = 0
    work.since_conductance_s = np.where(moved, seen_conductance_s, work.since_conductance_s)


def _affordable(
    work: CellsAtWork, move: Move, controller: Controller, budgets: Budgets
) -> BoolArray:
    affordable: BoolArray = work.pulses < budgets.pulses
    if not budgets.are_of_pulses_alone:
        up, down = (0.0 if train is None else train.width_s for train in controller.trains)
        width_s = np.where(move.side > 0, up, down) if move.width_s is None else move.width_s
        energy_j = np.square(move.amplitude_v) * np.abs(work.seen_conductance_s) * width_s
        affordable &= work.energy_j + energy_j <= budgets.energy_j
        affordable &= work.stress_s + width_s <= budgets.stress_s * (1 + 1e-12)
    return affordable
