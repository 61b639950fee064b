"""Data of a log of pulses: trains, sweeps of the gate, or cycles, from its steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwloop.datasets.importing import Extract
from hwloop.errors import ConfigError
from hwloop_sim.readers.pulse_logs.steps import PulseRows, PulseSteps, steps_of
from hwloop_sim.readers.tables import Table, cells_in


def extract_of(
    events: PulseRows,
    path: Path,
    told: Sequence[str],
    *,
    found: Mapping[str, object] | None = None,
) -> Extract:
    """Return what a log holds: trains, each of one polarity, unless it is something else.

    Where the gate varies it is a sweep of pulses, and where single pulses of both polarities
    alternate it is cycling. ``told``: messages of the reader; ``found``: conditions in the file.
    Raises :class:`ConfigError` with ``path`` where no value follows a single pulse.
    """
    steps = steps_of(events)
    is_cycling = steps.alternate(events) and np.unique(events.gate_v[steps.single_pulse]).size == 1
    if not steps.after.size and not is_cycling:
        raise ConfigError(_no_train(events), file=str(path))
    extract = _extract_of(events, steps, told, is_cycling=is_cycling)
    return replace(extract, found=found or {})


def _no_train(events: PulseRows) -> str:
    """Return why a log holds no step from one value over a single pulse to the next."""
    what = "no value was read after a single pulse with another before it"
    values = np.flatnonzero(np.isfinite(events.conductance_s))
    apart = np.diff(np.cumsum(events.amplitude_v != 0)[values])
    numbers = np.diff(events.number[values])
    several = apart if apart.size and np.median(apart) > 1 else numbers
    if several.size and np.median(several) > 1:
        low, high = int(several.min()), int(several.max())
        many = f"{low}" if low == high else f"{low} to {high}"
        return (
            f"{what}: {many} pulses stand between one read and the next, and a train needs a read"
            " after each pulse"
        )
    return f"{what}: there is no train"


def _extract_of(
    events: PulseRows, steps: PulseSteps, told: Sequence[str], *, is_cycling: bool
) -> Extract:
    gates_v = np.unique(events.gate_v[steps.single_pulse if is_cycling else steps.pulse_row])
    if gates_v.size > 1:
        return _gate_sweeps(events, steps, told)
    if gates_v[0]:
        told = [*told, f"all pulses with the gate at {gates_v[0]:g} V"]
    if is_cycling:
        return _cycles(events, steps, told)
    return _trains(events, steps, told)


def _trains(events: PulseRows, steps: PulseSteps, told: Sequence[str]) -> Extract:
    parts: dict[str, list[Table]] = {}
    taken = []
    for number, run in enumerate(steps.runs):
        rows = np.concatenate([steps.before[run[:1]], steps.after[run]])
        columns = {
            "cell": events.cell[rows],
            "train": np.full(rows.size, float(number)),
            "pulse": np.arange(float(rows.size)),
            "amplitude_v": events.amplitude_v[steps.pulse_row[run]][_first_twice(run.size)],
            "width_s": events.width_s[steps.pulse_row[run]][_first_twice(run.size)],
            "conductance_s": events.conductance_s[rows],
        }
        for name, column in columns.items():
            parts.setdefault(name, []).append(column)
        taken.append(rows)
    found = {name: np.concatenate(each) for name, each in parts.items()}
    sizes = [run.size for run in steps.runs]
    pulses = f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"
    messages = [
        f"{len(sizes)} {'train' if len(sizes) == 1 else 'trains'} of {pulses} pulses,"
        f" {_pulses(found)}; {cells_in(found['cell'])}",
        *_common(events, steps, np.concatenate(taken), told),
    ]
    return Extract("trains", found, {}, messages)


def _first_twice(count: int) -> NDArray[np.int64]:
    """Return 0, 0, 1, 2, …: the value before a train stands with the pulse that follows it."""
    return np.maximum(np.arange(-1, count), 0)


def _pulses(columns: Mapping[str, Table]) -> str:
    """Return the amplitudes and widths in words."""
    texts = []
    for name, unit in (("amplitude_v", "V"), ("width_s", "s")):
        values = np.unique(columns[name])
        few = ", ".join(f"{value:g}" for value in values[:4])
        texts.append(
            f"{few} {unit}" if values.size <= 4 else f"{values[0]:g} to {values[-1]:g} {unit}"
        )
    return "; ".join(texts)


def _gate_sweeps(events: PulseRows, steps: PulseSteps, told: Sequence[str]) -> Extract:
    rows = steps.pulse_row
    columns = {
        "cell": events.cell[rows],
        "width_s": events.width_s[rows],
        "amplitude_v": events.amplitude_v[rows],
        "gate_v": events.gate_v[rows],
        "before_conductance_s": events.conductance_s[steps.before],
        "after_conductance_s": events.conductance_s[steps.after],
    }
    gates_v = columns["gate_v"]
    messages = [
        f"{rows.size} pulses with the gate from {gates_v.min():g} to {gates_v.max():g} V,"
        f" {_pulses(columns)}; {cells_in(columns['cell'])}",
        *_common(events, steps, np.concatenate([steps.before, steps.after]), told),
    ]
    return Extract("pulse_sweeps", columns, {}, messages)


def _cycles(events: PulseRows, steps: PulseSteps, told: Sequence[str]) -> Extract:
    """Return the states after every second pulse; the polarity that leads to more is SET."""
    volts, seen = events.amplitude_v[steps.single_pulse], events.conductance_s[steps.single]
    medians = [float(np.median(seen[volts * sign > 0])) for sign in (1, -1)]
    set_sign = 1 if medians[0] >= medians[1] else -1
    is_set = volts * set_sign > 0
    sets, resets, cycle = _pairs(events, steps.single_pulse, is_set)
    columns = {
        "cell": events.cell[steps.single_pulse[sets]],
        "cycle": cycle,
        "set_conductance_s": seen[sets],
        "reset_conductance_s": seen[resets],
    }
    taken = steps.single[np.concatenate([sets, resets])]
    messages = [
        f"{sets.size} cycles of a SET of {_extent(volts[is_set])} V and a"
        f" RESET of {_extent(volts[~is_set])} V; {cells_in(columns['cell'])}",
        *told,
        _left(events, taken),
    ]
    return Extract("cycling", columns, {}, messages)


def _pairs(
    events: PulseRows, pulse: NDArray[np.int64], is_set: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], Table]:
    """Return the places of the SET and the RESET of each cycle, and the numbers of the cycles.

    Those of the file where each of its cycles has one of both; else from 1 in each cell, from its
    first SET on.
    """
    cell, counted = events.cell[pulse], events.cycle[pulse]
    if counted.any():
        order = np.lexsort((~is_set, counted, cell))
        first, second = order[::2], order[1::2]
        if first.size == second.size and (
            (cell[first] == cell[second]).all()
            and (counted[first] == counted[second]).all()
            and (is_set[first] & ~is_set[second]).all()
        ):
            return first, second, counted[first]
    sets, resets, cycles = [], [], []
    for one in np.unique(cell):
        chosen = np.flatnonzero(cell == one)
        begin = int(np.argmax(is_set[chosen]))
        pairs = (chosen.size - begin) // 2 if is_set[chosen].any() else 0
        both = chosen[begin : begin + 2 * pairs].reshape(pairs, 2)
        sets.append(both[:, 0])
        resets.append(both[:, 1])
        cycles.append(np.arange(1.0, pairs + 1))
    return np.concatenate(sets), np.concatenate(resets), np.concatenate(cycles)


def _extent(volts: Table) -> str:
    low, high = float(volts.min()), float(volts.max())
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _common(
    events: PulseRows, steps: PulseSteps, taken: NDArray[np.int64], told: Sequence[str]
) -> Iterator[str]:
    """Yield messages on what was used, and on what has no place in a train."""
    yield from told
    if steps.lost:
        what = "pulse" if steps.lost == 1 else "pulses"
        yield (
            f"{steps.lost} {what} whose state before was not read: the value after each begins a"
            " train"
        )
    yield _left(events, taken)


def _left(events: PulseRows, taken: NDArray[np.int64]) -> str:
    """Return how many values were read, and how many of them are not in what was taken."""
    read = np.isfinite(events.conductance_s)
    total = int(read.sum())
    read[taken] = False
    left = int(read.sum())
    if not left:
        return f"no value was left out: all {total} are used"
    row = int(np.argmax(read))
    return (
        f"{left} of {total} values left out, which belong to no train or cycle; the first is"
        f" {events.conductance_s[row]:.4g} S, value row {row + 1}"
    )
