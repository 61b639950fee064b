from __future__ import annotations

import numpy as np
import pytest

from hwloop.array.biasing import (
    Scheme,
    cell_voltages_v,
    line_fractions,
    stress,
    worst_half_select_v,
)

# Row and column voltages from the published schemes, for 3 V on cell (1, 2) of a 3×4 array.
ROW_V = {"V/2": [0, 1.5, 0], "V/3": [-0.5, 1.5, -0.5], "grounded": [0, 3, 0]}
COL_V = {"V/2": [0, 0, -1.5, 0], "V/3": [0.5, 0.5, -1.5, 0.5], "grounded": [0, 0, 0, 0]}


@pytest.mark.parametrize("scheme", ["V/2", "V/3", "grounded"])
def test_every_cell_sees_the_difference_of_its_lines(scheme: Scheme) -> None:
    expected_v = np.subtract.outer(ROW_V[scheme], COL_V[scheme])
    seen_v = cell_voltages_v(scheme, (3, 4), row=1, col=2, amplitude_v=3.0)
    np.testing.assert_allclose(seen_v, expected_v, atol=1e-12)
    assert seen_v[1, 2] == 3.0


def test_third_scheme_puts_a_third_on_every_other_cell_and_of_either_sign() -> None:
    seen_v = cell_voltages_v("V/3", (3, 4), row=1, col=2, amplitude_v=3.0)
    others_v = np.delete(seen_v.ravel(), 1 * 4 + 2)
    assert (np.abs(others_v) == 1.0).all(), "exactly a third: 3 V fits a limit of 1 V"
    assert others_v.min() == -1.0
    assert others_v.max() == 1.0


def test_floating_lines_are_bounded_by_the_whole_voltage_and_transistors_shield_all() -> None:
    floating_v = cell_voltages_v("floating", (2, 2), row=0, col=0, amplitude_v=-2.0)
    shielded_v = cell_voltages_v("1T1R", (2, 2), row=0, col=0, amplitude_v=-2.0)
    assert np.abs(floating_v).tolist() == [[2, 2], [2, 2]]
    assert shielded_v.tolist() == [[-2, 0], [0, 0]]
    assert stress("1T1R").worst == 0


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
    "V/3": ([[-1 / 6, 0.5], [0.5, -1 / 6]], [[1 / 6, 1 / 6, -0.5], [-0.5, 1 / 6, 1 / 6]]),
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
