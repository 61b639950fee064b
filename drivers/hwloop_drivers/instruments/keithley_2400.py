"""Keithley 2400 SourceMeter (SCPI); commands after its user's manual, 2400S-900-01."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pydantic import Field

from hwloop.errors import UnexpectedReply, Unsupported
from hwloop.operations import Flag
from hwloop_drivers.instruments.common import number, parse_number, refuse_above
from hwloop_drivers.instruments.scpi import ScpiInstrument
from hwloop_drivers.instruments.trains import SweepLimits, equal_steps, refuse_sweep, shortest
from hwloop_drivers.link import InstrumentKind, Link, LinkSettings
from hwloop_drivers.roles import Measured, PulseGenerator, SourceMeter, SourceSetup, TrainPoint

RANGES_V = (0.21, 2.1, 21.0, 210.0)  # 105 % of the nominal ranges
MOST_A = 1.05
LEAST_A = 1e-9  # 0.1 % of the smallest measurement range
LIST_LINE = 100
SWEEP = SweepLimits(
    name="2400",
    least_width_s=1e-3,  # a list step takes about 0.5 ms itself
    most_width_s=9999.0,  # source delay
    most_points=2500,
    most_v=RANGES_V[-1],
)
OVERFLOW = 9.9e37
STATUS_COMPLIANCE, STATUS_OVER_RANGE = 1 << 3, 1 << 0
READ_ELEMENTS = 2
_AFTER_SWEEP = (":SOUR:VOLT:MODE FIX", ":SOUR:VOLT 0", ":TRIG:COUN 1", ":SOUR:DEL:AUTO ON")


class Keithley2400Settings(LinkSettings):
    """``nplc``: integration time of a reading. ``four_wire``: sense at the device."""

    nplc: float = Field(default=1.0, ge=0.01, le=10)
    line_frequency_hz: float = Field(default=50.0, gt=0)
    four_wire: bool = False


class Keithley2400(ScpiInstrument, SourceMeter):
    """A 2400, 2401, 2410 … as voltage source and ammeter."""

    models = ("MODEL 24",)

    def __init__(self, link: Link, settings: Keithley2400Settings) -> None:
        super().__init__(link, settings)
        self._settings = settings
        self._range_v = RANGES_V[0]
        self._level_v = 0.0

    def outputs(self) -> Mapping[str, SourceMeter | PulseGenerator]:
        """One."""
        return {"": self}

    def read_back(self) -> dict[str, object]:
        """Range, compliance and integration time as the instrument has them."""
        questions = {
            "source_range_v": ":SOUR:VOLT:RANG?",
            "compliance_current_a": ":SENS:CURR:PROT?",
            "nplc": ":SENS:CURR:NPLC?",
        }
        return {name: self._ask(question) for name, question in questions.items()}

    def safe_state(self) -> None:
        """Abort what is under way, 0 V, output off."""
        self.link.write(":ABOR")
        self.link.write(":SOUR:VOLT:MODE FIX")
        self.link.write(":SOUR:VOLT 0")
        self.link.write(":OUTP OFF")
        self._level_v = 0.0
        if self.source_enabled:
            raise UnexpectedReply(f"{self.link.address}: the output is still on")

    def set_up(self, setup: SourceSetup) -> None:
        """Voltage source in a locked range, compliance read back, output off mode ZERO."""
        range_v = next((r for r in RANGES_V if abs(setup.range_v) <= r), None)
        if range_v is None:
            raise Unsupported(
                f"{self.link.address}: {setup.range_v:g} V is beyond the 2400's 210 V"
            )
        refuse_above("compliance", setup.compliance_a, MOST_A, "A")
        if setup.compliance_a < LEAST_A:
            raise Unsupported(
                f"{self.link.address}: compliance {setup.compliance_a:g} A is below the 2400's"
                f" {LEAST_A:g} A"
            )
        write = self._set
        write(":SOUR:FUNC VOLT")
        write(":SOUR:VOLT:MODE FIX")
        self._set_confirmed(":SOUR:VOLT:RANG", range_v / 1.05)
        write(":SOUR:VOLT 0")
        write(':SENS:FUNC "CURR"')
        self._set_confirmed(":SENS:CURR:PROT", setup.compliance_a)
        self._set_confirmed(":SENS:CURR:NPLC", self._settings.nplc)
        if setup.measure_range_a is None:
            write(":SENS:CURR:RANG:AUTO ON")
        else:
            self._set_confirmed(":SENS:CURR:RANG", setup.measure_range_a)
        write(f":SYST:RSEN {'ON' if self._settings.four_wire else 'OFF'}")
        write(":SYST:AZER OFF")  # else a reading lasts three times its integration time
        self._set_word_confirmed(":OUTP:SMOD", "ZERO")
        write(":FORM:ELEM CURR,STAT")
        self._range_v, self._level_v = range_v, 0.0

    @property
    def source_voltage(self) -> float:
        """Level of the source."""
        return self._level_v

    @source_voltage.setter
    def source_voltage(self, level_v: float) -> None:
        self._refuse_level(level_v)
        self._set_finished(f":SOUR:VOLT {number(level_v)}")
        self._level_v = level_v

    @property
    def compliance_current(self) -> float:
        """Limit of the current."""
        return self._ask(":SENS:CURR:PROT?")

    @property
    def source_enabled(self) -> bool:
        """Whether the output is on."""
        return self._ask(":OUTP?") != 0

    @source_enabled.setter
    def source_enabled(self, on: bool) -> None:
        self._set_finished(f":OUTP {'ON' if on else 'OFF'}")

    @property
    def tripped(self) -> bool:
        """Whether the source is at its compliance."""
        return self._ask(":SENS:CURR:PROT:TRIP?") != 0

    def measure_current(self) -> Measured:
        """One reading."""
        return self._readings(self.link.query(":READ?"), 1)[0]

    def refuse_train(self, points: Sequence[TrainPoint]) -> None:
        """A list sweep has one source delay: all widths are multiples of the shortest."""
        refuse_sweep(SWEEP, points)

    def apply_train(self, points: Sequence[TrainPoint]) -> list[Measured]:
        """A list sweep: one round trip for the whole train.

        Where no point measures, the steps do not either, and last the source delay alone; else
        each step ends with a reading, and the delay is shorter by its integration time.
        """
        self.refuse_train(points)
        for point in points:
            self._refuse_level(point.level_v)
        steps, step_s = equal_steps(points), shortest(points)
        measuring = any(point.measure for point in points)
        aperture_s = self._settings.nplc / self._settings.line_frequency_hz if measuring else 0.0
        if step_s <= aperture_s:
            raise Unsupported(
                f"2400: a level of {step_s:g} s is shorter than its reading, {aperture_s:g} s"
            )
        readings = self._sweep([level for level, _ in steps], step_s - aperture_s, measuring)
        return [m for m, (_, wanted) in zip(readings, steps, strict=True) if wanted]

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
        reply = self.link.query(":READ?", timeout_s=duration_s + self._settings.timeout_s)
        for restored in _AFTER_SWEEP:
            write(restored)
        if not measuring:
            self._set_finished(':SENS:FUNC "CURR"')
        self._level_v = 0.0
        return self._readings(reply, len(levels))[:-1]

    def _readings(self, reply: str, count: int) -> list[Measured]:
        fields = reply.split(",")
        if len(fields) != READ_ELEMENTS * count:
            raise UnexpectedReply(
                f"{self.link.address}: :READ? answered {len(fields)} values for {count} readings"
            )
        values = [parse_number(self.link, ":READ?", field) for field in fields]
        return [_measured(*values[n : n + 2]) for n in range(0, len(values), 2)]

    def _refuse_level(self, level_v: float) -> None:
        refuse_above(f"{self.link.address}: level", level_v, self._range_v, "V")


def _measured(current_a: float, status: float) -> Measured:
    flags = Flag(0)
    if abs(current_a) >= OVERFLOW or int(status) & STATUS_OVER_RANGE:
        flags |= Flag.OVER_RANGE
    if int(status) & STATUS_COMPLIANCE:
        flags |= Flag.COMPLIANCE
    return Measured(math.nan if flags else current_a, flags)


KEITHLEY_2400 = InstrumentKind(
    name="keithley_2400",
    summary="Keithley 2400 SourceMeter family, SCPI",
    settings=Keithley2400Settings,
    make=Keithley2400,
)
