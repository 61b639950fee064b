"""Tiles and cells of placed layers, counted by hand."""

from __future__ import annotations

import pytest

from hwloop.errors import ConfigError
from hwloop.steps.network.mapping.occupation import placement_row, tile_rows
from hwloop.steps.network.mapping.placement import Part, place


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
