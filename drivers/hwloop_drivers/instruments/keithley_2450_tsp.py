"""Keithley 2450 SourceMeter in TSP; commands after its reference manual, 2450-901-01, section 8."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hwloop.errors import UnexpectedReply, Unsupported
from hwloop_drivers.instruments.common import number, parse_number, refuse_above
from hwloop_drivers.instruments.keithley_2450_limits import (
    NAME,
    OVER,
    RANGES_V,
    STATUS_LIMIT,
    Keithley2450Settings,
    measured,
    range_for,
    require_language,
)
from hwloop_drivers.instruments.tsp import TspInstrument
from hwloop_drivers.instruments.tsp_trains import TspTrains
from hwloop_drivers.link import Link
from hwloop_drivers.roles import (
    Measured,
    PulseGenerator,
    SourceMeter,
    SourceSetup,
    TrainPoint,
    VerifyLoop,
)

LEAST_WIDTH_S = 1e-3  # a level set by a script line, which takes up to about 0.1 ms itself
MOST_WIDTH_S = 1e5
MOST_POINTS = 10_000
LOW_LIMIT_A = 1e-6  # while the range changes: any range allows it
SCRIPT = "keithley_2450.lua"
SCRIPT_VERSION = 1


class Keithley2450Tsp(TspTrains, TspInstrument, SourceMeter):
    """A 2450 as voltage source and ammeter; its trains are scripts inside it."""

    models = ("MODEL 2450",)
    error_question = "print(eventlog.next(eventlog.SEV_ERROR))"
    clear_command = "eventlog.clear()"

    def __init__(self, link: Link, settings: Keithley2450Settings) -> None:
        super().__init__(link, settings)
        self._settings = settings
        self._range_v = RANGES_V[0] * OVER
        self._level_v = self._aperture_s = 0.0

    def verify_identity(self) -> None:
        """A 2450 that speaks TSP."""
        super().verify_identity()
        require_language(self.link, "tsp")

    def outputs(self) -> Mapping[str, SourceMeter | PulseGenerator]:
        """One."""
        return {"": self}

    def read_back(self) -> dict[str, object]:
        """Range, compliance and integration time as the instrument has them."""
        names = {
            "source_range_v": "smu.source.range",
            "compliance_current_a": "smu.source.ilimit.level",
            "nplc": "smu.measure.nplc",
        }
        return {name: self._ask(path) for name, path in names.items()}

    def safe_state(self) -> None:
        """Stop what runs, 0 V, output off."""
        self.link.write("abort")
        self.link.write("smu.source.level = 0 smu.source.output = smu.OFF")
        self._level_v = 0.0
        if self.source_enabled:
            raise UnexpectedReply(f"{self.link.address}: the output is still on")

    def set_up(self, setup: SourceSetup) -> None:
        """Voltage source in a locked range, limit read back, output off mode ZERO."""
        range_v = range_for(setup)
        settings = self._settings
        nplc = setup.nplc if settings.nplc is None else settings.nplc
        self._load_script(SCRIPT, SCRIPT_VERSION)
        self._set_word_confirmed("smu.source.func", "smu.FUNC_DC_VOLTAGE")
        self._set("smu.source.level = 0")
        self._set_word_confirmed("smu.measure.func", "smu.FUNC_DC_CURRENT")
        self._set_word_confirmed("smu.measure.autorange", "smu.ON")
        self._set(f"smu.source.ilimit.level = {number(LOW_LIMIT_A)}")
        self._set_confirmed("smu.source.range", range_v)
        self._set_confirmed("smu.source.ilimit.level", setup.compliance_a)
        if setup.measure_range_a is not None:
            self._set_confirmed("smu.measure.range", setup.measure_range_a)
        self._set_confirmed("smu.measure.nplc", nplc)
        sense = "4WIRE" if settings.four_wire else "2WIRE"
        self._set_word_confirmed("smu.measure.sense", f"smu.SENSE_{sense}")
        # A reading lasts its integration time and no longer: no auto zero, no source readback.
        self._set_word_confirmed("smu.measure.autozero.enable", "smu.OFF")
        self._set("smu.measure.autozero.once()")
        self._set_word_confirmed("smu.source.readback", "smu.OFF")
        self._set_confirmed("smu.source.delay", 0)
        self._set("smu.measure.count = 1")
        self._set_word_confirmed("smu.source.offmode", "smu.OFFMODE_ZERO")
        self._aperture_s = nplc / self._ask("localnode.linefreq")
        self._range_v, self._level_v = range_v * OVER, 0.0

    @property
    def source_voltage(self) -> float:
        """Level of the source."""
        return self._level_v

    @source_voltage.setter
    def source_voltage(self, level_v: float) -> None:
        self._refuse_levels(level_v)
        self._set_finished(f"smu.source.level = {number(level_v)}")
        self._level_v = level_v

    @property
    def compliance_current(self) -> float:
        """Limit of the current."""
        return self._ask("smu.source.ilimit.level")

    @property
    def source_enabled(self) -> bool:
        """Whether the output is on."""
        return self._is("smu.source.output == smu.ON")

    @source_enabled.setter
    def source_enabled(self, on: bool) -> None:
        self._set_finished(f"smu.source.output = smu.{'ON' if on else 'OFF'}")

    @property
    def tripped(self) -> bool:
        """Whether the source is at its limit."""
        return self._is("smu.source.ilimit.tripped == smu.ON")

    def measure_current(self) -> Measured:
        """One reading."""
        self._make_precise()
        question = "print(smu.measure.read(), smu.source.ilimit.tripped == smu.ON)"
        reply = self.link.query(question)
        value, _, limited = reply.strip().partition("\t")
        if limited not in {"true", "false"}:
            raise UnexpectedReply(f"{self.link.address}: {question} answered {reply!r}")
        status = STATUS_LIMIT if limited == "true" else 0
        return measured(parse_number(self.link, question, value), status)

    def refuse_train(self, points: Sequence[TrainPoint]) -> None:
        """A script makes widths from 1 ms on, each as it likes."""
        if not points:
            raise Unsupported("a train needs a point")
        if len(points) > MOST_POINTS:
            raise Unsupported(f"{NAME}: {len(points)} points; {MOST_POINTS} at most")
        for point in points:
            refuse_above(f"{NAME}: level", point.level_v, RANGES_V[-1] * OVER, "V")
            if not LEAST_WIDTH_S * (1 - 1e-9) <= point.width_s <= MOST_WIDTH_S:
                raise Unsupported(
                    f"{NAME}: a width of {point.width_s:g} s is outside {LEAST_WIDTH_S:g} to"
                    f" {MOST_WIDTH_S:g} s, which its scripts can make"
                )

    def apply_train(self, points: Sequence[TrainPoint]) -> list[Measured]:
        """A script in the instrument: one round trip for the whole train."""
        self.refuse_train(points)
        self._refuse_levels(*(point.level_v for point in points))
        for point in points:
            self._wait(point)
        command = self._send_points(points, self._wait)
        total_s = math.fsum(point.width_s for point in points)
        return self._run(f"{command} hwloop.train()", total_s, sum(p.measure for p in points))

    def verify_loop(self, loop: VerifyLoop) -> list[Measured]:
        """A loop in the instrument: one round trip for all its pulses."""
        if loop.max_pulses > MOST_POINTS:
            raise Unsupported(f"{NAME}: {loop.max_pulses} pulses; {MOST_POINTS} at most")
        last_v = loop.start_v + (loop.max_pulses - 1) * loop.step_v
        self._refuse_levels(loop.start_v, last_v, loop.read_v)
        read = TrainPoint(loop.read_v, loop.read_s, measure=True)
        self.refuse_train([TrainPoint(loop.start_v, loop.width_s), read])
        read_values = (loop.read_v, self._wait(read), loop.low_a, loop.high_a)
        values = (loop.start_v, loop.step_v, loop.width_s, *read_values)
        arguments = ", ".join(number(value) for value in values)
        command = f"hwloop.verify({arguments}, {loop.max_pulses})"
        return self._run(command, loop.max_pulses * (loop.width_s + loop.read_s), None)

    def _run(self, command: str, duration_s: float, count: int | None) -> list[Measured]:
        timeout_s = 2 * duration_s + self._settings.timeout_s
        readings = self._run_script(command, timeout_s=timeout_s, count=count, measured=measured)
        self._level_v = 0.0
        return readings

    def _wait(self, point: TrainPoint) -> float:
        """How long the script waits at a level: its reading takes the rest."""
        wait_s = point.width_s - (self._aperture_s if point.measure else 0.0)
        if wait_s < 0:
            raise Unsupported(
                f"{NAME}: a level of {point.width_s:g} s is shorter than its reading,"
                f" {self._aperture_s:g} s"
            )
        return wait_s

    def _refuse_levels(self, *levels_v: float) -> None:
        for level_v in levels_v:
            refuse_above(f"{self.link.address}: level", level_v, self._range_v, "V")

    def _is(self, expression: str) -> bool:
        reply = self.link.query(f"print({expression})").strip()
        if reply not in {"true", "false"}:
            raise UnexpectedReply(f"{self.link.address}: print({expression}) answered {reply!r}")
        return reply == "true"
