"""The bench as a backend: pulses, reads and multiplications from instruments and wires."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pydantic import ValidationInfo, field_validator

from hwloop.array import ArraySettings
from hwloop.backend import CrossbarBackend, Description, Event
from hwloop.errors import BackendError, ConfigError, HwloopError, Unsupported
from hwloop.naming import cell_name
from hwloop.operations import (
    BoolArray,
    Flag,
    Operation,
    PulseMap,
    Reading,
    ReadMap,
    VectorBatch,
    Wait,
)
from hwloop.plugins import BackendKind, OpenRequest
from hwloop.settings import Settings
from hwloop.station import Station, load_station
from hwloop_drivers.opening import Slot, slots
from hwloop_drivers.roles import (
    Instrument,
    Measured,
    PulseGenerator,
    SourceMeter,
    SourceSetup,
    SwitchMatrix,
    TrainPoint,
)
from hwloop_drivers.routes import Routes
from hwloop_drivers.safe import make_all_safe, make_safe, make_safe_afresh, sources_first
from hwloop_drivers.virtual_bench import BenchTime, HostTime, VirtualBenchLink, find, start
from hwloop_drivers.watchdog import Watchdog

# Selected row and column as fractions of the cell's voltage; see hwloop.biasing.
_SELECTED = {"V/2": (0.5, -0.5), "grounded": (1.0, 0.0), "floating": (1.0, 0.0)}
SWITCHING_S = 20e-3  # two relay movements and their confirmation: 707B 15 ms, 7001 3 ms


class LetGo(Protocol):
    """What is let go of when a bench is closed, knowing whether it is safe."""

    def __call__(self, *, safe: bool) -> str | None:
        """Let go; what there is to say about it."""


class BenchSettings(Settings):
    """Which station: a YAML file, relative to the procedure."""

    station: Path

    @field_validator("station")
    @classmethod
    def _beside(cls, station: Path, info: ValidationInfo) -> Path:
        return Path((info.context or {}).get("folder", ".")) / station


@dataclass(frozen=True)
class Boxes:
    """The instruments of a station by the parts that they play."""

    instruments: Mapping[str, Instrument]
    rows: SourceMeter | PulseGenerator
    columns: SourceMeter | PulseGenerator | None
    meter: SourceMeter
    meter_on_columns: bool

    @classmethod
    def of(cls, station: Station, instruments: Mapping[str, Instrument]) -> Boxes:
        """Raise :class:`ConfigError` where an output does not exist or nothing measures."""
        drive = station.wiring.drive
        rows = _output(instruments, drive.rows, "rows")
        columns = None if drive.columns is None else _output(instruments, drive.columns, "columns")
        for name in station.matrices:
            if not isinstance(instruments[name], SwitchMatrix):
                raise ConfigError(f"{name} is no switch matrix", key=f"instruments.{name}")
        meter = columns if columns is not None else rows
        if not isinstance(meter, SourceMeter):
            raise ConfigError(
                "nothing measures: a source meter must drive the columns, or the rows of a"
                " floating scheme",
                key="wiring.drive",
            )
        return cls(instruments, rows, columns, meter, columns is not None)

    @property
    def sources(self) -> list[SourceMeter | PulseGenerator]:
        """The outputs that the scheme uses."""
        return [self.rows] if self.columns is None else [self.rows, self.columns]


def _output(
    instruments: Mapping[str, Instrument], name: str, key: str
) -> SourceMeter | PulseGenerator:
    box, _, channel = name.partition(".")
    outputs = instruments[box].outputs()
    if channel not in outputs:
        known = ", ".join(f"{box}.{c}" if c else box for c in outputs) or "none"
        raise ConfigError(f"{name}: no such output; it has {known}", key=f"wiring.drive.{key}")
    return outputs[channel]


class Bench(CrossbarBackend):
    """One array on one station; cells are addressed one at a time.

    Relays move only while every output is at 0 V. The width of a pulse is made by the output on
    the rows; the column's share of V/2 stands before the pulse begins and goes after it has
    ended. A current is measured at the column, held at 0 V, where there is a meter.
    """

    def __init__(self, station: Station, array: ArraySettings, boxes: Boxes) -> None:
        station.check_geometry(array.geometry)
        if station.scheme != array.biasing:
            raise ConfigError(
                f"station {station.name} is wired for {station.scheme};"
                f" the array is biased by {array.biasing}",
                key="scheme",
            )
        if station.scheme not in _SELECTED:
            raise Unsupported(f"the bench makes V/2, grounded and floating, not {station.scheme}")
        _refuse_beyond_instruments(station, array)
        self._station, self._array, self._boxes = station, array, boxes
        self._routes = Routes(
            station,
            {n: b for n, b in boxes.instruments.items() if isinstance(b, SwitchMatrix)},
        )
        self._drive = station.wiring.drive
        self._row_share, self._column_share = _SELECTED[station.scheme]
        self._identity: dict[str, object] = {"station": station.name}
        self._events: list[Event] = []
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
        limits = self._array.limits
        largest_v = max(limits.positive_v, -limits.negative_v)
        for source, share in zip(
            self._boxes.sources, (self._row_share, self._column_share), strict=False
        ):
            range_v = max(abs(share) * largest_v, limits.read_v)
            if isinstance(source, SourceMeter):
                source.set_up(SourceSetup(range_v=range_v, compliance_a=limits.current_a))
            else:
                source.set_up(range_v=range_v)
            source.source_enabled = True
        for name, instrument in self._boxes.instruments.items():
            instrument.check_errors()
            self._identity[name] = {"id": instrument.id, **instrument.read_back()}
        if self.description.multiply == "superposition":
            self._events.append(
                Event("info", "multiply: column currents are superposed from single reads")
            )

    @property
    def description(self) -> Description:
        """The array's geometry; identities and settings as the instruments gave them."""
        one_cell = self._array.geometry.shape == (1, 1)
        return Description(
            name="bench",
            geometry=self._array.geometry,
            multiply="parallel" if one_cell else "superposition",
            identity=self._identity,
        )

    def check(self, operation: Operation) -> None:
        """Whether the outputs can make the levels and widths of a pulse."""
        if not isinstance(operation, PulseMap):
            return
        if operation.gate_v is not None:
            raise Unsupported("gate_v: no gates are wired on this station")
        for amplitude_v in np.unique(operation.amplitude_v[operation.addressed]):
            level_v = float(amplitude_v) * self._row_share
            if isinstance(self._boxes.rows, SourceMeter):
                self._boxes.rows.refuse_train(_train(level_v, operation))
            else:
                self._boxes.rows.refuse_pulses(
                    level_v=level_v, width_s=operation.width_s, count=operation.count
                )

    def duration_s(self, operation: Operation) -> float:
        """Pulses, readings of one power line cycle, and the relays between cells."""
        rows, cols = self._array.geometry.shape
        match operation:
            case PulseMap():
                cells = int(operation.addressed.sum())
                return cells * (2 * operation.count * operation.width_s + SWITCHING_S)
            case ReadMap():
                cells = int(operation.addressed.sum())
                return cells * (0.02 * (1 + operation.both_polarities) + SWITCHING_S)
            case VectorBatch():
                levels = np.unique(operation.voltage_v[operation.voltage_v != 0]).size
                return float(rows * cols * (0.02 * levels + SWITCHING_S))
        return operation.duration_s

    def groups(self) -> Iterator[BoolArray]:
        """One cell after the other, column by column."""
        shape = self._array.geometry.shape
        for row, col in _in_order(np.ones(shape, dtype=np.bool_)):
            group = np.zeros(shape, dtype=np.bool_)
            group[row, col] = True
            yield group

    def now_s(self) -> float:
        """Seconds since the bench was ready, at the end of the latest operation."""
        return self._now_s

    def pulse(self, pulse: PulseMap) -> None:
        """Pulse the addressed cells one after the other."""
        self._begin(pulse)
        for row, col in _in_order(pulse.addressed):
            amplitude_v = float(pulse.amplitude_v[row, col])
            self._select(row, col)
            columns = self._boxes.columns
            try:
                if columns is not None and self._column_share:
                    columns.source_voltage = amplitude_v * self._column_share
                self._apply(amplitude_v * self._row_share, pulse)
            except HwloopError as exc:
                raise type(exc)(f"{cell_name((row, col))}: {exc}") from exc
            if columns is not None and self._column_share:
                columns.source_voltage = 0.0
        self._end()

    def read(self, read: ReadMap) -> Reading:
        """The current of each addressed cell."""
        self._begin(read)
        shape = self._array.geometry.shape
        reading = Reading(np.full(shape, np.nan), np.full(shape, Flag.NOT_ADDRESSED, np.uint8))
        levels = [read.read_v, -read.read_v] if read.both_polarities else [read.read_v]
        for row, col in _in_order(read.addressed):
            measured = self._measure(row, col, levels)
            signs = (1.0, -1.0)
            current_a = [s * m.current_a for s, m in zip(signs, measured, strict=False)]
            reading.current_a[row, col] = np.mean(current_a)
            reading.flags[row, col] = int(np.bitwise_or.reduce([int(m.flags) for m in measured]))
        self._end()
        return reading

    def multiply(self, batch: VectorBatch) -> Reading:
        """Column currents, superposed from the current of every cell at every level in use."""
        self._begin(batch)
        rows, cols = self._array.geometry.shape
        levels = [float(v) for v in np.unique(batch.voltage_v) if v != 0]
        current_a = np.zeros((*batch.voltage_v.shape[:-1], cols))
        flags = np.zeros(current_a.shape, dtype=np.uint8)
        for row, col in _in_order(np.ones((rows, cols), dtype=np.bool_)):
            used = [v for v in levels if (batch.voltage_v[..., row] == v).any()]
            for level_v, measured in zip(used, self._measure(row, col, used), strict=True):
                here = batch.voltage_v[..., row] == level_v
                current_a[here, col] += measured.current_a
                flags[here, col] |= int(measured.flags)
        self._end()
        return Reading(current_a, flags)

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
                self._station, list(self._boxes.instruments), self._make_one_safe, note=self._warn
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

    def take_events(self) -> list[Event]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    def _make_one_safe(self, name: str) -> str:
        instrument = self._boxes.instruments[name]
        try:
            make_safe(self._station, name, instrument)
        except BackendError as exc:
            instrument.link.close()
            words = make_safe_afresh(self._station, self._slots[name])
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
        self._now_s = self._time.now_s() - self._began_s

    def _select(self, row: int, col: int) -> None:
        """Route one cell; every output is at 0 V."""
        lines: dict[str, str | None] = {}
        if self._station.scheme == "floating":
            lines = dict.fromkeys(self._station.wiring.lines)
            lines[f"col{col}"] = "gnd"
        lines[f"row{row}"] = self._drive.rows
        if self._drive.columns is not None:
            lines[f"col{col}"] = self._drive.columns
        if self._routes.route(lines):
            self._time.sleep(self._station.settle_s)

    def _apply(self, level_v: float, pulse: PulseMap) -> None:
        rows = self._boxes.rows
        if isinstance(rows, SourceMeter):
            rows.apply_train(_train(level_v, pulse))
        else:
            rows.apply_pulses(level_v=level_v, width_s=pulse.width_s, count=pulse.count)

    def _measure(self, row: int, col: int, levels: list[float]) -> list[Measured]:
        """Current into the column at each row voltage, then 0 V."""
        self._select(row, col)
        measured = []
        for level_v in levels:
            self._boxes.rows.source_voltage = level_v
            seen = self._boxes.meter.measure_current()
            # Out of the meter's HI terminal is out of the column, where it holds the column.
            sign = -1.0 if self._boxes.meter_on_columns else 1.0
            measured.append(Measured(sign * seen.current_a, seen.flags))
        self._boxes.rows.source_voltage = 0.0
        return measured


def _train(level_v: float, pulse: PulseMap) -> list[TrainPoint]:
    """The pulses with pauses of their own width between them."""
    on, off = TrainPoint(level_v, pulse.width_s), TrainPoint(0.0, pulse.width_s)
    return [on, off] * (pulse.count - 1) + [on]


def _in_order(mask: BoolArray) -> Iterator[tuple[int, int]]:
    """Addressed cells column by column, so that the column's relays move least."""
    for col, row in np.argwhere(mask.T):
        yield int(row), int(col)


def _refuse_beyond_instruments(station: Station, array: ArraySettings) -> None:
    for name, entry in station.instruments.items():
        if entry.limit_a is not None and array.limits.current_a > entry.limit_a:
            raise ConfigError(
                f"the array's limits.current_a {array.limits.current_a:g} exceeds what this"
                f" instrument may put out here, {entry.limit_a:g}",
                key=f"instruments.{name}.limit_a",
            )
        largest_v = max(array.limits.positive_v, -array.limits.negative_v)
        row_v = largest_v * (0.5 if station.scheme == "V/2" else 1.0)
        if entry.limit_v is not None and row_v > entry.limit_v:
            raise ConfigError(
                f"the array's limits need {row_v:g} V from it, more than the {entry.limit_v:g} V"
                " that it may put out here",
                key=f"instruments.{name}.limit_v",
            )


def rehearse_bench(settings: BenchSettings, request: OpenRequest) -> Bench:
    """The bench without a link to any instrument: what it could do and would refuse."""
    station = _station(settings, request)
    instruments = {slot.name: slot.rehearse() for slot in slots(station)}
    try:
        return Bench(station, request.array, Boxes.of(station, instruments))
    except ConfigError as exc:
        raise exc.below(file=str(settings.station)) from None


def open_bench(settings: BenchSettings, request: OpenRequest) -> Bench:
    """Connect to every instrument, start the watchdog, and bring the bench to its idle state."""
    rehearse_bench(settings, request)
    station = _station(settings, request)
    at_close: list[LetGo] = []
    time: BenchTime = HostTime()
    addresses: Mapping[str, str] = {}
    control = ""
    if station.is_virtual:
        time = virtual = _virtual(settings.station, request)
        addresses, control = virtual.addresses, virtual.control
        at_close.append(virtual.close)
    opened: dict[str, Instrument] = {}
    by_name = {slot.name: slot for slot in slots(station, addresses)}
    try:
        watchdog = Watchdog(settings.station, addresses, record=request.record, control=control)
        at_close.insert(0, watchdog.release)
        for name, slot in by_name.items():
            opened[name] = slot.open()
        bench = Bench(station, request.array, Boxes.of(station, opened))
    except BaseException:
        for instrument in opened.values():
            instrument.link.close()
        for let_go in at_close:
            let_go(safe=True)  # nothing was switched on
        raise
    bench.connect(time, by_name, at_close)
    return bench


def _virtual(station_file: Path, request: OpenRequest) -> VirtualBenchLink:
    procedure: Mapping[str, Any] = request.procedure or {}
    return find(station_file) or start(station_file, procedure, seed=request.seed)


def _station(settings: BenchSettings, request: OpenRequest) -> Station:
    if request.population is not None:
        raise Unsupported("a bench has one array: leave the population out")
    return load_station(settings.station)


BENCH = BackendKind(
    name="bench",
    summary="A real array, or a virtual bench, through the instruments of a station file",
    settings=BenchSettings,
    open=open_bench,
    touches_hardware=True,
    rehearse=rehearse_bench,
)
