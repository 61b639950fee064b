"""The codes of converters: what they put out, as integers, from which currents follow exactly."""

from __future__ import annotations

import math
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


def packed(codes: CodeArray, bits: int) -> NDArray[np.uint8]:
    """Return codes of so many ``bits`` without room between them: bytes, (⌈codes · bits / 8⌉,).

    Code by code, the lowest bit first. Raises :class:`ValueError` where a code has more bits.
    """
    if codes.size and int(codes.max()) >> bits:
        raise ValueError(f"code {int(codes.max())} has more than {bits} bits")
    own = np.ascontiguousarray(codes, codes.dtype.newbyteorder("<")).reshape(-1, 1)
    each = np.unpackbits(own.view(np.uint8), axis=-1, count=bits, bitorder="little")
    return np.packbits(each.reshape(-1), bitorder="little")


def unpacked(values: NDArray[np.uint8], bits: int, shape: tuple[int, ...]) -> CodeArray:
    """Return the codes, of ``shape``, that :func:`packed` has made bytes of.

    Raises :class:`ValueError` where the bytes are not those of so many codes.
    """
    count = math.prod(shape)
    if not 1 <= bits <= 32:
        raise ValueError(f"codes of {bits} bits; expected 1 to 32")
    if len(values) != -(-count * bits // 8):
        raise ValueError(f"{len(values)} bytes are not {count} codes of {bits} bits")
    kind = np.dtype(smallest_type((1 << bits) - 1)).newbyteorder("<")
    each = np.unpackbits(values, count=count * bits, bitorder="little").reshape(count, bits)
    whole = np.packbits(each, axis=-1, bitorder="little")
    missing = kind.itemsize - whole.shape[-1]
    if missing:
        whole = np.pad(whole, ((0, 0), (0, missing)))
    return np.ascontiguousarray(whole).view(kind).reshape(shape).astype(kind.newbyteorder("="))
