"""Voltages at the terminals: their shapes, and the lines that float."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hwloop.messages import first_place
from hwloop.types import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class Terminals:
    """Vectors for every array: ``row_v`` (arrays, vectors, rows), ``col_v`` likewise, volts.

    ``shape``: leading axes of the solution, (*population, *batch). ``floating``: whether any line
    floats in any vector.
    """

    row_v: FloatArray
    col_v: FloatArray
    shape: tuple[int, ...]
    floating: bool

    @property
    def jobs(self) -> int:
        """Return the number of vectors in all arrays."""
        return int(self.row_v.shape[0] * self.row_v.shape[1])


def terminals(shape: tuple[int, ...], row_v: ArrayLike, col_v: ArrayLike) -> Terminals:
    """Bring the voltages into shape for arrays of ``shape`` (*population, rows, cols).

    ``row_v``: volts for every row, (rows,), (batch, rows) or (*population, batch, rows); NaN for a
    line that floats. ``col_v`` likewise; one number stands for every column.
    """
    *population, rows, cols = shape
    row, row_batch, rows_float = _vectors(row_v, rows, tuple(population), "row_v")
    col, col_batch, cols_float = _vectors(col_v, cols, tuple(population), "col_v")
    batch = row_batch or col_batch
    counts = {b for b in (*row_batch, *col_batch) if b != 1}
    if len(counts) > 1:
        raise ValueError(f"row_v has {row_batch[0]} vectors, col_v has {col_batch[0]}")
    vectors = counts.pop() if counts else 1
    arrays = math.prod(population)
    return Terminals(
        _spread(row, (*population, vectors, rows), arrays),
        _spread(col, (*population, vectors, cols), arrays),
        (*population, *((vectors,) if batch else ())),
        rows_float or cols_float,
    )


def _spread(values: FloatArray, shape: tuple[int, ...], arrays: int) -> FloatArray:
    if values.shape != shape:
        values = np.broadcast_to(values, shape)
    return np.ascontiguousarray(values).reshape(arrays, *shape[-2:])


def _vectors(
    values: ArrayLike, lines: int, population: tuple[int, ...], name: str
) -> tuple[FloatArray, tuple[int, ...], bool]:
    """Return (..., vectors, lines), the batch axis if there was one, and whether a line floats."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0:
        array = np.full(lines, array)
    batch = array.shape[-2:-1] if array.ndim > 1 else ()
    if array.shape[-1] != lines or array.shape[:-2] not in ((), population):
        wanted = f"({lines},), (batch, {lines})"
        if population:
            wanted += f" or (*{population}, batch, {lines})"
        raise ValueError(f"{name} has shape {array.shape}; needs {wanted}")
    floating = not np.isfinite(array).all()
    if floating and np.isinf(array).any():
        place = first_place(np.isinf(array))
        raise ValueError(f"{name} at {place} is {array[place]}: a voltage, or NaN to float")
    return (array if batch else array[np.newaxis, :]), batch, floating


def cut_off(conductance_s: FloatArray, rows_float: BoolArray, cols_float: BoolArray) -> BoolArray:
    """Return the lines without any path to a terminal, (rows + cols,): their voltage is undefined.

    ``conductance_s``: (rows, cols); a cell of 0 S is no path.
    """
    joined = conductance_s > 0
    rows, cols = ~rows_float, ~cols_float
    while True:
        more_cols = cols | joined[rows].any(axis=0)
        more_rows = rows | joined[:, more_cols].any(axis=1)
        if (more_rows == rows).all() and (more_cols == cols).all():
            return np.concatenate([~rows, ~cols])
        rows, cols = more_rows, more_cols
