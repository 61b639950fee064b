"""Placement of layers on tiles: blocks, partial sums, and swaps around faults.

A layer's map (rows, cols) is cut into blocks that fit a tile; a pair of columns, or a column and
its offset, is never parted. Blocks are put side by side on a shelf of a tile while there is room,
then on the next shelf, then on the next tile; blocks of several layers may share a tile. The
partial sums of the blocks of an output are added as numbers. A layer may be placed in parts
(see :class:`Part`); weights in none of them have no cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwloop.errors import ConfigError
from hwloop.steps.network.mapping.mapping import (
    Arrangement,
    WeightMap,
    cols_besides,
    cols_each,
    differences,
)
from hwloop.types import BoolArray, FloatArray


@dataclass(frozen=True)
class Part:
    """Rows and outputs of a layer, by index, that are placed together."""

    rows: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Block:
    """Part of a layer, and its place on a tile.

    ``top``, ``left``: first row and column on the tile. ``rows``, ``outputs``: of the layer, by
    index, in the order of their places. ``arrangement``: determines the columns of an output, and
    whether the block ends with an offset column.
    """

    layer: int
    tile: int
    top: int
    left: int
    rows: tuple[int, ...]
    outputs: tuple[int, ...]
    arrangement: Arrangement = "differential"

    @property
    def width(self) -> int:
        """Return the number of columns on the tile."""
        return cols_each(self.arrangement) * len(self.outputs) + cols_besides(self.arrangement)

    @property
    def cells(self) -> int:
        """Return the number of its cells."""
        return len(self.rows) * self.width

    @property
    def place(self) -> tuple[slice, slice]:
        """Return the slices of rows and columns on the tile."""
        return (
            slice(self.top, self.top + len(self.rows)),
            slice(self.left, self.left + self.width),
        )

    def columns(self, cols_of_layer: int) -> list[int]:
        """Return the indices of the columns of the layer's map in this block, in order."""
        each, besides = cols_each(self.arrangement), cols_besides(self.arrangement)
        own = [each * output + part for output in self.outputs for part in range(each)]
        return own + list(range(cols_of_layer - besides, cols_of_layer))


@dataclass(frozen=True)
class Placement:
    """Blocks of every layer on ``tiles`` tiles of ``shape`` (rows, cols)."""

    blocks: tuple[Block, ...]
    tiles: int
    shape: tuple[int, int]

    def of_layer(self, layer: int) -> list[Block]:
        """Return the blocks of one layer."""
        return [block for block in self.blocks if block.layer == layer]

    def holds(self, layer: int, size: tuple[int, int]) -> BoolArray:
        """Return whether each weight (rows, outputs) of a layer of that size has cells."""
        held = np.zeros(size, dtype=np.bool_)
        for block in self.of_layer(layer):
            held[np.ix_(block.rows, block.outputs)] = True
        return held

    def on_tiles(self, maps: Sequence[FloatArray]) -> FloatArray:
        """Return layer maps (rows, cols) on their tiles, (tiles, rows, cols); NaN elsewhere."""
        out = np.full((self.tiles, *self.shape), np.nan)
        for block in self.blocks:
            layer = maps[block.layer]
            cols = block.columns(layer.shape[1])
            out[(block.tile, *block.place)] = layer[np.ix_(block.rows, cols)]
        return out

    def layer_map(self, on_tiles: FloatArray, layer: int, shape: tuple[int, int]) -> FloatArray:
        """Return the map (..., rows, cols) of one layer from (..., tiles, rows, cols).

        If an offset column is on several tiles, that of the last block is returned.
        """
        out = np.full((*on_tiles.shape[:-3], *shape), np.nan)
        for block in self.of_layer(layer):
            cols = block.columns(shape[1])
            rows = np.array(block.rows)[:, None]
            out[..., rows, cols] = on_tiles[(..., block.tile, *block.place)]
        return out


def place(
    sizes: Sequence[tuple[int, int]],
    arrangement: Arrangement,
    *,
    tiles: int,
    shape: tuple[int, int],
    parts: Sequence[Sequence[Part]] | None = None,
) -> Placement:
    """Place layers of ``sizes`` (rows, outputs) on tiles of ``shape`` (rows, cols).

    ``parts``: of each layer, placed in blocks of their own; whole layers if left out. Raises
    :class:`ConfigError` naming the sizes where they do not fit, or where the parts are empty.
    """
    each, besides = cols_each(arrangement), cols_besides(arrangement)
    most = (shape[1] - besides) // each
    if most < 1:
        raise ConfigError(
            f"a tile of {shape[0]} × {shape[1]} has no room for one {arrangement} output"
        )
    blocks: list[Block] = []
    shelf = _Shelf(shape)
    if parts is None:
        parts = [[Part(tuple(range(rows)), tuple(range(outputs)))] for rows, outputs in sizes]
    for layer, part in ((layer, part) for layer, own in enumerate(parts) for part in own):
        for first in range(0, len(part.outputs), most):
            outputs = part.outputs[first : first + most]
            for top in range(0, len(part.rows), shape[0]):
                rows = part.rows[top : top + shape[0]]
                corner = shelf.take(len(rows), each * len(outputs) + besides)
                blocks.append(Block(layer, *corner, rows, outputs, arrangement))
    if not blocks:
        raise ConfigError("every weight is 0 and left out: there is nothing to place", key="zeros")
    needed = shelf.tile + 1
    if needed > tiles:
        names = ", ".join(f"{size[0]} × {size[1]}" for size in sizes)
        raise ConfigError(
            f"the network (layers of {names} weights, {arrangement}) needs {needed} tiles of"
            f" {shape[0]} × {shape[1]}; there are {tiles}: raise array.tiles",
            key="array.tiles",
        )
    return Placement(tuple(blocks), tiles, shape)


class _Shelf:
    """Packing of blocks side by side, shelf under shelf, tile after tile."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        self.tile = self._top = self._left = self._height = 0

    def take(self, rows: int, cols: int) -> tuple[int, int, int]:
        """Reserve room for a block; return tile, row and column of its corner."""
        if self._left + cols > self._shape[1] or self._top + rows > self._shape[0]:
            self._top, self._left, self._height = self._top + self._height, 0, 0
            if self._top + rows > self._shape[0]:
                self.tile, self._top = self.tile + 1, 0
        found = (self.tile, self._top, self._left)
        self._left += cols
        self._height = max(self._height, rows)
        return found


def fault_cost(targets_conductance_s: FloatArray, stuck_conductance_s: FloatArray) -> float:
    """Return Σ |G_target − G_stuck| over stuck cells, siemens.

    ``stuck_conductance_s``: NaN where a cell is healthy.
    """
    return float(np.nansum(np.abs(targets_conductance_s - stuck_conductance_s)))


def around_faults(
    placement: Placement, maps: Sequence[FloatArray], stuck_conductance_s: FloatArray
) -> Placement:
    """Permute the rows, then the outputs, of each block so that stuck cells do least harm.

    ``stuck_conductance_s``: (tiles, rows, cols), conductance where a cell is stuck, NaN elsewhere.
    The order of rows, and then of outputs, of each block is the assignment of least Σ |G_target −
    G_stuck| (Hungarian method); the inputs and outputs are permuted with them, so nothing else
    changes.
    """
    return Placement(
        tuple(
            _around(block, maps[block.layer], stuck_conductance_s[block.tile])
            for block in placement.blocks
        ),
        placement.tiles,
        placement.shape,
    )


def beside_faults(
    placement: Placement,
    maps: Sequence[WeightMap],
    stuck_conductance_s: FloatArray,
    span_conductance_s: tuple[float, float],
) -> tuple[WeightMap, ...]:
    """Compensate each stuck cell of a pair by the conductance of the other cell.

    The other cell gets the conductance whose difference from ``stuck_conductance_s`` (tiles, rows,
    cols) is that of the weight, or the nearest end of ``span_conductance_s``. Arrangements without
    pairs are unchanged.
    """
    return tuple(
        _beside(
            mapped,
            placement.layer_map(stuck_conductance_s, layer, mapped.conductance_s.shape),
            span_conductance_s,
        )
        for layer, mapped in enumerate(maps)
    )


def _beside(
    mapped: WeightMap, stuck_conductance_s: FloatArray, span_conductance_s: tuple[float, float]
) -> WeightMap:
    if cols_each(mapped.arrangement) == 1 or not np.isfinite(stuck_conductance_s).any():
        return mapped
    made_conductance_s = mapped.conductance_s.copy()
    signed_conductance_s = differences(made_conductance_s, mapped.arrangement)
    plus_conductance_s, minus_conductance_s = (
        stuck_conductance_s[:, 0::2],
        stuck_conductance_s[:, 1::2],
    )
    plus, minus = np.isfinite(plus_conductance_s), np.isfinite(minus_conductance_s)
    for healthy, wanted_conductance_s, stuck in (
        (made_conductance_s[:, 1::2], plus_conductance_s - signed_conductance_s, plus & ~minus),
        (made_conductance_s[:, 0::2], minus_conductance_s + signed_conductance_s, minus & ~plus),
    ):
        healthy[stuck] = np.clip(wanted_conductance_s, *span_conductance_s)[stuck]
    return replace(mapped, conductance_s=made_conductance_s)


def harm_left(
    placement: Placement,
    wanted: Sequence[WeightMap],
    held: Sequence[WeightMap],
    stuck_conductance_s: FloatArray,
) -> float:
    """Return Σ |weight as wanted − as held| in siemens, stuck cells included."""
    total = 0.0
    for layer, (before, after) in enumerate(zip(wanted, held, strict=True)):
        here_conductance_s = placement.layer_map(
            stuck_conductance_s, layer, before.conductance_s.shape
        )
        real_conductance_s = np.where(
            np.isfinite(here_conductance_s), here_conductance_s, after.conductance_s
        )
        signed_conductance_s = differences(before.conductance_s, before.arrangement)
        total += float(
            np.abs(differences(real_conductance_s, before.arrangement) - signed_conductance_s).sum()
        )
    return total


def _around(block: Block, layer: FloatArray, stuck_conductance_s: FloatArray) -> Block:
    here_conductance_s = stuck_conductance_s[block.place]
    faulty: BoolArray = np.isfinite(here_conductance_s)
    if not faulty.any():
        return block
    held = layer[np.ix_(block.rows, block.columns(layer.shape[1]))]
    order = _assigned(held, here_conductance_s)
    rows = tuple(block.rows[i] for i in order)
    held = held[order]
    # Outputs as wholes: a pair of columns stays a pair, the offset column stays last.
    width = cols_each(block.arrangement)
    wide = width * len(block.outputs)

    def by_output(values: FloatArray) -> FloatArray:
        parts = values[:, :wide].reshape(len(rows), len(block.outputs), width)
        return parts.transpose(1, 0, 2).reshape(len(block.outputs), -1)

    outputs = tuple(
        block.outputs[i] for i in _assigned(by_output(held), by_output(here_conductance_s))
    )
    return replace(block, rows=rows, outputs=outputs)


def _assigned(held_conductance_s: FloatArray, stuck_conductance_s: FloatArray) -> list[int]:
    """Return the line of ``held_conductance_s`` for each line of ``stuck_conductance_s``.

    Both have the shape (lines, entries).
    """
    from scipy.optimize import linear_sum_assignment

    faulty = np.isfinite(stuck_conductance_s)
    cost = np.zeros((len(stuck_conductance_s), len(held_conductance_s)))
    for line in np.flatnonzero(faulty.any(axis=1)):
        at = faulty[line]
        cost[line] = np.abs(held_conductance_s[:, at] - stuck_conductance_s[line, at]).sum(axis=1)
    # Prefer the present place at equal cost, so that a healthy row is not moved.
    cost -= 1e-12 * float(cost.max(initial=0.0) or 1.0) * np.eye(*cost.shape)
    _, chosen = linear_sum_assignment(cost)
    return [int(i) for i in chosen]
