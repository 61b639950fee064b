"""The outputs that drive the rows, and when one of them is at its compliance.

A row carries the current of all its cells to the columns that are held at 0 V, not only that of the
cell that is read. Beyond its compliance its voltage is no longer what was asked for, so that no
current read with it means what it says. Where the other columns float, or follow the row as in a
1T1R array, the row carries the current of the selected cell's column alone. Gates draw none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwloop.array.biasing import Scheme, loads_whole_row
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.cells.device import ConductingCells
from hwloop_sim.circuit import Crossbar, Wires, solve_cells
from hwloop_sim.emulator.tile import Tile, TileLaw


class RowDrivers:
    """One output for each row of each tile; ``bound_a``: the compliance of each, amperes."""

    def __init__(self, wires: Wires | None, tiles: Sequence[Tile], scheme: Scheme) -> None:
        self._wires, self._tiles = wires, tiles
        self._loaded = loads_whole_row(scheme)
        self._known_conductance_s: FloatArray | None = None
        self._row_conductance_s: list[FloatArray] = []

    def within(self, cells: ConductingCells, highest_v: float, *, bound_a: float) -> bool:
        """Return whether no row of any tile can be at its compliance, up to ``highest_v``."""
        if not self._loaded:
            return True
        return all(
            self._most_a(cells, index, highest_v) <= bound_a for index in range(len(self._tiles))
        )

    def limited(self, cells: ConductingCells, read_v: float, *, bound_a: float) -> BoolArray | None:
        """Return the cells whose row is at its compliance while they are read at ``read_v``.

        (..., rows, cols); None where no row is.
        """
        if self.within(cells, abs(read_v), bound_a=bound_a):
            return None
        limited: BoolArray = np.zeros(cells.conductance_s.shape, dtype=np.bool_)
        for index, tile in enumerate(self._tiles):
            if self._most_a(cells, index, abs(read_v)) <= bound_a:
                continue
            lines = limited[tile.place].shape[-2]
            row_a = self._row_a(cells, tile, read_v * np.eye(lines))
            own_a = np.diagonal(row_a, axis1=-2, axis2=-1)
            limited[tile.place] |= (np.abs(own_a) > bound_a)[..., None]
        return limited if limited.any() else None

    def limited_products(
        self, cells: ConductingCells, row_v: FloatArray, rows: slice, *, bound_a: float
    ) -> BoolArray | None:
        """Return the currents of a product that a row at its compliance spoils.

        ``row_v``: volts on these rows, (..., batch, rows). The answer: (..., batch, cols), or None.
        """
        highest_v = float(np.abs(row_v).max(initial=0.0))
        spoilt: list[BoolArray] = []
        for index, tile in enumerate(self._tiles):
            if tile.rows != rows:
                continue
            cols = tile.cols.stop - tile.cols.start
            if not self._loaded or self._most_a(cells, index, highest_v) <= bound_a:
                spoilt.append(np.zeros((*row_v.shape[:-1], cols), dtype=np.bool_))
                continue
            beyond = np.abs(self._row_a(cells, tile, row_v)) > bound_a
            of_vector = beyond.any(axis=-1, keepdims=True)
            spoilt.append(np.broadcast_to(of_vector, (*of_vector.shape[:-1], cols)))
        outer = np.broadcast_shapes(*(part.shape[:-1] for part in spoilt))
        whole = [np.broadcast_to(part, (*outer, part.shape[-1])) for part in spoilt]
        joined: BoolArray = np.concatenate(whole, axis=-1)
        return joined if joined.any() else None

    def _most_a(self, cells: ConductingCells, index: int, highest_v: float) -> float:
        """Return a bound of the current of any row of a tile, amperes: resistances take from it."""
        place = self._tiles[index].place
        if not cells.linear:
            both = (np.full(cells.conductance_s.shape, volts) for volts in (highest_v, -highest_v))
            return max(
                float(np.abs(cells.current_a(every_v)[place]).sum(axis=-1).max())
                for every_v in both
            )
        if cells.conductance_s is not self._known_conductance_s:
            self._known_conductance_s = cells.conductance_s
            self._row_conductance_s = [
                cells.conductance_s[tile.place].sum(axis=-1) for tile in self._tiles
            ]
        return float(self._row_conductance_s[index].max()) * highest_v

    def _row_a(self, cells: ConductingCells, tile: Tile, row_v: FloatArray) -> FloatArray:
        """Return the current into every row of a tile, (..., vectors, rows), columns at 0 V."""
        cells_conductance_s = cells.conductance_s[tile.place]
        wires = self._wires or Wires()
        if cells.linear and self._wires is None:
            own_a: FloatArray = row_v * cells_conductance_s.sum(axis=-1)[..., None, :]
            return own_a
        if cells.linear:
            return Crossbar(cells_conductance_s, wires).line_currents(row_v=row_v)[0]
        law = TileLaw(cells, tile, vectors=row_v.shape[-2])
        return solve_cells(cells_conductance_s, law, row_v=row_v, wires=wires).row_a
