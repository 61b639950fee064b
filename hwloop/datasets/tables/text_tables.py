"""Tables in text: lines of a file become the tables in it, each with its header and its notes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hwloop.datasets.tables.cells import CellKind
from hwloop.datasets.tables.finished import about_lines, finished_table, notes_on
from hwloop.datasets.tables.header import metadata_of
from hwloop.datasets.tables.options import TableOptions
from hwloop.datasets.tables.simulator_steps import STEP_LINE, joined_steps, parameters_of
from hwloop.datasets.tables.table import (
    DataTable,
)
from hwloop.datasets.tables.text_layout import TextLayout, layout_of
from hwloop.datasets.tables.text_rows import TableRows, exponent_digits, has_exponent
from hwloop.datasets.tables.text_source import LineBatch, TextSource, not_text, open_text
from hwloop.errors import ConfigError

_HEAD_LINES = 20_000
_SMALL_PIECE = 256
_MOST_HEAD_LINES = 100_000
_MOST_FIELDS = 2**16
_MOST_TABLES = 1000
_DATA_NAME, _DATA_VALUE = "DataName", "DataValue"
_MARK_END = re.compile("[,\t]")  # between tabs where a workbook holds the lines


def tables_of_text(path: Path, options: TableOptions) -> list[DataTable]:
    """Return the tables of a text file.

    Raises :class:`ConfigError` with file, line and what to do where there is none, rows differ in
    length, or what is ambiguous would change numbers.
    """
    source = open_text(path)
    try:
        return _tables(source, options)
    except UnicodeDecodeError:  # its begin was ASCII, or UTF-8 by chance
        try:
            return _tables(replace(source, encoding="cp1252"), options)
        except UnicodeDecodeError:
            raise not_text(path) from None


def tables_of_lines(
    path: Path, lines: list[str], options: TableOptions, kind: str
) -> list[DataTable]:
    """Return the tables in lines that another program's file was turned into.

    ``kind``: what the file is, for people. Raises :class:`ConfigError` as :func:`tables_of_text`.
    """
    return _from_batches(path, iter([LineBatch(1, lines)]), options, kind)


def _tables(source: TextSource, options: TableOptions) -> list[DataTable]:
    kind = f"text in {source.encoding_name}"
    return _from_batches(source.path, source.batches(), options, kind)


def _from_batches(
    path: Path, batches: Iterator[LineBatch], options: TableOptions, kind: str
) -> list[DataTable]:
    steps: list[str] = []
    batches = _without_first(batches, options.skip)
    first, batches = _begin(batches)
    if any(line.startswith(_DATA_NAME) for line in first):
        kind += ", an EasyEXPERT export"
        first, batches = _unmarked(first), map(_unmarked_batch, batches)
    elif any(line.startswith(STEP_LINE) for line in first):
        kind += ", a simulator's export of steps"
        names = next(line for line in first if line.strip())
        first = _named_again(first, names)
        batches = (_noted_steps(one, names, steps) for one in batches)
    layout = layout_of(first, options, path)
    if layout is None:
        raise ConfigError("holds no row of numbers", file=str(path))
    if layout.fields > _MOST_FIELDS:
        raise ConfigError(f"has {layout.fields} columns; at most {_MOST_FIELDS}", file=str(path))
    walk = _Walk(layout)
    try:
        for batch in batches:
            walk.take(batch)
        tables = walk.tables(path, kind)
    except ConfigError as exc:
        raise exc if exc.file else exc.below(file=str(path)) from None
    joined = joined_steps(tables, steps) if len(steps) > 1 and not options.table else None
    return tables if joined is None else [joined]


def _without_first(batches: Iterator[LineBatch], skip: int) -> Iterator[LineBatch]:
    for batch in batches:
        left = max(0, skip + 1 - batch.first)
        if left < len(batch.lines):
            yield LineBatch(batch.first + left, batch.lines[left:], batch.unfinished)


def _begin(batches: Iterator[LineBatch]) -> tuple[list[str], Iterator[LineBatch]]:
    """Return the first lines, and all batches again."""
    seen: list[LineBatch] = []
    lines: list[str] = []
    for batch in batches:
        seen.append(batch)
        lines += batch.lines
        if len(lines) >= _HEAD_LINES:
            break
    return lines[:_HEAD_LINES], itertools.chain(seen, batches)


def _unmarked(lines: Iterable[str]) -> list[str]:
    """Return the lines of an EasyEXPERT file with its rows alone as rows, the others as comments.

    Each line begins with what it is: ``DataName`` names the columns, ``DataValue`` a row.
    """
    found = []
    for line in lines:
        mark, rest = (*_MARK_END.split(line, maxsplit=1), "")[:2]
        row = mark.strip() in (_DATA_NAME, _DATA_VALUE)
        found.append(rest if row else f"# {line}" if line.strip() else line)
    return found


def _named_again(lines: Iterable[str], names: str) -> list[str]:
    """Return the lines of an LTspice export with the names of its columns in each step.

    A step begins with a line of its parameters; the names stand in its place, so that each step is
    a table and the lines keep their numbers.
    """
    return [names if line.startswith(STEP_LINE) else line for line in lines]


def _noted_steps(batch: LineBatch, names: str, steps: list[str]) -> LineBatch:
    """Return a batch as :func:`_named_again`; ``steps`` gets the parameters of those in it."""
    steps += [parameters_of(line) for line in batch.lines if line.startswith(STEP_LINE)]
    return replace(batch, lines=_named_again(batch.lines, names))


def _unmarked_batch(batch: LineBatch) -> LineBatch:
    return replace(batch, lines=_unmarked(batch.lines))


class _Walk:
    """Walk through the lines: head, rows, head, rows, …"""

    def __init__(self, layout: TextLayout) -> None:
        self._layout = layout
        self._done: list[TableRows] = []
        self._current: TableRows | None = None
        self._head: list[tuple[int, str]] = []
        self._head_count = 0
        self._truncated = ""

    def take(self, batch: LineBatch) -> None:
        if batch.unfinished and self._current is not None:
            self._truncated = _cut_off(self._current, batch.lines[0])
            if self._truncated:
                self._truncated = f"line {batch.first} has no line end and {self._truncated}"
                return
        self._take_lines(batch.first, batch.lines)

    def _take_lines(self, first: int, lines: list[str]) -> None:
        start, step = 0, len(lines)
        while start < len(lines):
            piece = lines[start : start + step]
            if self._current is not None and self._current.take_whole(first + start, piece):
                start += len(piece)
                step *= 4
            elif step > _SMALL_PIECE and self._current is not None:
                step = max(_SMALL_PIECE, step // 8)
            else:  # begin of a table, or an odd line among them
                piece = piece[:_SMALL_PIECE]
                for place, line in enumerate(piece, start=first + start):
                    self._take_line(place, line)
                start += len(piece)
                step *= 4

    def _take_line(self, number: int, line: str) -> None:
        layout = self._layout if self._current is None else self._current.layout
        fields = layout.split(line)
        if not any(fields):
            if self._current is not None:
                self._current.blank_lines += 1
            else:
                self._note_head(number, line)
        elif layout.is_comment(line):
            self._take_comment(number, line)
        elif self._current is None or not self._current.take_row(number, fields):
            self._take_other(number, line, fields)

    def _take_comment(self, number: int, line: str) -> None:
        if self._current is None:
            self._note_head(number, line)
        elif any(text == line for _, text in self._current.head):  # the header of the next table
            self._close()
            self._note_head(number, line)
        else:
            self._current.note_comment(number, line)

    def _take_other(self, number: int, line: str, fields: Sequence[str]) -> None:
        """Take a line that is no row of the current table: of the next one, or text."""
        if self._current is not None:
            self._close()
        layout = self._starting(fields)
        if layout is None:
            self._note_head(number, line)
            return
        if len(self._done) >= _MOST_TABLES:
            raise ConfigError(
                f"holds more than {_MOST_TABLES} tables; divide it", key=f"line {number}"
            )
        self._current = TableRows(layout, self._head)
        self._head = []
        if not self._current.take_row(number, fields):
            self._head, self._current = [*self._current.head, (number, line)], None

    def _starting(self, fields: Sequence[str]) -> TextLayout | None:
        """Return the layout of the table whose first row this is; None if it is none."""
        kinds = [self._layout.style.parse(field).kind for field in fields]
        texts = {i for i, kind in enumerate(kinds) if kind is CellKind.TEXT}
        numbers = sum(kind in (CellKind.NUMBER, CellKind.OVER) for kind in kinds)
        if not numbers:
            return None
        if len(fields) == self._layout.fields and texts <= self._layout.text_columns:
            return self._layout
        while kinds and not fields[len(kinds) - 1]:
            kinds.pop()
        if len(kinds) == self._layout.fields and texts <= self._layout.text_columns:
            return self._layout
        if texts or len(fields) < 2:
            return None
        return replace(self._layout, fields=len(fields), text_columns=frozenset())

    def _note_head(self, number: int, line: str) -> None:
        self._head_count += 1
        if self._head_count > _MOST_HEAD_LINES:
            raise ConfigError(
                f"has more than {_MOST_HEAD_LINES} lines that are no rows of a table",
                key=f"line {number}",
            )
        self._head.append((number, line))

    def _close(self) -> None:
        """End the current table; a lone row of another length was no table."""
        current, self._current = self._current, None
        assert current is not None  # noqa: S101 - called where there is one
        if current.rows == 1 and current.layout.fields != self._layout.fields:
            self._head = [*current.head, (current.line_of(0), "(a row of numbers)")]
        else:
            self._done.append(current)

    def tables(self, path: Path, kind: str) -> list[DataTable]:
        if self._current is not None:
            self._close()
        if not self._done:
            raise ConfigError("holds no row of numbers", file=str(path))
        trailing = [one for one in self._head if one[1].strip()]
        found = []
        for place, rows in enumerate(self._done):
            last = place == len(self._done) - 1
            notes = list(notes_on(rows))
            if last and self._truncated:
                notes.append(self._truncated)
            if last and trailing:
                notes.append(about_lines(trailing, "after the table"))
            after = metadata_of(trailing, rows.layout.separator) if last else {}
            found.append(finished_table(path, kind, rows, notes, after))
        return found


def _cut_off(rows: TableRows, line: str) -> str:
    """Return why a last line without a line end is not taken; "" if it seems to be whole.

    The last value may end in the middle: without its exponent, or with fewer digits.
    """
    layout = rows.layout
    fields = layout.split(line)
    if not any(layout.style.parse(field).kind is CellKind.NUMBER for field in fields):
        return ""
    if len(fields) < layout.fields and not rows.short_rows:
        return f"{len(fields)} of {layout.fields} values: it is cut off, and was left out"
    last = fields[-1]
    if len(fields) != layout.fields or not rows.rows:
        return ""
    if layout.fields - 1 in layout.text_columns:
        seen = set(rows.texts[layout.fields - 1])
        if last in seen and not any(one != last and one.startswith(last) for one in seen):
            return ""
        return f"its last field {last!r} may be cut off, and was left out"
    if rows.last_had_exponent and not has_exponent(last)[0]:
        return f"its last value {last!r} lacks an exponent: it is cut off, and was left out"
    if exponent_digits(last) >= max(rows.longest_exponent, 1):
        return ""  # nothing can follow a whole exponent, however few digits stand before it
    if len(last) < rows.longest_last:
        return (
            f"its last value {last!r} is shorter than one before: it may be cut off, and was left"
            " out; end the line if it is whole"
        )
    return ""
