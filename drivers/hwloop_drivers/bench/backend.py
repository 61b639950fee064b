"""The bench as a backend: pulses, reads and multiplications by instruments and wires."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Protocol

import numpy as np
from typing_extensions import override

from hwloop.array.biasing import drive_fractions
from hwloop.array.blocks import BlockBatch
from hwloop.array.operations import (
    Hold,
    Operation,
    PulseMap,
    PulsePair,
    Ramp,
    Reading,
    ReadMap,
    VectorBatch,
    Wait,
    unlimited,
)
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import CrossbarBackend, Description, Event
from hwloop.backend.holding import refuse_hold
from hwloop.backend.shapes import check_shape
from hwloop.errors import BackendError, ConfigError, InstrumentFault, Unsupported
from hwloop.station.station import Station
from hwloop.types import BoolArray, FlagArray
from hwloop_drivers.bench.cell_access import CellAccess
from hwloop_drivers.bench.limited_lines import LimitedLines
from hwloop_drivers.bench.line_watch import LineWatch
from hwloop_drivers.bench.multiply import block_currents, line_currents
from hwloop_drivers.bench.pulse_trains import pair_train, pulse_train
from hwloop_drivers.bench.readings import resistors_in_words
from hwloop_drivers.bench.verify_loop import steps_ahead
from hwloop_drivers.roles import Measured, SourceMeter
from hwloop_drivers.roles.read_back import refuse_changed, units_of_read_back
from hwloop_drivers.safety.make_safe import (
    floating_when_off,
    make_all_safe,
    make_safe,
    reconnect_and_make_safe,
    sources_first,
)
from hwloop_drivers.safety.watchdog import Watchdog
from hwloop_drivers.station.addressing import Lines, in_order
from hwloop_drivers.station.cables import Cables
from hwloop_drivers.station.configured import ConfiguredInstrument
from hwloop_drivers.station.drives import GATES, ROWS, BenchDrives
from hwloop_drivers.station.routes import Routes
from hwloop_drivers.station.wired_circuit import WiredCircuit
from hwloop_drivers.virtual_bench import BenchTime, HostTime

SWITCHING_S = 20e-3  # two relay movements and their confirmation: 707B 15 ms, 7001 3 ms
READING_S = 0.02  # one power line cycle


class Release(Protocol):
    """A resource that is released when a bench is closed."""

    def __call__(self, *, safe: bool) -> str | None:
        """Release it, knowing whether the bench is safe; return a warning, or None."""


class Bench(CrossbarBackend):
    """One array on one station; cells are addressed one at a time.

    Relays move only while every output is at 0 V. The width of a pulse is made by the output on
    the rows; the other outputs hold their levels from before the pulse begins until it has ended.
    A current is measured at the column, held at 0 V, where there is a meter. ``events``: the queue
    that takes warnings and the wire log. ``text``: of the station file.
    """

    def __init__(
        self,
        station: Station,
        array: ArraySettings,
        drives: BenchDrives,
        events: deque[Event] | None = None,
        *,
        text: str = "",
    ) -> None:
        station.check_geometry(array.geometry)
        if station.scheme != array.biasing:
            raise ConfigError(
                f"station {station.name} is wired for {station.scheme};"
                f" the array is biased by {array.biasing}",
                key="scheme",
            )
        self._station, self._array, self._drives, self._text = station, array, drives, text
        self._routes = Routes(station, drives.matrices)
        self.circuit = WiredCircuit(station, drives.series_ohm(station))
        self._events: deque[Event] = deque() if events is None else events
        self._events.extend(Event("warning", text) for text in drives.without_limit(station, array))
        self._fractions = {
            key: fraction
            for key, fraction in drive_fractions(station.scheme).items()
            if key in drives.sources
        }
        self._cables = Cables.of(station, array, drives)
        self._cells = CellAccess(
            station,
            array,
            drives,
            routes=self._routes,
            fractions=self._fractions,
            cables=self._cables,
            sleep=self._sleep,
            limited=LimitedLines(station, self._events),
        )
        self._read_path = drives.read_path(station, array.geometry.shape)
        self._lines: LineWatch | None = None
        self._circuits = drives.circuits(station, array)
        most_v = max(array.limits.positive_v, -array.limits.negative_v)
        # At most: the held lines before a pulse and after it, and the row after it.
        self._pulse_charging_s = 3 * self._cables.wait_s({ROWS: most_v})
        self._verify_steps = 1
        if not self._cables.cable_f:
            self._verify_steps = steps_ahead(drives, self._fractions, array)
        self._identity: dict[str, object] = {"station": station.name}
        self._units: dict[str, str] = {}
        self._settings: dict[str, Mapping[str, object]] = {}
        self._time: BenchTime = HostTime()
        self._began_s = self._now_s = 0.0
        self._connected = self._closed = self._outputs_on = False
        self._unsafe: BackendError | None = None
        self._watchdog: Watchdog | None = None
        self._lock = threading.RLock()  # an operation, or making safe: not both at once
        self._by_name: Mapping[str, ConfiguredInstrument] = {}
        self._checked: Operation | None = None
        self._at_close: list[Release] = []

    def watch_lines(self, *, forming: bool) -> None:
        """Judge every read from now on, and check the lines from time to time.

        ``forming``: lines may have no cell that conducts yet.
        """
        self._lines = LineWatch(
            self._cells,
            self.circuit,
            self._array,
            measure_s=READING_S + SWITCHING_S,
            forming=forming,
        )

    def connect(
        self,
        time: BenchTime,
        by_name: Mapping[str, ConfiguredInstrument],
        at_close: list[Release],
        watchdog: Watchdog | None = None,
    ) -> None:
        """Reset every instrument, ground every line, and switch every output on at 0 V.

        ``watchdog``: told of every message from now on; where it ends, is stopped or has acted, the
        bench is made safe and every operation refused. After an error the bench is closed.
        """
        self._time, self._by_name, self._at_close = time, by_name, at_close
        self._watchdog, self._connected = watchdog, True
        try:
            with self._watched():
                self._set_up()
        except BaseException:
            self.close()
            raise
        if watchdog is not None:
            watchdog.on_end(self._make_safe_unwatched)
        self._began_s = time.now_s()

    def _set_up(self) -> None:
        for name in sources_first(self._station, list(self._drives.instruments)):
            self._drives.instruments[name].reset()
        self._switch_on()
        for name, instrument in self._drives.instruments.items():
            settings = instrument.read_back()
            accepted = {"accepted_model": instrument.stand_in} if instrument.stand_in else {}
            self._identity[name] = {"id": instrument.id, **accepted, **settings}
            self._settings[name] = settings
            self._units |= units_of_read_back(name, settings)
            if instrument.stand_in:
                self._events.append(Event("warning", _stand_in_message(name, instrument.stand_in)))
        if self.description.multiply == "superposition":
            message = (
                "multiply: vectors with one voltage on their rows are measured in parallel, column"
                " by column; others are superposed from single reads"
            )
            self._events.append(Event("info", message))

        if self._read_path is not None:
            self._events.append(Event(*resistors_in_words(self._read_path)))

    def _switch_on(self) -> None:
        """Ground every line, set every output up at 0 V, and switch it on: the idle state.

        Nothing is taken from earlier: making safe moved relays and switched outputs off.
        """
        self._routes.begin()
        self._drives.set_up(self._station, self._array)
        for source in self._drives.sources.values():
            source.source_enabled = True
        for instrument in self._drives.instruments.values():
            instrument.check_errors()
        self._outputs_on = True

    @property
    @override
    def description(self) -> Description:
        one_cell = self._array.geometry.shape == (1, 1)
        return Description(
            name="bench",
            geometry=self._array.geometry,
            multiply="parallel" if one_cell else "superposition",
            identity=self._identity,
            units=self._units,
            verify_steps=self._verify_steps,
            drives=self._circuits,
            station=self._text,
            read_path=self._read_path,
        )

    @override
    def check(self, operation: Operation) -> None:
        check_shape(operation, self._array.geometry.shape)
        refuse_hold(operation, holds=self.description.holds)
        if isinstance(operation, Ramp):
            for pulse in operation.pulses():
                self._check_pulse(pulse)
        if isinstance(operation, PulseMap):
            self._check_pulse(operation)
        if isinstance(operation, PulsePair):
            self._check_pair(operation)
        if isinstance(operation, VectorBatch | BlockBatch):
            self._drives.meter_for(operation.driven)
        self._checked = operation  # an operation cannot change: what was checked stays good

    def _check_pulse(self, pulse: PulseMap) -> None:
        """Raise unless the outputs can make the levels and widths of a pulse; no traffic."""
        self._check_gate(pulse)
        for amplitude_v in np.unique(pulse.amplitude_v[pulse.addressed]):
            rows_v = float(amplitude_v) * self._fractions[ROWS]
            self._cables.refuse_pulse(rows_v, pulse.width_s)
            rows = self._drives.rows
            if pulse.interval_s is not None and pulse.count > 1:
                self._cables.refuse_interval(rows_v, pulse.interval_s)
            if isinstance(rows, SourceMeter):
                rows.refuse_train(pulse_train(rows_v, pulse))
            else:
                rows.refuse_pulses(
                    level_v=rows_v,
                    width_s=pulse.width_s,
                    count=pulse.count,
                    interval_s=pulse.interval_s,
                )
            for key, level_v in self._cells.held_v(float(amplitude_v)).items():
                self._drives.refuse_level(key, level_v)

    def _check_pair(self, pair: PulsePair) -> None:
        """Raise unless the row's output can make both pulses by itself; no traffic."""
        rows = self._drives.rows
        if not isinstance(rows, SourceMeter):
            raise Unsupported(
                "a pair needs two kinds of pulses in one train: the generator on the rows makes"
                " pulses of one kind; wire a source meter to the rows"
            )
        for pulse in pair.pulses:
            self._check_pulse(pulse)
        which = pair.addressed
        for levels in np.unique(np.stack([pair.first_v[which], pair.second_v[which]]), axis=1).T:
            first_v, second_v = (float(level_v) for level_v in levels)
            if self._cells.held_v(first_v) != self._cells.held_v(second_v):
                raise Unsupported(
                    f"a pair of {first_v:g} V and {second_v:g} V: the scheme"
                    f" {self._array.biasing} holds other lines at a share of each, and only the"
                    " row changes its level inside a train; use a scheme whose other lines are at"
                    " 0 V or float"
                )
            rows_v = np.array([first_v, second_v]) * self._fractions[ROWS]
            self._cables.refuse_interval(float(rows_v[0]), pair.interval_s)
            rows.refuse_train(pair_train(pair, first_v=rows_v[0], second_v=rows_v[1]))

    @override
    def duration_s(self, operation: Operation) -> float:
        rows, cols = self._array.geometry.shape
        reading_s = READING_S + self._cables.wait_s({ROWS: 2 * self._array.limits.read_v})
        match operation:
            case PulseMap():
                cells = int(operation.addressed.sum())
                pulse_s = 2 * operation.count * operation.width_s
                if operation.interval_s is not None:
                    pulse_s = operation.count * operation.width_s + operation.rhythm_s
                return cells * (pulse_s + SWITCHING_S + self._pulse_charging_s)
            case PulsePair():
                cells = int(operation.addressed.sum())
                return cells * (operation.duration_s + SWITCHING_S + self._pulse_charging_s)
            case ReadMap():
                cells = int(operation.addressed.sum())
                return cells * (reading_s * (1 + operation.both_polarities) + SWITCHING_S)
            case Ramp():
                cells = int(operation.addressed.sum())
                read_s = reading_s * (1 + operation.both_polarities)
                pulse_s = operation.width_s + self._pulse_charging_s
                return cells * (operation.steps * (pulse_s + read_s) + SWITCHING_S)
            case VectorBatch():
                used = operation.voltage_v != 0
                levels = np.unique(operation.voltage_v[used]).size
                driven = int(used.reshape(-1, used.shape[-1]).any(axis=0).sum())
                measured = operation.measured((rows, cols))
                return float(driven * measured * (reading_s * levels + SWITCHING_S))
            case BlockBatch():
                used_v = operation.voltage_v[operation.voltage_v != 0]
                levels = np.unique(used_v).size + (operation.constant_v is not None)
                block_cells = sum(len(block.rows) * block.width for block in operation.blocks)
                return float(block_cells * (reading_s * levels + SWITCHING_S))
            case Hold():
                return 0.0  # refused when it is checked
        return operation.duration_s

    @override
    def groups(self) -> Iterator[BoolArray]:
        shape = self._array.geometry.shape
        for row, col in in_order(np.ones(shape, dtype=np.bool_)):
            group = np.zeros(shape, dtype=np.bool_)
            group[row, col] = True
            yield group

    @override
    def now_s(self) -> float:
        return self._now_s

    @override
    def pulse(self, pulse: PulseMap) -> FlagArray:
        with self._operation(pulse):
            flags = unlimited(pulse, self._array.geometry.shape)
            for place in in_order(pulse.addressed):
                flags[place] |= self._cells.pulse(pulse, place)
        return flags

    @override
    def pair(self, pair: PulsePair) -> FlagArray:
        with self._operation(pair):
            flags = unlimited(pair, self._array.geometry.shape)
            for place in in_order(pair.addressed):
                flags[place] |= self._cells.pair(pair, place)
        return flags

    @override
    def read(self, read: ReadMap) -> Reading:
        with self._operation(read):
            reading = self._cells.read(read)
            with self._unless_tripped():
                if self._lines is not None:
                    self._lines.after_read(reading, read.read_v)
        return reading

    @override
    def ramp(self, ramp: Ramp) -> Reading:
        reading = ramp.blank(self._array.geometry.shape)
        with self._operation(ramp):
            for place in in_order(ramp.addressed):
                for number, (current_a, flags) in enumerate(self._cells.ramp(ramp, place)):
                    reading.current_a[number][place] = current_a
                    reading.flags[number][place] = flags
            with self._unless_tripped():
                if self._lines is not None:
                    self._lines.after_ramp(ramp, reading)
        return reading

    @override
    def multiply(self, batch: VectorBatch) -> Reading:
        *batches, lines = batch.voltage_v.shape
        with self._operation(batch):
            current_a, flags = line_currents(
                self._station,
                batch.voltage_v.reshape(-1, lines),
                partial(self._cells.measure, driven=batch.driven),
                driven=batch.driven,
            )
        shape = (*batches, batch.measured(self._array.geometry.shape))
        return Reading(current_a.reshape(shape), flags.reshape(shape))

    @override
    def multiply_blocks(self, batch: BlockBatch) -> Reading:
        measure = partial(self._cells.measure, driven=batch.driven)
        with self._operation(batch):
            return Reading(*block_currents(self._station, batch, measure))

    @override
    def wait(self, wait: Wait) -> None:
        with self._operation(wait):
            self._routes.route({})
            if self._watchdog is not None:
                self._watchdog.idle()  # every line is at 0 V: it may last
            self._sleep(wait.duration_s)
            if self._watchdog is not None:
                self._watchdog.begin()

    @override
    def make_safe(self) -> None:
        with self._lock:
            self._make_safe()

    def _make_safe(self) -> None:
        if not self._connected:
            return
        self._outputs_on = False
        self._unwatch()  # whatever the watchdog does: this goes on
        try:
            make_all_safe(
                self._station,
                list(self._drives.instruments),
                self._make_one_safe,
                note=self._warn,
                last=floating_when_off(self._drives.instruments),
                rest=lambda name: self._drives.instruments[name].rest_at_zero(),
            )
        except BackendError as exc:
            self._unsafe = exc
            raise
        self._unsafe = None
        if self._watchdog is not None:
            self._watchdog.safe()

    @override
    def close(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        safe = False
        try:
            if self._unsafe is not None:  # tried and failed: now the watchdog's task
                raise self._unsafe
            self.make_safe()
            safe = True
        finally:
            self._connected = False
            for instrument in self._drives.instruments.values():
                instrument.link.close()
            for release in self._at_close:
                message = release(safe=safe)
                if message:
                    self._warn(message)

    @property
    def round_trips(self) -> int:
        """Get how many questions the instruments have answered on their present links."""
        return sum(one.link.round_trips for one in self._drives.instruments.values())

    @override
    def take_events(self) -> list[Event]:
        # One by one: a keep-alive thread may add to it meanwhile.
        return [self._events.popleft() for _ in range(len(self._events))]

    def current_a(self, lines: Lines, levels_v: Mapping[str, float]) -> Measured:
        """Return the current out of the meter with drives at levels, then go to 0 V: for tests.

        ``lines``: connected for it. ``levels_v``: by drive; the others are at 0 V.
        """
        with self._lock, self._watched():
            return self._cells.current_a(lines, levels_v)

    @contextmanager
    def lend(self) -> Iterator[tuple[BenchDrives, CellAccess]]:
        """Lend the outputs and the cells to a test of the bench itself, watched as an operation.

        Every output is on at 0 V when they are lent, and has to be when they are given back.
        """
        with self._lock:
            self._refuse_unconnected()
            with self._watched():
                if not self._outputs_on:
                    self._switch_on()
                yield self._drives, self._cells
                self._end()

    def _make_one_safe(self, name: str) -> str:
        instrument = self._drives.instruments[name]
        try:
            make_safe(self._station, name, instrument)
        except BackendError as exc:
            instrument.link.close()
            done = reconnect_and_make_safe(
                self._station, self._by_name[name], identity=instrument.id
            )
            self._warn(f"{name}: {exc}; made safe over a new link")
            return done
        return f"{name}: safe"

    def _warn(self, message: str) -> None:
        self._events.append(Event("warning", message))

    @contextmanager
    def _operation(self, operation: Operation) -> Iterator[None]:
        """Check an operation, have it watched while it lasts, and look for errors at its end."""
        with self._lock:
            self._refuse_unconnected()
            with self._watched():
                self._begin(operation)
                yield
                self._end()

    @contextmanager
    def _unless_tripped(self) -> Iterator[None]:
        """Blame an output that has gone off by itself for what looks like a fault of the wiring."""
        try:
            yield
        except InstrumentFault:
            self._drives.refuse_tripped(self._station)
            raise

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Have the watchdog follow every message, and tell it when the levels are at 0 V again."""
        if self._watchdog is None:
            yield
            return
        self._watchdog.begin()
        for instrument in self._drives.instruments.values():
            instrument.link.watch = self._watchdog
        yield
        self._watchdog.idle()

    def _unwatch(self) -> None:
        if self._watchdog is None:
            return
        for instrument in self._drives.instruments.values():
            instrument.link.watch = None
        self._watchdog.making_safe()

    def _sleep(self, duration_s: float) -> None:
        check = (lambda: None) if self._watchdog is None else self._watchdog.check
        self._time.sleep(duration_s, check)

    def _make_safe_unwatched(self, reason: str) -> None:
        """Make the bench safe because it is not watched: between two operations, at once.

        An operation under way notices by itself, and the run makes safe.
        """
        with self._lock:
            if self._closed or not self._outputs_on:
                return
            self._warn(f"{reason}; the bench is made safe")
            with contextlib.suppress(BackendError):  # it is kept, and raised at the next operation
                self._make_safe()

    def _refuse_unconnected(self) -> None:
        if self._closed or not self._connected:
            raise BackendError("the bench is not connected")
        if self._unsafe is not None:
            raise BackendError(f"the bench could not be made safe: {self._unsafe}")

    def _begin(self, operation: Operation) -> None:
        if operation is not self._checked:  # else the guard has just asked for it
            self.check(operation)
        self._checked = None
        if not self._outputs_on:
            self._switch_on()
        if self._lines is not None and self._lines.before(operation, self.duration_s(operation)):
            for name, instrument in self._drives.instruments.items():
                refuse_changed(name, self._settings.get(name, {}), instrument.read_back())

    def _end(self) -> None:
        for instrument in self._drives.instruments.values():
            instrument.check_errors()
        self._drives.refuse_tripped(self._station)
        self._now_s = self._time.now_s() - self._began_s

    def _check_gate(self, pulse: PulseMap) -> None:
        if pulse.gate_v is None:
            if GATES in self._drives.sources:
                raise Unsupported("gate_v is missing: this station drives the gates of 1T1R cells")
            return
        if GATES not in self._drives.sources:
            raise Unsupported(
                f"gate_v {pulse.highest_gate_v:g}: no gates are wired on this station"
            )
        for gate_v in np.unique(np.asarray(pulse.gate_v)):
            self._drives.refuse_level(GATES, float(gate_v))


def _stand_in_message(name: str, model: str) -> str:
    return (
        f"{name}: a {model} is used because the station has accept_model: {model}; its ranges,"
        " limits and commands are taken to be those of the driver's own model"
    )
