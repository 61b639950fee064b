"""States in a log of pulses: a conductance, a resistance, or a current over a read voltage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.table import DataTable, TableColumn
from hwloop.errors import ConfigError
from hwloop_sim.readers.pulse_logs.read_rows import (
    SAME_LEVEL,
    at_level,
    level_between_pulses,
    signed_level,
)
from hwloop_sim.readers.tables import Table, cell_keys, quantity, steady_v

_AGREES = 0.02
"""Relative difference of V/I and a value up to which they are of one measurement."""

_MOST_AGREE = 0.5
"""Share of the pulses from which on values that are V/I of the pulse are no reads after it."""


@dataclass(frozen=True)
class PulseStates:
    """States of the rows of a log.

    ``conductance_s``: NaN where nothing was read. ``is_read``: rows that are reads alone.
    ``is_pulse_only``: rows whose current flowed during the pulse and is no read. ``used``: further
    columns that were used. ``found``: the read voltage, where the file states one for all rows.
    """

    conductance_s: Table
    is_read: NDArray[np.bool_]
    is_pulse_only: NDArray[np.bool_]
    used: Sequence[TableColumn] = ()
    found: Mapping[str, object] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)


def value_column(table: DataTable) -> TableColumn | str:
    """Return the column of states, or why there is none."""
    roles = ("conductance_s", "resistance_ohm", "current_a")
    return _only_column(table, roles, "conductance, resistance or current")


def volts_column(table: DataTable) -> TableColumn | str:
    """Return the column of the amplitudes, or why there is none."""
    return _only_column(table, ("amplitude_v", "voltage_v"), "the voltage of its pulses")


def _only_column(table: DataTable, roles: Sequence[str], what: str) -> TableColumn | str:
    """Return the one column of the first role that a table has, or why there is none."""
    for role in roles:
        columns = table.of_role(role)
        if len(columns) > 1:
            named = ", ".join(column.label for column in columns)
            return f"it has {len(columns)} columns of {role} ({named}); choose one with --column"
        if columns:
            return columns[0]
    return f"it has no column of {what}"


def states_of(
    source: DataFile,
    value: TableColumn,
    volts: TableColumn,
    amplitude_v: Table,
    options: Mapping[str, str],
) -> PulseStates:
    """Return the states of all rows, siemens.

    Rows at the read voltage are reads; the values of the rows of pulses between them belong to the
    pulses and are left out. Raises :class:`ConfigError` with file, line and value where one is not
    above 0, and with the option that is missing.
    """
    table = source.table
    numbers = table.numbers(value, gaps=True, over=True)
    if value.role != "current_a" and value.unit is None:
        raise ConfigError(
            f"column {value.label!r} has no unit; give it with --unit {value.role}=…",
            file=str(table.path),
        )
    at_read, found = _rows_at_read(source, volts, amplitude_v, np.isfinite(numbers), options)
    during = None
    if value.role != "current_a":
        during = _current_during_pulses(table, value, numbers, amplitude_v)
    if during is not None and not at_read.any():
        raise ConfigError(
            f"{value.label} is {volts.label} over {during.label}: measured during the pulses, not"
            " after them; where rows at a read voltage stand between those of pulses, give it"
            " with --set read_v=…",
            file=str(table.path),
        )
    told = [f"states from {value.label}"]
    used: Sequence[TableColumn] = ()
    if value.role == "current_a":
        numbers, used, stated, how = _of_currents(
            source, value, volts, amplitude_v, at_read, options
        )
        found, told = {**stated, **found}, [how]
    # A log with a read voltage in every row reads after every pulse.
    all_read = "read_v" not in options and bool(table.of_role("read_v"))
    if at_read.any():
        told.append(
            f"{int(at_read.sum())} rows at the read voltage of {found['read_v']:g} V are reads"
        )
    if at_read.any() and not all_read:
        numbers = np.where(at_read | (amplitude_v == 0), numbers, np.nan)
        told.append("values of the other rows were measured during pulses, and are left out")
    _check_positive(table, value, numbers)
    if value.role == "resistance_ohm":
        numbers = 1.0 / numbers
    is_read = at_read | (amplitude_v == 0)
    pulse_only = ~is_read & (at_read.any() and not all_read)
    return PulseStates(numbers, is_read, pulse_only, used, found, told)


def _rows_at_read(
    source: DataFile,
    volts: TableColumn,
    amplitude_v: Table,
    valued: NDArray[np.bool_],
    options: Mapping[str, str],
) -> tuple[NDArray[np.bool_], dict[str, float]]:
    """Return the rows at the read voltage, and it where there are any.

    Raises :class:`ConfigError` where rows may be reads or pulses and ``read_v`` is not given.
    """
    table = source.table
    nowhere = np.zeros(table.rows, dtype=np.bool_)
    if "read_v" in options:
        read_v = quantity(source.path, options, "read_v", "V")
        if read_v == 0:
            raise ConfigError("0 V: no current over it is a conductance", key="read_v")
        at_read = at_level(amplitude_v, read_v)
        return (at_read, {"read_v": read_v}) if at_read.any() else (nowhere, {})
    reads = table.of_role("read_v")
    if reads:
        with np.errstate(divide="ignore", invalid="ignore"):
            away = np.abs(amplitude_v / table.numbers(reads[0], gaps=True) - 1)
        at_read = (away <= SAME_LEVEL) & (amplitude_v != 0)
        # Where every pulse is of the read voltage, reads themselves are what is tested.
        if at_read.any() and (~at_read & (amplitude_v != 0)).any():
            return at_read, {"read_v": signed_level(amplitude_v[at_read])}
        return nowhere, {}
    widths = table.of_role("width_s")
    has_width = table.numbers(widths[0], gaps=True) > 0 if widths else None
    level = level_between_pulses(
        amplitude_v, cell=cell_keys(table), valued=valued, has_width=has_width
    )
    if level is None:
        return nowhere, {}
    if level.doubt:
        row = int(np.argmax(level.rows))
        raise table.fault(
            row,
            f"{volts.label} of {level.read_v:g} V again and again, {level.doubt}, may be of reads"
            " or of pulses",
            "the read voltage of this log, with --set read_v=…; rows at it are reads",
        )
    return level.rows, {"read_v": level.read_v}


def _current_during_pulses(
    table: DataTable, value: TableColumn, numbers: Table, amplitude_v: Table
) -> TableColumn | None:
    """Return the current by which the values are those of the pulses themselves; else None."""
    currents = table.of_role("current_a")
    if len(currents) != 1 or currents[0].unit_is_unknown:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        ohm = amplitude_v / table.numbers(currents[0], gaps=True, over=True)
        away = np.abs(ohm / numbers if value.role == "resistance_ohm" else ohm * numbers) - 1
    known = np.isfinite(away) & (amplitude_v != 0)
    agree = known & (np.abs(away) < _AGREES)
    return currents[0] if agree.sum() > _MOST_AGREE * known.sum() else None


def _of_currents(
    source: DataFile,
    value: TableColumn,
    volts: TableColumn,
    amplitude_v: Table,
    at_read: NDArray[np.bool_],
    options: Mapping[str, str],
) -> tuple[Table, Sequence[TableColumn], dict[str, float], str]:
    """Return conductances from currents, further columns used, the read voltage, and a message."""
    table = source.table
    current_a = table.numbers(value, gaps=True, over=True)
    reads = table.of_role("read_v")
    if reads and "read_v" not in options:
        read_v = table.numbers(reads[0], gaps=True)
        zero = np.isfinite(current_a) & (read_v == 0)
        if zero.any():
            raise table.fault(int(np.argmax(zero)), f"{reads[0].label} 0 V", "a read voltage")
        level_v = steady_v(read_v[np.isfinite(read_v)])
        stated = {} if level_v is None else {"read_v": level_v}
        how = f"states from {value.label} over {reads[0].label}"
        return current_a / read_v, reads[:1], stated, how
    if at_read.any():
        conductance_s = np.where(at_read, current_a / np.where(at_read, amplitude_v, 1.0), np.nan)
        return conductance_s, (), {}, f"states from {value.label} over {volts.label} of reads"
    level_v = quantity(source.path, options, "read_v", "V")
    how = f"states from {value.label} over the read voltage of {level_v:g} V"
    return current_a / level_v, (), {}, how


def _check_positive(table: DataTable, value: TableColumn, numbers: Table) -> None:
    wrong = numbers <= 0
    if wrong.any():
        row = int(np.argmax(wrong))
        raise table.fault(row, f"{value.label} of {numbers[row]:g}", "a value above 0")
