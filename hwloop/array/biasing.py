"""What every line carries while one cell is selected, and so what every cell sees.

For a cell selected with ``v`` volts (row above column):

========  ============  ===============  ===============  ================
scheme    selected row  selected column  other rows       other columns
========  ============  ===============  ===============  ================
V/2       v/2           −v/2             0                0
V/3       v/2           −v/2             −v/6             v/6
grounded  v             0                0                0
floating  v             0                not connected    not connected
1T1R      v             0                transistor off   v
========  ============  ===============  ===============  ================

V/2 leaves v/2 on the cells that share a line with the selected one and nothing elsewhere; V/3
leaves v/3, of either sign, on every other cell. Sources: Y.-C. Chen et al., IEDM 2003 (V/2, V/3);
A. Flocke and T. G. Noll, ESSCIRC 2007 (floating lines). A floating line settles between the
lowest and the highest driven voltage, so v itself is the bound for every cell that it touches.
In a 1T1R array the transistors of the other rows are off and take the voltage, and the other
columns are held at the selected row's potential, so that only the selected device sees any.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hwloop.types import FloatArray

Scheme = Literal["V/2", "V/3", "grounded", "floating", "1T1R"]


@dataclass(frozen=True)
class Stress:
    """Voltage on the cells that are not selected, as a fraction of the selected cell's.

    For a floating scheme these are bounds, not values.
    """

    same_row: float
    same_col: float
    elsewhere: float

    @property
    def worst(self) -> float:
        """The largest magnitude."""
        return max(abs(self.same_row), abs(self.same_col), abs(self.elsewhere))


_HALF, _SIXTH, _ONE, _ZERO = Fraction(1, 2), Fraction(1, 6), Fraction(1), Fraction(0)
# Selected row, selected column, other rows, other columns; as fractions of v. Exact, since in
# floating point 1/2 - 1/6 exceeds 1/3, and 0.9 V would not fit a limit of 0.3 V.
_LINES = {
    "V/2": (_HALF, -_HALF, _ZERO, _ZERO),
    "V/3": (_HALF, -_HALF, -_SIXTH, _SIXTH),
    "grounded": (_ONE, _ZERO, _ZERO, _ZERO),
}


@cache
def stress(scheme: Scheme) -> Stress:
    """What the cells see that share the row, the column, or neither with the selected one."""
    if scheme == "floating":
        return Stress(1.0, 1.0, 1.0)
    if scheme == "1T1R":
        return Stress(0.0, 0.0, 0.0)
    row, col, other_row, other_col = _LINES[scheme]
    return Stress(float(row - other_col), float(other_row - col), float(other_row - other_col))


def line_fractions(
    scheme: Scheme, shape: tuple[int, int], *, row: NDArray[np.intp], col: NDArray[np.intp]
) -> tuple[FloatArray, FloatArray]:
    """What the lines are driven with while each of n cells is selected, as fractions of its pulse.

    ``row``, ``col``: (n,), of the cells. The answer: (n, rows) and (n, cols), NaN where a line is
    not connected. In a 1T1R array the transistors of the other rows are off besides.
    """
    if scheme == "floating":
        at_row, at_col, other_row, other_col = 1.0, 0.0, np.nan, np.nan
    elif scheme == "1T1R":
        at_row, at_col, other_row, other_col = 1.0, 0.0, 0.0, 1.0
    else:
        at_row, at_col, other_row, other_col = (float(part) for part in _LINES[scheme])
    cells = np.arange(len(row))
    rows, cols = np.full((len(row), shape[0]), other_row), np.full((len(row), shape[1]), other_col)
    rows[cells, row], cols[cells, col] = at_row, at_col
    return rows, cols


def cell_voltages_v(
    scheme: Scheme, shape: tuple[int, int], *, row: int, col: int, amplitude_v: float
) -> FloatArray:
    """Voltage of every cell, (rows, cols), while cell (row, col) is selected.

    For ``floating`` the entries of unselected cells are bounds of the magnitude.
    """
    fractions = stress(scheme)
    voltages = np.full(shape, fractions.elsewhere)
    voltages[row, :] = fractions.same_row
    voltages[:, col] = fractions.same_col
    voltages[row, col] = 1.0
    seen_v: FloatArray = voltages * amplitude_v
    return seen_v


def worst_half_select_v(scheme: Scheme, amplitude_v: FloatArray) -> FloatArray:
    """Largest magnitude that each cell sees while others are selected, (..., rows, cols).

    ``amplitude_v``: a pulse map, (..., rows, cols); its cells are selected one after the other,
    or together where they share a line and an amplitude, which gives the same voltages.
    """
    fractions = stress(scheme)
    magnitude = np.abs(amplitude_v)
    in_row = _largest_other(magnitude, axis=-1)
    in_col = _largest_other(magnitude, axis=-2)
    # The largest outside the cell's row, for each column; of those, outside its column.
    elsewhere = _largest_other(_largest_other(magnitude, axis=-2), axis=-1)
    worst: FloatArray = np.maximum.reduce(
        [
            abs(fractions.same_row) * in_row,
            abs(fractions.same_col) * in_col,
            abs(fractions.elsewhere) * elsewhere,
        ]
    )
    return worst


def _largest_other(magnitude: FloatArray, *, axis: int) -> FloatArray:
    """For each entry, the largest of the others along ``axis`` (0 where there is none)."""
    if magnitude.shape[axis] == 1:
        return np.zeros_like(magnitude)
    ordered = np.sort(magnitude, axis=axis)
    first = np.take(ordered, [-1], axis=axis)
    second = np.take(ordered, [-2], axis=axis)
    others: FloatArray = np.where(magnitude == first, second, first)
    return others
