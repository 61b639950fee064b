"""Runs of a QCoDeS database, each a table."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from hwloop.datasets.tables.arrays import StoredArray, tables_of_arrays
from hwloop.datasets.tables.options import TableOptions
from hwloop.datasets.tables.table import DataTable
from hwloop.errors import ConfigError
from hwloop.settings.foreign_files import MAX_NUMBERS


def tables_of_qcodes(path: Path, options: TableOptions) -> list[DataTable]:
    """Return a table for each run of a QCoDeS database, by its names and units in ``layouts``."""
    address = f"file:{path.absolute().as_posix().replace('?', '%3f')}?mode=ro&immutable=1"
    with closing(sqlite3.connect(address, uri=True)) as base:
        known = {name for (name,) in base.execute("SELECT name FROM sqlite_master")}
        if not {"runs", "layouts", "experiments"} <= known:
            raise ConfigError("is an SQLite database, but not of QCoDeS; export its table as CSV")
        runs = base.execute("SELECT run_id, name, result_table_name FROM runs").fetchall()
        found: list[DataTable] = []
        for number, name, table in runs:
            if table in known:
                found += _of_run(path, base, number, str(name), str(table))
    del options
    if not found:
        raise ConfigError("holds no run with numbers", file=str(path))
    return found


def _of_run(
    path: Path, base: sqlite3.Connection, number: int, name: str, table: str
) -> list[DataTable]:
    layout: Mapping[str, tuple[str, str]] = {
        parameter: (str(label or ""), str(unit or ""))
        for parameter, label, unit in base.execute(
            "SELECT parameter, label, unit FROM layouts WHERE run_id = ?", (number,)
        )
    }
    quoted = '"' + table.replace('"', '""') + '"'
    cursor = base.execute(f"SELECT * FROM {quoted}")  # noqa: S608 - a name from the file, quoted
    names = [column[0] for column in cursor.description]
    rows = cursor.fetchmany(MAX_NUMBERS // max(len(names), 1))
    arrays: dict[str, StoredArray] = {}
    for place, column in enumerate(names):
        cells = [row[place] for row in rows]
        if column in layout and all(isinstance(cell, int | float | None) for cell in cells):
            unit = layout[column][1]
            arrays[column] = StoredArray(np.array(cells, np.float64), unit)
    if not arrays or not rows:
        return []  # arrays in binary form, or nothing measured
    about = {parameter: label for parameter, (label, _) in layout.items()}
    tables = tables_of_arrays(path, arrays, kind=f"QCoDeS database, run {number}", metadata=about)
    return [replace(one, name=f"run {number} {name}".strip()) for one in tables]
