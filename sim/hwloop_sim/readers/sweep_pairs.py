"""Sweeps side by side: a voltage and a current for each run, as parameter analysers export them.

Clarius on the Keithley 4200A-SCS writes the runs of a test next to each other, as ``AV(1) AI(1)
AV(2) AI(2) …`` or ``AnodeV AnodeI`` again and again, with ``Time`` for each or none, shorter runs
filled up with empty fields or ``#REF`` (Keithley 4200A-SCS Clarius User's Manual, "Save data").
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from hwloop.datasets.importing import Extract, Reader
from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.table import DataTable, TableColumn
from hwloop.errors import ConfigError
from hwloop_sim.readers.ignored import left_out
from hwloop_sim.readers.sweep_times import OPTION, times_at_rate
from hwloop_sim.readers.tables import Table, check_below, nameless, without_units

_NUMBER = re.compile(r"(\d+)\D*$")
_LEAST_POINTS = 3
_HIGHEST_V = 1100.0  # of the source meters with the highest range, 1100 V
_HIGHEST_A = 20.0

Pair = tuple[TableColumn, TableColumn, TableColumn | None]


def judge(source: DataFile) -> str:
    """Return "" if voltages and currents come in two pairs or more, else why not."""
    table = source.table
    if nameless(table):
        return nameless(table)
    for role, what in (("width_s", "widths"), ("amplitude_v", "amplitudes")):
        if table.of_role(role):
            return f"it has {what} of pulses, in {table.of_role(role)[0].label}: no sweeps"
    pairs = _pairs(table)
    if isinstance(pairs, str):
        return pairs
    stated = table.of_role("resistance_ohm")
    if stated and len(stated) != len(pairs):
        return f"it has {stated[0].label} besides: one measurement with several sources, no runs"
    for volts, _, _ in pairs:
        if np.unique(volts.values[np.isfinite(volts.values)]).size < _LEAST_POINTS:
            return f"its voltage {volts.label} hardly varies: no sweep"
    return ""


def _pairs(table: DataTable) -> list[Pair] | str:
    """Return voltage, current and time of each sweep, or why they are not paired."""
    volts, currents = table.of_role("voltage_v"), table.of_role("current_a")
    if len(volts) < 2 or len(currents) != len(volts):
        return (
            f"it has {len(volts)} columns of voltage and {len(currents)} of current; expected the"
            " same number, two or more"
        )
    times = [one for one in table.of_role("time_s") if not one.unit_is_unknown]
    # "column 3" is a place, not the number of a run.
    by_order = not table.has_header or all(_runs(columns) is None for columns in (volts, currents))
    if by_order and not _alternate(table, volts, currents):
        return "its voltages and currents do not alternate, and have no numbers of their runs"
    found = currents if by_order else _like(volts, currents)
    if found is None:
        return (
            "the runs of its voltages and currents differ:"
            f" {', '.join(one.label for one in (*volts, *currents))}"
        )
    own: Sequence[TableColumn | None] = [None] * len(volts)
    if len(times) == 1:
        own = [times[0]] * len(volts)
    elif len(times) == len(volts):
        own = times if by_order else _like(volts, times) or own
    return list(zip(volts, found, own, strict=True))


def _runs(columns: Sequence[TableColumn]) -> list[int] | None:
    """Return the number of the run in each name; None unless all have one of their own."""
    matches = [_NUMBER.search(column.label) for column in columns]
    numbers = [int(match[1]) for match in matches if match is not None]
    return numbers if len(numbers) == len(columns) == len(set(numbers)) else None


def _like(
    volts: Sequence[TableColumn], others: Sequence[TableColumn]
) -> Sequence[TableColumn] | None:
    """Return the others in the order of the runs of the voltages; None where they differ."""
    ours, theirs = _runs(volts), _runs(others)
    if ours is None or theirs is None or set(ours) != set(theirs):
        return None
    return [others[theirs.index(number)] for number in ours]


def _alternate(
    table: DataTable, volts: Sequence[TableColumn], currents: Sequence[TableColumn]
) -> bool:
    labels = {one.label for one in (*volts, *currents)}
    order = [one.role for one in table.columns if one.label in labels]
    return all(a != b for a, b in zip(order[::2], order[1::2], strict=True))


def read(source: DataFile, options: Mapping[str, str]) -> Extract:
    """Return the sweeps in their order; a row without voltage or current is no point of one."""
    table = source.table
    pairs = _pairs(table)
    if isinstance(pairs, str):
        raise ConfigError(pairs, file=str(source.path))
    parts: list[dict[str, Table]] = []
    gaps = 0
    told: list[str] = []
    for number, (volts, current, time) in enumerate(pairs):
        voltage_v = table.numbers(volts, gaps=True)
        current_a = table.numbers(current, gaps=True, over=True)
        check_below(table, voltage_v, _HIGHEST_V, volts.label, "V")
        check_below(table, current_a, _HIGHEST_A, current.label, "A")
        kept = np.isfinite(voltage_v) & np.isfinite(current_a)
        if kept.sum() < _LEAST_POINTS:
            raise ConfigError(
                f"{volts.label} and {current.label}: {kept.sum()} points: expected"
                f" {_LEAST_POINTS} or more, as a sweep has",
                file=str(source.path),
            )
        last = int(np.flatnonzero(kept)[-1])
        alone = np.isfinite(voltage_v) != np.isfinite(current_a)
        gaps += int((~kept[:last]).sum() + alone[last:].sum())
        time_s = table.numbers(time, gaps=True) if time is not None else np.full(kept.size, np.nan)
        columns = {"time_s": time_s, "voltage_v": voltage_v, "current_a": current_a}
        part = {name: column[kept] for name, column in columns.items()}
        part["time_s"], at_rate = times_at_rate(table, options, part["voltage_v"], part["time_s"])
        told += at_rate
        parts.append(part | {"sweep": np.full(int(kept.sum()), float(number))})
    found = {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}
    found["cell"] = np.zeros(found["sweep"].size)
    used = [column for pair in pairs for column in pair if column is not None]
    messages = [*_messages(table, pairs, found, used, gaps), *dict.fromkeys(told)]
    return Extract("iv", found, {}, messages)


def _messages(
    table: DataTable,
    pairs: Sequence[Pair],
    found: Mapping[str, Table],
    used: Sequence[TableColumn],
    gaps: int,
) -> list[str]:
    named = ", ".join(f"{volts.label} with {current.label}" for volts, current, _ in pairs[:4])
    more = ", …" if len(pairs) > 4 else ""
    times = sum(time is not None for *_, time in pairs)
    return [
        f"{len(pairs)} sweeps of one cell: {named}{more}; {found['sweep'].size} points from"
        f" {found['voltage_v'].min():.4g} to {found['voltage_v'].max():.4g} V,"
        f" {'with' if times else 'without'} times",
        *filter(None, [without_units(used), left_out(table, used)]),
        f"{gaps} rows without voltage or current in a sweep left out"
        if gaps
        else "no value of these sweeps was dropped",
    ]


SWEEP_PAIRS = Reader(
    name="sweep_pairs",
    summary="sweeps side by side: pairs of voltage and current, one a run",
    judge=judge,
    read=read,
    options=OPTION,
)
