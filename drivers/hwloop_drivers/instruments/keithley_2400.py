"""Keithley 2400 SourceMeter (SCPI); commands after its user's manual, 2400S-900-01."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field
from typing_extensions import override

from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop.settings.units import Hertz
from hwloop_drivers.instruments.families.common import number, parse_number
from hwloop_drivers.instruments.families.identified import KEITHLEY
from hwloop_drivers.instruments.families.scpi import ScpiInstrument
from hwloop_drivers.instruments.families.source_meter import (
    LOW_LIMIT_A,
    ScpiSourceMeter,
    SourceLimits,
    measured,
)
from hwloop_drivers.instruments.families.trains import (
    SweepLimits,
    equal_steps,
    refuse_sweep,
    shortest,
)
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link, LinkSettings
from hwloop_drivers.roles import (
    Measured,
    PulseGenerator,
    SourceMeter,
    SourceSetup,
    Train,
    TrainPoint,
)

LIMITS = SourceLimits(  # of the 2400; the others of its family give more or less
    ranges_v=(0.2, 2.0, 20.0, 200.0),
    ranges_a=(1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    over=1.05,
    envelope=((21.0, 1.05), (210.0, 0.105)),
    least_a=1e-9,  # 0.1 % of the smallest measurement range
)
LIST_LINE = 100
ANSWER_CHARACTERS, BITS = 16, 10  # of one level that is read back, and of a byte on a serial port
DELAY_STEP_S, TIME_STEP = 1e-5, 1e-4  # of the source delay: seconds, relative
SWEEP = SweepLimits(
    name="2400",
    least_width_s=1e-3,  # a list step takes about 0.5 ms itself
    most_width_s=9999.0,  # source delay
    most_points=2500,
    most_v=LIMITS.most_v,
)
STATUS_COMPLIANCE, STATUS_OVER_RANGE = 1 << 3, 1 << 0
_AFTER_SWEEP = (":SOUR:VOLT:MODE FIX", ":SOUR:VOLT 0", ":TRIG:COUN 1", ":SOUR:DEL:AUTO ON")


class Keithley2400Settings(LinkSettings):
    """``nplc``: integration time of a reading. ``four_wire``: sense at the device."""

    nplc: float = Field(default=1.0, ge=0.01, le=10)
    line_frequency_hz: Annotated[Hertz, Field(gt=0)] = 50.0
    four_wire: bool = False


class Keithley2400(ScpiSourceMeter, ScpiInstrument):
    """A 2400, 2401, 2410 … as voltage source and ammeter."""

    makers = KEITHLEY
    models = tuple(map(str, (2400, 2401, 2410, 2420, 2425, 2430, 2440)))
    near = ("2400-LV", "6430")
    _name = "2400"
    _level_header, _output_header = ":SOUR:VOLT", ":OUTP"
    _limit_question, _trip_question = ":SENS:CURR:PROT?", ":SENS:CURR:PROT:TRIP?"
    _read_question = ":READ?"
    _again_question = ":FETC?"  # it repeats the readings until there are new ones: 17-3

    def __init__(self, link: Link, settings: Keithley2400Settings) -> None:
        super().__init__(link, settings)
        self._settings = settings
        self._range_v = LIMITS.ranges_v[0] * LIMITS.over

    @override
    def outputs(self) -> Mapping[str, SourceMeter | PulseGenerator]:
        return {"": self}

    @override
    def read_back(self) -> dict[str, object]:
        questions = {
            "source_range_v": ":SOUR:VOLT:RANG?",
            "compliance_current_a": ":SENS:CURR:PROT?",
            "nplc": ":SENS:CURR:NPLC?",
        }
        return {name: self._ask(question) for name, question in questions.items()}

    @override
    def safe_state(self) -> None:
        self.link.write(":ABOR")
        self.link.write(":SOUR:VOLT:MODE FIX")
        self.link.write(":SOUR:VOLT 0")
        self.link.write(":OUTP OFF")
        self._level_v = 0.0
        if self.source_enabled:
            raise UnexpectedReply(f"{self.link.address}: the output is still on")

    @override
    def set_up(self, setup: SourceSetup) -> None:
        range_v = LIMITS.range_for(self._name, setup)
        measure_a = LIMITS.measure_range_for(self._name, setup)
        write = self._set
        write(":SOUR:FUNC VOLT")
        write(":SOUR:VOLT:MODE FIX")
        write(":SOUR:VOLT 0")
        write(':SENS:FUNC "CURR"')
        write(":SENS:CURR:RANG:AUTO ON")
        write(f":SENS:CURR:PROT {number(LOW_LIMIT_A)}")
        self._set_confirmed(":SOUR:VOLT:RANG", range_v)
        self._set_confirmed(":SENS:CURR:PROT", setup.compliance_a)
        self._set_confirmed(":SENS:CURR:NPLC", self._settings.nplc)
        if measure_a is not None:
            self._set_confirmed(":SENS:CURR:RANG", measure_a)
        self._set_word_confirmed(":SYST:RSEN", "1" if self._settings.four_wire else "0")  # 18-104
        write(":SYST:AZER OFF")  # else a reading lasts three times its integration time
        self._set_word_confirmed(":OUTP:SMOD", "ZERO")
        write(":FORM:ELEM CURR,STAT")
        self._range_v, self._level_v = range_v * LIMITS.over, 0.0

    @override
    def refuse_train(self, points: Sequence[TrainPoint]) -> None:
        # A list sweep has one source delay: all widths are multiples of the shortest.
        refuse_sweep(SWEEP, points)

    @override
    def apply_train(self, points: Sequence[TrainPoint]) -> Train:
        # A list sweep: one round trip for the whole train. Where no point measures, the steps
        # do not either, and last the source delay alone; else each step ends with a reading,
        # and the delay is shorter by its integration time.
        self.refuse_train(points)
        self._refuse_levels(*(point.level_v for point in points))
        steps, step_s = equal_steps(points), shortest(points)
        measuring = any(point.measure for point in points)
        aperture_s = self._settings.nplc / self._settings.line_frequency_hz if measuring else 0.0
        if step_s <= aperture_s:
            raise Unsupported(
                f"2400: a level of {step_s:g} s is shorter than its reading, {aperture_s:g} s"
            )
        readings = self._sweep([level for level, _ in steps], step_s - aperture_s, measuring)
        wanted = [m for m, (_, wanted) in zip(readings, steps, strict=True) if wanted]
        return Train.of(wanted, seen=readings)

    def _sweep(self, levels: list[float], delay_s: float, measuring: bool) -> list[Measured]:
        levels = [*levels, 0.0]  # the level stays at the last of the list
        write = self._set
        if not measuring:
            write(":SENS:FUNC:OFF:ALL")  # else each step would last a reading longer
        write(f":SOUR:DEL {number(delay_s)}")
        for start in range(0, len(levels), LIST_LINE):
            line = ",".join(number(v) for v in levels[start : start + LIST_LINE])
            write(f":SOUR:LIST:VOLT{'' if start == 0 else ':APP'} {line}")
        write(":SOUR:VOLT 0")
        write(f":TRIG:COUN {len(levels)}")
        write(":SOUR:VOLT:MODE LIST")
        aperture_s = self._settings.nplc / self._settings.line_frequency_hz
        duration_s = len(levels) * (delay_s + 3 * aperture_s + 1e-2)
        # If no answer comes there is no link to restore anything over: the bench is made safe.
        if not self.link.protects_bytes:
            self._confirm_sweep(levels, delay_s)
        reply = self._ask_readings(":READ?", timeout_s=duration_s + self._settings.timeout_s)
        for restored in _AFTER_SWEEP:
            write(restored)
        if not self.link.protects_bytes:
            self._confirm({":SOUR:VOLT:MODE": "FIX", ":TRIG:COUN": 1, ":SOUR:VOLT": 0.0})
        if not measuring:
            self._set_finished(':SENS:FUNC "CURR"')
        self._level_v = 0.0
        return self._readings(":READ?", reply, len(levels))[:-1]

    def _confirm_sweep(self, levels: Sequence[float], delay_s: float) -> None:
        """Read back what makes a sweep before it is made: a byte of it may have been changed."""
        settings: dict[str, str | float] = {":SOUR:VOLT:MODE": "LIST", ":TRIG:COUN": len(levels)}
        self._confirm(settings | {":SOUR:DEL": delay_s})
        question = ":SOUR:LIST:VOLT?"  # 18-91
        answer_s = ANSWER_CHARACTERS * len(levels) * BITS / self._settings.baud_rate
        reply = self.link.query(question, timeout_s=answer_s + self._settings.timeout_s)
        read = [parse_number(self.link, question, text) for text in reply.split(",")]
        if len(read) != len(levels):
            raise InstrumentFault(
                f"{self.link.address}: {len(levels)} levels were sent but {len(read)} read back"
            )
        for level_v, read_v in zip(levels, read, strict=True):
            self._confirm_level(number(level_v), read_v)

    def _confirm(self, settings: Mapping[str, str | float]) -> None:
        """Read settings back in one message and compare; raises :class:`InstrumentFault`."""
        question = ";".join(f"{header}?" for header in settings)
        replies = self.link.query(question).strip().split(";")
        if len(replies) != len(settings):
            raise UnexpectedReply(f"{self.link.address}: {question} answered {replies!r}")
        for (header, sent), reply in zip(settings.items(), replies, strict=True):
            if isinstance(sent, str):
                same = reply.upper() == sent
            else:
                read = parse_number(self.link, f"{header}?", reply)
                same = math.isclose(read, sent, rel_tol=TIME_STEP, abs_tol=DELAY_STEP_S)
            if not same:
                raise InstrumentFault(
                    f"{self.link.address}: {header} was set to {sent} but reads back {reply!r}"
                )

    @override
    def _measured(self, current_a: float, status: int) -> Measured:
        bits = {"compliance": STATUS_COMPLIANCE, "over_range": STATUS_OVER_RANGE}
        return measured(current_a, status, **bits)


KEITHLEY_2400 = InstrumentKind(
    name="keithley_2400",
    summary="Keithley 2400 SourceMeter family, SCPI",
    settings=Keithley2400Settings,
    make=Keithley2400,
)
