"""Cells and tiles that a placed network takes, and those that its zero weights save."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwloop.steps.network.mapping.placement import Placement, place
from hwloop.steps.rows import Row, column


@dataclass(frozen=True, eq=False)
class TileRow(Row):
    """Occupation of one tile by blocks."""

    table: ClassVar[str] = "tiles"

    tile: int = column("1", "index of the tile")
    blocks: int = column("1", "blocks on it")
    cells: int = column("1", "cells of blocks")
    occupied: float = column("1", "fraction of its cells")


@dataclass(frozen=True, eq=False)
class PlacementRow(Row):
    """Cells and tiles of the network, and how many fewer than whole layers take."""

    table: ClassVar[str] = "placement"

    weights: int = column("1", "weights of all layers, biases among them")
    weights_left_out: int = column("1", "of these, weights of 0 that have no cells")
    cells: int = column("1", "cells of blocks")
    cells_saved: int = column("1", "cells fewer than those of whole layers")
    tiles: int = column("1", "tiles with a block")
    tiles_saved: int = column("1", "tiles fewer than those of whole layers")


def tile_rows(placement: Placement) -> Iterator[TileRow]:
    """Yield the occupation of each tile."""
    for tile in range(placement.tiles):
        blocks = [block for block in placement.blocks if block.tile == tile]
        cells = sum(block.cells for block in blocks)
        yield TileRow(tile, len(blocks), cells, cells / int(np.prod(placement.shape)))


def placement_row(placement: Placement, sizes: Sequence[tuple[int, int]]) -> PlacementRow:
    """Compare a placement of layers of ``sizes`` (rows, outputs) with that of the whole layers.

    Negative savings are possible: each kernel element has an offset column of its own.
    """
    whole = place(sizes, placement.blocks[0].arrangement, tiles=sys.maxsize, shape=placement.shape)
    weights = sum(rows * outputs for rows, outputs in sizes)
    placed = sum(len(block.rows) * len(block.outputs) for block in placement.blocks)
    cells, of_whole = (sum(b.cells for b in one.blocks) for one in (placement, whole))
    tiles, all_tiles = (len({b.tile for b in one.blocks}) for one in (placement, whole))
    return PlacementRow(
        weights, weights - placed, cells, of_whole - cells, tiles, all_tiles - tiles
    )
