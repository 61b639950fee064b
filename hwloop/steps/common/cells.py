"""Chosen cells, their groups, and reads in which every cell was measured."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.array.operations import Flag, Reading, ReadMap
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError, StepError
from hwloop.messages import cell_names
from hwloop.steps.array import Array
from hwloop.steps.contract import PlannedOperation
from hwloop.types import BoolArray, FloatArray

Cells = tuple[tuple[int, int], ...]
"""Cells as (row, column), counted from 0."""


def chosen(cells: Cells | None, shape: tuple[int, int]) -> BoolArray:
    """Return the mask (rows, cols) of ``cells``, all if None.

    Raises :class:`ConfigError` for a cell outside the array, or an empty list.
    """
    if cells is None:
        return np.ones(shape, dtype=np.bool_)
    mask = np.zeros(shape, dtype=np.bool_)
    for row, col in cells:
        if not (0 <= row < shape[0] and 0 <= col < shape[1]):
            raise ConfigError(
                f"cell ({row}, {col}) is not in the array of {shape[0]} × {shape[1]}", key="cells"
            )
        mask[row, col] = True
    if not mask.any():
        raise ConfigError("no cell is given; leave the key out for all", key="cells")
    return mask


def groups(array: Array, cells: Cells | None) -> Iterator[BoolArray]:
    """Yield masks of the chosen cells in the backend's groups; finish one before the next."""
    mask = chosen(cells, array.geometry.shape)
    for group in array.backend.groups():
        if (group & mask).any():
            yield group & mask


def read_of(array: ArraySettings, mask: BoolArray) -> ReadMap:
    """Return the read of the cells of ``mask`` as the array's settings say."""
    return ReadMap(mask, array.read.read_v, array.read.both_polarities)


def conductance_s(array: Array, mask: BoolArray, *, step: str) -> FloatArray:
    """Measure the cells of ``mask``, (..., rows, cols), siemens; NaN for the others.

    Raises :class:`StepError` where a cell of ``mask`` could not be measured.
    """
    reading = array.backend.read(read_of(array.settings, mask))
    measured_a(reading, step=step)
    return array.conductance_s(reading)


def measured_a(reading: Reading, *, step: str) -> FloatArray:
    """Return the currents of a reading; raises :class:`StepError` if one was not measured."""
    failed = unmeasured(reading)
    if failed.any():
        raise StepError(
            f"{step}: {', '.join(cell_names(failed))}: could not be measured (over-range or"
            " compliance): raise limits.current_a or lower the read voltage"
        )
    return reading.current_a


def unmeasured(reading: Reading) -> BoolArray:
    """Return where an addressed cell gave no number, or is at compliance, (..., rows, cols)."""
    spoilt = reading.flags & np.uint8(Flag.OVER_RANGE | Flag.COMPLIANCE) != 0
    addressed = reading.flags & np.uint8(Flag.NOT_ADDRESSED) == 0
    failed: BoolArray = addressed & (np.isnan(reading.current_a) | spoilt)
    return failed


def planned_read(array: ArraySettings, cells: Cells | None, at_most: int) -> PlannedOperation:
    """Return the planned read of the chosen cells, ``at_most`` times."""
    return PlannedOperation(read_of(array, chosen(cells, array.geometry.shape)), at_most)


def filled(into: FloatArray | None, values: FloatArray, mask: BoolArray) -> FloatArray:
    """Return ``into`` with the cells of ``mask`` from ``values``, both (..., rows, cols)."""
    return np.where(mask, values, np.nan if into is None else into)
