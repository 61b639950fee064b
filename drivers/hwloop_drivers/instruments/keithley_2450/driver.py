"""Keithley 2450 SourceMeter in SCPI; commands after its reference manual, 2450-901-01, section 6.

Its list sweeps turn the output off at their end; off mode ZERO holds 0 V until it is on again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from typing_extensions import override

from hwloop.errors import UnexpectedReply, Unsupported
from hwloop_drivers.instruments.families.common import number
from hwloop_drivers.instruments.families.identified import KEITHLEY
from hwloop_drivers.instruments.families.scpi import ScpiInstrument
from hwloop_drivers.instruments.families.source_meter import (
    LOW_LIMIT_A,
    ScpiSourceMeter,
    measured,
)
from hwloop_drivers.instruments.families.trains import (
    SweepLimits,
    equal_steps,
    refuse_sweep,
    shortest,
)
from hwloop_drivers.instruments.keithley_2450.limits import (
    LIMITS,
    NAME,
    NEAR,
    STATUS_LIMIT,
    Keithley2450Settings,
    ranges_for,
    require_language,
)
from hwloop_drivers.instruments.keithley_2450.tsp import Keithley2450Tsp
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link
from hwloop_drivers.roles import (
    Measured,
    PulseGenerator,
    SourceMeter,
    SourceSetup,
    Train,
    TrainPoint,
)

SWEEP = SweepLimits(
    name=NAME,
    least_width_s=1e-3,  # a step of the trigger model takes some 0.1 ms itself
    most_width_s=9999.0,  # delay of a sweep: at most 10 000 s
    most_points=2500,
    most_v=LIMITS.most_v,
)
LIST_LINE = 100
FASTEST_NPLC = 0.01  # for steps without a wanted reading: the instrument reads at every step
LEAST_DELAY_S = 50e-6  # of a sweep
BUFFER = '"defbuffer1"'
DIGITS = 10
ELEMENTS = "READ,SOURSTAT"


class Keithley2450(ScpiSourceMeter, ScpiInstrument):
    """A 2450 as voltage source and ammeter."""

    makers, models, near = KEITHLEY, (NAME,), NEAR
    _name = NAME
    _level_header, _output_header = ":SOUR:VOLT", ":OUTP"
    _limit_question, _trip_question = ":SOUR:VOLT:ILIM?", ":SOUR:VOLT:ILIM:TRIP?"
    _read_question = f":READ? {BUFFER},{ELEMENTS}"

    def __init__(self, link: Link, settings: Keithley2450Settings) -> None:
        super().__init__(link, settings)
        self._settings = settings
        self._range_v = LIMITS.ranges_v[0] * LIMITS.over
        self._nplc, self._line_hz = 1.0, 50.0

    @override
    def verify_identity(self) -> None:
        super().verify_identity()
        require_language(self.link, "scpi")

    @override
    def outputs(self) -> Mapping[str, SourceMeter | PulseGenerator]:
        return {"": self}

    @override
    def read_back(self) -> dict[str, object]:
        questions = {
            "source_range_v": ":SOUR:VOLT:RANG?",
            "compliance_current_a": ":SOUR:VOLT:ILIM?",
            "nplc": ":SENS:CURR:NPLC?",
        }
        return {name: self._ask(question) for name, question in questions.items()}

    @override
    def safe_state(self) -> None:
        for command in (":ABOR", ":SOUR:VOLT 0", ":SOUR:CURR 0", ":OUTP OFF"):
            self.link.write(command)
        self._level_v = 0.0
        if self.source_enabled:
            raise UnexpectedReply(f"{self.link.address}: the output is still on")

    @override
    def set_up(self, setup: SourceSetup) -> None:
        range_v, measure_a = ranges_for(setup)
        write, settings = self._set, self._settings
        self._nplc = setup.nplc if settings.nplc is None else settings.nplc
        self._send_setting(":SOUR:FUNC", "VOLT")
        write(":SOUR:VOLT 0")
        write(':SENS:FUNC "CURR"')
        write(":SENS:CURR:RANG:AUTO ON")
        write(f":SOUR:VOLT:ILIM {number(LOW_LIMIT_A)}")
        self._send_setting(":SOUR:VOLT:RANG", range_v)
        self._send_setting(":SOUR:VOLT:ILIM", setup.compliance_a)
        if measure_a is not None:
            self._send_setting(":SENS:CURR:RANG", measure_a)
        self._send_setting(":SENS:CURR:NPLC", self._nplc)
        self._send_setting(":SENS:CURR:RSEN", "1" if settings.four_wire else "0")
        # A reading lasts its integration time and no longer: no auto zero, no source readback.
        self._send_setting(":SENS:CURR:AZER", "0")
        write(":SENS:AZER:ONCE")
        self._send_setting(":SOUR:VOLT:READ:BACK", "0")
        self._send_setting(":SOUR:VOLT:DEL", 0)
        write(":SENS:COUN 1")
        write(f":FORM:ASC:PREC {DIGITS}")
        self._send_setting(":OUTP:VOLT:SMOD", "ZERO")
        self._line_hz = self._ask(":SYST:LFR?")
        self._confirm_settings()
        self._range_v, self._level_v = range_v * LIMITS.over, 0.0

    @override
    def refuse_train(self, points: Sequence[TrainPoint]) -> None:
        # A list sweep has one delay: all widths are multiples of the shortest.
        refuse_sweep(SWEEP, points)

    @override
    def apply_train(self, points: Sequence[TrainPoint]) -> Train:
        self.refuse_train(points)
        self._refuse_levels(*(point.level_v for point in points))
        steps, step_s = equal_steps(points), shortest(points)
        measuring = any(point.measure for point in points)
        nplc = self._nplc if measuring else FASTEST_NPLC
        aperture_s = nplc / self._line_hz
        if step_s - aperture_s < LEAST_DELAY_S:
            raise Unsupported(
                f"{NAME}: a level of {step_s:g} s is shorter than its reading, {aperture_s:g} s,"
                f" and the least delay, {LEAST_DELAY_S:g} s"
            )
        if not measuring:
            self._set_confirmed(":SENS:CURR:NPLC", nplc)
        readings = self._sweep([level for level, _ in steps], step_s - aperture_s, step_s)
        if not measuring:
            self._set_confirmed(":SENS:CURR:NPLC", self._nplc)
        wanted = [m for m, (_, wanted) in zip(readings, steps, strict=True) if wanted]
        return Train.of(wanted, seen=readings)

    def _sweep(self, levels: list[float], delay_s: float, step_s: float) -> list[Measured]:
        levels = [*levels, 0.0]  # the level stays at the last of the list
        for start in range(0, len(levels), LIST_LINE):
            line = ",".join(number(v) for v in levels[start : start + LIST_LINE])
            self._set(f":SOUR:LIST:VOLT{'' if start == 0 else ':APP'} {line}")
        self._set(f":TRAC:CLE {BUFFER}")
        self._set(f":SOUR:SWE:VOLT:LIST 1,{number(delay_s)},1,OFF,{BUFFER}")
        data = f":TRAC:DATA? 1,{len(levels)},{BUFFER},{ELEMENTS}"
        timeout_s = 2 * len(levels) * step_s + self._settings.timeout_s
        reply = self.link.query(f":INIT;*WAI;:SOUR:VOLT 0;:OUTP ON;{data}", timeout_s=timeout_s)
        self._level_v = 0.0
        return self._readings(data, reply, len(levels))[:-1]

    @override
    def _measured(self, current_a: float, status: int) -> Measured:
        return measured(current_a, status, compliance=STATUS_LIMIT)


def _make(link: Link, settings: Keithley2450Settings) -> Keithley2450 | Keithley2450Tsp:
    return (Keithley2450Tsp if settings.language == "tsp" else Keithley2450)(link, settings)


KEITHLEY_2450 = InstrumentKind(
    name="keithley_2450",
    summary="Keithley 2450 SourceMeter, SCPI or TSP",
    settings=Keithley2450Settings,
    make=_make,
)
