"""An array in one state, whose transfer matrix is kept for further multiplications."""

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

    Immutable: a changed state is another crossbar, so nothing that is kept can be out of date.
    """

    def __init__(self, conductance_s: ArrayLike, wires: Wires) -> None:
        self._cells_conductance_s = checked_cells(conductance_s).copy()
        self._cells_conductance_s.setflags(write=False)
        self._wires = wires
        self._transfer_conductance_s: FloatArray | None = None
        self._vectors = 0

    @property
    def conductance_s(self) -> FloatArray:
        """Return the conductance of the cells, (..., rows, cols), siemens, read-only."""
        return self._cells_conductance_s

    def solve(self, *, row_v: ArrayLike, col_v: ArrayLike = 0.0) -> Solution:
        """Solve every voltage and current; arguments as in :func:`hwloop_sim.circuit.solve`."""
        return solve(self._cells_conductance_s, row_v=row_v, col_v=col_v, wires=self._wires)

    def line_currents(
        self, *, row_v: ArrayLike, col_v: ArrayLike = 0.0
    ) -> tuple[FloatArray, FloatArray]:
        """Solve the currents at the terminals only, (..., rows) and (..., cols), amperes.

        Arguments as in :func:`hwloop_sim.circuit.solve`, signs as in its solution.
        """
        points = terminals(self._cells_conductance_s.shape, row_v, col_v)
        row_a, col_a = self._lines(points)
        return row_a.reshape(*points.shape, -1), col_a.reshape(*points.shape, -1)

    def multiply(self, row_v: ArrayLike) -> FloatArray:
        """Return column currents, all columns at 0 V: (..., batch, rows) → (..., batch, cols), A.

        The vectors of a first call are solved one by one. Once the vectors of this state number
        half its lines, :meth:`transfer_conductance_s` is computed, and every further vector is one
        matrix product.
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
        """Return the current out of each column per volt on each row, all else at 0 V, siemens.

        (..., rows, cols): the apparent conductance of cell (row, col) to a meter at the column, and
        the matrix by which the array multiplies. Computed once, with as many solutions as the array
        has rows or columns, whichever are fewer (a passive circuit is reciprocal).
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
        """Return the terminal currents of rows and columns, (arrays, vectors, lines), amperes."""
        flat_conductance_s = self._cells_conductance_s.reshape(
            -1, *self._cells_conductance_s.shape[-2:]
        )
        raw = run(flat_conductance_s, points, self._wires, fields=False)
        leading = points.row_v.shape[:2]
        return raw.row_a.reshape(*leading, -1), raw.col_a.reshape(*leading, -1)
