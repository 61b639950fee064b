"""Sweeps of one device: a column of voltage and one of current, as source meters write them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hwloop.datasets.importing import Extract, Reader
from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.simulator_steps import STEPS
from hwloop.datasets.tables.table import DataTable, TableColumn
from hwloop.errors import ConfigError
from hwloop_sim.readers.ignored import left_out
from hwloop_sim.readers.pulse_logs.read_rows import level_between_pulses
from hwloop_sim.readers.sweep_times import OPTION, times_at_rate
from hwloop_sim.readers.tables import (
    Table,
    cell_keys,
    cells_of,
    check_agreement,
    check_below,
    check_times,
    check_whole,
    nameless,
    readings,
    steady_v,
    times_of,
    without_units,
)

_APPLIED = re.compile(r"\b(applied|set|forced|sourced|programmed|nominal)\b", re.IGNORECASE)
_FEW = 0.1
_LEAST_POINTS = 3
_MOST_PULSES = 10**6
"""Rows up to which a table is asked whether it is a log of pulses."""

_HIGHEST_V = 1100.0  # of the source meters with the highest range, 1100 V
_HIGHEST_A = 20.0


def judge(source: DataFile) -> str:
    """Return "" if one column is a voltage that varies and one a current, else why not."""
    table = source.table
    if nameless(table):
        return nameless(table)
    for role, what in (("voltage_v", "voltage"), ("current_a", "current")):
        found = _voltages(table) if role == "voltage_v" else table.of_role(role)
        if len(found) != 1:
            named = ", ".join(column.label for column in found)
            which = f"{len(found)} columns of {what} ({named})" if found else f"no column of {what}"
            return f"it has {which}; choose one with --column {role}=NAME"
    for role, what in (("width_s", "widths"), ("amplitude_v", "amplitudes")):
        if table.of_role(role):
            return f"it has {what} of pulses, in {table.of_role(role)[0].label}: no sweep"
    volts = _voltages(table)[0].values
    level_v = steady_v(volts)
    if volts.size > 1 and level_v is not None:
        return f"its voltage is {level_v:g} throughout: no sweep"
    level = (
        level_between_pulses(volts, cell=cell_keys(table)) if volts.size <= _MOST_PULSES else None
    )
    if level is not None and level.is_regular:
        return (
            f"its voltage returns to {level.read_v:g} again and again: pulses with reads between"
            " them, or pulses of two amplitudes, no sweep"
        )
    return ""


def _voltages(table: DataTable) -> Sequence[TableColumn]:
    """Return the columns of voltage; of an applied and a measured one, as Autolab writes, this."""
    found = table.of_role("voltage_v")
    measured = [one for one in found if not _APPLIED.search(one.name)]
    return measured if len(found) == 2 and len(measured) == 1 else found


def read(source: DataFile, options: Mapping[str, str]) -> Extract:
    """Return voltages and currents with their signs.

    A point whose current is missing or over range is left out; one without a voltage is refused.
    """
    table = source.table
    used = [_voltages(table)[0], table.of_role("current_a")[0], *times_of(table)]
    if table.rows < _LEAST_POINTS:
        raise ConfigError(
            f"{table.rows} points: expected {_LEAST_POINTS} or more, as a sweep has",
            file=str(source.path),
        )
    voltage_v = table.numbers(used[0])
    current_a, gone = readings(table, used[1])
    times = [table.numbers(column) for column in used[2:]]
    check_below(table, voltage_v, _HIGHEST_V, used[0].label, "V")
    check_below(table, current_a, _HIGHEST_A, used[1].label, "A")
    cell, told = cells_of(table, used)
    sweep = _sweeps(table, used)
    if times:
        _check_times(table, times[0], cell, sweep)
    stated = times[0] if times else np.broadcast_to(np.nan, table.rows)
    time_s = np.array(stated)
    for rows in _rows_of_each(cell, sweep):
        time_s[rows], at_rate = times_at_rate(table, options, voltage_v[rows], stated[rows])
        told += at_rate
    columns = {
        "cell": cell,
        "sweep": sweep,
        "time_s": time_s,
        "voltage_v": voltage_v,
        "current_a": current_a,
    }
    if gone:
        known = np.isfinite(current_a)
        columns = {name: column[known] for name, column in columns.items()}
        if known.sum() < _LEAST_POINTS:
            raise table.fault(
                int(np.argmax(~known)),
                f"no value of {used[1].label}",
                f"{_LEAST_POINTS} points or more with one",
            )
    found = (
        {"note": f"sweeps by {STEPS} {table.metadata[STEPS]}"} if STEPS in table.metadata else {}
    )
    return Extract(
        "iv", columns, found, [*_messages(table, columns, used, gone), *dict.fromkeys(told)]
    )


def _sweeps(table: DataTable, used: list[TableColumn]) -> Table:
    """Return the number of the sweep of each row, from a column that counts sweeps or cycles."""
    for column in [*table.of_role("train"), *table.of_role("cycle")][:1]:
        used.append(column)
        numbers = table.numbers(column)
        check_whole(table, numbers, column.label)
        return numbers
    for column in [*table.of_role("index"), *table.of_role("pulse")][:1]:
        if column.is_text or column.faults or column.missing:
            continue
        back = np.diff(column.values) < 0
        if back.any():  # a counter of points that begins again begins a sweep
            used.append(column)
            return np.concatenate([[0.0], np.cumsum(back)])
    return np.broadcast_to(0.0, table.rows)  # takes no memory


def _check_times(table: DataTable, time_s: Table, cell: Table, sweep: Table) -> None:
    """Refuse times that go back within a sweep of a cell."""
    for rows in _rows_of_each(cell, sweep):
        check_times(table, time_s[rows], rows)


def _rows_of_each(cell: Table, sweep: Table) -> list[NDArray[np.int64]]:
    """Return the rows of each sweep of each cell."""
    if not np.ptp(cell) and not np.ptp(sweep):
        return [np.arange(cell.size)]
    _, number = np.unique(np.stack([cell, sweep], axis=1), axis=0, return_inverse=True)
    order = np.argsort(number.ravel(), kind="stable")
    return np.split(order, np.cumsum(np.bincount(number.ravel()))[:-1])


def _messages(
    table: DataTable,
    columns: Mapping[str, np.ndarray],
    used: Sequence[TableColumn],
    gone: str,
) -> list[str]:
    voltage_v, current_a = columns["voltage_v"], columns["current_a"]
    against = int(((voltage_v * current_a) < 0).sum())
    few = against <= _FEW * voltage_v.size
    signs = "as offsets near 0 V do" if few else "are the leads, or the signs, exchanged?"
    scaled = [column.label for column in used if column.unit is not None and column.unit.power]
    units = f"{', '.join(scaled)} to SI units" if scaled else "in V and A as they stand"
    messages = [
        f"{voltage_v.size} points from {voltage_v.min():.4g} to {voltage_v.max():.4g} V, currents"
        f" from {current_a.min():.4g} to {current_a.max():.4g} A, {units}",
        f"{against} currents have the sign against their voltage: {signs}",
    ]
    messages += filter(None, (without_units(used), check_agreement(table), left_out(table, used)))
    messages.append(
        f"{gone}; their points are left out" if gone else "no row of the table was dropped"
    )
    if STEPS in table.metadata:
        messages.insert(1, f"sweeps by {STEPS}, {table.metadata[STEPS]}")
    return messages


IV_SWEEP = Reader(
    name="iv_sweep",
    summary="a sweep of one device: voltage and current under a header",
    judge=judge,
    read=read,
    options=OPTION,
)
