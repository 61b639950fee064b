"""Keithley 2400 SourceMeters (SCPI); the pages are those of the user's manual, 2400S-900-01.

The measurement range in use limits the output (range compliance: 6-2), and an automatic range
stays where the last reading left it (18-113). So the range that carries the compliance is locked
whenever the output is not being read: levels and trains are limited by the compliance alone. A
reading searches its own range, and the lock is set and read back in the same message. Readings
inside a train are made in the range that carries the compliance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from typing_extensions import override

from hwloop.array.operations import Flag
from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.families.common import (
    number,
    parse_number,
    parse_status,
    refuse_above,
)
from hwloop_drivers.instruments.families.identified import KEITHLEY, Identity
from hwloop_drivers.instruments.families.scpi import SAME, ScpiInstrument
from hwloop_drivers.instruments.families.single_source import SingleSource
from hwloop_drivers.instruments.families.source_meter import (
    LOW_LIMIT_A,
    ScpiSourceMeter,
    measured,
)
from hwloop_drivers.instruments.families.trains import equal_steps, refuse_sweep, shortest
from hwloop_drivers.instruments.keithley_2400.models import (
    MODELS,
    Keithley2400Settings,
    ModelName,
)
from hwloop_drivers.instruments.keithley_2400.sweep import (
    AFTER_SWEEP,
    MOST_DELAY_S,
    ListSweep,
    besides_delay_s,
    sweep_limits,
)
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link
from hwloop_drivers.roles import (
    Measured,
    SourceSetup,
    Train,
    TrainPoint,
)

STATUS_OVER_RANGE = 1 << 0  # of a reading: 18-50
STATUS_COMPLIANCE = (1 << 3) | (1 << 16)  # real, and of the range
LOCKED = ":SENS:CURR:RANG?;:SENS:CURR:RANG:AUTO?"
EVENT_COMPLIANCE = 1 << 14  # of the measurement event register: 15-14
ANSWER_CHARACTERS, BITS = 16, 10  # of one level that is read back, and of a byte on a serial port
DELAY_STEP_S = 1e-5


class Keithley2400(ScpiSourceMeter, ScpiInstrument, SingleSource):
    """A 2400, 2401, 2410 … as voltage source and ammeter."""

    makers = KEITHLEY
    models: tuple[str, ...] = tuple(MODELS)
    near: tuple[str, ...] = ("6430",)
    _level_header, _output_header = ":SOUR:VOLT", ":OUTP"
    _limit_question, _trip_question = ":SENS:CURR:PROT?", ":SENS:CURR:PROT:TRIP?"
    _off_commands = (":ABOR", ":SOUR:VOLT:MODE FIX", ":SOUR:VOLT 0", ":OUTP OFF")
    _read_back_questions: ClassVar[Mapping[str, str]] = {
        "source_range_v": ":SOUR:VOLT:RANG?",
        "compliance_current_a": ":SENS:CURR:PROT?",
        "nplc": ":SENS:CURR:NPLC?",
    }
    _four_wire_question = ":SYST:RSEN?"
    _again_question = ":FETC?"  # it repeats the readings until there are new ones: 17-3

    def __init__(self, link: Link, settings: Keithley2400Settings) -> None:
        super().__init__(link, settings)
        self._settings = settings
        if settings.model is not None:
            self.models, self.near = (settings.model,), ()
        self._use_model(settings.model or "2400")
        self._read_range = ":SENS:CURR:RANG:AUTO ON"
        self._carrying_a = self._limits.ranges_a[-1]

    def _use_model(self, model: ModelName) -> None:
        self._name, self._limits = model, MODELS[model]
        self._range_v = self._limits.ranges_v[0] * self._limits.over

    @override
    def verify_identity(self) -> None:
        super().verify_identity()
        found = Identity.parsed(self.id).model
        self._use_model(next((model for model in MODELS if model == found), "2400"))

    @override
    def set_up(self, setup: SourceSetup) -> None:
        limits, settings = self._limits, self._settings
        range_v = limits.range_for(self._name, setup)
        carrying_a = limits.carrying_range(setup.compliance_a)
        read_a = self._read_range_for(setup, carrying_a)
        write, put = self._set, self._send_setting
        put(":SOUR:FUNC", "VOLT")
        put(":SOUR:VOLT:MODE", "FIX")
        write(":SOUR:VOLT 0")
        write(':SENS:FUNC "CURR"')
        # No compliance below 0.1 % of the measurement range in use (18-68), and no range above
        # that of the compliance (18-62): the smallest first, the one that carries it last.
        write(f":SENS:CURR:RANG {number(limits.ranges_a[0])}")
        write(f":SENS:CURR:PROT {number(LOW_LIMIT_A)}")
        put(":SOUR:VOLT:RANG", range_v)
        put(":SOUR:SWE:RANG", "FIX")  # else a sweep takes a range of its own: 18-83
        put(":SENS:CURR:PROT", setup.compliance_a)
        put(":SENS:CURR:RANG", carrying_a)
        put(":SENS:CURR:NPLC", settings.nplc)
        put(":SYST:RSEN", "1" if settings.four_wire else "0")  # 18-104
        put(":SOUR:DEL:AUTO", "1")
        put(":OUTP:SMOD", "ZERO")
        put(":SYST:AZER", "1" if settings.autozero else "0")
        if not settings.autozero:
            write(":SYST:AZER ONCE")  # after the integration time: 3-10, 18-107
        write(":FORM:ELEM CURR,STAT")
        self._refuse_line_frequency(self._ask(":SYST:LFR?"))
        self._confirm_settings()
        self._confirm_setting(":SENS:CURR:RANG:AUTO", "0")
        self._carrying_a = carrying_a
        self._read_range = (
            ":SENS:CURR:RANG:AUTO ON" if read_a is None else f":SENS:CURR:RANG {number(read_a)}"
        )
        self._range_v, self._level_v = range_v * limits.over, 0.0

    def _read_range_for(self, setup: SourceSetup, carrying_a: float) -> float | None:
        """Return the measurement range of readings, amperes; None for automatic."""
        read_a = self._limits.measure_range_for(self._name, setup)
        if read_a is not None and read_a > carrying_a:
            raise Unsupported(
                f"{self._name}: a measurement range of {read_a:g} A is above that of the"
                f" compliance of {setup.compliance_a:g} A, {carrying_a:g} A"  # 18-62, note 3
            )
        return read_a

    def _refuse_line_frequency(self, read_hz: float) -> None:
        if read_hz != self._settings.line_frequency_hz:
            raise InstrumentFault(
                f"{self.link.address}: the instrument takes the line frequency for {read_hz:g} Hz,"
                f" but settings.line_frequency_hz is {self._settings.line_frequency_hz:g}"
            )

    @override
    def measure_current(self) -> Measured:
        # One message: search the range, read, lock the range that carries the compliance.
        lock = f":SENS:CURR:RANG {number(self._carrying_a)}"
        if self.link.protects_bytes:
            question = f"{self._read_range};:READ?;{lock};{LOCKED}"
            reply, *locked = self._split(question, self.link.query(question), 3)
        else:
            asked = f":READ?;{self._again_question};{lock};{LOCKED};{LOCKED}"
            question = f"{self._read_range};{asked}"
            reply, *others = self._split(question, self.link.query(question), 6)
            again, locked, locked_again = others[0], others[1:3], others[3:]
            self._refuse_unlike(question, [reply, *locked], [again, *locked_again])
        self._refuse_unlocked(*locked)
        return self._readings(":READ?", reply, 1)[0]

    def _split(self, question: str, reply: str, count: int) -> list[str]:
        """Return the answers to the questions of one message."""
        parts = reply.strip().split(";")
        if len(parts) != count:
            raise UnexpectedReply(f"{self.link.address}: {question} answered {reply!r}")
        return parts

    def _refuse_unlike(self, question: str, first: list[str], second: list[str]) -> None:
        if first != second:
            raise UnexpectedReply(
                f"{self.link.address}: {question} was answered twice and not alike, {first!r} and"
                f" {second!r}: a byte was changed on the way; check the cable"
            )

    @override
    def _compare_setting(
        self,
        header: str,
        sent: float | str,
        reply: str,
        *,
        rel_tol: float = SAME,
        abs_tol: float = 1e-15,
    ) -> None:
        # Whether a range is answered as its nominal value or as the largest of it is not said:
        # the default of a measurement range is 1.05e-4 (18-63), that of a source the 20 V range.
        if header.endswith(":RANG") and isinstance(sent, float):
            largest = sent * self._limits.over
            if math.isclose(parse_number(self.link, f"{header}?", reply), largest, rel_tol=rel_tol):
                return
        super()._compare_setting(header, sent, reply, rel_tol=rel_tol, abs_tol=abs_tol)

    def _refuse_unlocked(self, range_: str, auto: str) -> None:
        """Raise unless the measurement range is locked on the one that carries the compliance."""
        self._compare_setting(":SENS:CURR:RANG", self._carrying_a, range_)
        self._compare_setting(":SENS:CURR:RANG:AUTO", "0", auto)

    @override
    def refuse_train(self, points: Sequence[TrainPoint]) -> None:
        # A list sweep has one source delay: all widths are multiples of the shortest.
        refuse_sweep(sweep_limits(self._name, self._limits.most_v), points)
        self._delay_s(points)

    def _delay_s(self, points: Sequence[TrainPoint]) -> float:
        """Return the source delay of a train: its shortest width less what else a level takes."""
        step_s = shortest(points)
        measuring = any(point.measure for point in points)
        besides_s = besides_delay_s(self._aperture_s if measuring else None)
        if step_s < besides_s * (1 - 1e-9):
            raise Unsupported(
                f"{self._name}: a level of {step_s:g} s is shorter than its reading and what the"
                f" instrument needs besides, {besides_s:g} s"
            )
        delay_s = max(step_s - besides_s, 0.0)
        refuse_above(f"{self._name}: source delay", delay_s, MOST_DELAY_S, "s")
        return delay_s

    @property
    def _aperture_s(self) -> float:
        return self._settings.nplc / self._settings.line_frequency_hz

    @override
    def apply_train(self, points: Sequence[TrainPoint]) -> Train:
        self.refuse_train(points)
        self._refuse_levels(*(point.level_v for point in points))
        steps = equal_steps(points)
        measuring = any(point.measure for point in points)
        sweep = ListSweep(
            levels_v=(*(level for level, _ in steps), 0.0),  # the level stays at the last
            delay_s=self._delay_s(points),
            aperture_s=self._aperture_s if measuring else None,
        )
        readings, latched = self._run(sweep)
        train = Train.of(
            [m for m, (_, wanted) in zip(readings, steps, strict=True) if wanted], seen=readings
        )
        return replace(train, flags=train.flags | latched)

    def _run(self, sweep: ListSweep) -> tuple[list[Measured], Flag]:
        """Make the levels; return the reading of each but the last, and what was latched."""
        for message in sweep.messages():
            self._set(message)
        if not self.link.protects_bytes:
            self._confirm_sweep(sweep)
        # If no answer comes there is no link to restore anything over: the bench is made safe.
        timeout_s = 2 * sweep.duration_s + self._settings.timeout_s
        reply, events, range_, auto = self._ask_sweep(timeout_s)
        for restored in AFTER_SWEEP:
            self._set(restored)
        if self._settings.autozero:
            self._set(":SYST:AZER ON")
        if not self.link.protects_bytes:
            self._confirm_all({":SOUR:VOLT:MODE": "FIX", ":TRIG:COUN": 1, ":SOUR:VOLT": 0.0})
        if sweep.aperture_s is None:
            self._set_finished(':SENS:FUNC "CURR"')
        self._level_v = 0.0
        self._refuse_unlocked(range_, auto)
        readings = self._readings(":READ?", reply, len(sweep.levels_v))[:-1]
        flags = Flag.COMPLIANCE if events & EVENT_COMPLIANCE else Flag(0)
        return readings, flags

    def _ask_sweep(self, timeout_s: float) -> tuple[str, int, str, str]:
        """Start the sweep; return its readings, what was latched during it, and the range."""
        latched = ":STAT:MEAS?"
        again = "" if self.link.protects_bytes else f"{self._again_question};"
        question = f"{latched};:READ?;{again}{latched};{LOCKED}"  # asked for, it is cleared: 15-16
        answer = self.link.query(question, timeout_s=timeout_s)
        _, reply, *seconds, events, range_, auto = self._split(question, answer, 6 if again else 5)
        for second in seconds:
            self._refuse_unlike(question, [reply], [second])
        return reply, parse_status(self.link, latched, events), range_, auto

    def _confirm_sweep(self, sweep: ListSweep) -> None:
        """Read back what makes a sweep before it is made: a byte of it may have been changed."""
        levels_v = sweep.levels_v
        self._confirm_all({":SOUR:VOLT:MODE": "LIST", ":TRIG:COUN": len(levels_v)})
        self._confirm_setting(":SOUR:DEL", sweep.delay_s, abs_tol=DELAY_STEP_S)
        question = ":SOUR:LIST:VOLT?"  # 18-91
        answer_s = ANSWER_CHARACTERS * len(levels_v) * BITS / self._settings.baud_rate
        reply = self.link.query(question, timeout_s=answer_s + self._settings.timeout_s)
        read = [parse_number(self.link, question, text) for text in reply.split(",")]
        if len(read) != len(levels_v):
            raise InstrumentFault(
                f"{self.link.address}: {len(levels_v)} levels were sent but {len(read)} read back"
            )
        for level_v, read_v in zip(levels_v, read, strict=True):
            self._confirm_level(number(level_v), read_v)

    @override
    def _measured(self, current_a: float, status: int) -> Measured:
        return measured(
            current_a, status, compliance=STATUS_COMPLIANCE, over_range=STATUS_OVER_RANGE
        )


KEITHLEY_2400 = InstrumentKind(
    name="keithley_2400",
    summary="Keithley 2400 SourceMeter family, SCPI",
    settings=Keithley2400Settings,
    make=Keithley2400,
)
