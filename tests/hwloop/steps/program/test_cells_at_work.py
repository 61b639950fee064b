"""Cells at work leave with all that is known of them; right values by hand."""

from __future__ import annotations

import numpy as np

from hwloop.steps.program.cell_table import REACHED, STUCK, WAITING, CellTable
from hwloop.steps.program.cells_at_work import CellsAtWork
from hwloop.steps.program.controllers.base import State
from hwloop.steps.program.targets import TargetsAndWindows


def _table() -> CellTable:
    target_conductance_s = np.array([[1e-5, 2e-5], [3e-5, 4e-5]])
    table = CellTable(
        TargetsAndWindows(
            target_conductance_s,
            target_conductance_s - 1e-6,
            target_conductance_s + 1e-6,
            np.full((2, 2), -1),
        )
    )
    table.seen_conductance_s[:] = [1e-5, 1e-5, 5e-5, 4e-5]
    table.energy_j[:] = [1.0, 2.0, 3.0, 4.0]
    return table


def test_cell_that_ends_is_entered_in_the_table_and_the_others_stay_at_work() -> None:
    table = _table()
    index = np.array([1, 2, 3])
    state = State.new((3,), np.array([0.1, 0.2, 0.3]))
    work = CellsAtWork.of(table, index, state)
    assert work.need.tolist() == [1, -1, 0]
    work.energy_j += 10
    work.pulses_down[1] = 7
    assert work.end(table, np.array([False, True, False]), STUCK)
    assert work.index.tolist() == [1, 3]
    assert work.need.tolist() == [1, 0]
    assert work.energy_j.tolist() == [12.0, 14.0]
    assert work.state.begin_v is not None
    assert work.state.begin_v.tolist() == [0.1, 0.3]
    assert table.status.tolist() == [WAITING, WAITING, STUCK, WAITING]
    assert table.energy_j.tolist() == [1.0, 2.0, 13.0, 4.0]
    assert table.pulses_down.tolist() == [0, 0, 7, 0]


def test_cells_may_end_in_ways_of_their_own_and_none_may_end() -> None:
    table = _table()
    work = CellsAtWork.of(table, np.arange(4), State.new((4,)))
    assert not work.end(table, np.zeros(4, np.bool_), STUCK)
    status = np.array([REACHED, WAITING, STUCK, WAITING])
    assert work.end(table, status != WAITING, status)
    assert table.status.tolist() == [REACHED, WAITING, STUCK, WAITING]
    assert work.index.tolist() == [1, 3]


def test_cells_are_judged_by_their_latest_read_and_one_without_a_number_is_on_no_side() -> None:
    work = CellsAtWork.of(_table(), np.arange(4), State.new((4,)))
    work.seen_conductance_s = np.array([1.11e-5, 1.95e-5, np.nan, 3.8e-5])
    work.judge()
    assert work.need.tolist() == [-1, 0, 0, 1]
