"""Parts, tiles and cells of placed layers, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.errors import ConfigError
from hwloop.steps.network.mapping.occupation import placement_row, tile_rows
from hwloop.steps.network.mapping.parts import parts_of
from hwloop.steps.network.mapping.placement import Part, place
from hwloop.steps.network.network import Matrix


def element_first(weights: np.ndarray, *, bias: bool = False) -> Matrix:
    """Two channels of a kernel of 1 × 2: element 0 has rows 0 and 2, element 1 rows 1 and 3."""
    return Matrix("w", weights, bias, (2, 1, 2), loop="kernel_element")


def test_a_kernel_element_is_a_part_without_its_rows_and_outputs_of_zeros() -> None:
    weights = np.array([[1.0, 0, 0], [0, 0, 0], [0, 2, 0], [0, 0, 3]])
    parts = parts_of(element_first(weights), leave_out_zeros=False)
    assert parts == [Part((0, 2), (0, 1)), Part((3,), (2,))]


def test_the_bias_is_a_row_of_the_element_with_most_outputs() -> None:
    weights = np.array([[1.0, 0, 0], [0, 0, 0], [0, 2, 0], [0, 0, 3], [0, 5, 6]])
    parts = parts_of(element_first(weights, bias=True), leave_out_zeros=False)
    assert parts == [Part((0, 2, 4), (0, 1, 2)), Part((3,), (2,))]
    only_bias = np.zeros((5, 3))
    only_bias[4, 1] = 1.0
    parts = parts_of(element_first(only_bias, bias=True), leave_out_zeros=False)
    assert parts == [Part((4,), (1,))]


def test_occupation_of_tiles_is_counted_by_hand() -> None:
    # 5 × 3 weights in pairs on tiles of 4 × 6: 4 × 6 cells on the first, 1 × 6 on the second.
    placement = place([(5, 3)], "differential", tiles=3, shape=(4, 6))
    found = [(one.tile, one.blocks, one.cells, one.occupied) for one in tile_rows(placement)]
    assert found == [(0, 1, 24, 1.0), (1, 1, 6, 0.25), (2, 0, 0, 0.0)]


def test_savings_are_against_whole_layers() -> None:
    # Whole: 5 × 6 cells on two tiles of 4 × 6. Without row 1 and output 2: 4 × 4 on one.
    part = Part((0, 2, 3, 4), (0, 1))
    placement = place([(5, 3)], "differential", tiles=3, shape=(4, 6), parts=[[part]])
    row = placement_row(placement, [(5, 3)])
    assert (row.weights, row.weights_left_out) == (15, 7)
    assert (row.cells, row.cells_saved, row.tiles, row.tiles_saved) == (16, 14, 1, 1)


def test_a_network_of_zeros_that_are_left_out_is_refused() -> None:
    with pytest.raises(ConfigError, match="every weight is 0 and left out"):
        place([(2, 2)], "differential", tiles=1, shape=(4, 4), parts=[[]])
