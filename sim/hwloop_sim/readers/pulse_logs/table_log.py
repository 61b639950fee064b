"""Logs of pulses: one row a pulse or a read, the form in which most benches write by themselves.

Any of number, time, voltage, width, gate, current, conductance, resistance, cell, train and cycle;
amplitudes and widths may vary from row to row, and cells, trains and polarities follow each other
in one file. The value of a row is what was read after its pulse. A row without a voltage, or of
0 V, is a read alone, and so is a row at the read voltage that stands between those of pulses; the
values of the pulses are then those during them, and left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwloop.datasets.importing import Extract, Reader
from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.table import DataTable, TableColumn
from hwloop.errors import ConfigError
from hwloop_sim.readers.ignored import left_out
from hwloop_sim.readers.pulse_logs.extracts import extract_of
from hwloop_sim.readers.pulse_logs.polarities import refuse_pulses_without, with_polarity
from hwloop_sim.readers.pulse_logs.read_rows import level_between_pulses
from hwloop_sim.readers.pulse_logs.states import states_of, value_column, volts_column
from hwloop_sim.readers.pulse_logs.steps import PulseRows
from hwloop_sim.readers.tables import (
    HIGHEST_LINE_V,
    Table,
    cell_keys,
    cells_of,
    check_agreement,
    check_below,
    check_times,
    nameless,
    quantity,
    times_of,
    without_units,
)

_HIGHEST_V = 1100.0  # of the source meters with the highest range, 1100 V
_RARE = 4
"""Rows for each without a voltage from which on these are gaps among pulses, no reads."""
_COUNTED = ("pulse", "train", "cycle")


def judge(source: DataFile) -> str:
    """Return "" if one column is a state, and others say that rows are pulses, else why not."""
    table = source.table
    if nameless(table):
        return nameless(table)
    value = value_column(table)
    if isinstance(value, str):
        return value
    volts = volts_column(table)
    if isinstance(volts, str):
        return volts
    if volts.role == "amplitude_v" or table.of_role("width_s") or table.of_role("pulse"):
        return ""
    level = level_between_pulses(volts.values, cell=cell_keys(table))
    if level is None or not level.is_regular:
        return (
            f"nothing says that {volts.label} is of pulses: no width and no number of pulses; if it"
            f" is, say so with --column amplitude_v={volts.label!r}"
        )
    return ""


def read(source: DataFile, options: Mapping[str, str]) -> Extract:
    """Return trains, each of one polarity; sweeps of the gate; or cycles of one SET and one RESET.

    Raises :class:`ConfigError` with file, line and value, or with the option that decides what the
    file leaves open.
    """
    log = _events(source, options)
    left = left_out(source.table, log.used, polarity=np.sign(log.rows.amplitude_v))
    # A current beside a voltage of pulses may be of the pulse: states_of compares these.
    agreement = check_agreement(source.table, voltages=("read_v",))
    told = [*log.messages, *filter(None, (agreement, left))]
    return extract_of(log.rows, source.path, told, found=log.found)


@dataclass(frozen=True)
class _Log:
    """Rows of a log, the columns that they came from, messages, and conditions in the file."""

    rows: PulseRows
    used: list[TableColumn]
    messages: list[str]
    found: Mapping[str, object]


def _events(source: DataFile, options: Mapping[str, str]) -> _Log:
    """Return the rows of the table as pulses and reads."""
    table = source.table
    value, volts = value_column(table), volts_column(table)
    if isinstance(value, str) or isinstance(volts, str):
        raise ConfigError(value if isinstance(value, str) else str(volts), file=str(source.path))
    used = [value, volts]
    amplitude_v = _amplitudes(table, volts)
    # A unit that is stated is no guess: thick films and ferroelectrics see hundreds of volts.
    bound_v = HIGHEST_LINE_V if volts.unit is None else _HIGHEST_V
    ask = f"is the unit another, or the column? If it is right: --unit {volts.role}=V"
    check_below(table, amplitude_v, bound_v, volts.label, "V", ask=ask)
    amplitude_v = with_polarity(table, volts, amplitude_v, used)
    states = states_of(source, value, volts, amplitude_v, options)
    used += states.used
    amplitude_v = np.where(states.is_read, 0.0, amplitude_v)
    refuse_pulses_without(table, amplitude_v)
    width_s = _widths(source, options, amplitude_v != 0, used)
    gate_v = _gates(table, amplitude_v != 0, used)
    check_below(table, gate_v, HIGHEST_LINE_V, "the gate", "V")
    cell, messages = cells_of(table, used)
    labels = {role: _label(table, role, used) for role in _COUNTED}
    _refuse_counts(table, labels["pulse"], amplitude_v != 0)
    times = times_of(table)
    if times and not times[0].missing:
        for one in np.unique(cell):
            rows = np.flatnonzero(cell == one)
            check_times(table, table.numbers(times[0])[rows], rows)
    events = PulseRows(
        cell=cell,
        amplitude_v=amplitude_v,
        width_s=width_s,
        gate_v=gate_v,
        conductance_s=states.conductance_s,
        number=labels["pulse"],
        part=_parts(labels["train"], labels["cycle"], _scans(table, cell, used)),
        cycle=labels["cycle"],
    )
    unread = np.isnan(states.conductance_s) & ~states.is_pulse_only
    messages += [*states.messages, *filter(None, [without_units(used)])]
    if unread.any():
        over = f", {value.over_count} of them over range" if value.over_count else ""
        messages.append(
            f"{int(unread.sum())} rows without a value{over}, the first in"
            f" {table.place_of(int(np.argmax(unread)))}: the trains end before them"
        )
    return _Log(events, used, messages, states.found)


def _widths(
    source: DataFile,
    options: Mapping[str, str],
    is_pulse: NDArray[np.bool_],
    used: list[TableColumn],
) -> Table:
    """Return the width of each pulse, seconds; 0 where there is none."""
    table = source.table
    columns = table.of_role("width_s")
    if not columns or "width_s" in options:
        return np.where(is_pulse, quantity(source.path, options, "width_s", "s"), 0.0)
    width_s = table.numbers(columns[0], gaps=True)
    wrong = is_pulse & ~(width_s > 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        shown = f"{columns[0].label} {width_s[row]:g} s"
        raise table.fault(row, shown, "a width above 0 of every pulse")
    used.append(columns[0])
    return np.where(is_pulse, width_s, 0.0)


def _amplitudes(table: DataTable, volts: TableColumn) -> Table:
    """Return the voltage of each row, 0 where there is none, which is a read.

    Raises :class:`ConfigError` where a row without a voltage has what a pulse has: a width, or a
    number of its own among numbered pulses.
    """
    amplitude_v = table.numbers(volts, gaps=True)
    unknown = np.isnan(amplitude_v)
    widths, numbers = table.of_role("width_s"), table.of_role("pulse")
    pulse = np.zeros(table.rows, dtype=np.bool_)
    if widths and not widths[0].is_text:
        pulse = widths[0].values > 0
    elif numbers and not numbers[0].is_text:
        counted = numbers[0].values
        pulse[1:] = (np.diff(counted) == 1) & ~unknown[:-1]
        pulse[:-1] &= ~unknown[1:]
        # Where reads are numbered as well, every second row or so has no voltage.
        pulse &= bool(unknown.sum() * _RARE <= table.rows)
    wrong = unknown & pulse
    if wrong.any():
        row = int(np.argmax(wrong))
        raise table.fault(row, f"no value of {volts.label}", "one for every pulse, 0 for a read")
    return np.nan_to_num(amplitude_v)


def _gates(table: DataTable, is_pulse: NDArray[np.bool_], used: list[TableColumn]) -> Table:
    """Return the voltage of the gate in each row, 0 without a column; a pulse without is refused.

    Raises :class:`ConfigError` with place and column.
    """
    columns = table.of_role("gate_v")
    if not columns:
        return np.zeros(table.rows)
    used.append(columns[0])
    gate_v = table.numbers(columns[0], gaps=True)
    wrong = is_pulse & np.isnan(gate_v)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise table.fault(row, f"no value of {columns[0].label}", "the gate of every pulse")
    return np.nan_to_num(gate_v)


def _label(table: DataTable, role: str, used: list[TableColumn]) -> Table:
    """Return the numbers of a counter, 0 in every row where the file has none.

    A row without a number, as of a read, has that of the row before.
    """
    columns = table.of_role(role)
    if not columns:
        return np.zeros(table.rows)
    used.append(columns[0])
    numbers = table.numbers(columns[0], gaps=True)
    last = np.maximum.accumulate(np.where(np.isnan(numbers), 0, np.arange(numbers.size)))
    return np.nan_to_num(numbers[last])


def _refuse_counts(table: DataTable, number: Table, is_pulse: NDArray[np.bool_]) -> None:
    """Refuse rows of several pulses each: one number above 1 in all of them is a count."""
    numbers = number[is_pulse]
    if numbers.size > 1 and np.ptp(numbers) == 0 and numbers[0] > 1:
        label = table.of_role("pulse")[0].label
        raise table.fault(
            int(np.argmax(is_pulse)),
            f"{label} is {numbers[0]:g} in every row, as of rows of {numbers[0]:g} pulses each",
            f"one row a pulse; if it is no count, name it --column index={label!r}",
        )


def _scans(table: DataTable, cell: Table, used: list[TableColumn]) -> Table:
    """Return the number of the scan of each row: a counter of points that begins again begins one.

    0 throughout where there is no such counter, or where each cell has its own.
    """
    scans = np.zeros(table.rows)
    for column in table.of_role("index")[:1]:
        if column.is_text or column.faults or column.missing:
            continue
        order = np.argsort(cell, kind="stable")
        back = (np.diff(column.values[order]) < 0) & (np.diff(cell[order]) == 0)
        if back.any():
            used.append(column)
            scans[order[1:]] = np.cumsum(back)
    return scans


def _parts(*labels: Table) -> Table:
    """Number the combinations of train, cycle and scan."""
    if not any(one.any() for one in labels):
        return labels[0]
    _, part = np.unique(np.stack(labels, axis=1), axis=0, return_inverse=True)
    return part.ravel().astype(np.float64)


PULSE_LOG = Reader(
    name="pulse_log",
    summary="a log of pulses: one row a pulse or a read, amplitudes and widths as they come",
    judge=judge,
    read=read,
    options={
        "width_s": "of the pulses, where no column holds it",
        "read_v": "where the values are currents and no column holds the voltage",
    },
)
