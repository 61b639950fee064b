"""The solution of a circuit of wires and cells."""

from __future__ import annotations

from dataclasses import dataclass

from hwloop.types import FloatArray


@dataclass(frozen=True, eq=False)
class Solution:
    """Voltages and currents of one array, or of a batch and a population: (..., rows, cols).

    ``word_v``, ``bit_v``: volts of the word and bit line at every cell; NaN on a line that no
    terminal reaches through any cell. ``cell_a``: amperes through the cell from row to column.
    ``row_a``: (..., rows), into the array from each row's terminal. ``col_a``: (..., cols), out of
    the array into each column's terminal. That of a floating line is 0. ``steps``: iterations.
    ``residual``: change of the voltages by one more step, relative to the largest terminal voltage;
    1e-11 at most. ``error``: bound of the error of a voltage from that and from rounding, likewise
    relative: about 1e-15, and more where floating lines are joined by cells far more conductive
    than those that tie them to the rest.
    """

    word_v: FloatArray
    bit_v: FloatArray
    cell_a: FloatArray
    row_a: FloatArray
    col_a: FloatArray
    steps: int
    residual: float
    error: float

    @property
    def cell_v(self) -> FloatArray:
        """Return the voltage of every cell, row above column, (..., rows, cols), volts."""
        cell_v: FloatArray = self.word_v - self.bit_v
        return cell_v
