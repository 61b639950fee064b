"""Helpers of the readers of tables: columns without names, inversion, addresses, agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.roles import COUNTERS, DIMENSIONS
from hwloop.datasets.tables.table import DataTable, TableColumn
from hwloop.errors import ConfigError
from hwloop.settings.units import parse_quantity
from hwloop_sim.readers.ignored import is_address

Table = NDArray[np.float64]

_FIRST = 3
_MOST_NAMED = 8
HIGHEST_LINE_V = 50.0
"""Largest voltage on a line or gate of an array that a reader believes, volts."""

_IN_WORDS = {
    "s": "seconds", "V": "volts", "A": "amperes", "S": "siemens", "ohm": "ohms", "K": "kelvins",
    "W": "watts", "Hz": "hertz", "C": "coulombs", "F": "farads",
}  # fmt: skip

_LEAST_COMPARED = 3
_AGREES = 0.1
"""Relative difference of V/I and R up to which they are of one measurement."""


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

    Columns of a role that several have are not compared. ``voltages``: roles of the voltage over
    which the current flowed, the first that a column has. Returns a message on what was compared;
    "" if nothing was.
    """
    current, resistance, conductance = (
        _only(table, role) for role in ("current_a", "resistance_ohm", "conductance_s")
    )
    voltage = next(filter(None, (_only(table, role) for role in voltages)), None)
    messages = _inverse_of(table, resistance, conductance)
    for other, invert in ((resistance, False), (conductance, True)):
        if voltage is None or current is None or other is None:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            measured_ohm = table.numbers(voltage, gaps=True) / table.numbers(current, gaps=True)
            stated = table.numbers(other, gaps=True)
            stated_ohm = 1.0 / stated if invert else stated
            away = np.abs(measured_ohm / stated_ohm - 1.0)
        known = np.isfinite(away)
        if known.sum() < min(_LEAST_COMPARED, known.size):
            messages.append(f"{other.label} has {known.sum()} values, as a fit has: not compared")
            continue
        wrong = known & (away > _AGREES)
        if wrong.sum() * 10 > known.sum():
            row = int(np.argmax(wrong))
            raise table.fault(
                row,
                f"{other.label} of {stated_ohm[row]:.4g} ohm",
                f"{measured_ohm[row]:.4g} ohm, from {voltage.label} and {current.label}: the"
                " columns contradict each other",
            )
        messages.append(
            f"{other.label} agrees with {voltage.label} and {current.label} in"
            f" {known.sum() - wrong.sum()} of {known.sum()} rows"
        )
    return "; ".join(messages)


def _inverse_of(
    table: DataTable, resistance: TableColumn | None, conductance: TableColumn | None
) -> list[str]:
    """Refuse conductances that are not the inverse of the resistances beside them."""
    if resistance is None or conductance is None or not (resistance.unit and conductance.unit):
        return []
    stated = table.numbers(resistance, gaps=True) * table.numbers(conductance, gaps=True)
    known = np.isfinite(stated)
    wrong = known & (np.abs(stated - 1.0) > _AGREES)
    if wrong.sum() * 10 > known.sum():
        row = int(np.argmax(wrong))
        raise table.fault(
            row,
            f"{conductance.label} times {resistance.label} is {stated[row]:.4g}",
            "1: the columns contradict each other; where a unit is wrong, give it with --unit",
        )
    return [
        f"{conductance.label} is the inverse of {resistance.label} in"
        f" {known.sum() - wrong.sum()} of {known.sum()} rows"
    ]


def _only(table: DataTable, role: str) -> TableColumn | None:
    columns = table.of_role(role)
    if len(columns) != 1 or columns[0].faults or columns[0].contradictory:
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


def cells_of(table: DataTable, used: list[TableColumn]) -> tuple[Table, list[str]]:
    """Return the number of the cell of each row, 0 without a column, and messages.

    Names become 0, 1, 2, … in their order. ``used``: gets the column. Raises :class:`ConfigError`
    where a number is no address.
    """
    columns = [*table.of_role("cell")] or [
        column for column in table.columns if column.is_text and is_address(column)
    ]
    if not columns:
        return np.zeros(table.rows), []
    column = columns[0]
    used.append(column)
    if column.texts is None:
        cells = table.numbers(column)
        check_whole(table, cells, column.label)
        return cells, []
    number = {name: place for place, name in enumerate(dict.fromkeys(column.texts))}
    shown = ", ".join(f"{name} is {place}" for name, place in list(number.items())[:_MOST_NAMED])
    more = ", …" if len(number) > _MOST_NAMED else ""
    found = np.array([float(number[name]) for name in column.texts])
    return found, [f"cells by their names: {shown}{more}"]
