"""An array seen from its columns: rows and columns exchanged, and the voltage of each cell turned.

Driven from the columns, a cell has its column above its row. The circuit is the same one: lines,
terminals and tiles exchange their names, so that whatever multiplies by the rows multiplies by the
columns of the array as it is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from hwloop.types import FloatArray
from hwloop_sim.cells.device import ConductingCells
from hwloop_sim.cells.effect import ReadNoise
from hwloop_sim.circuit import Wires
from hwloop_sim.circuit.wires import ColEnds, RowEnds
from hwloop_sim.emulator.readout import ConverterSettings, Tiles

_ROW_ENDS: dict[ColEnds, RowEnds] = {"top": "left", "bottom": "right", "both": "both"}
_COL_ENDS: dict[RowEnds, ColEnds] = {"left": "top", "right": "bottom", "both": "both"}


class TransposedCells(ConductingCells):
    """Cells with rows and columns exchanged, (..., cols, rows); positive: column above row."""

    def __init__(self, cells: ConductingCells) -> None:
        self._cells = cells
        self._known_conductance_s: FloatArray | None = None
        self._transposed_conductance_s = np.empty((0, 0))

    @property
    @override
    def conductance_s(self) -> FloatArray:
        conductance_s = self._cells.conductance_s
        if conductance_s is not self._known_conductance_s:
            # The same array for the same state: what depends on it is kept by those who use it.
            self._known_conductance_s = conductance_s
            self._transposed_conductance_s = transposed(conductance_s)
        return self._transposed_conductance_s

    @property
    @override
    def linear(self) -> bool:
        return self._cells.linear

    @override
    def current_a(self, voltage_v: FloatArray) -> FloatArray:
        return -transposed(self._cells.current_a(-transposed(voltage_v)))


class TransposedNoise(ReadNoise):
    """The noise of reading cells, for cells with rows and columns exchanged."""

    def __init__(self, noise: ReadNoise) -> None:
        self._noise = noise

    @override
    def conductance_variance_s2(self, conductance_s: FloatArray) -> FloatArray:
        return transposed(self._noise.conductance_variance_s2(transposed(conductance_s)))

    @override
    def add(
        self,
        current_a: FloatArray,
        variance: NDArray[np.floating],
        *,
        unit_a2: float,
        reads: int,
    ) -> None:
        self._noise.add(current_a, variance, unit_a2=unit_a2, reads=reads)


def transposed(values: FloatArray) -> FloatArray:
    """Return a map with rows and columns exchanged, (..., rows, cols) → (..., cols, rows)."""
    return np.ascontiguousarray(np.swapaxes(values, -1, -2))


def transposed_wires(wires: Wires | None) -> Wires | None:
    """Return the resistances of the same lines and terminals, rows and columns exchanged."""
    if wires is None:
        return None
    return replace(
        wires,
        row_ohm=wires.col_ohm,
        col_ohm=wires.row_ohm,
        driver_ohm=wires.sense_ohm,
        sense_ohm=wires.driver_ohm,
        row_ends=_ROW_ENDS[wires.col_ends],
        col_ends=_COL_ENDS[wires.row_ends],
    )


def transposed_converters(settings: ConverterSettings) -> ConverterSettings:
    """Return the same converters, the DACs at the columns and the ADCs at the rows."""
    tiles = Tiles(rows=settings.tiles.cols, cols=settings.tiles.rows)
    return settings.model_copy(update={"tiles": tiles})
