"""The array between its terminals: cells, and the segments of its lines if they have a resistance.

What the rest of a bench sees of it are currents at rows + cols terminals, linear in their voltages.
With segments that is the Schur complement of the nodes at the cells (G. Kron, Tensor Analysis of
Networks, 1939); without, a cell joins its two terminals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwloop.types import FloatArray
from hwloop_sim.circuit import Wires

Nodes = NDArray[np.int64]
_LEAST_OHM = 1e-9  # of a segment beside one that has a resistance


@dataclass(frozen=True)
class Interior:
    """The array as its terminals see it.

    ``terminal_conductance_s``: (rows + cols, rows + cols), currents into the rows, then the
    columns. ``reach``: (2 · rows · cols, rows + cols), voltage of the two ends of each cell, those
    at the rows before those at the columns, for 1 V at each terminal; None: they are at the
    terminals.
    """

    shape: tuple[int, int]
    terminal_conductance_s: FloatArray
    reach: FloatArray | None

    def cell_v(self, terminal_v: FloatArray) -> FloatArray:
        """Voltage of every cell, (rows, cols), for those of the terminals."""
        rows, cols = self.shape
        if self.reach is None:
            across: FloatArray = terminal_v[:rows, None] - terminal_v[None, rows:]
            return across
        at_row, at_col = (self.reach @ terminal_v).reshape(2, rows, cols)
        return np.asarray(at_row - at_col, dtype=np.float64)


def interior(conductance_s: FloatArray, wires: Wires | None) -> Interior:
    """The array of these cells, (rows, cols), siemens; ``wires`` None: ideal lines.

    Of ``wires`` the segments and selectors count; drivers and meters are the bench's own.
    """
    rows, cols = conductance_s.shape
    if wires is None or not (wires.row_ohm or wires.col_ohm or wires.selector_ohm):
        joined = [
            [np.diag(conductance_s.sum(axis=1)), -conductance_s],
            [-conductance_s.T, np.diag(conductance_s.sum(axis=0))],
        ]
        return Interior((rows, cols), np.block(joined), None)
    at_row, at_col = np.arange(2 * rows * cols).reshape(2, rows, cols)
    matrix = _branches(at_row, at_col, conductance_s, 2 * rows * cols)
    for line, ohm in ((at_row, wires.row_ohm), (at_col.T, wires.col_ohm)):
        segment_conductance_s = np.full(line[:, 1:].shape, 1 / max(ohm, _LEAST_OHM))
        matrix += _branches(line[:, :-1], line[:, 1:], segment_conductance_s, len(matrix))
    leads = _leads(wires, at_row, at_col)
    total_conductance_s = leads.sum(axis=1)
    reach = np.asarray(np.linalg.solve(matrix + np.diag(total_conductance_s), leads))
    terminal_conductance_s = np.diag(leads.sum(axis=0)) - leads.T @ reach
    return Interior((rows, cols), terminal_conductance_s, reach)


def _leads(wires: Wires, at_row: Nodes, at_col: Nodes) -> FloatArray:
    """Conductance from each inner node to each terminal."""
    rows, cols = at_row.shape
    leads = np.zeros((2 * rows * cols, rows + cols))
    row_conductance_s = 1 / max(wires.row_ohm + wires.selector_ohm, _LEAST_OHM)
    col_conductance_s = 1 / max(wires.col_ohm + wires.selector_ohm, _LEAST_OHM)
    for end, place in (("left", 0), ("right", -1)):
        if wires.row_ends in (end, "both"):
            leads[at_row[:, place], np.arange(rows)] += row_conductance_s
    for end, place in (("top", 0), ("bottom", -1)):
        if wires.col_ends in (end, "both"):
            leads[at_col[place], rows + np.arange(cols)] += col_conductance_s
    return leads


def _branches(one: Nodes, other: Nodes, branch_conductance_s: FloatArray, count: int) -> FloatArray:
    """The nodal matrix of conductances between pairs of nodes."""
    matrix = np.zeros((count, count))
    for first, second, sign in (
        (one, one, 1),
        (other, other, 1),
        (one, other, -1),
        (other, one, -1),
    ):
        np.add.at(matrix, (first, second), sign * branch_conductance_s)
    return matrix
