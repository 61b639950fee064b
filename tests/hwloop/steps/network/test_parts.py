"""Parts of layers, written out by hand."""

from __future__ import annotations

import numpy as np

from hwloop.steps.network.mapping.placement import Part
from hwloop.steps.network.network import Matrix
from hwloop.steps.network.parts import parts_of


def element_first(weights: np.ndarray, *, bias: bool = False) -> Matrix:
    """Two channels of a kernel of 1 × 2: element 0 has rows 0 and 2, element 1 rows 1 and 3."""
    return Matrix("w", weights, bias, (2, 1, 2), loop="kernel_element")


def test_a_kernel_element_is_a_part_without_its_rows_and_outputs_of_zeros() -> None:
    weights = np.array([[1.0, 0, 0], [0, 0, 0], [0, 2, 0], [0, 0, 3]])
    parts = parts_of(element_first(weights), zeros="placed")
    assert parts == [Part((0, 2), (0, 1)), Part((3,), (2,))]


def test_the_bias_is_a_row_of_the_element_with_most_outputs() -> None:
    weights = np.array([[1.0, 0, 0], [0, 0, 0], [0, 2, 0], [0, 0, 3], [0, 5, 6]])
    parts = parts_of(element_first(weights, bias=True), zeros="placed")
    assert parts == [Part((0, 2, 4), (0, 1, 2)), Part((3,), (2,))]
    only_bias = np.zeros((5, 3))
    only_bias[4, 1] = 1.0
    parts = parts_of(element_first(only_bias, bias=True), zeros="placed")
    assert parts == [Part((4,), (1,))]


def test_outputs_that_need_different_rows_are_split_so_that_no_zero_is_placed() -> None:
    weights = np.array([[1.0, 0, 2, 0], [0, 3, 0, 0], [4, 0, 5, 0]])
    whole = Matrix("w", weights, False)
    assert parts_of(whole, zeros="left_out") == [Part((0, 1, 2), (0, 1, 2))]
    assert parts_of(whole, zeros="split") == [Part((0, 2), (0, 2)), Part((1,), (1,))]


def test_a_split_bias_is_placed_once_for_each_output() -> None:
    weights = np.array([[1.0, 0, 0], [0, 0, 0], [0, 2, 0], [0, 0, 3], [4, 5, 6]])
    parts = parts_of(element_first(weights, bias=True), zeros="split")
    assert parts == [Part((0, 4), (0,)), Part((2, 4), (1,)), Part((4,), (2,)), Part((3,), (2,))]
