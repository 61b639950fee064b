"""Conductances from reads through known resistors, against dividers solved by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.array.biasing import Scheme
from hwloop.array.read_path import ReadPath

CELLS_S = 1 / np.array([[10e3, 12e3, 15e3], [22e3, 27e3, 33e3]])
READ_V = 0.05


def test_a_cell_with_the_path_for_itself_is_corrected_in_every_read() -> None:
    path = ReadPath("floating", (1, 1), 1e3, 500.0)
    # 10 kohm behind 1.5 kohm: 11.5 kohm.
    current_a = np.array([[READ_V / 11.5e3]])
    np.testing.assert_allclose(path.conductance_s(current_a, READ_V), [[1e-4]], rtol=1e-12)
    np.testing.assert_allclose(path.conductance_s(-current_a, -READ_V), [[1e-4]], rtol=1e-12)
    np.testing.assert_allclose(path.read_current_a(np.array([[1e-4]]), READ_V), current_a)
    assert path.correction == "every read"


def test_single_cells_of_a_1t1r_array_are_corrected() -> None:
    path = ReadPath("1T1R", (2, 3), 1e3, 0.0)
    current_a = np.full((2, 3), np.nan)
    current_a[1, 2] = READ_V / 34e3
    seen = path.conductance_s(current_a, READ_V)
    assert seen[1, 2] == pytest.approx(1 / 33e3, rel=1e-12)
    assert np.isnan(seen[0]).all()


def test_a_current_that_the_resistors_alone_do_not_let_through_is_no_conductance() -> None:
    path = ReadPath("1T1R", (1, 1), 1e3, 0.0)
    assert np.isnan(path.conductance_s(np.array([[60e-6]]), READ_V)).all()


@pytest.mark.parametrize("scheme", ["V/2", "V/3", "grounded"])
def test_a_whole_map_is_corrected_for_the_rows_whose_cells_share_a_resistor(
    scheme: Scheme,
) -> None:
    path = ReadPath(scheme, (2, 3), 1e3, 0.0)
    row_v = READ_V / (1 + 1e3 * CELLS_S.sum(axis=1, keepdims=True))
    seen = path.conductance_s(CELLS_S * row_v, READ_V)
    np.testing.assert_allclose(seen, CELLS_S, rtol=1e-9)
    assert path.correction == "whole maps"


def test_a_whole_map_is_corrected_for_the_columns_that_the_meter_lifts() -> None:
    path = ReadPath("V/2", (2, 3), 0.0, 2e3)
    # The column is lifted by I R, and its other cell takes a part of the current to ground.
    col_s = CELLS_S.sum(axis=0)
    current_a = READ_V * CELLS_S / (1 + 2e3 * col_s)
    np.testing.assert_allclose(path.conductance_s(current_a, READ_V), CELLS_S, rtol=1e-9)


def test_a_read_of_single_cells_that_share_a_row_is_left_as_it_is() -> None:
    path = ReadPath("V/2", (2, 3), 1e3, 0.0)
    current_a = np.full((2, 3), np.nan)
    current_a[0, 0] = 4e-6
    assert path.conductance_s(current_a, READ_V)[0, 0] == 4e-6 / READ_V
    np.testing.assert_array_equal(path.read_current_a(CELLS_S, READ_V), CELLS_S * READ_V)


@pytest.mark.parametrize(
    "path", [ReadPath("floating", (2, 3), 1e3, 0.0), ReadPath("V/3", (2, 3), 1e3, 0.0, exact=False)]
)
def test_unknown_paths_are_not_corrected(path: ReadPath) -> None:
    current_a = CELLS_S * READ_V
    assert path.correction == "none"
    np.testing.assert_array_equal(path.conductance_s(current_a, READ_V), current_a / READ_V)


def test_a_map_that_no_cells_explain_is_no_conductance() -> None:
    path = ReadPath("V/2", (2, 3), 1e3, 0.0)
    assert np.isnan(path.conductance_s(np.full((2, 3), 20e-6), READ_V)).all()
