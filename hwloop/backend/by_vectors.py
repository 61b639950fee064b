"""Multiplication of blocks by vectors for whole tiles: what every backend can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from hwloop.array.blocks import BlockBatch, CellBlock
from hwloop.array.operations import MOST_ENTRIES, Reading, VectorBatch
from hwloop.types import FloatArray


def by_vectors(
    batch: BlockBatch, shape: tuple[int, ...], multiply: Callable[[VectorBatch], Reading]
) -> Reading:
    """Return the answer to a batch of blocks, from ``multiply`` for an array of ``shape``.

    ``shape``: (..., rows, cols), with the axis of tiles in front of the rows where there are some.
    """
    shape = _seen(batch, shape)
    outer = shape[: -3 if batch.tiles > 1 else -2]
    whole = (*outer, batch.vectors, batch.columns)
    answer = Reading(np.full(whole, np.nan), np.zeros(whole, np.uint8))
    for part, driven, vectors in _parts(batch, shape):
        found = multiply(vectors)
        tiled = batch.tiles > 1
        current_a = found.current_a if tiled else found.current_a[..., None, :, :]
        flags = found.flags if tiled else found.flags[..., None, :, :]
        for column, block in driven:
            own = slice(column, column + block.width)
            answer.current_a[..., part, own] = current_a[..., block.tile, :, block.col_slice]
            answer.flags[..., part, own] = flags[..., block.tile, :, block.col_slice]
    return answer


def whole_tiles(batch: BlockBatch, shape: tuple[int, ...]) -> Iterator[VectorBatch]:
    """Yield the vectors for whole tiles that a batch of blocks comes to."""
    for _, _, vectors in _parts(batch, _seen(batch, shape)):
        yield vectors


def _seen(batch: BlockBatch, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the array as it is seen from the driven lines: they count as rows."""
    *outer, rows, cols = shape
    return shape if batch.driven == "rows" else (*outer, cols, rows)


def _parts(
    batch: BlockBatch, shape: tuple[int, ...]
) -> Iterator[tuple[slice, tuple[tuple[int, CellBlock], ...], VectorBatch]]:
    down, across = batch.places
    each = int(np.prod(shape[:-1])) * down * across
    samples = max(1, MOST_ENTRIES // each)
    for part, row_v in batch.pieces(samples):
        for driven in batch.rounds:
            on_tiles_v = _on_tiles(batch, driven, row_v, shape)
            yield part, driven, VectorBatch(on_tiles_v, batch.driven)


def _on_tiles(
    batch: BlockBatch,
    driven: tuple[tuple[int, CellBlock], ...],
    row_v: FloatArray,
    shape: tuple[int, ...],
) -> FloatArray:
    """Return vectors (..., tiles, n, rows) with each block driven on its tile, volts."""
    *outer, vectors, _ = row_v.shape
    if batch.tiles > 1:
        # The guard takes vectors for one array, or for each array of the population and each tile.
        outer = list(shape[:-3])
    on_tiles_v = np.zeros((*outer, batch.tiles, vectors, shape[-2]))
    for _, block in driven:
        on_tiles_v[..., block.tile, :, block.row_slice] = row_v[..., list(block.rows)]
    return on_tiles_v if batch.tiles > 1 else on_tiles_v[..., 0, :, :]
