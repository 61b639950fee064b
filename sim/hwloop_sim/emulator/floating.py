"""Cells read one by one between two driven lines, while all other lines float.

The current of a read is that of the cell and of every sneak path beside it. A product is the sum of
such reads, as a bench makes it that can drive and measure one cell at a time: the current of a
column is that of each of its cells at the voltage of its row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hwloop.array.biasing import line_fractions
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.cells.device import ConductingCells
from hwloop_sim.circuit import Crossbar, Wires, solve_cells
from hwloop_sim.emulator.tile import Tile, TileLaw

_AT_A_TIME = 1_000_000
"""Cells times cells read that are solved at a time."""


class FloatingReads:
    """Reads and products of an array whose lines float unless they are selected.

    Apparent conductances of linear cells are kept while their state is the same.
    """

    def __init__(self, wires: Wires, tiles: Sequence[Tile]) -> None:
        self._wires, self._tiles = wires, tiles
        self._known_conductance_s: FloatArray | None = None
        self._apparent_conductance_s = np.empty((0, 0))

    def read(self, cells: ConductingCells, addressed: BoolArray, read_v: float) -> FloatArray:
        """Return the current of each cell read alone, (..., rows, cols), amperes.

        NaN where a cell is addressed in no array.
        """
        rows, cols = cells.conductance_s.shape[-2:]
        wanted = np.logical_or.reduce(addressed.reshape(-1, rows, cols))
        if cells.linear:
            return self._apparent(cells.conductance_s, wanted) * read_v
        current_a = np.full(cells.conductance_s.shape, np.nan)
        for tile in self._tiles:
            part_a = current_a[tile.place]
            for row, col in _groups(wanted[tile.place], current_a[tile.place].size):
                part_a[..., row, col] = self._nonlinear_a(cells, tile, row, col, read_v)
        return current_a

    def multiply(self, cells: ConductingCells, row_v: FloatArray, rows: slice) -> FloatArray:
        """Return column currents of some rows, (..., batch, cols), amperes: sums of single reads.

        ``row_v``: volts on those rows, (..., batch, rows).
        """
        if cells.linear:
            linear_a: FloatArray = row_v @ self._apparent_rows(cells, rows)
            return linear_a
        singles = list(self._singles(cells, row_v, rows))
        product_a: FloatArray = np.add.reduce(singles)
        return product_a

    def limited_products(
        self, cells: ConductingCells, row_v: FloatArray, rows: slice, *, bound_a: float
    ) -> BoolArray | None:
        """Return the sums, (..., batch, cols), of which a single read exceeds ``bound_a``, or None.

        ``row_v``: as in :meth:`multiply`.
        """
        if cells.linear:
            largest_a = np.abs(row_v).max(initial=0.0) * self._apparent_rows(cells, rows).max()
            if largest_a <= bound_a:
                return None
        beyond = [np.abs(single_a) > bound_a for single_a in self._singles(cells, row_v, rows)]
        limited: BoolArray = np.logical_or.reduce(beyond)
        return limited if limited.any() else None

    def _apparent_rows(self, cells: ConductingCells, rows: slice) -> FloatArray:
        """Return the apparent conductances of some rows of linear cells, (..., rows, cols)."""
        wanted = np.zeros(cells.conductance_s.shape[-2:], dtype=np.bool_)
        wanted[rows] = True
        return self._apparent(cells.conductance_s, wanted)[..., rows, :]

    def _singles(
        self, cells: ConductingCells, row_v: FloatArray, rows: slice
    ) -> Iterator[FloatArray]:
        """Yield what the cells of each row add to the products, (..., batch, cols), amperes."""
        lines, cols = cells.conductance_s.shape[-2:]
        for index, row in enumerate(range(lines)[rows]):
            volts = row_v[..., index][..., None]
            if cells.linear:
                yield volts * self._apparent_rows(cells, rows)[..., index, None, :]
                continue
            wanted = np.zeros((lines, cols), dtype=np.bool_)
            wanted[row] = True
            outer = np.broadcast_shapes(row_v.shape[:-2], cells.conductance_s.shape[:-2])
            single_a = np.zeros((*outer, row_v.shape[-2], cols))
            for level_v in np.unique(volts[volts != 0]):
                read_a = self.read(cells, wanted, float(level_v))[..., row, None, :]
                single_a = np.where(volts == level_v, read_a, single_a)
            yield single_a

    def _apparent(self, conductance_s: FloatArray, wanted: BoolArray) -> FloatArray:
        """Return current over voltage of each wanted cell, sneak paths included, siemens."""
        if conductance_s is not self._known_conductance_s:
            self._known_conductance_s = conductance_s
            self._apparent_conductance_s = np.full(conductance_s.shape, np.nan)
        apparent_conductance_s = self._apparent_conductance_s
        known = ~np.isnan(apparent_conductance_s).reshape(-1, *wanted.shape).any(axis=0)
        for tile in self._tiles:
            missing = (wanted & ~known)[tile.place]
            if not missing.any():
                continue
            crossbar = Crossbar(conductance_s[tile.place], self._wires)
            part_conductance_s = apparent_conductance_s[tile.place]
            for row, col in _groups(missing, crossbar.conductance_s.size):
                row_v, col_v = line_fractions("floating", missing.shape, row=row, col=col)
                _, col_a = crossbar.line_currents(row_v=row_v, col_v=col_v)
                part_conductance_s[..., row, col] = col_a[..., np.arange(len(row)), col]
        return apparent_conductance_s

    def _nonlinear_a(
        self,
        cells: ConductingCells,
        tile: Tile,
        row: NDArray[np.intp],
        col: NDArray[np.intp],
        read_v: float,
    ) -> FloatArray:
        """Return the currents of n cells of a tile, each read alone, (..., n), amperes."""
        cells_conductance_s = cells.conductance_s[tile.place]
        row_v, col_v = line_fractions("floating", cells_conductance_s.shape[-2:], row=row, col=col)
        col_a = solve_cells(
            cells_conductance_s,
            TileLaw(cells, tile, vectors=len(row)),
            row_v=row_v * read_v,
            col_v=col_v * read_v,
            wires=self._wires,
        ).col_a
        single_a: FloatArray = col_a[..., np.arange(len(row)), col]
        return single_a


def _groups(wanted: BoolArray, cells: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield rows and columns (n,) of wanted cells, as many as are solved at a time."""
    row, col = np.nonzero(wanted)
    size = max(1, _AT_A_TIME // cells)
    for begin in range(0, len(row), size):
        yield row[begin : begin + size], col[begin : begin + size]
