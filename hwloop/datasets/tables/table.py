"""A table as every reader sees it: columns with names, units and roles, and what stood around."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from hwloop.datasets.tables.options import TableOptions
from hwloop.datasets.tables.roles import (
    COUNTERS,
    DIMENSIONS,
    contradicts,
    in_dimension,
    role_of,
    says_no_value,
    unit_in_name,
)
from hwloop.datasets.tables.units import UNKNOWN_UNIT, WrittenUnit, unit_of
from hwloop.errors import ConfigError
from hwloop.types import FloatArray


@dataclass(frozen=True)
class CellFault:
    """A cell that holds no measured value: ``row`` from 0, its text, and what was expected.

    ``is_over_range``: whether it says that the meter was over range.
    """

    row: int
    text: str
    expected: str
    is_over_range: bool = False


@dataclass(frozen=True, kw_only=True)
class TableColumn:
    """One column of a table.

    ``name``: as written, with its unit. ``label``: the same, or with #2, #3, … where several have
    one name. ``role``: a key of :data:`hwloop.datasets.tables.roles.DIMENSIONS`, or "". ``values``:
    as written, NaN where a cell holds no number. ``texts``: cells of a column of text, else None.
    ``missing``: cells that are empty or say that there is no value. ``faults``: the first of the
    cells over range, and of those that are no number, with ``fault_count`` of all, of which
    ``over_count`` are over range. ``unit_doubt``: where the file states several units, each with
    its place. ``derived``: whether the name says what is no measured value, such as a standard
    deviation, a ratio or an impedance.
    """

    name: str
    label: str
    values: FloatArray
    unit: WrittenUnit | None = None
    role: str = ""
    texts: Sequence[str] | None = None
    missing: int = 0
    faults: tuple[CellFault, ...] = ()
    fault_count: int = 0
    over_count: int = 0
    contradictory: bool = False
    unit_doubt: str = ""
    derived: bool = False

    @property
    def is_text(self) -> bool:
        """Return whether its cells are text."""
        return self.texts is not None

    @property
    def unit_is_unknown(self) -> bool:
        """Return whether the file states a unit that is not known here, or several."""
        return self.unit == UNKNOWN_UNIT

    def in_si(self) -> FloatArray:
        """Return the values in the SI unit of the column; a view where they are in it already."""
        return self.unit.in_si(self.values) if self.unit else self.values


@dataclass(frozen=True, kw_only=True)
class DataTable:
    """Columns of one table of a file, with what was recognised.

    ``name``: title or sheet, "" if there is none. ``has_header``: whether the names are in the
    file. ``metadata``: lines around the table, by key where they have one. ``recognised``: one
    sentence. ``notes``: what was left out, or is odd. ``place_of``: row → "line 12" or "row 12".
    """

    path: Path
    columns: tuple[TableColumn, ...]
    recognised: str
    name: str = ""
    has_header: bool = True
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    place_of: Callable[[int], str] = lambda row: f"row {row + 1}"

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return int(self.columns[0].values.size) if self.columns else 0

    def of_role(self, role: str) -> tuple[TableColumn, ...]:
        """Return the columns of that role, in the order of the file."""
        return tuple(column for column in self.columns if column.role == role)

    def numbers(self, column: TableColumn, *, gaps: bool = False, over: bool = False) -> FloatArray:
        """Return a column in SI units, in which every cell is a measured value.

        ``gaps``: missing values are NaN; else they are refused. ``over``: readings over range are
        NaN as well, as of a meter that could not tell the value. Raises :class:`ConfigError` with
        place and text of a cell that holds text or a value over range, and where the name and the
        unit of the column contradict each other.
        """
        if column.contradictory:
            raise ConfigError(
                f"column {column.label!r}: its name and its unit contradict each other; say what it"
                f" is with --column QUANTITY={column.label!r}",
                file=str(self.path),
            )
        if column.unit_is_unknown:
            doubt = column.unit_doubt or "its unit is not known"
            raise ConfigError(
                f"column {column.label!r}: {doubt}; give it with --unit"
                f" {column.role or 'QUANTITY'}=UNIT",
                file=str(self.path),
            )
        if column.is_text:
            raise self.fault(0, f"{column.label} {column.texts[0]!r}", "a number")  # type: ignore[index]
        if column.faults and not (over and column.over_count == column.fault_count):
            wrong = (one for one in column.faults if not (over and one.is_over_range))
            first = next(wrong, column.faults[0])
            raise self.fault(first.row, f"{column.label} {first.text!r}", first.expected)
        if column.missing and not gaps:
            row = int(np.argmax(np.isnan(column.values)))
            raise self.fault(row, f"no value of {column.label}", "a number in every row")
        return column.in_si()

    def fault(self, row: int, value: str, expected: str) -> ConfigError:
        """Return the error ``FILE: line N: VALUE: expected …``."""
        return ConfigError(
            f"{value}: expected {expected}", key=self.place_of(row), file=str(self.path)
        )

    def left_out(self, used: Sequence[TableColumn]) -> str:
        """Return "columns left out: …" for all that are not used; "" if there are none."""
        kept = {column.label for column in used}
        others = [column.label for column in self.columns if column.label not in kept]
        return f"columns left out: {', '.join(others)}" if others else ""


def labelled(names: Sequence[str]) -> list[str]:
    """Return names that differ: the second of one name becomes ``name#2``, and so on."""
    seen: dict[str, int] = {}
    labels = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        labels.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return labels


def counts(values: FloatArray) -> bool:
    """Return whether values count the rows: 0, 1, 2, … or 1, 2, 3, …"""
    return values.size > 2 and values[0] in (0, 1) and bool((np.diff(values) == 1).all())


def with_meaning(column: TableColumn, unit_row: str = "") -> TableColumn:
    """Return a column with unit and role from its name, and from the row of units below it."""
    base, unit = unit_in_name(column.name)
    if column.is_text:
        return column
    stated = (unit_of(unit_row) or UNKNOWN_UNIT) if unit_row.strip() else None
    written = [
        (where, one)
        for where, one in (("name", unit), ("row of units", stated), ("cells", column.unit))
        if one is not None and one.dimension != "1"
    ]
    if stated not in (None, UNKNOWN_UNIT) and unit == UNKNOWN_UNIT:
        written = written[1:]  # what stands in the brackets of the name was a remark
    unit = written[0][1] if written else unit or stated or column.unit
    role = role_of(base, unit)
    if role == "current_a" and unit is None and base.strip() == "i" and counts(column.values):
        role = "index"
    dimension = DIMENSIONS[role] if role else ""
    meant = {in_dimension(one, dimension) for _, one in written}
    if len(meant) > 1:
        told = ", ".join(f"its {where} {one.symbol!r}" for where, one in written)
        return replace(column, unit=UNKNOWN_UNIT, role=role, unit_doubt=f"{told} contradict")
    column = replace(column, derived=says_no_value(column.name))
    if role in COUNTERS and unit == UNKNOWN_UNIT:
        unit = None  # "Cycle (times)": a count has none
    if role and unit is not None:
        unit = in_dimension(unit, dimension)
    return replace(column, unit=unit, role=role, contradictory=contradicts(base, unit))


def as_decided(table: DataTable, options: TableOptions) -> DataTable:
    """Return the table with the roles and units that the user gave.

    A column that was given a role keeps it alone: another that was recognised as the same is
    without one. Raises :class:`ConfigError` where there is no such column.
    """
    columns = list(table.columns)
    given = {role for role, _ in options.columns}
    columns = [replace(one, role="") if one.role in given else one for one in columns]
    for role, wanted in options.columns:
        place = _place_of_column(table, wanted)
        columns[place] = _with_role(table, columns[place], role, role in options.units)
    for role, text in options.units.items():
        if all(column.role != role for column in columns):
            raise ConfigError(
                f"{role}: no column is known to hold it; name one with --column {role}=NAME",
                key="--unit",
                file=str(table.path),
            )
        unit = unit_of(text)
        columns = [
            replace(one, unit=unit, unit_doubt="") if one.role == role else one for one in columns
        ]
    return replace(table, columns=tuple(columns))


def _with_role(table: DataTable, column: TableColumn, role: str, has_unit: bool) -> TableColumn:
    unit = column.unit
    if unit is not None and not has_unit:
        unit = in_dimension(unit, DIMENSIONS[role])
        if unit.dimension not in (DIMENSIONS[role], "1"):
            raise ConfigError(
                f"{role}={column.label}: its unit in the file is {unit.symbol}; give --unit"
                f" {role}=UNIT as well if that is wrong",
                key="--column",
                file=str(table.path),
            )
        unit = None if unit.dimension != DIMENSIONS[role] else unit
    return replace(column, role=role, unit=unit, contradictory=False, derived=False)


def _place_of_column(table: DataTable, wanted: str) -> int:
    labels = [column.label for column in table.columns]
    for names in (labels, [label.strip().casefold() for label in labels]):
        for one in (wanted, wanted.strip().casefold()):
            if one in names:
                return names.index(one)
    short = [unit_in_name(label)[0].strip().casefold() for label in labels]
    if short.count(wanted.strip().casefold()) == 1:
        return short.index(wanted.strip().casefold())
    if wanted.isdecimal() and 1 <= int(wanted) <= len(labels):
        return int(wanted) - 1
    raise ConfigError(
        f"there is no column {wanted!r}; there are {_listed(labels)}, or their numbers from 1",
        key="--column",
        file=str(table.path),
    )


def _listed(labels: Sequence[str], most: int = 20) -> str:
    more = f", … ({len(labels)} columns)" if len(labels) > most else ""
    return ", ".join(repr(label) for label in labels[:most]) + more
