"""One cell of a table: a number, a gap, a value over range, or text."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum

from hwloop.datasets.tables.units import unit_of

OVER_RANGE = 1e37
"""Magnitude from which on a number says that the meter was over range.

SCPI writes 9.9e37 for infinity and 9.91e37 for no number (SCPI-99, 7.2.1.4 and 7.2.1.5); parameter
analysers write 199.999E+99.
"""

OVER_RANGE_EXPECTED = "a measured value: this one says that the meter was over range"


def _set_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MISSING = _set_of(
    "nan na n/a #n/a #n/a! null none nil - -- --- #ref #ref! #value! #div/0! #num! -nan nan(ind)"
    " -nan(ind) 1.#ind -1.#ind 1.#qnan -1.#qnan missing"
)
_OVER = _set_of(
    "inf +inf -inf infinity -infinity 1.#inf -1.#inf over overflow ovrflw ovrflow ovflw"
    " +overflow -overflow +ovrflw -ovrflw ovf ol ovld overrange"
)

_OVERFLOW = re.compile(r"[+-]?9\.91?0*e\+?37$")  # whatever the decimal mark of the other numbers


_WITHOUT_LETTER = re.compile(r"(\.[0-9]*)([+-][0-9]{3})$")
"""End of a number as Fortran writes one whose exponent has three digits: 0.35-106."""


class CellKind(Enum):
    """Kind of a cell: a number, a gap, a value over range, or text."""

    NUMBER = "number"
    MISSING = "missing"
    OVER = "over range"
    TEXT = "text"


@dataclass(frozen=True)
class CellValue:
    """Content of a cell: ``value`` is NaN unless it is a number; ``unit`` as written in it."""

    kind: CellKind
    value: float = math.nan
    unit: str = ""


_GAP = CellValue(CellKind.MISSING)
_BEYOND = CellValue(CellKind.OVER)
_TEXT = CellValue(CellKind.TEXT)


@dataclass(frozen=True)
class NumberStyle:
    """Style of the numbers in a table: the decimal mark, and that of thousands, if any."""

    decimal: str = "."
    thousands: str = ""

    def parse(self, text: str) -> CellValue:
        """Return what a cell without surrounding blanks holds; never raises."""
        if not text:
            return _GAP
        if self.decimal == "." and not self.thousands and text.isascii() and "_" not in text:
            try:
                return _of_number(float(text), "")
            except ValueError:
                pass
        word = text.casefold()
        if word in _MISSING:
            return _GAP
        if word in _OVER or _OVERFLOW.match(word):
            return _BEYOND
        return self._written(text)

    def _written(self, text: str) -> CellValue:
        match = _PATTERNS[self.decimal].match(text)
        if match is None:
            match = self._grouped(text)
        if match is None:
            return _TEXT
        unit = match["unit"] or ""
        if unit and unit_of(unit) is None:
            return _TEXT
        digits = match["number"].replace("\N{MINUS SIGN}", "-")
        if self.thousands:
            digits = digits.replace(self.thousands, "")
        digits = digits.replace(self.decimal, ".").replace("D", "e").replace("d", "e")
        digits = _WITHOUT_LETTER.sub(r"\1e\2", digits)
        return _of_number(float(digits), unit)

    def _grouped(self, text: str) -> re.Match[str] | None:
        if not self.thousands:
            return None
        whole = rf"\d{{1,3}}(?:{re.escape(self.thousands)}\d{{3}})+"
        return _pattern(whole, self.decimal).match(text)


def _of_number(value: float, unit: str) -> CellValue:
    if math.isnan(value):
        return _GAP
    return _BEYOND if abs(value) >= OVER_RANGE else CellValue(CellKind.NUMBER, value, unit)


def _pattern(whole: str, decimal: str) -> re.Pattern[str]:
    mark, sign = re.escape(decimal), "[+\\-\N{MINUS SIGN}]"
    return re.compile(
        rf"(?P<number>{sign}?(?:{whole}(?:{mark}[0-9]*)?|{mark}[0-9]+)(?:[eEdD]{sign}?[0-9]+)?|{sign}?[0-9]*{mark}[0-9]+[+-][0-9]{{3}})"
        r"\s*(?P<unit>[^\W\d_°%][^\d_]*|[°%]\w*)?$"
    )


_PATTERNS = {decimal: _pattern("[0-9]+", decimal) for decimal in ".,"}
