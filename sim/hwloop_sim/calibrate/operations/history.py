"""What was done to cells and what they showed: the data that any device model can be run on.

A history is a list of events on cells that were measured together. It comes from the operations
of a record, or from imported trains and sweeps. Half-selected cells of a record see what the
biasing scheme gives them, with ideal wires.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hwloop.array.operations import Flag, PulseMap, Ramp, Reading, ReadMap
from hwloop.array.settings import ArraySettings
from hwloop.datasets.pulse_table import check_unit
from hwloop.errors import ConfigError, RecordError
from hwloop.messages import cell_name
from hwloop.record.reader import Record
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.emulator.lines import Wiring
from hwloop_sim.emulator.readout import Tiles

LEAST_READS = 6
_WRONG_SIGNS = 0.1


class NothingInIt(ConfigError):
    """A record without pulses, or without reads after them."""


@dataclass(frozen=True, eq=False)
class Drive:
    """Pulses on every cell: ``voltage_v`` (cells,), 0 for those that see none.

    ``selected``: whether these are the cells that the map addressed, not half-selected ones.
    """

    voltage_v: FloatArray
    width_s: float
    count: int = 1
    gate_v: float | FloatArray | None = None
    selected: bool = True

    @property
    def duration_s(self) -> float:
        """Of all pulses together."""
        return self.width_s * self.count


@dataclass(frozen=True, eq=False)
class Look:
    """A read: ``current_a`` (cells,), amperes, NaN where a cell was not read."""

    read_v: float
    both_polarities: bool
    current_a: FloatArray

    @property
    def conductance_s(self) -> FloatArray:
        """Current over voltage, (cells,)."""
        return self.current_a / self.read_v


@dataclass(frozen=True, eq=False)
class History:
    """Events on some cells, in order; ``names``: of the cells, as a person has them."""

    where: str
    names: Sequence[str]
    events: Sequence[Drive | Look]

    @property
    def looks(self) -> list[Look]:
        """The reads."""
        return [event for event in self.events if isinstance(event, Look)]

    @property
    def drives(self) -> list[Drive]:
        """The pulses."""
        return [event for event in self.events if isinstance(event, Drive)]

    @property
    def current_a(self) -> FloatArray:
        """(looks, cells), amperes, NaN where a cell was not read."""
        return np.array([look.current_a for look in self.looks])

    @property
    def conductance_s(self) -> FloatArray:
        """(looks, cells), siemens."""
        return np.array([look.conductance_s for look in self.looks])

    @property
    def first_conductance_s(self) -> FloatArray:
        """Conductance of each cell at its first read whose sign can be, (cells,)."""
        seen_conductance_s = self.conductance_s
        good = seen_conductance_s > 0
        first = np.argmax(np.where(good.any(axis=0), good, np.isfinite(seen_conductance_s)), axis=0)
        return np.asarray(seen_conductance_s[first, np.arange(seen_conductance_s.shape[1])])

    def of_cells(self, chosen: Sequence[int] | BoolArray) -> History:
        """The same of some cells, without what none of them saw."""
        index = np.arange(len(self.names))[np.asarray(chosen)]
        events: list[Drive | Look] = []
        for event in self.events:
            if isinstance(event, Drive):
                voltage_v = event.voltage_v[index]
                gate_v = event.gate_v
                gate_v = gate_v[index] if isinstance(gate_v, np.ndarray) else gate_v
                if voltage_v.any():
                    events.append(replace(event, voltage_v=voltage_v, gate_v=gate_v))
            elif np.isfinite(event.current_a[index]).any():
                events.append(replace(event, current_a=event.current_a[index]))
        return History(self.where, [self.names[i] for i in index], events)

    def selected_only(self) -> History:
        """Without half-selected cells, for models that do not say what those would do."""
        kept = [e for e in self.events if isinstance(e, Look) or e.selected]
        return replace(self, events=kept)

    def on_every_train(self) -> FloatArray:
        """Which train each read belongs to, (looks, cells): counted up where the sign changes."""
        number = np.zeros(len(self.names), dtype=np.int64)
        sign = np.zeros(len(self.names))
        found = []
        for event in self.events:
            if isinstance(event, Look):
                found.append(number.copy())
            elif event.selected:
                now = np.sign(event.voltage_v)
                number += (now != 0) & (now != sign)
                sign = np.where(now != 0, now, sign)
        return np.array(found)


def of_record(path: Path) -> History:
    """The history of all cells of a record.

    Raises :class:`ConfigError` with the file where there is nothing in it to calibrate from: no
    pulses, no reads, reads that failed, currents against their voltage.
    """
    with Record(path) as record:
        shape = record.shape
        array = ArraySettings.parse(record.resolved["array"])
        # On lines that float, what the other cells see depends on them: it is left out.
        ideal = array.biasing != "floating"
        wiring = Wiring(None, Tiles(), array.biasing, (shape[-2], shape[-1])) if ideal else None
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
    record: Record, shape: tuple[int, ...], wiring: Wiring | None
) -> Iterator[Drive | Look]:
    for recorded in record.operations():
        if recorded.failed:  # nobody knows whether it reached the cells
            return
        operation = recorded.operation
        if isinstance(operation, PulseMap):
            yield from _drives(operation, shape, wiring)
        elif isinstance(operation, ReadMap) and recorded.reading is not None:
            yield _look(operation, recorded.reading)
        elif isinstance(operation, Ramp) and recorded.reading is not None:
            yield from _ramped(operation, recorded.reading, shape, wiring)


def _drives(pulse: PulseMap, shape: tuple[int, ...], wiring: Wiring | None) -> Iterator[Drive]:
    """The pulse and what the half-selected cells see of it."""
    full = replace(pulse, amplitude_v=np.broadcast_to(pulse.amplitude_v, shape))
    stresses = [full] if wiring is None else wiring.ideal_stresses(full)
    for number, stress in enumerate(stresses):
        gate_v = stress.gate_v
        if isinstance(gate_v, np.ndarray):
            gate_v = np.broadcast_to(gate_v, shape).ravel()
        voltage_v = stress.amplitude_v.ravel()
        yield Drive(voltage_v, stress.width_s, stress.count, gate_v, selected=number == 0)


def _ramped(
    ramp: Ramp, reading: Reading, shape: tuple[int, ...], wiring: Wiring | None
) -> Iterator[Drive | Look]:
    """The pulses that the cells got, each with the read that follows it."""
    for number in range(ramp.steps):
        seen = Reading(reading.current_a[number], reading.flags[number])
        given = (seen.flags & Flag.NOT_ADDRESSED) == 0
        if not given.any():
            return
        yield from _drives(ramp.pulse(number, given), shape, wiring)
        yield _look(ReadMap(given, ramp.read_v, ramp.both_polarities), seen)


def _look(read: ReadMap, reading: Reading) -> Look:
    good = reading.flags == 0
    current_a = np.where(good, reading.current_a, np.nan).ravel()
    return Look(read.read_v, read.both_polarities, current_a)


def check(history: History) -> None:
    """Refuse what no model could be fitted to, with file and place."""
    where = history.where
    if not history.drives:
        raise NothingInIt("has no characterisation in it: no pulse was given", file=where)
    if not history.looks or not np.isfinite(history.current_a).any():
        raise NothingInIt("has no characterisation in it: no cell was read", file=where)
    current_a, seen_conductance_s = history.current_a, history.conductance_s
    read = np.isfinite(current_a)
    _check_order(history, read)
    check_unit(seen_conductance_s[read], where)
    against = read & (seen_conductance_s <= 0)
    if against.sum() > _WRONG_SIGNS * read.sum():
        look, cell = (int(i) for i in np.argwhere(against)[0])
        raise ConfigError(
            f"{history.names[cell]}, read {look}: {current_a[look, cell]:.4g} A at"
            f" {history.looks[look].read_v:g} V: {against.sum()} of {read.sum()} currents go"
            " against their voltage; are the leads, or the signs, exchanged?",
            file=where,
        )


def _check_order(history: History, read: BoolArray) -> None:
    """Every cell that is read needs reads enough, and pulses between them."""
    several = read.sum(axis=0)
    fewest = int(several[several > 0].min())
    if fewest < LEAST_READS:
        cell = int(np.argmax(several == fewest))
        raise ConfigError(
            f"{history.names[cell]} was read {fewest} times: expected {LEAST_READS} or more",
            file=history.where,
        )
    pulsed = np.zeros(len(history.names), dtype=np.bool_)
    informed = np.zeros_like(pulsed)
    for event in history.events:
        if isinstance(event, Drive):
            pulsed |= event.voltage_v != 0
        else:
            informed |= pulsed & np.isfinite(event.current_a)
    if not informed.any():
        raise NothingInIt(
            "has no characterisation in it: no cell was read after a pulse", file=history.where
        )
