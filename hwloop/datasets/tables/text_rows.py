"""Rows of tables in text, piece by piece into numbers that are held once.

Whole pieces go through numpy.loadtxt, whose numbers are exact; a piece that it refuses is read line
by line, with gaps, units, over-range values and what is no number noted cell by cell.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hwloop.datasets.tables.cells import OVER_RANGE, OVER_RANGE_EXPECTED, CellKind, CellValue
from hwloop.datasets.tables.table import CellFault
from hwloop.datasets.tables.text_layout import TextLayout
from hwloop.errors import ConfigError
from hwloop.settings.foreign_files import MAX_NUMBERS
from hwloop.types import FloatArray

_MOST_FAULTS = 5
_MOST_NOTES = 3
# fmt: off
_SUMMARIES = frozenset((
    "min", "minimum", "max", "maximum", "mean", "average", "avg", "median", "std", "stdev",
    "stddev", "std.dev", "sd", "cv", "variance", "sum", "total", "count",
))
# fmt: on
"""Words at rows below a table that sum it up, as KickStart and spreadsheets write them."""
_LAST_FIELDS = 100  # of a piece, whose lengths show whether the last line is cut off


def exponent_digits(text: str) -> int:
    """Return how many digits the exponent of a number has; 0 where it has none."""
    return sum(one.isdecimal() for one in has_exponent(text)[1])


def has_exponent(text: str) -> tuple[bool, str]:
    """Return whether a number has an exponent, as 1E-6 or 1D-6, and what follows its letter."""
    _, letter, digits = text.casefold().replace("d", "e").partition("e")
    return bool(letter), digits


class GrowingTable:
    """Rows of numbers in one block of memory that grows in place."""

    def __init__(self, columns: int) -> None:
        self._data = np.empty((0, columns))
        self.rows = 0

    def extend(self, block: FloatArray) -> None:
        """Append rows; raises :class:`ConfigError` where there are more numbers than are read."""
        rows, columns = self.rows + len(block), self._data.shape[1]
        if rows * columns > MAX_NUMBERS:
            raise ConfigError(f"holds more than {MAX_NUMBERS} numbers; divide it")
        if rows > len(self._data):
            self._data.resize((rows + rows // 4 + 64, columns), refcheck=False)
        self._data[self.rows : rows] = block
        self.rows = rows

    def finished(self) -> FloatArray:
        """Return all rows, (rows, columns); nothing can be appended afterwards."""
        self._data.resize((self.rows, self._data.shape[1]), refcheck=False)
        return self._data


@dataclass
class ColumnNotes:
    """Oddities of one column: gaps, the first faults, units written in the cells."""

    missing: int = 0
    faults: list[CellFault] = field(default_factory=list)
    fault_count: int = 0
    over_count: int = 0
    units: set[str] = field(default_factory=set)
    first_of_unit: dict[str, int] = field(default_factory=dict)

    def add_fault(self, row: int, text: str, expected: str) -> None:
        """Note a cell that holds no measured value."""
        self.fault_count += 1
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(CellFault(row, text, expected))

    def add_over_range(self, row: int, text: str) -> None:
        """Note a cell that says that the meter was over range."""
        self.fault_count += 1
        self.over_count += 1
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(CellFault(row, text, OVER_RANGE_EXPECTED, is_over_range=True))


class TableRows:
    """Rows of one table while a file is read."""

    def __init__(self, layout: TextLayout, head: Sequence[tuple[int, str]]) -> None:
        self.layout = layout
        self.head = list(head)
        self.notes = [ColumnNotes() for _ in range(layout.fields)]
        self.texts: dict[int, list[str]] = {column: [] for column in layout.text_columns}
        self.blank_lines = 0
        self.comments: list[tuple[int, str]] = []
        self.comment_count = 0
        self.short_rows: list[int] = []
        self.longest_last = 0
        """Characters of the longest last field so far; 0 before there is any."""
        self.longest_exponent = 0
        """Digits of the longest exponent of a last field so far; 0 before there is any."""
        self.last_had_exponent = True
        """True while the last field of every row had an exponent."""
        self._numeric = [i for i in range(layout.fields) if i not in layout.text_columns]
        self._table = GrowingTable(layout.fields)
        self._interned: dict[str, str] = {}
        self._anchor_rows: list[int] = []
        self._anchor_lines: list[int] = []
        self._next_line = -1

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return self._table.rows

    def line_of(self, row: int) -> int:
        """Return the line that a row stands in."""
        place = bisect.bisect_right(self._anchor_rows, row) - 1
        return self._anchor_lines[place] + row - self._anchor_rows[place]

    def values(self) -> FloatArray:
        """Return the numbers, (rows, columns); NaN in columns of text and where there is none."""
        return self._table.finished()

    def take_whole(self, first: int, lines: list[str]) -> bool:
        """Append lines that are all rows of plain numbers; False, and nothing done, if not."""
        block = self._loaded(lines)
        if block is None:
            return False
        if self.texts:
            for line in lines:
                fields = self.layout.split(line)
                for column, texts in self.texts.items():
                    texts.append(self._intern(fields[column]))
            wide = np.full((len(lines), self.layout.fields), np.nan)
            wide[:, self._numeric] = block
            block = wide
        self._note_odd_values(block, lines)
        for column in self._numeric:
            self.notes[column].units.add("")
            self.notes[column].first_of_unit.setdefault("", self.rows)
        for line in (lines[0], *lines[-_LAST_FIELDS:]):
            self._note_last(self.layout.split(line)[-1])
        self._append(block, first)
        return True

    def take_row(self, number: int, fields: Sequence[str]) -> bool:
        """Append one row, with what is odd in it; False, and nothing done, if it is none.

        ``fields``: at most so many as the table has. Raises :class:`ConfigError` where there are
        more, or fewer between blanks, which could be those of any column.
        """
        fields = list(fields)
        while len(fields) > self.layout.fields and not fields[-1]:
            fields.pop()
        one_more = self.layout.trailing and len(fields) == self.layout.fields + 1
        if one_more and self.layout.style.parse(fields[-1]).kind is CellKind.TEXT:
            self.note_comment(number, fields.pop())  # an event, in a column else empty
        cells = [self.layout.style.parse(field) for field in fields]
        seen = [c for i, c in enumerate(cells) if i not in self.layout.text_columns]
        kinds = [cell.kind for cell in seen]
        numeric = CellKind.NUMBER in kinds or CellKind.OVER in kinds
        if not numeric and not self._is_odd_row(fields, kinds):
            return False
        if CellKind.TEXT in kinds and self._sums_up(fields, cells):
            return False
        if len(fields) != self.layout.fields:
            if any(cell.kind is CellKind.TEXT for cell in seen) and self.layout.fields > 2:
                return False
            self._refuse_ragged(number, len(fields))
            self.short_rows.append(number)
        row = np.full((1, self.layout.fields), np.nan)
        for column, cell in enumerate(cells):
            self._note_cell(column, cell.kind, fields[column], cell.unit)
            row[0, column] = cell.value
        for column in range(len(fields), self.layout.fields):
            self._note_cell(column, CellKind.MISSING, "", "")
        self._note_last(fields[-1])
        self._append(row, number)
        return True

    def _sums_up(self, fields: Sequence[str], cells: Sequence[CellValue]) -> bool:
        """Return whether a row holds statistics of those above, not a measurement."""
        return any(
            cell.kind is CellKind.TEXT
            and column not in self.layout.text_columns
            and fields[column].rstrip(":.").casefold() in _SUMMARIES
            for column, cell in enumerate(cells)
        )

    def _is_odd_row(self, fields: Sequence[str], kinds: Sequence[CellKind]) -> bool:
        """Return whether a row without numbers is one: of gaps, or a lone word among numbers."""
        if len(fields) != self.layout.fields:
            return False
        if all(kind is CellKind.MISSING for kind in kinds):
            return any(fields)
        return self.layout.fields == 1 and self.rows > 0 and len(fields[0].split()) == 1

    def note_comment(self, number: int, text: str) -> None:
        """Count a comment between rows, and keep the first few."""
        self.comment_count += 1
        if len(self.comments) < _MOST_NOTES:
            self.comments.append((number, text))

    def _note_last(self, text: str) -> None:
        if text:
            self.longest_last = max(self.longest_last, len(text))
            self.last_had_exponent &= has_exponent(text)[0]
            self.longest_exponent = max(self.longest_exponent, exponent_digits(text))

    def _append(self, block: FloatArray, first: int) -> None:
        if first != self._next_line:
            self._anchor_rows.append(self.rows)
            self._anchor_lines.append(first)
        self._table.extend(block)
        self._next_line = first + len(block)

    def _loaded(self, lines: list[str]) -> FloatArray | None:
        layout = self.layout
        if layout.style.thousands or not self._numeric:
            return None
        if layout.style.decimal == ",":
            if layout.separator == "," or any("." in line for line in lines):
                return None
            lines = [line.replace(",", ".") for line in lines]
        try:
            block: FloatArray = np.loadtxt(
                lines,
                delimiter=None if layout.separator == " " else layout.separator,
                comments=None,
                quotechar='"',
                usecols=self._numeric if self.texts or layout.trailing else None,
                ndmin=2,
            )
        except ValueError:
            return None
        if block.shape != (len(lines), len(self._numeric)) or not self._all_full(lines):
            return None
        return block

    def _all_full(self, lines: list[str]) -> bool:
        """Return whether every line has its fields; numpy looks at those alone that it uses."""
        if not self.texts and not self.layout.trailing:
            return True
        return all(len(self.layout.split(line)) == self.layout.fields for line in lines)

    def _note_odd_values(self, block: FloatArray, lines: list[str]) -> None:
        if np.isfinite(block).all() and (not block.size or np.abs(block).max() < OVER_RANGE):
            return
        for column in self._numeric:
            values = block[:, column]
            self.notes[column].missing += int(np.isnan(values).sum())
            for row in np.flatnonzero(np.abs(values) >= OVER_RANGE):
                text = self.layout.split(lines[row])[column]
                self.notes[column].add_over_range(self.rows + int(row), text)
                values[row] = np.nan

    def _note_cell(self, column: int, kind: CellKind, text: str, unit: str) -> None:
        notes = self.notes[column]
        if column in self.texts:
            self.texts[column].append(self._intern(text))
        elif kind is CellKind.MISSING:
            notes.missing += 1
        elif kind is CellKind.OVER:
            notes.add_over_range(self.rows, text)
        elif kind is CellKind.TEXT:
            notes.add_fault(self.rows, text, "a number")
        else:
            notes.units.add(unit)
            notes.first_of_unit.setdefault(unit, self.rows)

    def _refuse_ragged(self, number: int, count: int) -> None:
        if count > self.layout.fields or self.layout.separator == " ":
            raise ConfigError(
                f"{count} values: expected {self.layout.fields}, as in the rows before; leave lines"
                " above the table out with --skip",
                key=f"line {number}",
            )

    def _intern(self, text: str) -> str:
        return self._interned.setdefault(text, text)
