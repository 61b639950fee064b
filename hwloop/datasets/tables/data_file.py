"""A file of measured data as readers see it: its tables, or its lines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hwloop.datasets.tables.containers import tables_of_container
from hwloop.datasets.tables.options import TableOptions
from hwloop.datasets.tables.roles import COUNTERS
from hwloop.datasets.tables.table import DataTable, as_decided
from hwloop.datasets.tables.text_source import begin_of_text, read_whole, size_and_time
from hwloop.datasets.tables.text_tables import tables_of_text
from hwloop.errors import ConfigError
from hwloop.settings.foreign_files import MAX_DATA_TEXT_BYTES, file_bytes

_NAMED = 8


class DataFile:
    """A file whose tables are read once, when the first reader asks for them.

    ``options``: decisions of the user.
    """

    def __init__(self, path: Path, options: TableOptions | None = None) -> None:
        self.path = path
        self.options = options or TableOptions()
        self._tables: list[DataTable] | ConfigError | None = None
        self._lines: list[str] | ConfigError | None = None

    @property
    def tables(self) -> list[DataTable]:
        """Return all tables of the file.

        Raises :class:`ConfigError` with file, place and what to do where there is none, and where
        the file changes while it is read.
        """
        if self._tables is None:
            try:
                self._tables = self._read()
            except ConfigError as exc:
                self._tables = exc
        if isinstance(self._tables, ConfigError):
            raise self._tables
        return self._tables

    @property
    def table(self) -> DataTable:
        """Return the only table, or the one that the user chose, with the user's columns and units.

        Raises :class:`ConfigError` as :attr:`tables` does, and with the names of all tables where
        none is chosen.
        """
        tables = self.tables
        wanted = self.options.table
        if not wanted and len(tables) == 1:
            return as_decided(tables[0], self.options)
        only = None if wanted else _only_measured(tables)
        if only is not None:
            return as_decided(only, self.options)
        for place, table in enumerate(tables, start=1):
            if wanted and wanted in (str(place), table.name):
                return as_decided(table, self.options)
        reason = f"has no table {wanted!r}: it holds" if wanted else "holds several tables:"
        shown = "; ".join(_named(i, one) for i, one in enumerate(tables[:_NAMED], start=1))
        more = f"; … ({len(tables)} tables)" if len(tables) > _NAMED else ""
        raise ConfigError(f"{reason} {shown}{more}; choose one with --table", file=str(self.path))

    def lines(self) -> list[str]:
        """Return the lines of a text file without their ends; the last is "" after a line end.

        Raises :class:`ConfigError` where it is not text, or too long for a reader of lines.
        """
        if self._lines is None:
            try:
                self._lines = self._read_lines()
            except ConfigError as exc:
                self._lines = exc
        if isinstance(self._lines, ConfigError):
            raise self._lines
        return self._lines

    def first_lines(self, count: int) -> list[str]:
        """Return the first ``count`` lines that are not blank; none if the file is not text."""
        try:
            lines = begin_of_text(self.path)
        except ConfigError:
            return []
        return [line for line in lines if line.strip()][:count]

    def _read(self) -> list[DataTable]:
        before = size_and_time(self.path)
        found = tables_of_container(self.path, self.options)
        if found is None:
            if self.options.sheet:
                raise ConfigError(
                    "is text, which has no sheets", key="--sheet", file=str(self.path)
                )
            found = tables_of_text(self.path, self.options)
        self._refuse_change(before)
        return found

    def _read_lines(self) -> list[str]:
        size = file_bytes(self.path)
        if size > MAX_DATA_TEXT_BYTES:
            raise ConfigError(
                f"has {size} bytes; at most {MAX_DATA_TEXT_BYTES} are read line by line",
                file=str(self.path),
            )
        before = size_and_time(self.path)
        lines = read_whole(self.path)
        self._refuse_change(before)
        return lines

    def _refuse_change(self, before: tuple[int, int]) -> None:
        after = size_and_time(self.path)
        if after != before:
            raise ConfigError(
                f"changed while it was read, from {before[0]} to {after[0]} bytes: wait until the"
                " program that writes it has ended",
                file=str(self.path),
            )


def _only_measured(tables: list[DataTable]) -> DataTable | None:
    """Return the one table of measured values beside shorter ones of words and unknown numbers.

    A Keithley 4200 keeps its settings in sheets of their own, with numbers in some rows.
    """
    known = [{one.role for one in table.columns} - {"", *COUNTERS} for table in tables]
    measured = [table for table, roles in zip(tables, known, strict=True) if len(roles) >= 2]
    if len(measured) != 1 or sum(map(bool, known)) != 1:
        return None
    others = [table for table in tables if table is not measured[0]]
    for table in others:
        words = any(column.is_text or column.faults for column in table.columns)
        if table.rows >= measured[0].rows or not words:
            return None
    note = (
        f"{len(others)} other {'table' if len(others) == 1 else 'tables'} without a known quantity"
        f" left out: {others[0].name or others[0].place_of(0)!r}"
        f"{', …' if len(others) > 1 else ''}; choose one with --table"
    )
    return replace(measured[0], notes=(*measured[0].notes, note))


def _named(number: int, table: DataTable) -> str:
    columns = ", ".join(column.label for column in table.columns[:4])
    more = ", …" if len(table.columns) > 4 else ""
    title = f" {table.name!r}" if table.name else ""
    return f"{number}{title} ({table.place_of(0)}: {table.rows} rows of {columns}{more})"
