"""An array in one state: what was worked out of it is kept until the conductances change."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hwloop.types import FloatArray
from hwloop_sim.circuit.passive import checked_cells, run, solve
from hwloop_sim.circuit.solution import Solution
from hwloop_sim.circuit.terminals import Terminals, terminals
from hwloop_sim.circuit.wires import Wires


class Crossbar:
    """Linear cells between wires, (..., rows, cols) siemens; a population is a leading axis.

    Immutable: a changed state is another crossbar (:meth:`with_conductance`), so nothing that is
    kept can be out of date.
    """

    def __init__(self, conductance_s: ArrayLike, wires: Wires) -> None:
        self._cells_conductance_s = checked_cells(conductance_s).copy()
        self._cells_conductance_s.setflags(write=False)
        self._wires = wires
        self._transfer_conductance_s: FloatArray | None = None
        self._vectors = 0

    @property
    def conductance_s(self) -> FloatArray:
        """Of the cells, (..., rows, cols), read-only."""
        return self._cells_conductance_s

    @property
    def wires(self) -> Wires:
        """Between them."""
        return self._wires

    def with_conductance(self, conductance_s: ArrayLike) -> Crossbar:
        """This crossbar if its cells have these conductances, else a new one."""
        if np.array_equal(self._cells_conductance_s, np.asarray(conductance_s)):
            return self
        return Crossbar(conductance_s, self._wires)

    def solve(self, *, row_v: ArrayLike, col_v: ArrayLike = 0.0) -> Solution:
        """Voltages and currents of every cell; see :func:`hwloop_sim.circuit.solve`."""
        return solve(self._cells_conductance_s, row_v=row_v, col_v=col_v, wires=self._wires)

    def multiply(self, row_v: ArrayLike) -> FloatArray:
        """Column currents with every column at 0 V: (..., batch, rows) → (..., batch, cols), A.

        The vectors of a first call are solved one by one. Once as many have been asked of this
        state as half its lines, the :meth:`transfer_conductance_s` is worked out, and every further
        vector is one matrix product.
        """
        points = terminals(self._cells_conductance_s.shape, row_v, 0.0)
        rows, cols = self._cells_conductance_s.shape[-2:]
        seen, self._vectors = self._vectors, self._vectors + points.row_v.shape[1]
        if points.floating:
            return self._solved(points)
        if self._transfer_conductance_s is None and not (
            seen and 2 * self._vectors >= min(rows, cols)
        ):
            return self._solved(points)
        product = points.row_v @ self.transfer_conductance_s().reshape(-1, rows, cols)
        return product.reshape(*points.shape, cols)

    def transfer_conductance_s(self) -> FloatArray:
        """Current out of each column per volt on each row, all else at 0 V, (..., rows, cols).

        Siemens; what a meter at the column makes of cell (row, col), and the matrix by which the
        array multiplies. Costs as many solutions as the array has rows or columns, whichever
        are fewer (a passive circuit is reciprocal), once.
        """
        if self._transfer_conductance_s is None:
            self._transfer_conductance_s = self._work_out()
            self._transfer_conductance_s.setflags(write=False)
        return self._transfer_conductance_s

    def _work_out(self) -> FloatArray:
        rows, cols = shape = self._cells_conductance_s.shape[-2:]
        if rows <= cols:
            points = terminals(self._cells_conductance_s.shape, np.eye(rows), 0.0)
            transfer_conductance_s = self._lines(points)[1]
        else:
            points = terminals(self._cells_conductance_s.shape, np.zeros(rows), np.eye(cols))
            transfer_conductance_s = -self._lines(points)[0].swapaxes(-1, -2)
        transfer_conductance_s = transfer_conductance_s.reshape(
            *self._cells_conductance_s.shape[:-2], *shape
        )
        return np.ascontiguousarray(transfer_conductance_s)

    def _solved(self, points: Terminals) -> FloatArray:
        return self._lines(points)[1].reshape(*points.shape, -1)

    def _lines(self, points: Terminals) -> tuple[FloatArray, FloatArray]:
        """Terminal currents of the rows and columns, (arrays, vectors, lines)."""
        flat_conductance_s = self._cells_conductance_s.reshape(
            -1, *self._cells_conductance_s.shape[-2:]
        )
        raw = run(flat_conductance_s, points, self._wires, fields=False)
        leading = points.row_v.shape[:2]
        return raw.row_a.reshape(*leading, -1), raw.col_a.reshape(*leading, -1)
