"""Histories: pulses and reads of cells, the data that any device model can be run on.

A history is a list of events on cells that were measured together. It comes from the operations of
a record, or from imported trains and sweeps. Half-selected cells of a record see the voltages of
the biasing scheme, with ideal wires.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hwloop.array.operations import Flag, PulseMap, Ramp, Reading, ReadMap
from hwloop.array.settings import ArraySettings
from hwloop.datasets.measurement import check_unit
from hwloop.errors import ConfigError, RecordError
from hwloop.messages import cell_name, first_place
from hwloop.record.reader import Record
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.emulator.lines import ArrayLines
from hwloop_sim.emulator.readout import Tiles

LEAST_READS = 6
RELAXING_STEPS = frozenset({"relaxation_after", "paired_pulse", "stdp"})
"""Steps whose reads show relaxation, which no device model describes."""
_WRONG_SIGNS = 0.1
_NEAR_0_V = 0.1  # of the largest voltage of a sweep
_OFFSET = 0.05  # of the largest current
_FEW = 20  # reads below which chance is not told from states
_ONE_STATE = 0.1  # relative
_STEPS = 20  # voltages of a sweep at which reads are compared, of each sign


class EmptyRecord(ConfigError):
    """A record without pulses, or without reads after them."""


@dataclass(frozen=True, eq=False)
class Stimulus:
    """Pulses on every cell.

    ``voltage_v``: (cells,), volts, 0 for cells that see none. ``selected``: whether these are the
    cells that the map addressed, as opposed to half-selected ones.
    """

    voltage_v: FloatArray
    width_s: float
    count: int = 1
    gate_v: float | FloatArray | None = None
    selected: bool = True

    @property
    def duration_s(self) -> float:
        """Compute the duration of all pulses together, seconds."""
        return self.width_s * self.count


@dataclass(frozen=True, eq=False)
class Read:
    """A read of the cells.

    ``current_a``: (cells,), amperes, NaN if a cell was not read.
    """

    read_v: float
    both_polarities: bool
    current_a: FloatArray

    @property
    def conductance_s(self) -> FloatArray:
        """Compute current over voltage, (cells,), siemens."""
        return self.current_a / self.read_v


@dataclass(frozen=True, eq=False)
class History:
    """Events on some cells, in order; ``names``: of the cells, for messages."""

    where: str
    names: Sequence[str]
    events: Sequence[Stimulus | Read]

    @property
    def reads(self) -> list[Read]:
        """Return the reads, in order."""
        return [event for event in self.events if isinstance(event, Read)]

    @property
    def stimuli(self) -> list[Stimulus]:
        """Return the pulses, in order."""
        return [event for event in self.events if isinstance(event, Stimulus)]

    @property
    def current_a(self) -> FloatArray:
        """Return the currents, (reads, cells), amperes, NaN if a cell was not read."""
        return np.array([read.current_a for read in self.reads])

    @property
    def conductance_s(self) -> FloatArray:
        """Return current over voltage, (reads, cells), siemens."""
        return np.array([read.conductance_s for read in self.reads])

    @property
    def first_conductance_s(self) -> FloatArray:
        """Return the conductance of each cell at its first read above 0, (cells,), siemens."""
        seen_conductance_s = self.conductance_s
        good = seen_conductance_s > 0
        first = np.argmax(np.where(good.any(axis=0), good, np.isfinite(seen_conductance_s)), axis=0)
        return np.asarray(seen_conductance_s[first, np.arange(seen_conductance_s.shape[1])])

    def of_cells(self, chosen: Sequence[int] | BoolArray) -> History:
        """Return the history of some cells, without events that none of them saw."""
        index = np.arange(len(self.names))[np.asarray(chosen)]
        events: list[Stimulus | Read] = []
        for event in self.events:
            if isinstance(event, Stimulus):
                voltage_v = event.voltage_v[index]
                gate_v = event.gate_v
                gate_v = gate_v[index] if isinstance(gate_v, np.ndarray) else gate_v
                if voltage_v.any():
                    events.append(replace(event, voltage_v=voltage_v, gate_v=gate_v))
            elif np.isfinite(event.current_a[index]).any():
                events.append(replace(event, current_a=event.current_a[index]))
        return History(self.where, [self.names[i] for i in index], events)

    def selected_only(self) -> History:
        """Return the history without half-select stress, for models that do not describe it."""
        kept = [e for e in self.events if isinstance(e, Read) or e.selected]
        return replace(self, events=kept)

    def on_every_train(self) -> FloatArray:
        """Return the number of the train of each read, (reads, cells).

        A new train begins where the sign of the pulses changes.
        """
        number = np.zeros(len(self.names), dtype=np.int64)
        sign = np.zeros(len(self.names))
        found = []
        for event in self.events:
            if isinstance(event, Read):
                found.append(number.copy())
            elif event.selected:
                now = np.sign(event.voltage_v)
                number += (now != 0) & (now != sign)
                sign = np.where(now != 0, now, sign)
        return np.array(found)


def levels(histories: Sequence[History]) -> list[FloatArray]:
    """Return the voltage of each read over the largest of all sweeps, (reads,) of each history.

    Near 0 V the current of a sweep shows the offset of its meter: such reads weigh by their
    voltage. Reads at one voltage, and reads of both polarities, count as 1.
    """
    every = [np.array([0.0 if r.both_polarities else r.read_v for r in h.reads]) for h in histories]
    swept = [np.unique(one[one != 0]).size > 1 for one in every]
    most = max((np.abs(one).max() for one, of in zip(every, swept, strict=True) if of), default=1.0)
    return [
        np.where(one == 0, 1.0, one / most) if of else np.ones(one.size)
        for one, of in zip(every, swept, strict=True)
    ]


def of_record(path: Path) -> History:
    """Load the history of all cells of a record.

    Raises :class:`ConfigError` with the file if there is nothing to calibrate from: no pulses, no
    reads, failed reads, or currents against their voltage.
    """
    with Record(path) as record:
        if {entry["step"] for entry in record.resolved["steps"]} <= RELAXING_STEPS:
            raise EmptyRecord(
                "has steps of plasticity alone: they give the effect short_term, beside a record"
                " that characterises the device",
                file=str(path),
            )
        shape = record.shape
        array = ArraySettings.parse(record.resolved["array"])
        # With floating lines, half-select stress depends on the cells: it is left out.
        ideal = array.biasing != "floating"
        wiring = ArrayLines(None, Tiles(), array.biasing, (shape[-2], shape[-1])) if ideal else None
        try:
            events = list(_events(record, shape, wiring))
        except RecordError as exc:
            raise ConfigError(str(exc), file=str(path)) from None
    names = [cell_name(tuple(map(int, place))) for place in np.ndindex(*shape)]
    history = History(str(path), names, events)
    check(history)
    seen = np.asarray(np.isfinite(history.current_a).any(axis=0))
    return history if seen.all() else history.of_cells(seen)


def _events(
    record: Record, shape: tuple[int, ...], wiring: ArrayLines | None
) -> Iterator[Stimulus | Read]:
    for recorded in record.operations():
        if recorded.failed:  # it may or may not have reached the cells
            return
        operation = recorded.operation
        if isinstance(operation, PulseMap):
            yield from _stimuli(operation, shape, wiring)
        elif isinstance(operation, ReadMap) and recorded.reading is not None:
            yield _read(operation, recorded.reading)
        elif isinstance(operation, Ramp) and recorded.reading is not None:
            yield from _ramped(operation, recorded.reading, shape, wiring)


def _stimuli(
    pulse: PulseMap, shape: tuple[int, ...], wiring: ArrayLines | None
) -> Iterator[Stimulus]:
    """Yield the pulse, and the stress of half-selected cells."""
    full = replace(pulse, amplitude_v=np.broadcast_to(pulse.amplitude_v, shape))
    stresses = [full] if wiring is None else wiring.ideal_stresses(full)
    for number, stress in enumerate(stresses):
        gate_v = stress.gate_v
        if isinstance(gate_v, np.ndarray):
            gate_v = np.broadcast_to(gate_v, shape).ravel()
        voltage_v = stress.amplitude_v.ravel()
        yield Stimulus(voltage_v, stress.width_s, stress.count, gate_v, selected=number == 0)


def _ramped(
    ramp: Ramp, reading: Reading, shape: tuple[int, ...], wiring: ArrayLines | None
) -> Iterator[Stimulus | Read]:
    """Yield the pulses of a ramp, each with the read that follows it."""
    for number in range(ramp.steps):
        seen = Reading(reading.current_a[number], reading.flags[number])
        given = (seen.flags & Flag.NOT_ADDRESSED) == 0
        if not given.any():
            return
        yield from _stimuli(ramp.pulse(number, given), shape, wiring)
        yield _read(ReadMap(given, ramp.read_v, ramp.both_polarities), seen)


def _read(operation: ReadMap, reading: Reading) -> Read:
    good = reading.flags == 0
    current_a = np.where(good, reading.current_a, np.nan).ravel()
    return Read(operation.read_v, operation.both_polarities, current_a)


def check(history: History, *, short: bool = False) -> None:
    """Raise :class:`ConfigError` with file and place if no model could be fitted to a history.

    ``short``: whether some of its cells may have few reads, as trains of one device have.
    """
    where = history.where
    if not history.stimuli:
        raise EmptyRecord("has no characterisation in it: no pulse was given", file=where)
    if not history.reads or not np.isfinite(history.current_a).any():
        raise EmptyRecord("has no characterisation in it: no cell was read", file=where)
    current_a, seen_conductance_s = history.current_a, history.conductance_s
    is_read = np.isfinite(current_a)
    _check_order(history, is_read, short=short)
    check_unit(seen_conductance_s[is_read], where)
    against = is_read & (seen_conductance_s <= 0)
    if against.sum() > _WRONG_SIGNS * is_read.sum():
        number, cell = first_place(against)
        raise ConfigError(
            f"{history.names[cell]}, read {number}: {current_a[number, cell]:.4g} A at"
            f" {history.reads[number].read_v:g} V: {against.sum()} of {is_read.sum()} currents go"
            f" against their voltage; {_why_against(history)}",
            file=where,
        )
    check_states(history)


def _why_against(history: History) -> str:
    """Say what may turn currents against their voltage: an offset, or exchanged leads."""
    (level,) = levels([history])
    near, current_a = np.abs(level) < _NEAR_0_V, history.current_a
    if near.any() and np.isfinite(current_a[near]).any():
        offset_a = float(np.nanmedian(current_a[near]))
        if abs(offset_a) > _OFFSET * float(np.nanmax(np.abs(current_a))):
            return (
                f"it is about {offset_a:.3g} A at 0 V: an offset of the current meter, or a third"
                " terminal? subtract an offset before the import"
            )
    return "are the leads, or the signs, exchanged?"


def check_states(history: History) -> None:
    """Refuse a recording of one state: reads that differ by chance alone, and by little.

    By chance: the mean square of successive differences is twice the variance (von Neumann,
    doi:10.1214/aoms/1177731677), where states would follow each other. Of a sweep, reads are
    compared at the same voltage.
    """
    (level,) = levels([history])
    shown = np.abs(level) >= _NEAR_0_V
    seen_conductance_s = history.conductance_s[shown]
    if np.isfinite(seen_conductance_s).sum() < _FEW or (seen_conductance_s <= 0).any():
        return
    off = np.log(seen_conductance_s)
    for step in np.unique(np.round(_STEPS * level[shown])):
        same = np.round(_STEPS * level[shown]) == step
        off[same] -= _mean_of_cells(off[same])
    squares = np.nansum(np.square(off))
    count = int(np.isfinite(off).sum())
    scatter = float(np.sqrt(squares / count))
    ratio = float(np.nansum(np.square(np.diff(off, axis=0))) / squares) if squares else 2.0
    if scatter < _ONE_STATE and 1 < ratio < 2 + 4 / np.sqrt(count):
        raise ConfigError(
            f"a recording of one state: {count} reads differ by {scatter:.1%}, as by chance, and"
            " not by what was applied; apply more, or longer, until the conductance changes",
            file=history.where,
        )


def _mean_of_cells(values: FloatArray) -> FloatArray:
    count = np.isfinite(values).sum(axis=0)
    return np.asarray(np.nansum(values, axis=0) / np.maximum(count, 1))


def _check_order(history: History, is_read: BoolArray, *, short: bool) -> None:
    """Check that every cell, or the best one, was read often enough, and after a pulse."""
    several = is_read.sum(axis=0)
    fewest = int(several.max() if short else several[several > 0].min())
    if fewest < LEAST_READS:
        cell = int(np.argmax(several == fewest))
        raise ConfigError(
            f"{history.names[cell]} was read {fewest} times: expected {LEAST_READS} or more",
            file=history.where,
        )
    pulsed = np.zeros(len(history.names), dtype=np.bool_)
    informed = np.zeros_like(pulsed)
    for event in history.events:
        if isinstance(event, Stimulus):
            pulsed |= event.voltage_v != 0
        else:
            informed |= pulsed & np.isfinite(event.current_a)
    if not informed.any():
        raise EmptyRecord(
            "has no characterisation in it: no cell was read after a pulse", file=history.where
        )
