"""Helpers of the readers of tables: columns without names, inversion, addresses, agreement."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.roles import COUNTERS, DIMENSIONS
from hwloop.datasets.tables.table import DataTable, TableColumn
from hwloop.errors import ConfigError
from hwloop.settings.units import parse_quantity
from hwloop_sim.readers.ignored import is_address, numbered_addresses

Table = NDArray[np.float64]

_FIRST = 3
_MOST_NAMED = 8
HIGHEST_LINE_V = 50.0
"""Largest voltage on a line or gate of an array that a reader believes, volts."""

_IN_WORDS = {
    "s": "seconds", "V": "volts", "A": "amperes", "S": "siemens", "ohm": "ohms", "K": "kelvins",
    "W": "watts", "Hz": "hertz", "C": "coulombs", "F": "farads",
}  # fmt: skip

_STEADY = 0.01
_LEAST_COMPARED = 3
_AGREES = 0.02
"""Relative difference of V/I and R up to which they are of one measurement."""

_MOST_SLACK = 0.04
_OFFSETS = 0.05
_FEW_VALUES = 1000


def nameless(table: DataTable) -> str:
    """Return that a table has no header, where no column has a role either; "" otherwise."""
    if table.has_header or any(column.role for column in table.columns):
        return ""
    return (
        "it has no header: its columns have no names; say what they are with --column, such as"
        " --column voltage_v=1 --column current_a=2"
    )


def first_rows(source: DataFile, *, columns: int) -> Table | None:
    """Return the first three rows of a table without names; None unless it has ``columns``.

    Raises :class:`ConfigError` where the file holds no table.
    """
    table = source.table
    if table.has_header or len(table.columns) != columns:
        return None
    if any(column.is_text or column.role for column in table.columns):
        return None
    rows = np.stack([column.values[:_FIRST] for column in table.columns], axis=1)
    return None if np.isnan(rows).any() else rows


def unlike(source: DataFile, names: Sequence[str]) -> str:
    """Return why a table is not one of these columns without names; "" if it may be one."""
    table = source.table
    if table.has_header:
        return f"its columns have names; those of this layout have none: {', '.join(names)}"
    if len(table.columns) != len(names):
        return f"it has {len(table.columns)} columns; expected {len(names)}: {', '.join(names)}"
    if first_rows(source, columns=len(names)) is None:
        return "its first rows are not all numbers"
    return ""


def table_of(source: DataFile, names: Sequence[str]) -> tuple[Table, DataTable]:
    """Return the numbers of a table without names, (rows, columns).

    Raises :class:`ConfigError` with file, line and value if a field is no finite number.
    """
    table = source.table
    if len(table.columns) != len(names):
        raise table.fault(0, f"{len(table.columns)} values", f"{len(names)}: {', '.join(names)}")
    return np.stack([table.numbers(column) for column in table.columns], axis=1), table


def inverse(table: DataTable, resistance_ohm: Table, what: str, *, rows_each: int = 1) -> Table:
    """Return 1/R in siemens; a resistance that is not above 0 is refused with its line.

    ``rows_each``: values of one row of the table that stand one after another.
    """
    wrong = resistance_ohm <= 0
    if wrong.any():
        row = int(np.argmax(wrong))
        raise table.fault(
            row // rows_each, f"{what} {resistance_ohm[row]:g} ohm", "a value above 0"
        )
    return 1.0 / resistance_ohm


def check_whole(table: DataTable, values: Table, what: str) -> None:
    """Refuse a count or an address that is not a whole number of 0 or more."""
    wrong = (values < 0) | (values != np.round(values))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise table.fault(row, f"{what} {values[row]:g}", "a whole number of 0 or more")


def check_below(
    table: DataTable,
    values: Table,
    bound: float,
    what: str,
    unit: str,
    *,
    ask: str = "is the unit another, or the column?",
) -> None:
    """Refuse magnitudes above a bound that no such quantity exceeds: its unit was mistaken.

    ``ask``: end of the message.
    """
    wrong = np.abs(values) > bound
    if wrong.any():
        row = int(np.argmax(wrong))
        raise table.fault(
            row,
            f"{what} {values[row]:g} {unit}",
            f"at most {bound:g} {unit}: {ask}",
        )


def check_times(table: DataTable, time_s: Table, rows: NDArray[np.int64] | None = None) -> None:
    """Refuse times that go back. ``rows``: where they stand in the table, all if left out."""
    back = np.diff(time_s) < 0
    if back.any():
        place = int(np.argmax(back)) + 1
        row = place if rows is None else int(rows[place])
        raise table.fault(row, f"time {time_s[place]:.9g} s", f"{time_s[place - 1]:.9g} s or later")


def check_agreement(table: DataTable, *, voltages: Sequence[str] = ("voltage_v", "read_v")) -> str:
    """Refuse a table whose voltage, current, resistance and conductance contradict each other.

    Every row within 2 % and the last digits written; rows below a twentieth of the largest
    voltage, where offsets prevail, are not compared. Columns of a role that several have are not
    compared either. ``voltages``: roles of the voltage over which the current flowed, the first
    that a column has; ``read_v``: this voltage where no column holds it. Returns a message on what
    was compared; "" if nothing was. Raises :class:`ConfigError` with line and both values.
    """
    current, resistance, conductance = (
        _only(table, role) for role in ("current_a", "resistance_ohm", "conductance_s")
    )
    voltage = next(filter(None, (_only(table, role) for role in voltages)), None)
    messages = _inverse_of(table, resistance, conductance)
    if current is None or voltage is None:
        return "; ".join(messages)
    volts_v, current_a = _known(table, voltage), _known(table, current)
    near_zero = np.abs(volts_v) < _OFFSETS * np.abs(volts_v[np.isfinite(volts_v)]).max(initial=0.0)
    for other in filter(None, (resistance, conductance)):
        invert = other is conductance
        with np.errstate(divide="ignore", invalid="ignore"):
            measured = current_a / volts_v if invert else volts_v / current_a
            away = np.abs(measured / _known(table, other) - 1.0)
        known = np.isfinite(away)
        if known.sum() < min(_LEAST_COMPARED, known.size):
            messages.append(f"{other.label} has {known.sum()} values, as a fit has: not compared")
            continue
        wrong = known & ~near_zero & (away > _slack(current, other))
        if wrong.any():
            row = int(np.argmax(wrong))
            unit = "S" if invert else "ohm"
            raise table.fault(
                row,
                f"{other.label} of {_known(table, other)[row]:.4g} {unit}",
                f"{measured[row]:.4g} {unit}, from {voltage.label} and {current.label}: the columns"
                " contradict each other; where a unit is wrong, give it with --unit",
            )
        messages.append(
            f"{other.label} agrees with {voltage.label} and {current.label} in {known.sum()} rows"
        )
    return "; ".join(messages)


def _known(table: DataTable, column: TableColumn) -> Table:
    return table.numbers(column, gaps=True, over=True)


def _slack(first: TableColumn, second: TableColumn) -> Table:
    """Return the relative difference allowed in each row: 2 %, up to 4 % for the last digits."""
    return np.minimum(_AGREES + _last_digit(first) + _last_digit(second), _MOST_SLACK)


def _last_digit(column: TableColumn) -> Table:
    """Return half of the last digit that a column is written with, relative to each value."""
    values = np.abs(column.values)
    some = values[np.isfinite(values)][:_FEW_VALUES]
    for power in range(3, -16, -1):
        digits = some / 10.0**power
        if np.allclose(digits, np.round(digits), rtol=1e-7, atol=0):
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.asarray(0.5 * 10.0**power / values)
    return np.zeros(values.size)


def _inverse_of(
    table: DataTable, resistance: TableColumn | None, conductance: TableColumn | None
) -> list[str]:
    """Refuse conductances that are not the inverse of the resistances beside them."""
    if resistance is None or conductance is None or not (resistance.unit and conductance.unit):
        return []
    stated = _known(table, resistance) * _known(table, conductance)
    known = np.isfinite(stated)
    wrong = known & (np.abs(stated - 1.0) > _slack(resistance, conductance))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise table.fault(
            row,
            f"{conductance.label} times {resistance.label} is {stated[row]:.4g}",
            "1: the columns contradict each other; where a unit is wrong, give it with --unit",
        )
    return [f"{conductance.label} is the inverse of {resistance.label} in {known.sum()} rows"]


def _only(table: DataTable, role: str) -> TableColumn | None:
    columns = table.of_role(role)
    if len(columns) != 1 or columns[0].contradictory or columns[0].is_text:
        return None
    if columns[0].fault_count > columns[0].over_count:
        return None
    return None if columns[0].unit_is_unknown else columns[0]


def times_of(table: DataTable) -> Sequence[TableColumn]:
    """Return the column of times where there is one alone, and its unit is known."""
    columns = table.of_role("time_s")
    return columns if len(columns) == 1 and not columns[0].unit_is_unknown else ()


def without_units(used: Sequence[TableColumn]) -> str:
    """Return a message on the columns that the file gives no unit, and what was taken; or ""."""
    found = [one for one in used if one.unit is None and one.role and one.role not in COUNTERS]
    taken = [f"{one.label} as {_IN_WORDS[DIMENSIONS[one.role]]}" for one in found]
    return f"no unit in the file: {', '.join(taken)}" if taken else ""


def quantity(path: object, options: Mapping[str, str], key: str, unit: str) -> float:
    """Parse what the user gave for ``key``; :class:`ConfigError` if missing or no quantity."""
    if key not in options:
        raise ConfigError(f"does not say {key}; give it with --set {key}=…", file=str(path))
    try:
        return parse_quantity(options[key], unit)
    except ValueError as exc:
        raise ConfigError(f"{options[key]!r}: {exc}", key=key) from None


def cells_in(addresses: Table) -> str:
    """Return "1 cell", "25 cells" and so on for the distinct addresses."""
    count = np.unique(addresses).size
    return f"{count} {'cell' if count == 1 else 'cells'}"


def readings(table: DataTable, column: TableColumn) -> tuple[Table, str]:
    """Return a column of readings, NaN where the meter gave none, and a message on these or "".

    A reading over range is none: what the meter could not tell is not in the file.
    """
    values = table.numbers(column, gaps=True, over=True)
    gone = np.isnan(values)
    if not gone.any():
        return values, ""
    over = f", {column.over_count} of them over range" if column.over_count else ""
    count = int(gone.sum())
    return values, (
        f"{count} {'reading' if count == 1 else 'readings'} of {column.label} missing{over}, the"
        f" first in {table.place_of(int(np.argmax(gone)))}"
    )


def steady_v(voltage_v: Table) -> float | None:
    """Return the voltage that a column keeps within 1 %, its median; None where it varies."""
    if not voltage_v.size:
        return None
    low_v, high_v = float(voltage_v.min()), float(voltage_v.max())
    # Where it varies by more than this, or is not finite, no median is near all of it.
    if not math.isfinite(high_v - low_v) or high_v - low_v > 2 * _STEADY * max(-low_v, high_v):
        return None
    median_v = float(np.median(voltage_v))
    return median_v if (np.abs(voltage_v - median_v) <= _STEADY * abs(median_v)).all() else None


def _cell_columns(table: DataTable) -> list[TableColumn]:
    """Return the columns that together say which cell a row is of."""
    named = [*table.of_role("cell")] or [
        column for column in table.columns if column.is_text and is_address(column)
    ]
    return [*named[:1], *(one for one in numbered_addresses(table) if one not in named)]


def cell_keys(table: DataTable) -> Table | None:
    """Return a number for each row that differs between cells; None where no column says them."""
    columns = _cell_columns(table)
    if not columns:
        return None
    if len(columns) == 1 and columns[0].texts is None:
        return columns[0].values
    rows = zip(*(column.texts or column.values.tolist() for column in columns), strict=True)
    place: dict[object, int] = {}
    return np.array([float(place.setdefault(row, len(place))) for row in rows])


def cells_of(table: DataTable, used: list[TableColumn]) -> tuple[Table, list[str]]:
    """Return the number of the cell of each row, 0 without a column, and messages.

    Names become 0, 1, 2, … in their order, and so do combinations such as row and column. ``used``:
    gets the columns. Raises :class:`ConfigError` with the line where a number is no address, and
    where a row has no name of its cell.
    """
    columns = _cell_columns(table)
    if not columns:
        return np.zeros(table.rows), []
    used += columns
    for column in columns:
        if column.texts is None:
            check_whole(table, table.numbers(column), column.label)
        elif not all(text.strip() for text in column.texts):
            row = next(i for i, text in enumerate(column.texts) if not text.strip())
            raise table.fault(row, f"no name in {column.label}", "the cell of every row")
    if len(columns) == 1 and columns[0].texts is None:
        return table.numbers(columns[0]), []
    names = _cell_names(columns)
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    shown = ", ".join(f"{name} is {place}" for name, place in list(number.items())[:_MOST_NAMED])
    more = ", …" if len(number) > _MOST_NAMED else ""
    found = np.array([float(number[name]) for name in names])
    return found, [f"cells by their names: {shown}{more}"]


def _cell_names(columns: Sequence[TableColumn]) -> list[str]:
    """Return the name of the cell of each row, such as "A1", or "row 2 col 0"."""
    if len(columns) == 1 and columns[0].texts is not None:
        return list(columns[0].texts)
    parts = [
        column.texts or [f"{column.label} {value:g}" for value in column.values]
        for column in columns
    ]
    return [" ".join(one) for one in zip(*parts, strict=True)]
