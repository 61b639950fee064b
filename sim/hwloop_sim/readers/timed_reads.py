"""Reads of a cell over time, such as a retention test: a column of time, one of what was read.

The conductance is that of a column of conductance or resistance, or the current over a read voltage
that is the same in all rows.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwloop.datasets.importing import Extract, Reader
from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.table import DataTable, TableColumn
from hwloop.errors import ConfigError
from hwloop_sim.readers.ignored import left_out
from hwloop_sim.readers.tables import (
    Table,
    cells_in,
    cells_of,
    check_agreement,
    check_times,
    inverse,
    nameless,
    quantity,
    readings,
    steady_v,
    without_units,
)

_OF_PULSES = ("width_s", "amplitude_v", "gate_v", "pulse", "cycle", "train")


def judge(source: DataFile) -> str:
    """Return "" if one column is a time and one a conductance, a resistance or a read current."""
    table = source.table
    if nameless(table):
        return nameless(table)
    times = table.of_role("time_s")
    if len(times) != 1:
        return f"it has {len(times) or 'no'} columns of time; expected one"
    for role in _OF_PULSES:
        if table.of_role(role):
            return f"it has a column of pulses or cycles, {table.of_role(role)[0].label}"
    found = _value(table)
    if isinstance(found, str):
        return found
    volts = table.of_role("voltage_v")
    if volts and steady_v(volts[0].values) is None:
        return f"its voltage, {volts[0].label}, varies: no reads at one voltage"
    return ""


def _value(table: DataTable) -> TableColumn | str:
    """Return the column of what was read, or why there is none."""
    for role in ("conductance_s", "resistance_ohm", "current_a"):
        columns = table.of_role(role)
        if len(columns) == 1:
            return columns[0]
        if len(columns) > 1:
            named = ", ".join(column.label for column in columns)
            return f"it has {len(columns)} columns of {role} ({named}); choose one with --column"
    return "it has no column of conductance, resistance or current"


def read(source: DataFile, options: Mapping[str, str]) -> Extract:
    """Return conductances over the time since the first read; times of a cell do not go back."""
    table = source.table
    value, when = _value(table), table.of_role("time_s")[0]
    if isinstance(value, str):
        raise ConfigError(value, file=str(source.path))
    conductance_s, found, gone = _conductances(source, value, options)
    used = [value, when]
    cell, told = cells_of(table, used)
    time_s = table.numbers(when)
    for one in np.unique(cell):
        rows = np.flatnonzero(cell == one)
        check_times(table, time_s[rows], rows)
    _refuse_same_time(table, when, time_s)
    known = np.isfinite(conductance_s)
    columns = {
        "cell": cell[known],
        "time_s": (time_s - time_s.min())[known],
        "conductance_s": conductance_s[known],
    }
    seen_s = columns["conductance_s"]
    messages = [
        f"{seen_s.size} reads of {cells_in(cell)} over {np.ptp(time_s):.4g} s, from"
        f" {value.label}; {seen_s.min():.4g} to {seen_s.max():.4g} S",
        *told,
        *filter(None, (without_units(used), check_agreement(table), left_out(table, used))),
        f"{gone}; their rows are left out" if gone else "no row of the table was dropped",
    ]
    return Extract("reads", columns, found, messages)


def _refuse_same_time(table: DataTable, when: TableColumn, time_s: Table) -> None:
    """Refuse a column that holds one time throughout: a delay, or one of the whole table."""
    if time_s.size > 1 and np.ptp(time_s) == 0:
        raise table.fault(
            1, f"{when.label} is {time_s[0]:g} s in every row", "the times of the reads"
        )


def _conductances(
    source: DataFile, value: TableColumn, options: Mapping[str, str]
) -> tuple[Table, dict[str, object], str]:
    """Return conductances in siemens, all above 0 or NaN; the read voltage; what is missing."""
    table = source.table
    numbers, gone = readings(table, value)
    if value.unit is None and value.role != "current_a":
        raise ConfigError(
            f"column {value.label!r} has no unit; give it with --unit {value.role}=…",
            file=str(source.path),
        )
    if np.isnan(numbers).all():
        raise table.fault(0, f"no value of {value.label} in any row", "readings")
    found: dict[str, object] = {}
    volts_v, read_v = _read_voltage(source, value, options)
    if read_v is not None:
        found["read_v"] = read_v
    if value.role == "resistance_ohm":
        return inverse(table, numbers, value.label), found, gone
    if value.role == "current_a":
        numbers = numbers / volts_v
    wrong = numbers <= 0
    if wrong.any():
        row = int(np.argmax(wrong))
        raise table.fault(row, f"{value.label} of {numbers[row]:g} S", "a value above 0")
    return numbers, found, gone


def _read_voltage(
    source: DataFile, value: TableColumn, options: Mapping[str, str]
) -> tuple[Table, float | None]:
    """Return the voltage of each read, and the one of all; NaN and None where it is not needed."""
    table = source.table
    columns = [*table.of_role("read_v"), *table.of_role("voltage_v")]
    if "read_v" in options or (not columns and value.role == "current_a"):
        read_v = quantity(source.path, options, "read_v", "V")
        volts_v = np.full(table.rows, read_v)
    elif not columns:
        return np.full(table.rows, np.nan), None
    else:
        volts_v = table.numbers(columns[0])
        steady = steady_v(volts_v)
        if steady is None:
            middle_v = float(np.median(volts_v))
            row = int(np.argmax(np.abs(volts_v - middle_v)))
            raise table.fault(
                row,
                f"{columns[0].label} {volts_v[row]:g} V",
                f"{middle_v:g} V within 1 %, as in the other rows",
            )
        read_v = steady
    if read_v == 0:
        raise ConfigError("0 V: no current over it is a conductance", key="read_v")
    return volts_v, read_v


TIMED_READS = Reader(
    name="timed_reads",
    summary="reads over time, as of a retention test: time, and conductance, resistance or current",
    judge=judge,
    read=read,
    options={"read_v": "where the values are currents and no column holds the voltage"},
)
