"""Multiplication of one layer by the array: voltages in, sums out, every currents' flag looked at.

The blocks of a layer are one operation, in which those on different tiles are measured together. A
convolution hands its images over; its patches are gathered where they are multiplied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hwloop.array.blocks import BlockBatch, CellBlock, Keep, MovingWindow
from hwloop.array.operations import Flag, Reading
from hwloop.errors import StepError
from hwloop.messages import first_place
from hwloop.steps.array import Array
from hwloop.steps.network.mapping.mapping import WeightMap, differences
from hwloop.steps.network.mapping.placement import Block, Placement
from hwloop.steps.network.network import Matrix
from hwloop.types import FloatArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LayerBlocks:
    """One layer with its blocks, and how many tiles the array has: what an operation is made of."""

    matrix: Matrix
    blocks: tuple[Block, ...]
    tiles: int

    @property
    def cell_blocks(self) -> tuple[CellBlock, ...]:
        """Return the blocks as the array takes them."""
        return tuple(
            CellBlock(one.tile, one.top, one.left, one.width, one.rows) for one in self.blocks
        )

    @property
    def windows(self) -> MovingWindow | None:
        """Return the windows of a convolution."""
        if self.matrix.kernel is None:
            return None
        _, height, width = self.matrix.kernel
        return MovingWindow(height, width, self.matrix.padding, self.matrix.stride)

    def columns(self) -> list[slice]:
        """Return the columns of each block in the answer."""
        ends = np.cumsum([0, *(one.width for one in self.blocks)])
        return [slice(int(a), int(b)) for a, b in pairwise(ends)]

    def batch(
        self, x: FloatArray, *, per_unit_v: float, calibrate: bool = False, keep: Keep = "all"
    ) -> BlockBatch:
        """Return the operation for inputs (..., samples, …), a unit of which is ``per_unit_v``."""
        voltage_v = np.multiply(x, per_unit_v, order="C")
        voltage_v.setflags(write=False)  # so that it is not copied
        return BlockBatch(
            voltage_v,
            self.cell_blocks,
            self.tiles,
            self.windows,
            per_unit_v if self.matrix.bias else None,
            calibrate,
            keep,
        )

    def shaped(self, sums: FloatArray, batch: BlockBatch) -> FloatArray:
        """Return sums as the next layer takes them: of a convolution (..., images, out, h, w)."""
        if batch.windows is None:
            return sums
        shape = (*sums.shape[:-2], batch.samples, *batch.places, sums.shape[-1])
        return np.moveaxis(sums.reshape(shape), -1, -3)


@dataclass(frozen=True, eq=False)
class LayerOnTiles(LayerBlocks):
    """One layer with its blocks and its map, by which currents are sums."""

    mapped: WeightMap

    def sums(self, current_a: FloatArray, *, per_unit_v: float) -> FloatArray:
        """Return Σ x w, (..., vectors, outputs), of currents (..., vectors, columns), amperes."""
        slope_conductance_s = self.mapped.slope_conductance_s
        shape = (*current_a.shape[:-1], len(slope_conductance_s))
        sums = None
        together: dict[tuple[int, ...], list[slice]] = {}
        for block, own_columns in zip(self.blocks, self.columns(), strict=True):
            together.setdefault(block.outputs, []).append(own_columns)
        for outputs, columns in together.items():
            added_a = _added([current_a[..., one] for one in columns])
            signed_a = differences(added_a, self.mapped.arrangement)
            own = list(outputs)
            part = signed_a / (slope_conductance_s[own] * per_unit_v)
            if len(together) == 1 and own == list(range(shape[-1])):
                return part
            if sums is None:
                sums = np.zeros(shape)
            sums[..., _slice_of(own)] += part
        return np.zeros(shape) if sums is None else sums


def on_tiles(
    matrices: Sequence[Matrix], maps: Sequence[WeightMap], placement: Placement
) -> list[LayerOnTiles]:
    """Return every layer of a placed network."""
    return [
        LayerOnTiles(matrix, tuple(placement.of_layer(layer)), placement.tiles, mapped)
        for layer, (matrix, mapped) in enumerate(zip(matrices, maps, strict=True))
    ]


def measured(array: Array, layer: LayerOnTiles, batch: BlockBatch) -> FloatArray:
    """Return the currents of a batch; raises :class:`StepError` where one was not measured."""
    reading = array.backend.multiply_blocks(batch)
    if reading.flags.any():
        refuse_unmeasured(reading.flags, layer)
    return reading.current_a


def measured_or_held(
    array: Array, layer: LayerOnTiles, batch: BlockBatch
) -> tuple[FloatArray, IntArray]:
    """Return the currents of a batch, and how many conversions of each block were over range.

    Those have the level of the converter's end. Raises :class:`StepError` where a current was not
    measured for another reason, or no converter says at which end it was.
    """
    reading = array.backend.multiply_blocks(batch)
    if not reading.flags.any():
        return reading.current_a, np.zeros(len(layer.blocks), np.int64)
    if reading.codes is None or (reading.flags & ~np.uint8(Flag.OVER_RANGE)).any():
        refuse_unmeasured(reading.flags, layer)
    over = [int(np.count_nonzero(reading.flags[..., own])) for own in layer.columns()]
    return _held_a(reading), np.array(over)


def _held_a(reading: Reading) -> FloatArray:
    """Return the currents with those over range at their converter's end."""
    current_a = reading.current_a.copy()
    vectors = np.flatnonzero(
        reading.flags.any(axis=-1).reshape(-1, reading.flags.shape[-2]).any(axis=0)
    )
    if reading.codes is not None:
        current_a[..., vectors, :] = reading.codes.currents(vectors)
    return current_a


def refuse_unmeasured(flags: NDArray[np.uint8], layer: LayerOnTiles) -> None:
    """Raise :class:`StepError` that names tile and column of the first flagged current."""
    for block, own in zip(layer.blocks, layer.columns(), strict=True):
        wrong = flags[..., own] != 0
        if not wrong.any():
            continue
        column = block.left + first_place(wrong)[-1]
        most_conductance_s = len(block.rows) * float(layer.mapped.conductance_s.max())
        raise StepError(
            f"layer {layer.matrix.name}: tile {block.tile}, column {column}: the current could not"
            f" be measured ({wrong.sum()} of {wrong.size}, over-range or compliance): raise"
            f" limits.current_a or lower read.read_v; a column of {len(block.rows)} cells gives up"
            f" to {most_conductance_s:.3g} S"
        )


def _added(parts: list[FloatArray]) -> FloatArray:
    """Return the sum of parts, added in order; of a single one, the part itself."""
    first, *others = parts
    if not others:
        return first
    added = first + others[0]
    for part in others[1:]:
        added += part
    return added


def _slice_of(outputs: list[int]) -> slice | list[int]:
    """Return outputs in order as a slice, which is written to without a copy."""
    first = outputs[0]
    if outputs == list(range(first, first + len(outputs))):
        return slice(first, first + len(outputs))
    return outputs
