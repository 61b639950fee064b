"""The path of a read current through the known resistors of a bench, and the cell's part of it.

Resistors in the leads of the outputs take a part of the read voltage, and so do the other cells of
a row or column whose lead has one. With V and I of the read, R_r and R_c in the leads of rows and
columns, S_r and S_c the other cells of its row and column, which end at 0 V, the row is at u and
the column at w = I R_c, where (V − u) / R_r = G (u − w) + S_r u and I = G (u − w) − S_c w.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hwloop.array.biasing import Scheme
from hwloop.types import FloatArray

Correction = Literal["every read", "whole maps", "none"]
_MOST_ITERATIONS = 500
_ALIKE = 1e-12


@dataclass(frozen=True)
class ReadPath:
    """Known resistances in series with the selected row and column.

    ``exact``: False where resistors that are in other leads too leave the path unknown.
    """

    scheme: Scheme
    shape: tuple[int, int]
    rows_ohm: float
    cols_ohm: float
    exact: bool = True

    @property
    def correction(self) -> Correction:
        """Return which conductances are corrected for the resistors.

        A cell that has the path for itself is corrected in every read, one that shares a line with
        others whose current passes the same resistor only with all of them read.
        """
        if self.exact and (self.scheme == "1T1R" or self.shape == (1, 1)):
            return "every read"
        return "whole maps" if self.exact and self.scheme != "floating" else "none"

    def conductance_s(self, current_a: FloatArray, read_v: float) -> FloatArray:
        """Return the conductances of cells from reads of a map, (rows, cols), siemens.

        NaN where not measured. Not corrected (see :attr:`correction`) are lines that have such a
        cell in them, unless every read is corrected.
        """
        apparent_conductance_s: FloatArray = current_a / read_v
        if self.correction == "none":
            return apparent_conductance_s
        if self.correction == "every read":
            in_series_v = read_v - current_a * (self.rows_ohm + self.cols_ohm)
            return np.where(in_series_v * read_v > 0, current_a / in_series_v, np.nan)
        if np.isnan(current_a).any():
            return apparent_conductance_s
        return self._of_whole_map(current_a, read_v)

    def read_current_a(self, conductance_s: FloatArray, read_v: float) -> FloatArray:
        """Return the current of a cell of this conductance, amperes, where every read is corrected.

        Else the product with the voltage: what a read that is not corrected is compared with.
        """
        if self.correction != "every read":
            return conductance_s * read_v
        current_a: FloatArray = conductance_s * read_v
        return current_a / (1 + conductance_s * (self.rows_ohm + self.cols_ohm))

    def _of_whole_map(self, current_a: FloatArray, read_v: float) -> FloatArray:
        col_v = current_a * self.cols_ohm
        found_conductance_s: FloatArray = current_a / read_v
        for _ in range(_MOST_ITERATIONS):
            own, before = found_conductance_s, found_conductance_s
            in_row = own.sum(axis=-1, keepdims=True)
            in_col = own.sum(axis=-2, keepdims=True) - own
            row_v = (read_v + self.rows_ohm * own * col_v) / (1 + self.rows_ohm * in_row)
            found_conductance_s = (current_a + in_col * col_v) / (row_v - col_v)
            if np.allclose(found_conductance_s, before, rtol=_ALIKE, atol=0):
                return found_conductance_s
        return np.full_like(current_a, np.nan)  # no cells explain these reads
