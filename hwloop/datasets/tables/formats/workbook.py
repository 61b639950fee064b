"""Sheets of workbooks: Excel 97 to today, and OpenDocument."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hwloop.datasets.tables.options import TableOptions
from hwloop.datasets.tables.table import DataTable
from hwloop.datasets.tables.text_tables import tables_of_lines
from hwloop.errors import ConfigError
from hwloop.messages import nearest, one_line
from hwloop.settings.foreign_files import file_bytes

_WITH_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?$")
MAX_WORKBOOK_BYTES = 2**28
"""Most bytes of a workbook that are read, unpacked."""


def tables_of_old_workbook(path: Path, options: TableOptions) -> list[DataTable]:
    """Return the tables of a workbook of Excel 97, as a Keithley 4200 writes it; not unpacked."""
    if file_bytes(path) > MAX_WORKBOOK_BYTES:
        raise ConfigError(f"has {file_bytes(path)} bytes; at most {MAX_WORKBOOK_BYTES} are read")
    try:
        return tables_of_workbook(path, options)
    except ConfigError:
        raise
    except Exception as exc:  # noqa: BLE001 - the library's own, and more
        raise ConfigError(
            "is no Excel workbook (.xls) that can be read, but a damaged or locked one, or a"
            f" document: save it as .xlsx or CSV ({one_line(str(exc), 100)})"
        ) from None


def tables_of_workbook(path: Path, options: TableOptions) -> list[DataTable]:
    """Return the tables of all sheets, or of the one that the user chose.

    Raises :class:`ConfigError` where no sheet holds numbers, and where the library is missing.
    """
    try:
        from python_calamine import CalamineWorkbook
    except ImportError:
        raise ConfigError(
            "a workbook needs the library python-calamine: pip install 'hwloop[excel]', or save"
            " the sheet as CSV",
            file=str(path),
        ) from None
    found: list[DataTable] = []
    with CalamineWorkbook.from_path(str(path)) as book:
        for name in _chosen_sheets(list(book.sheet_names), options.sheet, path):
            rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
            lines = [
                "\t".join(_cell_text(one, options.decimal) for one in row).rstrip("\t")
                for row in rows
            ]
            found += _of_sheet(path, name, lines, options)
    if not found:
        raise ConfigError("holds no row of numbers in any sheet", file=str(path))
    return found


def _of_sheet(
    path: Path, name: str, lines: list[str], options: TableOptions
) -> Iterator[DataTable]:
    as_written = replace(options, separator="\t", decimal=".", thousands="")
    try:
        tables = tables_of_lines(path, lines, as_written, f"sheet {name!r} of a workbook")
    except ConfigError:
        if options.sheet:
            raise
        return  # a sheet of charts or remarks
    for table in tables:
        yield replace(table, name=name if len(tables) == 1 else f"{name}: {table.name}")


def _chosen_sheets(names: list[str], wanted: str, path: Path) -> list[str]:
    if not wanted:
        return names
    if wanted in names:
        return [wanted]
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return [names[int(wanted) - 1]]
    raise ConfigError(
        f"there is no sheet {wanted!r}{nearest(wanted, names)}",
        key="--sheet",
        file=str(path),
    )


def _cell_text(value: object, decimal: str) -> str:
    """Return a cell as text: a number with all its digits, another without tabs and line ends.

    ``decimal``: mark in numbers that stand in the sheet as text, if the user gave one.
    """
    if isinstance(value, float | int) and not isinstance(value, bool):
        return repr(value)
    text = " ".join(str(value).split())
    return text.replace(",", ".") if decimal == "," and _WITH_COMMA.match(text) else text
