"""Hadamard matrices and the patterns made of them: exact, and free of offsets."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import hadamard as of_scipy

from hwloop.steps.program.verify.hadamard_matrices import (
    hadamard,
    signed_patterns,
    unsigned_patterns,
)

SIZES = (*range(1, 40), 63, 64, 91, 127, 128, 200)


@pytest.mark.parametrize("least", SIZES)
def test_columns_are_orthogonal_and_the_order_is_no_smaller_than_asked(least: int) -> None:
    matrix = hadamard(least)
    order = len(matrix)
    assert least <= order <= least + 11
    assert set(np.unique(matrix)) <= {-1.0, 1.0}
    np.testing.assert_array_equal(matrix.T @ matrix, order * np.eye(order))


def test_orders_are_those_of_sylvester_and_paley_and_their_doubles() -> None:
    # By hand: 12 = 11 + 1, 36 = 2 (17 + 1), 92 is of none of these kinds, 96 = 8 · 12.
    assert [len(hadamard(n)) for n in (2, 3, 5, 9, 33, 89, 92)] == [2, 4, 8, 12, 36, 96, 96]


def test_a_power_of_two_is_as_good_as_scipys() -> None:
    ours, theirs = hadamard(16), of_scipy(16).astype(np.float64)
    assert abs(np.linalg.det(ours)) == pytest.approx(abs(np.linalg.det(theirs)))


@pytest.mark.parametrize("cells", SIZES)
def test_patterns_are_decoded_exactly_and_their_noise_is_that_of_the_books(cells: int) -> None:
    order = len(hadamard(cells + 1))
    # Variance of a cell for a meter of variance 1: Harwit and Sloane, sections 3.1 and 3.2.
    for make, variance in (
        (signed_patterns, 1 / order),
        (unsigned_patterns, 4 * (order - 1) / order**2),
    ):
        matrix, decoding = make(cells)
        np.testing.assert_allclose(decoding @ matrix, np.eye(cells), atol=1e-12)
        np.testing.assert_allclose(np.square(decoding).sum(axis=1), variance, rtol=1e-12)


def test_signed_patterns_take_out_an_offset_and_zero_one_patterns_divide_it() -> None:
    _, decoding = signed_patterns(19)
    np.testing.assert_allclose(decoding.sum(axis=1), 0, atol=1e-12)
    matrix, decoding = unsigned_patterns(19)
    assert set(np.unique(matrix)) == {0.0, 1.0}
    np.testing.assert_allclose(decoding.sum(axis=1), 2 / 20, rtol=1e-12)


@pytest.mark.parametrize("cells", [31, 63, 127])
def test_no_signed_pattern_adds_the_currents_of_more_than_half_of_equal_cells(cells: int) -> None:
    matrix, _ = signed_patterns(cells)
    assert np.abs(matrix.sum(axis=1)).max() <= cells / 2
