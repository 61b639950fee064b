"""Access to one cell of a bench: routing, pulsing, measuring."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from hwloop.array.blocks import DrivenLines
from hwloop.array.operations import (
    Flag,
    PulseMap,
    PulsePair,
    Ramp,
    Reading,
    ReadMap,
)
from hwloop.array.settings import ArraySettings
from hwloop.errors import HwloopError, Unsupported
from hwloop.messages import cell_name
from hwloop.station.station import Station
from hwloop_drivers.bench.limited_lines import LimitedLines, drives_at_limit
from hwloop_drivers.bench.pulse_trains import pair_train, pulse_train
from hwloop_drivers.bench.readings import measure, refuse_impossible
from hwloop_drivers.bench.verify_loop import on_instrument_loop, refuse_broken_off
from hwloop_drivers.roles import Measured, SourceMeter, TrainPoint
from hwloop_drivers.station.addressing import Lines, cell_lines, in_order
from hwloop_drivers.station.cables import Cables
from hwloop_drivers.station.drives import COLUMNS, GATES, HELD_ORDER, ROWS, BenchDrives
from hwloop_drivers.station.routes import Routes


class CellAccess:
    """Access to one cell at a time, by the station's wires and scheme; 0 V everywhere in between.

    ``fractions``: the bias fraction of each drive. ``cables``: charged before anything is read,
    pulsed or switched. ``sleep``: lets relays settle and cables charge, seconds. ``limited``: is
    told of the lines whose source limits.
    """

    def __init__(
        self,
        station: Station,
        array: ArraySettings,
        drives: BenchDrives,
        *,
        routes: Routes,
        fractions: Mapping[str, float],
        cables: Cables,
        sleep: Callable[[float], None],
        limited: LimitedLines,
    ) -> None:
        self._station, self._array, self._drives = station, array, drives
        self._routes, self._fractions, self._sleep = routes, fractions, sleep
        self._cables, self._limited = cables, limited

    def pulse(self, pulse: PulseMap, place: tuple[int, int]) -> Flag:
        """Apply the pulses of a map to one cell (row, col).

        Returns COMPLIANCE where a source was at its limit meanwhile.
        """
        row_v = float(pulse.amplitude_v[place]) * self._fractions[ROWS]
        return self._pulsed(pulse, place, lambda held: self._apply(row_v, pulse, held=held))

    def pair(self, pair: PulsePair, place: tuple[int, int]) -> Flag:
        """Apply both pulses of a pair to one cell (row, col), timed by the row's source meter.

        Returns COMPLIANCE where a source was at its limit meanwhile.
        """
        rows = self._drives.rows
        if not isinstance(rows, SourceMeter):
            raise Unsupported("a pair needs a source meter on the rows")
        first_v, second_v = (
            float(one.amplitude_v[place]) * self._fractions[ROWS] for one in pair.pulses
        )
        train = pair_train(pair, first_v=first_v, second_v=second_v)
        return self._pulsed(pair.pulses[1], place, lambda held: self._run(rows, train, held=held))

    def _pulsed(
        self,
        pulse: PulseMap,
        place: tuple[int, int],
        apply: Callable[[Mapping[str, float]], list[str]],
    ) -> Flag:
        """Route one cell, hold the levels around ``pulse``, and apply it.

        ``apply``: makes the pulses on the row; takes the held levels, returns the drives that were
        at their limit.
        """
        amplitude_v = float(pulse.amplitude_v[place])
        levels_v = self.held_v(amplitude_v)
        gate_v = pulse.gate_at(place)
        if gate_v is not None:
            levels_v[GATES] = gate_v
        lines = cell_lines(self._station, *place)
        self.select(lines)
        with prefix_errors(cell_name(place)), self._held(levels_v):
            at_limit = apply(levels_v)
            self._charge({ROWS: amplitude_v * self._fractions[ROWS]})
        self._limited.note("pulse", lines, at_limit)
        return Flag.COMPLIANCE if at_limit else Flag(0)

    def read(self, read: ReadMap) -> Reading:
        """Return the currents of the addressed cells, one after the other, (rows, cols)."""
        shape = self._array.geometry.shape
        reading = Reading(np.full(shape, np.nan), np.full(shape, Flag.NOT_ADDRESSED, np.uint8))
        for place in in_order(read.addressed):
            reading.current_a[place], reading.flags[place] = self.read_cell(read, place)
        return reading

    def current_a(self, lines: Lines, levels_v: Mapping[str, float]) -> Measured:
        """Return the current out of the meter with drives at levels, then go to 0 V.

        ``lines``: connected for it. ``levels_v``: by drive; the others are at 0 V.
        """
        self.select(lines)
        with self._held(levels_v):
            seen = self._drives.meter.measure_current()
        refuse_impossible(seen, self._array.limits.current_a)
        return seen

    def read_cell(self, read: ReadMap, place: tuple[int, int]) -> tuple[float, int]:
        """Return current, amperes, and flags of one cell (row, col)."""
        levels = [read.read_v, -read.read_v] if read.both_polarities else [read.read_v]
        with prefix_errors(cell_name(place)):
            measured = self.measure(cell_lines(self._station, *place), levels)
        signs = (1.0, -1.0)
        current_a = [s * m.current_a for s, m in zip(signs, measured, strict=False)]
        flags = int(np.bitwise_or.reduce([int(m.flags) for m in measured]))
        return float(np.mean(current_a)), flags

    def ramp(self, ramp: Ramp, place: tuple[int, int]) -> Iterator[tuple[float, int]]:
        """Yield current, amperes, and flags after each pulse of one cell (row, col)."""
        read_gate_v = self._array.read.gate_v
        loop = None
        if not self._cables.cable_f:  # a loop inside an instrument does not wait for its cable
            loop = on_instrument_loop(
                self._drives, self._fractions, ramp, place, read_gate_v=read_gate_v
            )
        rows = self._drives.rows
        if loop is None or not isinstance(rows, SourceMeter):
            yield from self._host_loop(ramp, place)
            return
        self.select(cell_lines(self._station, *place))
        with prefix_errors(cell_name(place)):
            measured = rows.verify_loop(loop)
            for seen in measured:
                refuse_impossible(seen, self._array.limits.current_a)
            refuse_broken_off(loop, measured)
        sign = -1.0 if self._drives.meter_on_columns else 1.0
        yield from ((sign * seen.current_a, int(seen.flags)) for seen in measured)

    def _host_loop(self, ramp: Ramp, place: tuple[int, int]) -> Iterator[tuple[float, int]]:
        cell = np.zeros(ramp.start_v.shape, dtype=np.bool_)
        cell[place] = True
        low_a, high_a = ramp.low_a[place], ramp.high_a[place]
        for number in range(ramp.steps):
            pulsed = self.pulse(ramp.pulse(number, cell), place)
            current_a, flags = self.read_cell(ramp.read(cell), place)
            yield current_a, flags | (Flag.AFTER_LIMITED if pulsed else 0)
            if flags or low_a <= current_a <= high_a:
                return

    def held_v(self, amplitude_v: float) -> dict[str, float]:
        """Return the levels that the drives other than the rows hold during a pulse, volts."""
        return {
            key: amplitude_v * self._fractions[key]
            for key in HELD_ORDER
            if self._fractions.get(key, 0.0)
        }

    def select(self, lines: Lines) -> None:
        """Route the lines and let the relays settle; every output must be at 0 V."""
        if self._routes.route(lines):
            self._sleep(self._station.settle_s)

    def _apply(self, level_v: float, pulse: PulseMap, *, held: Iterable[str]) -> list[str]:
        """Make the pulses on the row; return the drives that were at their limit.

        The row's source as it says of its train, the ``held`` ones as they are when it has ended.
        """
        rows = self._drives.rows
        if isinstance(rows, SourceMeter):
            return self._run(rows, pulse_train(level_v, pulse), held=held)
        rows.apply_pulses(
            level_v=level_v,
            width_s=pulse.width_s,
            count=pulse.count,
            interval_s=pulse.interval_s,
        )
        return drives_at_limit(self._drives, held)

    def _run(
        self, rows: SourceMeter, points: list[TrainPoint], *, held: Iterable[str]
    ) -> list[str]:
        """Run a train on the row; return the drives that were at their limit."""
        train = rows.apply_train(points)
        at_limit = [ROWS] if Flag.COMPLIANCE in train.flags else []
        return at_limit + drives_at_limit(self._drives, held)

    def measure(
        self, lines: Lines, levels: list[float], *, driven: DrivenLines = "rows"
    ) -> list[Measured]:
        """Return the current into the measured line at each voltage, in order, then go to 0 V.

        ``levels``: of the ``driven`` lines. The current into a column is measured at the column, or
        at the row where nothing holds the columns; that into a row at the row.
        """
        self.select(lines)
        gates = {} if self._array.read.gate_v is None else {GATES: self._array.read.gate_v}
        drive = ROWS if driven == "rows" else COLUMNS
        source = self._drives.sources[drive]
        # Out of the meter's HI terminal is into the line that it holds.
        sign = 1.0 if self._drives.meter_for(driven) is source else -1.0
        measured = []
        with self._held(gates):
            before_v = 0.0
            for level_v in levels:
                source.source_voltage = level_v
                self._charge({drive: level_v - before_v})
                before_v = level_v
                seen, at_limit = measure(self._drives, self._array.limits.current_a, driven=driven)
                self._limited.note("read", lines, at_limit)
                measured.append(Measured(sign * seen.current_a, seen.flags))
            source.source_voltage = 0.0
            self._charge({drive: before_v})
        return measured

    @contextmanager
    def _held(self, levels_v: Mapping[str, float]) -> Iterator[None]:
        """Hold drives at their levels, with their cables charged, then return them to 0 V."""
        with self._drives.held(levels_v):
            self._charge(levels_v)
            yield
        self._charge(levels_v)

    def _charge(self, steps_v: Mapping[str, float]) -> None:
        """Wait until the cables of drives are charged after steps of their levels."""
        if wait_s := self._cables.wait_s(steps_v):
            self._sleep(wait_s)


@contextmanager
def prefix_errors(place: str) -> Iterator[None]:
    """Put the cell or the instrument before the message of every error raised inside."""
    try:
        yield
    except HwloopError as exc:
        raise type(exc)(f"{place}: {exc}") from exc
