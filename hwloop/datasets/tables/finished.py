"""Finished tables: rows of text with their header become columns, notes and one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hwloop.datasets.tables.header import TableHeader, header_of
from hwloop.datasets.tables.labview import with_labview_tags
from hwloop.datasets.tables.table import (
    CellFault,
    DataTable,
    TableColumn,
    labelled,
    with_meaning,
)
from hwloop.datasets.tables.text_layout import TextLayout
from hwloop.datasets.tables.text_rows import ColumnNotes, TableRows
from hwloop.datasets.tables.units import unit_of
from hwloop.messages import one_line


def notes_on(rows: TableRows) -> Iterator[str]:
    """Yield notes on lines between the rows that were left out, and on rows that end early."""
    if rows.blank_lines:
        yield f"{rows.blank_lines} blank {_lines(rows.blank_lines)} between the rows left out"
    if rows.comment_count:
        yield about_lines(rows.comments, "of comment between the rows", rows.comment_count)
    if rows.short_rows:
        count = len(rows.short_rows)
        yield (
            f"{count} {'row ends' if count == 1 else 'rows end'} early, the first in line"
            f" {rows.short_rows[0]}: what is missing there counts as empty"
        )


def about_lines(lines: Sequence[tuple[int, str]], where: str, count: int = 0) -> str:
    """Return a note on lines that were left out, with the first of them."""
    count = count or len(lines)
    number, text = lines[0]
    return (
        f"{count} {_lines(count)} {where} left out: line {number}"
        f" {one_line(text.strip(), 60)!r}{', …' if count > 1 else ''}"
    )


def _lines(count: int) -> str:
    return "line" if count == 1 else "lines"


def finished_table(
    path: Path, kind: str, rows: TableRows, notes: list[str], after: dict[str, str]
) -> DataTable:
    """Return the table of these rows. ``kind``: what the file is; ``after``: metadata below it."""
    layout = rows.layout
    header = _header(rows, layout)
    values = rows.values()
    names = header.names or tuple(f"column {i + 1}" for i in range(layout.fields))
    units = header.units or ("",) * layout.fields
    if header.odd:
        notes.append(header.odd)
    filled = [i for i, noted in enumerate(rows.notes) if noted.missing < len(values)]
    last = max([*filled, *rows.texts], default=layout.fields)
    columns = []
    for i, (name, label) in enumerate(zip(names, labelled(names), strict=True)):
        noted = rows.notes[i]
        empty = noted.missing == len(values) and i not in rows.texts
        if empty and (not name or (i > last and not header.names)):
            continue  # separators at the begin or the end of every line
        column = _column(name or f"column {i + 1}", label or f"column {i + 1}", values[:, i], noted)
        if i in rows.texts:
            column = replace(column, texts=rows.texts[i], faults=(), fault_count=0, over_count=0)
        columns.append(_as_index(with_meaning(column, units[i]), header))
    comments = [t for _, t in rows.head if t.strip() and layout.is_comment(t)]
    left = len(comments) - (1 if header.lines and not _plain_header(rows, header) else 0)
    if left > 0:
        notes.append(f"{left} {_lines(left)} of comment above the table kept as metadata")
    table = DataTable(
        path=path,
        columns=tuple(columns),
        recognised=_sentence(kind, layout, header, rows),
        name=_title(rows, header, layout),
        has_header=bool(header.names) and any(header.names),
        metadata={**header.metadata, **after},
        notes=tuple(notes),
        place_of=_place(rows),
    )
    return with_labview_tags(table)


def _as_index(column: TableColumn, header: TableHeader) -> TableColumn:
    """Return a column without a name among named ones as the index that it is, if it counts rows.

    pandas writes its index so, which begins again where two tables were put together.
    """
    unnamed = column.name.startswith("column ") or column.name.startswith("Unnamed: ")
    if not (header.names and unnamed) or column.role or column.is_text or column.unit is not None:
        return column
    steps = np.diff(column.values)
    on = steps == 1
    again = (steps < 0) & (column.values[1:] == column.values[0])
    counts = column.values.size > 1 and column.values[0] in (0, 1) and bool((on | again).all())
    return replace(column, role="index") if counts else column


def _header(rows: TableRows, layout: TextLayout) -> TableHeader:
    """Return the header; it may name the filled columns alone where empty ones end every row."""
    header = header_of(rows.head, layout)
    filled = [i for i, noted in enumerate(rows.notes) if noted.missing < rows.rows]
    used = max(filled, default=0) + 1
    if header.names or used < 2 or used == layout.fields:
        return header
    found = header_of(rows.head, replace(layout, fields=used))
    if not found.names:
        return header
    spare = ("",) * (layout.fields - used)
    return replace(found, names=(*found.names, *spare), units=(*found.units, *spare))


def _plain_header(rows: TableRows, header: TableHeader) -> bool:
    return any(
        number in header.lines and not rows.layout.is_comment(text) for number, text in rows.head
    )


def _place(rows: TableRows) -> Callable[[int], str]:
    return lambda row: f"line {rows.line_of(row)}"


def _column(name: str, label: str, values: np.ndarray, noted: ColumnNotes) -> TableColumn:
    faults, count, unit = list(noted.faults), noted.fault_count, None
    written = noted.units - {""}
    if len(noted.units) > 1:
        other = max(noted.first_of_unit.items(), key=lambda one: one[1])
        count += 1
        faults.insert(0, CellFault(other[1], f"… {other[0] or 'without a unit'}", "one unit"))
    elif written:
        unit = unit_of(written.pop())
    return TableColumn(
        name=name,
        label=label,
        values=values,
        unit=unit,
        missing=noted.missing,
        faults=tuple(faults),
        fault_count=count,
        over_count=noted.over_count,
    )


def _sentence(kind: str, layout: TextLayout, header: TableHeader, rows: TableRows) -> str:
    where = " and ".join(map(str, header.lines))
    names = f"names in line {where}" if header.names else "no names of columns"
    return (
        f"{kind}, {layout.described()}; {names}, {rows.rows} rows of {layout.fields}"
        f" {'value' if layout.fields == 1 else 'values'} from line {rows.line_of(0)}"
    )


def _title(rows: TableRows, header: TableHeader, layout: TextLayout) -> str:
    """Return the line right above the names, which is often the title of the table."""
    begin = header.lines[0] if header.lines else rows.line_of(0)
    above = [text for number, text in rows.head if number < begin and text.strip()]
    if not above:
        return ""
    return next((one for one in layout.split(above[-1].lstrip("#%! ")) if one), "")[:60]
