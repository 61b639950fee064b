"""The table of biasing schemes against the published ones, and what follows from it."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from hwloop.array.biasing import (
    SCHEMES,
    DriveName,
    Scheme,
    drive_fractions,
    driven_lines,
    floats,
    line_fractions,
    loads_whole_row,
    required_drives,
    stress,
    worst_half_select_v,
)
from hwloop.station.parts import Drives
from tests.biased_cells import UNSELECTED_V

# Row and column voltages from the published schemes, for 3 V on cell (1, 2) of a 3×4 array.
ROW_V = {"V/2": [0, 1.5, 0], "V/3": [0, 2, 0], "grounded": [0, 3, 0], "1T1R": [0, 3, 0]}
COL_V = {
    "V/2": [0, 0, -1.5, 0],
    "V/3": [1, 1, -1, 1],
    "grounded": [0, 0, 0, 0],
    "1T1R": [3, 3, 0, 3],
}


@pytest.mark.parametrize("scheme", ["V/2", "V/3", "grounded", "1T1R"])
def test_lines_carry_what_the_scheme_says_and_the_selected_cell_sees_the_pulse(
    scheme: Scheme,
) -> None:
    rows, cols = line_fractions(scheme, (3, 4), row=np.array([1]), col=np.array([2]))
    np.testing.assert_allclose(3.0 * rows[0], ROW_V[scheme], rtol=1e-15)
    np.testing.assert_allclose(3.0 * cols[0], COL_V[scheme], rtol=1e-15)
    assert rows[0, 1] - cols[0, 2] == 1.0


def test_floating_lines_are_connected_to_nothing_but_the_selected_two() -> None:
    rows, cols = line_fractions("floating", (3, 4), row=np.array([1]), col=np.array([2]))
    np.testing.assert_array_equal(rows, [[np.nan, 1, np.nan]])
    np.testing.assert_array_equal(cols, [[np.nan, np.nan, 0, np.nan]])


@pytest.mark.parametrize("scheme", sorted(UNSELECTED_V))
def test_unselected_cells_see_what_the_scheme_leaves_on_them(scheme: Scheme) -> None:
    found = stress(scheme)
    seen = (found.same_row, found.same_col, found.elsewhere)
    assert seen == UNSELECTED_V[scheme]
    assert found.worst == max(abs(v) for v in seen)


def test_third_scheme_puts_exactly_a_third_on_every_other_cell() -> None:
    assert stress("V/3").worst * 3.0 == 1.0, "3 V fits a limit of 1 V"
    assert stress("V/3").worst * 0.9 <= 0.3, "0.9 V fits a limit of 0.3 V"


@pytest.mark.parametrize(
    ("scheme", "fractions", "required"),
    [
        ("V/2", {"rows": 1 / 2, "columns": -1 / 2}, {"rows", "columns"}),
        (
            "V/3",
            {"rows": 2 / 3, "columns": -1 / 3, "other_rows": 0.0, "other_columns": 1 / 3},
            {"rows", "columns", "other_columns"},
        ),
        ("grounded", {"rows": 1.0, "columns": 0.0}, {"rows", "columns"}),
        ("floating", {"rows": 1.0, "columns": 0.0}, {"rows"}),
        ("1T1R", {"rows": 1.0, "columns": 0.0}, {"rows", "columns", "gates"}),
    ],
)
def test_drives_carry_the_fractions_of_their_lines_and_a_station_needs_them(
    scheme: Scheme, fractions: dict[str, float], required: set[str]
) -> None:
    assert drive_fractions(scheme) == fractions
    assert set(required_drives(scheme)) == required


def test_no_drive_is_to_carry_two_voltages_at_a_time() -> None:
    for scheme, bias in SCHEMES.items():
        carried = {(line.drive, line.fraction) for _, line in bias.by_kind() if line.drive}
        assert len(carried) == len(drive_fractions(scheme)), scheme


def test_rows_drive_reaches_the_columns_only_where_unselected_columns_follow_the_row() -> None:
    assert driven_lines("1T1R") == {"rows": ["row", "col"], "columns": ["col"], "gates": ["gate"]}
    assert driven_lines("V/3") == {
        "rows": ["row"],
        "columns": ["col"],
        "other_rows": ["row"],
        "other_columns": ["col"],
    }


def test_drives_of_the_table_are_those_that_a_station_file_can_name() -> None:
    assert set(get_args(DriveName)) == set(Drives.model_fields)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (3, 1)])
def test_array_of_one_line_has_only_the_neighbours_that_are_there(shape: tuple[int, int]) -> None:
    amplitude_v = np.zeros(shape)
    amplitude_v[-1, -1] = 2.0
    seen_v = worst_half_select_v("V/2", amplitude_v)
    expected_v = np.ones(shape)
    expected_v[-1, -1] = 0.0
    assert seen_v.tolist() == expected_v.tolist()


NAN = np.nan
# Rows, then columns, of a 2×3 array while cell (1, 2), then cell (0, 0), is selected.
FRACTIONS = {
    "V/2": ([[0, 0.5], [0.5, 0]], [[0, 0, -0.5], [-0.5, 0, 0]]),
    "V/3": ([[0, 2 / 3], [2 / 3, 0]], [[1 / 3, 1 / 3, -1 / 3], [-1 / 3, 1 / 3, 1 / 3]]),
    "grounded": ([[0, 1], [1, 0]], [[0, 0, 0], [0, 0, 0]]),
    "floating": ([[NAN, 1], [1, NAN]], [[NAN, NAN, 0], [0, NAN, NAN]]),
    "1T1R": ([[0, 1], [1, 0]], [[1, 1, 0], [0, 1, 1]]),
}


@pytest.mark.parametrize("scheme", FRACTIONS)
def test_lines_carry_what_the_published_scheme_says_for_each_selected_cell(scheme: Scheme) -> None:
    rows, cols = line_fractions(scheme, (2, 3), row=np.array([1, 0]), col=np.array([2, 0]))
    np.testing.assert_array_equal(rows, FRACTIONS[scheme][0])
    np.testing.assert_array_equal(cols, FRACTIONS[scheme][1])


@pytest.mark.parametrize("scheme", ["V/2", "V/3", "grounded"])
def test_arrays_of_a_population_do_not_see_each_others_pulses(scheme: Scheme) -> None:
    amplitude_v = np.random.default_rng(1).uniform(-2, 2, (3, 4, 5))
    amplitude_v[1] = 0.0
    together_v = worst_half_select_v(scheme, amplitude_v)
    alone_v = [worst_half_select_v(scheme, one_v) for one_v in amplitude_v]
    np.testing.assert_array_equal(together_v, alone_v)
    assert not together_v[1].any()


def test_only_held_columns_that_do_not_follow_load_the_row_that_is_read() -> None:
    schemes = get_args(Scheme)
    assert {one for one in schemes if floats(one)} == {"floating"}
    assert {one for one in schemes if loads_whole_row(one)} == {"V/2", "V/3", "grounded"}
