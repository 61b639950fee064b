"""Explanation of a file of measured data: its begin, its columns, and what each reader says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hwloop import plugins
from hwloop.datasets.importing import Reader, check_file
from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.options import TableOptions
from hwloop.datasets.tables.table import DataTable, TableColumn
from hwloop.errors import ConfigError
from hwloop.messages import one_line

_HEAD = 8
_WIDTH = 96
_MOST_COLUMNS = 40
_MOST_METADATA = 12


def explain(path: Path, options: TableOptions) -> Iterator[str]:
    """Yield lines on what a file holds and why each reader takes it or not; writes nothing.

    Raises :class:`ConfigError` where there is no such file.
    """
    check_file(path)
    source = DataFile(path, options)
    yield from _head(source)
    try:
        tables = source.tables
    except ConfigError as exc:
        yield f"no table: {': '.join(part for part in (exc.key, exc.message) if part)}"
    else:
        for number, table in enumerate(tables, start=1):
            yield from _table(number, table if len(tables) > 1 else source.table, len(tables))
    yield "readers:"
    readers: dict[str, Reader] = plugins.load_all(plugins.READERS)
    for name, reader in readers.items():
        reason = reader.objection(source)
        yield f"  {name}: {f'no, {one_line(reason, 400)}' if reason else 'yes, it fits'}"
        if not reason and reader.options:
            yield f"    takes with --set: {', '.join(reader.options)}"


def _head(source: DataFile) -> Iterator[str]:
    lines = source.first_lines(_HEAD)
    if lines:
        yield "begin of the file:"
    for line in lines:
        shown = line.expandtabs(4)
        yield f"  | {shown[:_WIDTH]}{' …' if len(shown) > _WIDTH else ''}"


def _table(number: int, table: DataTable, count: int) -> Iterator[str]:
    title = f" {number} of {count}{f', {table.name!r}' if table.name else ''}" if count > 1 else ""
    yield f"table{title}: {table.recognised}"
    for note in table.notes:
        yield f"  {note}"
    for key, value in list(table.metadata.items())[:_MOST_METADATA]:
        yield f"  metadata {key}: {one_line(value, _WIDTH)}"
    if len(table.metadata) > _MOST_METADATA:
        yield f"  … {len(table.metadata)} lines of metadata"
    for place, column in enumerate(table.columns[:_MOST_COLUMNS], start=1):
        yield f"  column {place}, {column.label!r}: {_about(column)}"
    if len(table.columns) > _MOST_COLUMNS:
        yield f"  … {len(table.columns)} columns"


def _about(column: TableColumn) -> str:
    if column.texts is not None:
        return f"text, such as {one_line(column.texts[0], 40)!r}"
    unknown = "no measured value by its name" if column.derived else "not known"
    role = column.role or f"{unknown}; say what it is with --column"
    if column.contradictory:
        role = "its name and its unit contradict each other"
    unit = column.unit.symbol if column.unit is not None else ""
    shown = f"from {column.values[0]:.6g} to {column.values[-1]:.6g}, first to last"
    parts = [role, f"in {unit}" if unit else "without a unit", shown]
    if column.missing:
        parts.append(f"{column.missing} missing")
    if column.fault_count:
        first = column.faults[0]
        parts.append(f"{column.fault_count} that cannot be used, the first {first.text!r}")
    return "; ".join(parts)
