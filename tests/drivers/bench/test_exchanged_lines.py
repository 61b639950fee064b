"""Reads before and after an exchange of leads, and changes that are none."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop_drivers.bench.exchanged_lines import exchanged_lines

BEFORE_S = 1e-6 * np.array([[10.0, 40.0, 20.0], [30.0, 15.0, 55.0], [25.0, 70.0, 35.0]])
UNPULSED = np.ones((3, 3), np.bool_)


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
    assert exchanged_lines(BEFORE_S, after_s, UNPULSED) == named


def test_cells_that_drift_or_jump_are_no_exchange() -> None:
    after_s = BEFORE_S * np.array([[0.5, 1.0, 1.6], [1.3, 1.0, 0.7], [1.0, 1.5, 1.0]])
    assert exchanged_lines(BEFORE_S, after_s, UNPULSED) is None
    assert exchanged_lines(BEFORE_S, BEFORE_S, UNPULSED) is None


def test_an_exchange_in_the_middle_of_a_map_is_seen_in_the_columns_read_after_it() -> None:
    after_s = BEFORE_S.copy()
    after_s[[0, 1], 1:] = BEFORE_S[[1, 0], 1:]
    assert exchanged_lines(BEFORE_S, after_s, UNPULSED) == "row0 and row1"


def test_one_pair_of_cells_is_not_enough() -> None:
    after_s = BEFORE_S.copy()
    after_s[[0, 1], 2] = BEFORE_S[[1, 0], 2]
    assert exchanged_lines(BEFORE_S, after_s, UNPULSED) is None


def test_a_pattern_that_pulses_have_inverted_is_no_exchange() -> None:
    checks = np.indices((4, 4)).sum(axis=0) % 2 == 0
    before_s, after_s = np.where(checks, 1e-4, 1e-6), np.where(checks, 1e-6, 1e-4)
    assert exchanged_lines(before_s, after_s, np.zeros((4, 4), np.bool_)) is None
    assert exchanged_lines(before_s, after_s, np.ones((4, 4), np.bool_)) is not None


def test_cells_that_are_not_known_are_left_out() -> None:
    before_s, after_s = BEFORE_S.copy(), BEFORE_S[[1, 0, 2]]
    before_s[0, 0] = np.nan
    assert exchanged_lines(before_s, after_s, UNPULSED) == "row0 and row1"
    before_s[0, 1] = 0.0
    assert exchanged_lines(before_s, after_s, UNPULSED) is None
