"""One tile of an array, and the law of its cells for the circuit solver."""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType

import numpy as np
from typing_extensions import override

from hwloop.types import FloatArray
from hwloop_sim.cells.device import ConductingCells
from hwloop_sim.circuit import CellLaw


@dataclass(frozen=True)
class Tile:
    """Rows and columns of an array that are one circuit."""

    rows: slice
    cols: slice

    @property
    def place(self) -> tuple[EllipsisType, slice, slice]:
        """Return the index of this tile in a map (..., rows, cols)."""
        return (..., self.rows, self.cols)


@dataclass(frozen=True)
class TileLaw(CellLaw):
    """The current of a device's cells in a tile, as a law for the circuit solver.

    The slope is taken over a microvolt to either side. ``on``: (rows, 1), 0 where transistors keep
    the cells of a row off. ``vectors``: how many circuits there are of each array, next to each
    other.
    """

    cells: ConductingCells
    tile: Tile
    on: FloatArray | float = 1.0
    vectors: int = 1

    @override
    def at(self, conductance_s: FloatArray, cell_v: FloatArray) -> tuple[FloatArray, FloatArray]:
        step_v = 1e-6
        above_a, below_a = self._current_a(cell_v + step_v), self._current_a(cell_v - step_v)
        slope_conductance_s = np.maximum((above_a - below_a) / (2 * step_v), 1e-3 * conductance_s)
        return self._current_a(cell_v), slope_conductance_s * self.on

    def _current_a(self, cell_v: FloatArray) -> FloatArray:
        *population, rows, cols = self.cells.conductance_s.shape
        every_v = np.zeros((self.vectors, *population, rows, cols))
        own_v = cell_v.reshape(*population, self.vectors, *cell_v.shape[-2:])
        every_v[self.tile.place] = np.moveaxis(own_v, -3, 0)
        current_a = np.moveaxis(self.cells.current_a(every_v)[self.tile.place], 0, -3) * self.on
        return np.ascontiguousarray(current_a).reshape(cell_v.shape)
