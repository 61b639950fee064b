"""Number formats of an instrument that speaks TSP: the ``format`` table."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from hwloop_sim.virtual.languages.tsp_tables import Cell, Node, TspError, Values, as_number

ASCII, REAL32, REAL64 = 1.0, 2.0, 3.0
BIG_ENDIAN, LITTLE_ENDIAN = 0.0, 1.0


class Format(Node):
    """Digits of ASCII numbers, or IEEE floats in a block ``#0`` …"""

    def __init__(self, ascii_precision: float) -> None:
        super().__init__()
        self._precision = Cell(ascii_precision, choices=range(0 if ascii_precision == 0 else 1, 17))
        self._data = Cell(ASCII, choices=(ASCII, REAL32, REAL64))
        self._order = Cell(LITTLE_ENDIAN, choices=(BIG_ENDIAN, LITTLE_ENDIAN))
        self.constants(ASCII=ASCII, SREAL=REAL32, REAL32=REAL32)
        self.constants(REAL=REAL64, REAL64=REAL64, DREAL=REAL64)
        self.constants(NORMAL=BIG_ENDIAN, NETWORK=BIG_ENDIAN, BIGENDIAN=BIG_ENDIAN)
        self.constants(SWAPPED=LITTLE_ENDIAN, LITTLEENDIAN=LITTLE_ENDIAN)
        self.on("asciiprecision", get=self._precision.get, set=self._precision.set)
        self.on("data", get=self._data.get, set=self._data.set)
        self.on("byteorder", get=self._order.get, set=self._order.set)

    def reset(self) -> None:
        """Reset the format to its state at power-on."""
        for cell in (self._precision, self._data, self._order):
            cell.reset()

    def tabbed(self, values: Sequence[Any]) -> str:
        """Format values as ``print`` does, separated by tabs."""
        return "\t".join(self._text(value) for value in values)

    def numbers(self, values: Sequence[Any]) -> str:
        """Format numbers as ``printnumber`` does, as text or as a binary block."""
        numbers = [as_number(value) for value in values]
        if self._data.value == ASCII:
            return ", ".join(self.number(value) for value in numbers)
        order = "<" if self._order.value == LITTLE_ENDIAN else ">"
        kind = "f" if self._data.value == REAL32 else "d"
        packed = b"".join(struct.pack(order + kind, _fitting(v, kind)) for v in numbers)
        return "#0" + packed.decode("latin-1")

    def buffers(self, first: Any, last: Any, *buffers: Any) -> str:
        """Format rows ``first`` to ``last`` as ``printbuffer`` does, the buffers interleaved."""
        start, end = int(as_number(first)), int(as_number(last))
        if not buffers or not all(isinstance(buffer, Values) for buffer in buffers):
            raise TspError(-104, "Data type error")
        columns = [buffer.read()[max(start, 1) - 1 : max(end, 0)] for buffer in buffers]
        return self.numbers([value for row in zip(*columns, strict=False) for value in row])

    def number(self, value: float) -> str:
        """Format one number in ASCII with the set precision."""
        digits = int(self._precision.value)
        return f"{value:.{digits - 1}e}" if digits else f"{value:.14g}"

    def _text(self, value: Any) -> str:
        match value:
            case None:
                return "nil"
            case bool():
                return str(value).lower()
            case int() | float():
                return self.number(float(value))
            case str():
                return value
            case list() | Node():
                return f"table: {id(value):08x}"
        return "function"


def _fitting(value: float, kind: str) -> float:
    """Return the value, or infinity where it is beyond a float32."""
    try:
        struct.pack("<" + kind, value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return value


def error_text(kind: str, message: str) -> str:
    """Return the text of a Lua error as the instruments write it, with its line."""
    place, _, text = message.partition(": ")
    line = place.rpartition(":")[2]
    if not line.isdigit():
        return f"TSP {kind} error: {message}"
    return f"TSP {kind} error at line {line}: {text}"
