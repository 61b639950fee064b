"""The source, meter, buffers and sweeps of a Keithley 2450, independent of the command language.

Ranges, resolutions and noise after its data sheet, SPEC-2450 rev. A: 6½ digits, source steps of 25
ppm of the range, settled in 200 µs. The envelope and the defaults after the reference manual,
2450-901-01. What settings do to each other is in :mod:`.terminals`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.circuit.smu import CURR, OTHER, OVERFLOW, VOLT, SmuReading
from hwloop_sim.virtual.instruments.keithley_2450.terminals import Terminals2450
from hwloop_sim.virtual.languages.tsp_tables import ReadingBuffer

RES, OHM = "RES", "OHM"
COLUMNS = ("readings", "sourcevalues", "statuses", "sourcestatuses", "relativetimestamps")
MOST_ROWS = 100_000
LEAST_ROWS = 10
LEAST_SWEEP_DELAY_S, MOST_SWEEP_DELAY_S = 50e-6, 1e4
MOST_LIST, LIST_LINE = 2500, 100
MOST_DELAY_S, USER_DELAYS = 1e4, range(1, 6)
READBACK, LIMITED, OUTPUT_ON = 8, 32, 128  # bits of a source status: bufferVar.sourcestatuses
QUESTIONABLE = 2  # bit of a measurement status: bufferVar.statuses
BUFFERS = ("defbuffer1", "defbuffer2")


class Buffer(ReadingBuffer):
    """Readings with what was sourced, the oldest first."""

    def __init__(self, size: int = MOST_ROWS) -> None:
        super().__init__(*COLUMNS, capacity=size)
        self.first_s = 0.0

    def column(self, name: str) -> list[float]:
        """Return every value of a column."""
        values: list[float] = self.members()[name].read()
        return values


@dataclass
class SourceSweep:
    """Levels to source one after the other, each measured ``delay_s`` after it was set."""

    function: str
    levels: list[float]
    delay_s: float = 0.0
    count: int = 1
    fail_abort: bool = False
    buffer: str = BUFFERS[0]


@dataclass
class _Settings:
    """The settings that a reset restores; by function where each function has a value."""

    measures: str = CURR
    nplc: float = 1.0
    autozero: bool = True
    delay_s: dict[str, float] = field(default_factory=lambda: {VOLT: 0.0, CURR: 0.0})
    delay_auto: dict[str, bool] = field(default_factory=lambda: {VOLT: True, CURR: True})
    readback: dict[str, bool] = field(default_factory=lambda: {VOLT: True, CURR: True})
    count: int = 1
    four_wire: bool = False
    averages: int = 1
    user_delay_s: dict[tuple[str, int], float] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    """The unit of readings, by what is measured, where it is not its own."""
    offset_compensated: bool = False
    highc: bool = False


class Core:
    """Terminals, buffers and sweeps of a 2450, which both command languages act on."""

    def __init__(self, smu: Terminals2450, clock: BenchClock, *, line_hz: float) -> None:
        self.smu = smu
        self.line_hz = line_hz
        self._clock = clock
        self.buffers = {name: Buffer() for name in BUFFERS}
        self.sweep: SourceSweep | None = None
        self.reset()

    def reset(self) -> None:
        """Reset as ``*RST`` and ``reset()`` do: 0 V, off, default buffers empty, others gone."""
        self.smu.reset(range_v=0.02, range_a=1e-8, limit_a=1.05e-4, limit_v=21.0)
        self.now = _Settings()
        self.sweep = None
        for name in list(self.buffers):
            if name in BUFFERS:
                self.buffers[name].clear()
            else:
                del self.buffers[name]

    def make_buffer(self, name: str, size: int) -> None:
        """Make a buffer besides the default ones."""
        self.buffers[name] = Buffer(size)

    def read(self, buffer: Buffer, count: int | None = None) -> float:
        """Wait the source delay, measure ``count`` times into a buffer; return the last reading."""
        self.settle()
        reading = 0.0
        for _ in range(self.now.count if count is None else count):
            reading = self._measure(buffer)
        return reading

    def run(self) -> None:
        """Run the sweep: the output is turned on for it, and off at its end."""
        sweep = self.sweep
        if sweep is None:
            return
        for level in sweep.levels:
            self.smu.check_level(sweep.function, level)
        buffer = self.buffers[sweep.buffer]
        buffer.clear()
        self.smu.switch(on=True)
        for level in sweep.levels * sweep.count:
            self.smu.set_level(sweep.function, level)
            self._clock.advance(sweep.delay_s)
            self.settle()
            self._measure(buffer)
            if sweep.fail_abort and self.smu.limited:
                break
        self.smu.switch(on=False)

    def settle(self) -> None:
        """Wait the source delay, where the level's magnitude has changed since the last time."""
        if not self.smu.take_step():
            return
        function = self.smu.function
        automatic = self.now.delay_auto[function]
        self._clock.advance(self.smu.auto_delay_s() if automatic else self.now.delay_s[function])

    def _measure(self, buffer: Buffer) -> float:
        now, source = self.now, self.smu.function
        both = now.readback[source] and now.measures != source
        phases = (3 if now.autozero else 1) * (2 if both or self._needs_both else 1)
        cycles = now.nplc * now.averages
        seen = self.smu.measure(
            cycles / self.line_hz * phases,
            line_hz=self.line_hz,
            cycles=cycles,
            searching=now.measures != source,
        )
        status = (OUTPUT_ON * self.smu.on) | (LIMITED * seen.limited)
        level = seen.value(source) if now.readback[source] else self.smu.levels[source]
        status |= READBACK * now.readback[source]
        if now.offset_compensated and self._in_ohms:
            seen = self._less_offset(seen, phases * cycles / self.line_hz, cycles)
        reading, over = self._in_unit(seen)
        return self._store(buffer, reading, level, status, questionable=over)

    @property
    def _in_ohms(self) -> bool:
        return self.now.measures == RES or self.now.units.get(self.now.measures) == OHM

    def _less_offset(self, seen: SmuReading, aperture_s: float, cycles: float) -> SmuReading:
        """Measure again with the source at 0, and return the difference of both readings.

        Topic *smu.measure.offsetcompensation*.
        """
        function = self.smu.function
        level = self.smu.levels[function]
        self.smu.set_level(function, 0.0)
        self.settle()
        zero = self.smu.measure(aperture_s, line_hz=self.line_hz, cycles=cycles, searching=False)
        self.smu.set_level(function, level)
        self.settle()
        return replace(
            seen,
            volts=seen.volts - zero.volts,
            amperes=seen.amperes - zero.amperes,
            over=seen.over | zero.over,
        )

    @property
    def _needs_both(self) -> bool:
        return self.now.measures == RES or self.now.measures in self.now.units

    def _in_unit(self, seen: SmuReading) -> tuple[float, bool]:
        """Return a reading in the unit that is set, and whether it is beyond a range."""
        measures = self.now.measures
        unit = self.now.units.get(measures, OHM if measures == RES else "")
        if not unit:
            return seen.value(measures), measures in seen.over
        if seen.over or (unit == OHM and not seen.amperes):
            return OVERFLOW, True
        ohms = unit == OHM
        return seen.volts / seen.amperes if ohms else seen.volts * seen.amperes, False

    def _store(
        self,
        buffer: Buffer,
        reading: float,
        level: float,
        status: int,
        *,
        questionable: bool = False,
    ) -> float:
        if not buffer.n:
            buffer.first_s = self._clock.now_s
        buffer.append(
            readings=reading,
            sourcevalues=level,
            statuses=float(QUESTIONABLE * questionable),
            sourcestatuses=float(status),
            relativetimestamps=self._clock.now_s - buffer.first_s,
        )
        return reading

    def measured_range(self) -> str:
        """Return the quantity whose range applies to the present measurement."""
        return OTHER[self.smu.function] if self.now.measures == RES else self.now.measures
