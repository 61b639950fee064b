"""Conductances of cells, each by a read of its own or decoded from patterns over its column.

Patterns. A read of one cell after the other measures a column of N cells N times, with the noise of
the meter in full on each. Here every measurement is a sum over the column: the rows are driven by
the patterns of a Hadamard matrix of order m > N, the array multiplies, and the inverse of the
matrix gives the cells. Noise of the meter has the variance σ²/m then in place of σ². Our reading of
the verification in arXiv:2604.12420, after the weighing of Harwit and Sloane.

Where reads are of both polarities, the rows are at ± read_v, and what is decoded is (I(v) −
I(−v)) / 2 of each cell, as of its read. Where they are of one, the rows are at read_v or 0 V, an
S-matrix, and it is I(v): no cell sees the other polarity; then the variance is 4 σ²/m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np

from hwloop.array.operations import Flag, Reading, VectorBatch
from hwloop.array.settings import ArraySettings, ReadSettings
from hwloop.backend.base import CrossbarBackend, Description
from hwloop.steps.array import Array
from hwloop.steps.common.cells import read_of, unmeasured
from hwloop.steps.contract import PlannedOperation
from hwloop.steps.program.cell_table import IntArray
from hwloop.steps.program.verify.hadamard_matrices import signed_patterns, unsigned_patterns
from hwloop.types import BoolArray, FloatArray

Verify = Literal["single", "hadamard"]
"""Name of a way to read the cells that are programmed."""


class VerifyReads(Protocol):
    """Interface of a way to read cells.

    ``own_reads``: whether each cell has a read of its own, as a ramp has.
    """

    @property
    def own_reads(self) -> bool:
        """Return whether each cell has a read of its own."""

    def seen(self, index: IntArray) -> tuple[FloatArray, BoolArray]:
        """Read cells by their flat places: siemens, NaN where one could not be read, and which."""


@dataclass(frozen=True)
class SingleReads:
    """A read of each cell, as the array's settings say."""

    array: Array
    own_reads: bool = True

    def seen(self, index: IntArray) -> tuple[FloatArray, BoolArray]:
        """Read cells by their flat places: siemens, NaN where one could not be read, and which."""
        shape = self.array.backend.description.shape
        mask = np.zeros(math.prod(shape), np.bool_)
        mask[index] = True
        read = read_of(self.array.settings, mask.reshape(shape))
        return taken(self.array, index, self.array.backend.read(read))


@dataclass(frozen=True)
class PatternReads:
    """Reads of all cells of some rows by the products of patterns over them.

    ``rows``: those that are driven; the others are at 0 V. Currents of columns over range or at
    compliance leave every cell of the column without a number. Known resistors of a bench are not
    corrected for.
    """

    array: Array
    rows: IntArray
    own_reads: bool = False

    @cached_property
    def _patterns(self) -> tuple[VectorBatch, FloatArray]:
        return patterns(self.rows, self.array.geometry.rows, self.array.settings.read)

    def seen(self, index: IntArray) -> tuple[FloatArray, BoolArray]:
        """Read cells by their flat places: siemens, NaN where one could not be read, and which."""
        batch, decoding = self._patterns
        reading = self.array.backend.multiply(batch)
        shape = self.array.backend.description.shape
        read_v = self.array.settings.read.read_v
        conductance_s = np.full(shape, np.nan)
        conductance_s[..., self.rows, :] = decoding @ reading.current_a / read_v
        spoilt = reading.flags & np.uint8(Flag.OVER_RANGE | Flag.COMPLIANCE) != 0
        lost = (spoilt | np.isnan(reading.current_a)).any(axis=-2, keepdims=True)
        failed: BoolArray = np.broadcast_to(lost, shape).ravel()[index]
        return np.where(failed, np.nan, conductance_s.ravel()[index]), failed


def patterns(rows: IntArray, all_rows: int, read: ReadSettings) -> tuple[VectorBatch, FloatArray]:
    """Return the voltages of an array's rows, and the matrix that gives cells · volts of them.

    ``rows``: those that are driven; at least one. The matrix: (driven rows, vectors).
    """
    make = signed_patterns if read.both_polarities else unsigned_patterns
    matrix, decoding = make(len(rows))
    voltage_v = np.zeros((len(matrix), all_rows))
    voltage_v[:, rows] = matrix * read.read_v
    return VectorBatch(voltage_v), decoding


def cell_reads(verify: Verify, array: Array, wanted: BoolArray) -> VerifyReads:
    """Return the way to read the cells of ``wanted``, (..., rows, cols)."""
    rows = np.flatnonzero(wanted.reshape(-1, *wanted.shape[-2:]).any(axis=(0, 2)))
    if verify == "single" or not rows.size:
        return SingleReads(array)
    return PatternReads(array, rows)


def planned_patterns(array: ArraySettings, mask: BoolArray, at_most: int) -> PlannedOperation:
    """Return the planned patterns over the rows of ``mask``, (rows, cols), ``at_most`` times."""
    rows = np.flatnonzero(mask.any(axis=-1))
    if not rows.size:  # nothing is programmed
        return PlannedOperation(read_of(array, mask), at_most)
    batch, _ = patterns(rows, array.rows, array.read)
    return PlannedOperation(batch, at_most)


def gains_nothing(description: Description, read: ReadSettings) -> str:
    """Return a message where the patterns are sums of single reads; "" where they are measured."""
    if description.multiply != "superposition":
        return ""
    summed = "verify hadamard: this array adds up single reads, so patterns gain nothing"
    if read.both_polarities:
        return summed
    return f"{summed} but where a meter measures all driven rows of a column at once"


def pattern_remark(backend: CrossbarBackend, *, read: ReadSettings, rows: int) -> str:
    """Return what a preview says of patterns over so many rows."""
    make = signed_patterns if read.both_polarities else unsigned_patterns
    count = len(make(rows)[0])
    shown = f"verify hadamard: {count} products over {rows} rows in place of reads of single cells"
    return gains_nothing(backend.description, read) or shown


def taken(array: Array, index: IntArray, reading: Reading) -> tuple[FloatArray, BoolArray]:
    """Return the conductances of cells in a reading, NaN where it has none, and which of them."""
    of_cells = Reading(reading.current_a.ravel().take(index), reading.flags.ravel().take(index))
    failed = unmeasured(of_cells)
    if array.backend.description.read_path is None:  # then each cell by itself
        seen_conductance_s = array.conductance_s(of_cells)
    else:
        seen_conductance_s = array.conductance_s(reading).ravel().take(index)
    if failed.any():
        seen_conductance_s[failed] = np.nan
    return seen_conductance_s, failed
