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
    if volts and np.ptp(volts[0].values) != 0:
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
    conductance_s, found = _conductances(source, value, options)
    used = [value, when]
    cell, told = cells_of(table, used)
    time_s = table.numbers(when)
    for one in np.unique(cell):
        rows = np.flatnonzero(cell == one)
        check_times(table, time_s[rows], rows)
    time_s = time_s - time_s.min()
    columns = {"cell": cell, "time_s": time_s, "conductance_s": conductance_s}
    messages = [
        f"{table.rows} reads of {cells_in(cell)} over {time_s.max():.4g} s, from"
        f" {value.label}; {conductance_s.min():.4g} to {conductance_s.max():.4g} S",
        *told,
        *filter(None, (without_units(used), check_agreement(table), left_out(table, used))),
        "no row of the table was dropped",
    ]
    return Extract("reads", columns, found, messages)


def _conductances(
    source: DataFile, value: TableColumn, options: Mapping[str, str]
) -> tuple[Table, dict[str, object]]:
    """Return conductances in siemens, all above 0, and the read voltage where there is one."""
    table = source.table
    numbers = table.numbers(value)
    if value.unit is None and value.role != "current_a":
        raise ConfigError(
            f"column {value.label!r} has no unit; give it with --unit {value.role}=…",
            file=str(source.path),
        )
    if value.role == "resistance_ohm":
        return inverse(table, numbers, value.label), {}
    found: dict[str, object] = {}
    if value.role == "current_a":
        found["read_v"] = read_v = _read_voltage(source, options)
        numbers = numbers / read_v
    wrong = numbers <= 0
    if wrong.any():
        row = int(np.argmax(wrong))
        raise table.fault(row, f"{value.label} of {numbers[row]:g} S", "a value above 0")
    return numbers, found


def _read_voltage(source: DataFile, options: Mapping[str, str]) -> float:
    table = source.table
    columns = [*table.of_role("read_v"), *table.of_role("voltage_v")]
    if "read_v" in options or not columns:
        read_v = quantity(source.path, options, "read_v", "V")
    else:
        volts = table.numbers(columns[0])
        if np.ptp(volts) != 0:
            row = int(np.argmax(volts != volts[0]))
            raise table.fault(row, f"{columns[0].label} {volts[row]:g} V", f"{volts[0]:g} V")
        read_v = float(volts[0])
    if read_v == 0:
        raise ConfigError("0 V: no current over it is a conductance", key="read_v")
    return read_v


TIMED_READS = Reader(
    name="timed_reads",
    summary="reads over time, as of a retention test: time, and conductance, resistance or current",
    judge=judge,
    read=read,
    options={"read_v": "where the values are currents and no column holds the voltage"},
)
