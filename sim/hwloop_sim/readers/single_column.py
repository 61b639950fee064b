"""One column of conductances or resistances, one value per pulse, under a header with the unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from hwloop.datasets.importing import Extract, Reader
from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.table import TableColumn
from hwloop.datasets.tables.units import WrittenUnit
from hwloop_sim.readers.train_units import (
    CONDUCTANCE_UNITS,
    in_siemens,
    is_value,
    spelled,
    unit_in_file_or_given,
)


def judge(source: DataFile) -> str:
    """Return "" if the table has one column, which is no time, voltage or counter."""
    columns = source.table.columns
    if len(columns) != 1:
        return f"it has {len(columns)} columns; expected one"
    if not is_value(columns[0]) or columns[0].role == "current_a":
        what = columns[0].role or "no conductance"
        return f"its only column, {columns[0].label}, is {what}: expected a conductance"
    return ""


def read(source: DataFile, options: Mapping[str, str]) -> Extract:
    """Return the values in siemens; resistances are inverted, which the messages state.

    Raises :class:`ConfigError` with file, line, value and what was expected.
    """
    table = source.table
    column = table.columns[0]
    unit = unit_in_file_or_given(source, [column], options.get("unit"), CONDUCTANCE_UNITS)
    table.numbers(column)  # refuses gaps and text
    wrong = column.values <= 0
    if wrong.any():
        row = int(np.argmax(wrong))
        what = "resistance" if unit.dimension == "ohm" else "conductance"
        raise table.fault(row, f"{what} {column.values[row]:g} {spelled(unit)}", "a value above 0")
    columns = {"conductance_s": in_siemens(source, column.values, unit, options)}
    return Extract("trains", columns, {}, list(_messages(table.has_header, column, unit)))


def _messages(named: bool, column: TableColumn, unit: WrittenUnit) -> Iterator[str]:
    where = f"under {column.name!r}" if named else "as given"
    yield f"{column.values.size} values in {spelled(unit)} {where}"
    if unit.dimension == "ohm":
        yield "resistances: each was inverted to a conductance"
    yield "no row of the table was dropped"


SINGLE_COLUMN = Reader(
    name="single_column",
    summary="one column of conductances or resistances, its unit in the header",
    judge=judge,
    read=read,
    options={"unit": f"of a file without header: {', '.join(CONDUCTANCE_UNITS)}"},
)
