"""Apparent conductances of an array of equal cells behind its line resistances, solved exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwloop.types import FloatArray

_LEAST_OHM = 1e-6  # a segment of no resistance has no conductance that could be written down


@dataclass(frozen=True)
class LineResistances:
    """Resistances of a segment of rows and columns, of a row driver and of a column meter, ohms.

    A segment lies from cell to cell, and from the first cell to the terminal.
    """

    row_ohm: float
    col_ohm: float
    driver_ohm: float = 0.0
    sense_ohm: float = 0.0


def conductance_through_lines_s(
    cell_conductance_s: float, shape: tuple[int, int], lines: LineResistances
) -> FloatArray:
    """Return the conductance that a meter makes of each cell, (rows, cols), siemens.

    ``cell_conductance_s``: conductance of every cell, siemens. Rows are driven before column 0 and
    columns read after the last row. While one row is driven all other lines are at 0 V. Kirchhoff's
    laws at the two nodes of every cell, by sparse LU.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import splu

    rows, cols = shape
    row_node = np.arange(rows * cols).reshape(shape)
    col_node = row_node + rows * cols
    row_conductance_s, col_conductance_s = (
        1 / max(ohm, _LEAST_OHM) for ohm in (lines.row_ohm, lines.col_ohm)
    )
    driver_conductance_s = 1 / max(lines.row_ohm + lines.driver_ohm, _LEAST_OHM)
    sense_conductance_s = 1 / max(lines.col_ohm + lines.sense_ohm, _LEAST_OHM)
    branches = [
        (row_node, col_node, cell_conductance_s),
        (row_node[:, :-1], row_node[:, 1:], row_conductance_s),
        (col_node[:-1], col_node[1:], col_conductance_s),
    ]
    diagonal = np.zeros(2 * rows * cols)
    diagonal[row_node[:, 0]] += driver_conductance_s
    diagonal[col_node[-1]] += sense_conductance_s
    places, values = [(np.arange(diagonal.size),) * 2], [diagonal]
    for one, other, conductance_s in branches:
        a, b = one.ravel(), other.ravel()
        places += [(a, a), (b, b), (a, b), (b, a)]
        values += [np.full(a.size, sign * conductance_s) for sign in (1, 1, -1, -1)]
    first, second = (np.concatenate([place[axis] for place in places]) for axis in (0, 1))
    matrix = coo_array((np.concatenate(values), (first, second))).tocsc()
    driven = np.zeros((2 * rows * cols, rows))
    driven[row_node[:, 0], np.arange(rows)] = driver_conductance_s
    potential_v = splu(matrix).solve(driven)
    apparent_conductance_s: FloatArray = potential_v[col_node[-1]].T * sense_conductance_s
    return apparent_conductance_s
