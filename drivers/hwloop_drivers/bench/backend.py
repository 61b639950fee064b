"""The bench as a backend: pulses, reads and multiplications from instruments and wires."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np

from hwloop.array.operations import (
    Flag,
    Operation,
    PulseMap,
    Ramp,
    Reading,
    ReadMap,
    VectorBatch,
    Wait,
)
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import CrossbarBackend, Description, Event
from hwloop.errors import BackendError, ConfigError, Unsupported
from hwloop.station.station import Station
from hwloop.types import BoolArray
from hwloop_drivers.bench.cell_access import CellAccess, pulse_train
from hwloop_drivers.bench.multiply import column_currents
from hwloop_drivers.bench.verify_loop import steps_ahead
from hwloop_drivers.roles import Measured, SourceMeter, units_of_read_back
from hwloop_drivers.safety.make_safe import (
    let_go_when_off,
    make_all_safe,
    make_safe,
    make_safe_afresh,
    sources_first,
)
from hwloop_drivers.station.addressing import Lines, in_order
from hwloop_drivers.station.configured import Slot
from hwloop_drivers.station.drives import GATES, ROWS, SHARES, Boxes
from hwloop_drivers.station.routes import Routes
from hwloop_drivers.virtual_bench import BenchTime, HostTime

SWITCHING_S = 20e-3  # two relay movements and their confirmation: 707B 15 ms, 7001 3 ms
READING_S = 0.02  # one power line cycle


class LetGo(Protocol):
    """What is let go of when a bench is closed, knowing whether it is safe."""

    def __call__(self, *, safe: bool) -> str | None:
        """Let go; what there is to say about it."""


class Bench(CrossbarBackend):
    """One array on one station; cells are addressed one at a time.

    Relays move only while every output is at 0 V. The width of a pulse is made by the output on
    the rows; what the other outputs carry meanwhile stands before the pulse begins and goes after
    it has ended. A current is measured at the column, held at 0 V, where there is a meter.
    ``events``: where what happens is noted, the wire log among it.
    """

    def __init__(
        self,
        station: Station,
        array: ArraySettings,
        boxes: Boxes,
        events: deque[Event] | None = None,
    ) -> None:
        station.check_geometry(array.geometry)
        if station.scheme != array.biasing:
            raise ConfigError(
                f"station {station.name} is wired for {station.scheme};"
                f" the array is biased by {array.biasing}",
                key="scheme",
            )
        self._station, self._array, self._boxes = station, array, boxes
        self._routes = Routes(station, boxes.matrices)
        self._shares = {
            key: share for key, share in SHARES[station.scheme].items() if key in boxes.drives
        }
        self._cells = CellAccess(
            station,
            array,
            boxes,
            routes=self._routes,
            shares=self._shares,
            sleep=lambda duration_s: self._time.sleep(duration_s),
        )
        self._verify_steps = steps_ahead(boxes, self._shares, array)
        self._identity: dict[str, object] = {"station": station.name}
        self._units: dict[str, str] = {}
        self._events: deque[Event] = deque() if events is None else events
        self._time: BenchTime = HostTime()
        self._began_s = self._now_s = 0.0
        self._connected = self._closed = False
        self._unsafe: BackendError | None = None
        self._slots: Mapping[str, Slot] = {}
        self._at_close: list[LetGo] = []

    def connect(
        self,
        time: BenchTime,
        by_name: Mapping[str, Slot],
        at_close: list[LetGo],
    ) -> None:
        """Ground every line, set every output up at 0 V, and switch it on."""
        self._time, self._slots, self._at_close = time, by_name, at_close
        self._connected = True
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise
        self._began_s = time.now_s()

    def _set_up(self) -> None:
        for name in sources_first(self._station, list(self._boxes.instruments)):
            self._boxes.instruments[name].reset()
        self._routes.begin()
        self._boxes.set_up(self._station, self._array)
        for source in self._boxes.drives.values():
            source.source_enabled = True
        for name, instrument in self._boxes.instruments.items():
            instrument.check_errors()
            settings = instrument.read_back()
            self._identity[name] = {"id": instrument.id, **settings}
            self._units |= units_of_read_back(name, settings)
        if self.description.multiply == "superposition":
            words = (
                "multiply: vectors with one voltage on their rows are measured in parallel, column"
                " by column; others are superposed from single reads"
            )
            self._events.append(Event("info", words))

    @property
    def description(self) -> Description:
        """The array's geometry; identities and settings as the instruments gave them."""
        one_cell = self._array.geometry.shape == (1, 1)
        return Description(
            name="bench",
            geometry=self._array.geometry,
            multiply="parallel" if one_cell else "superposition",
            identity=self._identity,
            units=self._units,
            verify_steps=self._verify_steps,
        )

    def check(self, operation: Operation) -> None:
        """Whether the outputs can make the levels and widths of a pulse."""
        if isinstance(operation, Ramp):
            for pulse in operation.pulses():
                self.check(pulse)
        if not isinstance(operation, PulseMap):
            return
        self._check_gate(operation)
        for amplitude_v in np.unique(operation.amplitude_v[operation.addressed]):
            rows_v = float(amplitude_v) * self._shares[ROWS]
            rows = self._boxes.rows
            if isinstance(rows, SourceMeter):
                rows.refuse_train(pulse_train(rows_v, operation))
            else:
                rows.refuse_pulses(level_v=rows_v, width_s=operation.width_s, count=operation.count)
            for key, level_v in self._cells.standing_v(float(amplitude_v)).items():
                self._boxes.refuse_level(key, level_v)

    def duration_s(self, operation: Operation) -> float:
        """Pulses, readings of one power line cycle, and the relays between cells."""
        rows, cols = self._array.geometry.shape
        match operation:
            case PulseMap():
                cells = int(operation.addressed.sum())
                return cells * (2 * operation.count * operation.width_s + SWITCHING_S)
            case ReadMap():
                cells = int(operation.addressed.sum())
                return cells * (READING_S * (1 + operation.both_polarities) + SWITCHING_S)
            case Ramp():
                cells = int(operation.addressed.sum())
                read_s = READING_S * (1 + operation.both_polarities)
                return cells * (operation.steps * (operation.width_s + read_s) + SWITCHING_S)
            case VectorBatch():
                levels = np.unique(operation.voltage_v[operation.voltage_v != 0]).size
                return float(rows * cols * (READING_S * levels + SWITCHING_S))
        return operation.duration_s

    def groups(self) -> Iterator[BoolArray]:
        """One cell after the other, column by column."""
        shape = self._array.geometry.shape
        for row, col in in_order(np.ones(shape, dtype=np.bool_)):
            group = np.zeros(shape, dtype=np.bool_)
            group[row, col] = True
            yield group

    def now_s(self) -> float:
        """Seconds since the bench was ready, at the end of the latest operation."""
        return self._now_s

    def pulse(self, pulse: PulseMap) -> None:
        """Pulse the addressed cells one after the other."""
        self._begin(pulse)
        for place in in_order(pulse.addressed):
            self._cells.pulse(pulse, place)
        self._end()

    def read(self, read: ReadMap) -> Reading:
        """The current of each addressed cell."""
        self._begin(read)
        shape = self._array.geometry.shape
        reading = Reading(np.full(shape, np.nan), np.full(shape, Flag.NOT_ADDRESSED, np.uint8))
        for place in in_order(read.addressed):
            reading.current_a[place], reading.flags[place] = self._cells.read(read, place)
        self._end()
        return reading

    def ramp(self, ramp: Ramp) -> Reading:
        """One cell after the other; inside the instrument where it has a loop for that."""
        self._begin(ramp)
        reading = ramp.blank(self._array.geometry.shape)
        for place in in_order(ramp.addressed):
            for number, (current_a, flags) in enumerate(self._cells.ramp(ramp, place)):
                reading.current_a[number][place], reading.flags[number][place] = current_a, flags
        self._end()
        return reading

    def multiply(self, batch: VectorBatch) -> Reading:
        """Column currents for each vector; see :mod:`hwloop_drivers.bench.multiply`."""
        self._begin(batch)
        *batches, rows = batch.voltage_v.shape
        current_a, flags = column_currents(
            self._station, batch.voltage_v.reshape(-1, rows), self._cells.measure
        )
        self._end()
        shape = (*batches, self._array.geometry.cols)
        return Reading(current_a.reshape(shape), flags.reshape(shape))

    def wait(self, wait: Wait) -> None:
        """Let time pass with every line at 0 V."""
        self._begin(wait)
        self._routes.route({})
        self._time.sleep(wait.duration_s)
        self._end()

    def make_safe(self) -> None:
        """Outputs to 0 V and off, then every line to ground; with a new link where one is lost."""
        if not self._connected:
            return
        try:
            make_all_safe(
                self._station,
                list(self._boxes.instruments),
                self._make_one_safe,
                note=self._warn,
                last=let_go_when_off(self._boxes.instruments),
            )
        except BackendError as exc:
            self._unsafe = exc
            raise
        self._unsafe = None

    def close(self) -> None:
        """Make safe, then let go of the links; where that failed, the watchdog has its turn."""
        if self._closed:
            return
        self._closed = True
        safe = False
        try:
            if self._unsafe is not None:  # tried and failed: the watchdog does not wait for more
                raise self._unsafe
            self.make_safe()
            safe = True
        finally:
            for instrument in self._boxes.instruments.values():
                instrument.link.close()
            for let_go in self._at_close:
                words = let_go(safe=safe)
                if words:
                    self._warn(words)

    @property
    def round_trips(self) -> int:
        """Questions that the instruments have answered on their present links."""
        return sum(box.link.round_trips for box in self._boxes.instruments.values())

    def take_events(self) -> list[Event]:
        """What happened since the last call."""
        # One by one: a keep-alive thread may add to it meanwhile.
        return [self._events.popleft() for _ in range(len(self._events))]

    def current_a(self, lines: Lines, levels_v: Mapping[str, float]) -> Measured:
        """Current out of the meter with lines connected and drives at levels, then 0 V: a test."""
        self._cells.select(lines)
        with self._boxes.standing(levels_v):
            return self._boxes.meter.measure_current()

    def _make_one_safe(self, name: str) -> str:
        instrument = self._boxes.instruments[name]
        try:
            make_safe(self._station, name, instrument)
        except BackendError as exc:
            instrument.link.close()
            words = make_safe_afresh(self._station, self._slots[name], identity=instrument.id)
            self._warn(f"{name}: {exc}; made safe over a new link")
            return words
        return f"{name}: safe"

    def _warn(self, message: str) -> None:
        self._events.append(Event("warning", message))

    def _begin(self, operation: Operation) -> None:
        if self._closed or not self._connected:
            raise BackendError("the bench is not connected")
        self.check(operation)

    def _end(self) -> None:
        for instrument in self._boxes.instruments.values():
            instrument.check_errors()
        self._boxes.refuse_tripped(self._station)
        self._now_s = self._time.now_s() - self._began_s

    def _check_gate(self, pulse: PulseMap) -> None:
        if pulse.gate_v is None:
            if GATES in self._boxes.drives:
                raise Unsupported("gate_v is missing: this station drives the gates of 1T1R cells")
            return
        if GATES not in self._boxes.drives:
            raise Unsupported(
                f"gate_v {pulse.highest_gate_v:g}: no gates are wired on this station"
            )
        for gate_v in np.unique(np.asarray(pulse.gate_v)):
            self._boxes.refuse_level(GATES, float(gate_v))
