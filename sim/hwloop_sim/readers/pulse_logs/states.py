"""States in a log of pulses: a conductance, a resistance, or a current over a read voltage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.table import DataTable, TableColumn
from hwloop.errors import ConfigError
from hwloop_sim.readers.tables import Table, quantity

_AT_READ = 0.02
"""Relative difference from the read voltage up to which a row is a read at it."""

_MOST_AGREE = 0.5
"""Share of the pulses from which on values that are V/I of the pulse are no reads after it."""


@dataclass(frozen=True)
class PulseStates:
    """States of the rows of a log.

    ``conductance_s``: NaN where nothing was read. ``is_read``: rows that are reads alone.
    ``is_pulse_only``: rows whose current flowed during the pulse and is no read. ``used``: further
    columns that were used.
    """

    conductance_s: Table
    is_read: NDArray[np.bool_]
    is_pulse_only: NDArray[np.bool_]
    used: Sequence[TableColumn] = ()
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

    Raises :class:`ConfigError` with file, line and value where one is not above 0, and with the
    option that is missing.
    """
    table = source.table
    numbers = table.numbers(value, gaps=True)
    nowhere = np.zeros(table.rows, dtype=np.bool_)
    is_read = amplitude_v == 0
    if value.role == "current_a":
        return _of_currents(source, value, volts, amplitude_v, options)
    if value.unit is None:
        raise ConfigError(
            f"column {value.label!r} has no unit; give it with --unit {value.role}=…",
            file=str(table.path),
        )
    during = _current_during_pulses(table, value, numbers, amplitude_v)
    if during is not None and "read_v" in options:
        return _of_currents(source, during, volts, amplitude_v, options)
    if during is not None:
        raise ConfigError(
            f"{value.label} is {volts.label} over {during.label}: measured during the pulses, not"
            " after them; where rows at a read voltage stand between those of pulses, give it"
            " with --set read_v=…",
            file=str(table.path),
        )
    _check_positive(table, value, numbers)
    if value.role == "resistance_ohm":
        numbers = 1.0 / numbers
    return PulseStates(numbers, is_read, nowhere, messages=[f"states from {value.label}"])


def _current_during_pulses(
    table: DataTable, value: TableColumn, numbers: Table, amplitude_v: Table
) -> TableColumn | None:
    """Return the current by which the values are those of the pulses themselves; else None."""
    currents = table.of_role("current_a")
    if len(currents) != 1 or currents[0].faults or currents[0].unit_is_unknown:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        ohm = amplitude_v / table.numbers(currents[0], gaps=True)
        away = np.abs(ohm / numbers if value.role == "resistance_ohm" else ohm * numbers) - 1
    known = np.isfinite(away) & (amplitude_v != 0)
    agree = known & (np.abs(away) < _AT_READ)
    return currents[0] if agree.sum() > _MOST_AGREE * known.sum() else None


def _of_currents(
    source: DataFile,
    value: TableColumn,
    volts: TableColumn,
    amplitude_v: Table,
    options: Mapping[str, str],
) -> PulseStates:
    table = source.table
    current_a = table.numbers(value, gaps=True)
    nowhere = np.zeros(table.rows, dtype=np.bool_)
    reads = table.of_role("read_v")
    if reads and "read_v" not in options:
        read_v = table.numbers(reads[0], gaps=True)
        zero = np.isfinite(current_a) & (read_v == 0)
        if zero.any():
            raise table.fault(int(np.argmax(zero)), f"{reads[0].label} 0 V", "a read voltage")
        conductance_s = current_a / read_v
        _check_positive(table, value, conductance_s)
        told = [f"states from {value.label} over {reads[0].label}"]
        return PulseStates(conductance_s, amplitude_v == 0, nowhere, reads[:1], told)
    level_v = quantity(source.path, options, "read_v", "V")
    if level_v == 0:
        raise ConfigError("0 V: no current over it is a conductance", key="read_v")
    at_read = np.abs(np.abs(amplitude_v) / abs(level_v) - 1) <= _AT_READ
    if at_read.any():
        # A bench that writes pulses and reads as rows of one kind: the currents of pulses are none.
        conductance_s = np.where(at_read, current_a / np.where(at_read, amplitude_v, 1.0), np.nan)
        told = [
            f"{int(at_read.sum())} rows at the read voltage are reads, from {value.label} over"
            f" {volts.label}; currents of the other rows flowed during pulses and are left out"
        ]
        _check_positive(table, value, conductance_s)
        pulse_only = ~at_read
        return PulseStates(conductance_s, at_read | (amplitude_v == 0), pulse_only, (), told)
    conductance_s = current_a / level_v
    _check_positive(table, value, conductance_s)
    told = [f"states from {value.label} over the read voltage of {level_v:g} V"]
    return PulseStates(conductance_s, amplitude_v == 0, nowhere, (), told)


def _check_positive(table: DataTable, value: TableColumn, numbers: Table) -> None:
    wrong = numbers <= 0
    if wrong.any():
        row = int(np.argmax(wrong))
        raise table.fault(row, f"{value.label} of {numbers[row]:g}", "a value above 0")
