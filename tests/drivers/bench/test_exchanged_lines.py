"""Reads before and after an exchange of leads, and changes that are none."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.types import BoolArray, FloatArray
from hwloop_drivers.bench import exchanged_lines as module
from hwloop_drivers.bench.exchanged_lines import KnownCells

BEFORE_S = 1e-6 * np.array([[10.0, 40.0, 20.0], [30.0, 15.0, 55.0], [25.0, 70.0, 35.0]])


def exchanged_lines(
    before_s: FloatArray,
    after_s: FloatArray,
    up: BoolArray | None = None,
    down: BoolArray | None = None,
    **moved: float,
) -> str | None:
    none = np.zeros(before_s.shape, np.bool_)
    before = KnownCells(before_s, none if up is None else up, none if down is None else down)
    return module.exchanged_lines(before, after_s, **moved)


@pytest.mark.parametrize(
    ("order", "axis", "named"),
    [
        ([2, 1, 0], 0, "row0 and row2"),
        ([1, 0, 2], 0, "row0 and row1"),
        ([0, 2, 1], 1, "col1 and col2"),
    ],
)
def test_two_lines_that_read_as_each_other_did_are_named(
    order: list[int], axis: int, named: str
) -> None:
    after_s = np.take(BEFORE_S, order, axis) * np.array([1.03, 0.97, 1.01])
    assert exchanged_lines(BEFORE_S, after_s) == named


def test_cells_that_drift_or_jump_are_no_exchange() -> None:
    after_s = BEFORE_S * np.array([[0.5, 1.0, 1.6], [1.3, 1.0, 0.7], [1.0, 1.5, 1.0]])
    assert exchanged_lines(BEFORE_S, after_s) is None
    assert exchanged_lines(BEFORE_S, BEFORE_S) is None


def test_an_exchange_in_the_middle_of_a_map_is_seen_in_the_columns_read_after_it() -> None:
    after_s = BEFORE_S.copy()
    after_s[[0, 1], 1:] = BEFORE_S[[1, 0], 1:]
    assert exchanged_lines(BEFORE_S, after_s) == "row0 and row1"


def test_one_pair_of_cells_is_not_enough() -> None:
    after_s = BEFORE_S.copy()
    after_s[[0, 1], 2] = BEFORE_S[[1, 0], 2]
    assert exchanged_lines(BEFORE_S, after_s) is None


def test_a_pattern_that_pulses_have_inverted_is_no_exchange() -> None:
    checks = np.indices((4, 4)).sum(axis=0) % 2 == 0
    before_s, after_s = np.where(checks, 1e-4, 1e-6), np.where(checks, 1e-6, 1e-4)
    raised = after_s > before_s
    assert exchanged_lines(before_s, after_s, raised, ~raised) is None
    assert exchanged_lines(before_s, after_s) is not None


@pytest.mark.parametrize("written", ["before", "after"])
def test_lines_exchanged_before_or_after_pulses_are_named_by_the_cells_between_them(
    written: str,
) -> None:
    # One cell of each row is raised; the others read as those of the other row did.
    up = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], np.bool_)
    raised_s = np.where(up, 1.7, 1.0)
    swap = [1, 0, 2]
    after_s = BEFORE_S[swap] * raised_s if written == "after" else (BEFORE_S * raised_s)[swap]
    assert exchanged_lines(BEFORE_S, after_s, up) == "row0 and row1"


def test_lines_that_differ_little_are_told_apart_where_reads_repeat_well() -> None:
    before_s = 1e-6 * np.array([[10.0, 12.0, 9.0], [11.0, 10.5, 10.0], [40.0, 80.0, 20.0]])
    after_s = before_s[[1, 0, 2]] * np.array([1.001, 0.999, 1.002])
    assert exchanged_lines(before_s, after_s, moved=0.05) == "row0 and row1"
    assert exchanged_lines(before_s, after_s, moved=0.2) is None


def test_cell_that_kept_its_value_speaks_against_an_exchange_of_its_line() -> None:
    # Two cells of rows 0 and 1 take each other's value by themselves; the third differs and stays.
    up = np.zeros((3, 3), np.bool_)
    after_s = BEFORE_S.copy()
    after_s[:2, 0] = BEFORE_S[[1, 0], 0]
    assert exchanged_lines(BEFORE_S, after_s, up) is None


def test_cells_that_are_not_known_are_left_out() -> None:
    before_s, after_s = BEFORE_S.copy(), BEFORE_S[[1, 0, 2]]
    before_s[0, 0] = np.nan
    assert exchanged_lines(before_s, after_s) == "row0 and row1"
    before_s[0, 1] = 0.0
    assert exchanged_lines(before_s, after_s) is None
