"""The codes of converters: what they put out, as integers, from which currents follow exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwloop.types import FloatArray

CodeArray = NDArray[np.unsignedinteger]


@dataclass(frozen=True, eq=False)
class Codes:
    """Codes (..., batch, conversions) of the converters of a multiplication.

    Of each conversion, (conversions,): ``column``, the current of the answer to which it belongs;
    ``low_a``, ``high_a``, the lowest and highest level, amperes; ``top``, the code of the highest.
    A code at an end may stand for a current beyond it: then the current is flagged over range.
    """

    values: CodeArray
    column: NDArray[np.int64]
    low_a: FloatArray
    high_a: FloatArray
    top: FloatArray

    def currents(self, vectors: NDArray[np.int64] | slice = slice(None)) -> FloatArray:
        """Return the levels, (..., vectors, columns), amperes: those of a column added in order.

        In the same floating-point operations as a converter: the bits are the same.
        """
        codes = self.values[..., vectors, :].astype(np.float64)
        step_a = (self.high_a - self.low_a) / self.top
        levels_a = (self.high_a + self.low_a) / 2 + (codes - self.top / 2) * step_a
        columns = int(self.column.max(initial=-1)) + 1
        if np.array_equal(self.column, np.arange(columns)):
            return levels_a
        out = np.zeros((*levels_a.shape[:-1], columns))
        seen = np.zeros(columns, dtype=np.bool_)
        for conversion, column in enumerate(self.column):
            own_a = levels_a[..., conversion]
            out[..., column] = out[..., column] + own_a if seen[column] else own_a
            seen[column] = True
        return out


def smallest_type(top: int) -> type[np.unsignedinteger]:
    """Return the smallest type of integers that holds the codes 0 to ``top``."""
    return np.uint8 if top < 256 else np.uint16 if top < 65536 else np.uint32
