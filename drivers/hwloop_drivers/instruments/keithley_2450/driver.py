"""Keithley 2450 SourceMeter in SCPI; commands after its reference manual, 2450-901-01, section 6.

Its list sweeps turn the output off at their end; off mode ZERO holds 0 V until it is on again. Each
step of a sweep takes longer than its delay and its reading: how much, the driver finds out by a
sweep at 0 V before the first train, and takes off the delay. All steps are measured, in the range
that carries the limit, so that none is prolonged by a search for the range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

from typing_extensions import override

from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.families.common import number, parse_number
from hwloop_drivers.instruments.families.identified import KEITHLEY
from hwloop_drivers.instruments.families.scpi import ScpiInstrument
from hwloop_drivers.instruments.families.single_source import SingleSource
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
    ChosenRanges,
    Keithley2450Settings,
    ranges_for,
    require_language,
)
from hwloop_drivers.instruments.keithley_2450.tsp import Keithley2450Tsp
from hwloop_drivers.instruments.kind import InstrumentKind
from hwloop_drivers.links.link import Link
from hwloop_drivers.roles import (
    Measured,
    SourceSetup,
    Train,
    TrainPoint,
)

SWEEP = SweepLimits(
    name=NAME,
    least_width_s=4.1e-3,  # PulseTrain_SVMI.tsp, Keithley's example: about 4 ms with a reading
    most_width_s=9999.0,  # delay of a sweep: at most 10 000 s
    most_points=2499,  # a list holds 2500: one at 0 V goes before, one after
    most_v=LIMITS.most_v,
)
LIST_LINE = 100
FASTEST_NPLC = 0.01  # for steps without a wanted reading: the instrument reads at every step
LEAST_DELAY_S = 50e-6  # of a sweep
BUFFER = '"defbuffer1"'
DIGITS = 10
ELEMENTS = "READ,SOURSTAT"
TIMED_ELEMENTS = "READ,SOURSTAT,REL"
TRIED_STEPS = 4  # at 0 V, to find out how long a step takes
MOST_OVERHEAD_S = 0.1
TOLERANCE_S, TOLERANCE = 2e-4, 0.02
"""A step may last this much longer or shorter than asked, seconds and of its width."""


class Keithley2450(ScpiSourceMeter, ScpiInstrument, SingleSource):
    """A 2450 as voltage source and ammeter."""

    makers, models, near = KEITHLEY, (NAME,), NEAR
    _name = NAME
    _level_header, _output_header = ":SOUR:VOLT", ":OUTP"
    _limit_question, _trip_question = ":SOUR:VOLT:ILIM?", ":SOUR:VOLT:ILIM:TRIP?"
    _off_commands = (":ABOR", ":SOUR:VOLT 0", ":SOUR:CURR 0", ":OUTP OFF")
    _read_back_questions: ClassVar[Mapping[str, str]] = {
        "source_range_v": ":SOUR:VOLT:RANG?",
        "compliance_current_a": ":SOUR:VOLT:ILIM?",
        "nplc": ":SENS:CURR:NPLC?",
    }
    _four_wire_question = ":SENS:CURR:RSEN?"
    _read_question = f":READ? {BUFFER},{ELEMENTS}"

    def __init__(self, link: Link, settings: Keithley2450Settings) -> None:
        super().__init__(link, settings)
        self._settings = settings
        self._range_v = LIMITS.ranges_v[0] * LIMITS.over
        self._nplc, self._line_hz = 1.0, 50.0
        self._ranges: ChosenRanges | None = None
        self._overhead_s: float | None = None

    @override
    def verify_identity(self) -> None:
        super().verify_identity()
        require_language(self.link, "scpi")

    @override
    def set_up(self, setup: SourceSetup) -> None:
        settings = self._settings
        ranges = ranges_for(setup, settings.lowest_range_a)
        write, send = self._set, self._send_setting
        self._nplc = setup.nplc if settings.nplc is None else settings.nplc
        send(":SOUR:FUNC", "VOLT")
        write(":SOUR:VOLT 0")
        write(':SENS:FUNC "CURR"')
        write(":SENS:CURR:RANG:AUTO ON")
        write(f":SOUR:VOLT:ILIM {number(LOW_LIMIT_A)}")
        send(":SOUR:VOLT:RANG", ranges.source_v)
        # The range that carries the limit: a lower one would clamp the output to 105 % of itself.
        send(":SENS:CURR:RANG", ranges.measure_a)
        if ranges.automatic:
            send(":SENS:CURR:RANG:AUTO:LLIM", ranges.lowest_a)
            send(":SENS:CURR:RANG:AUTO:REB", "1")
            send(":SENS:CURR:RANG:AUTO", "1")
        send(":SOUR:VOLT:ILIM", setup.compliance_a)
        send(":SENS:CURR:NPLC", self._nplc)
        send(":SENS:CURR:RSEN", "1" if settings.four_wire else "0")
        # A reading lasts its integration time and no longer: no auto zero, no source readback.
        send(":SENS:CURR:AZER", "0")
        write(":SENS:AZER:ONCE")
        send(":SOUR:VOLT:READ:BACK", "0")
        send(":SOUR:VOLT:DEL", ranges.settle_s)
        write(":SENS:COUN 1")
        write(f":FORM:ASC:PREC {DIGITS}")
        send(":OUTP:VOLT:SMOD", "ZERO")
        self._line_hz = self._ask(":SYST:LFR?")
        self._confirm_settings()
        self._range_v, self._level_v = ranges.source_v * LIMITS.over, 0.0
        self._ranges, self._overhead_s = ranges, None

    @override
    def _send_level(self, level: str) -> None:
        # The source delay is waited for where the magnitude changes: so it does, in between.
        if float(level) == -self._level_v != 0:
            super()._send_level("0")
        super()._send_level(level)

    @property
    @override
    def source_enabled(self) -> bool:
        return self._ask(":OUTP?") != 0

    @source_enabled.setter
    def source_enabled(self, on: bool) -> None:
        self._set_finished(f":OUTP {'ON' if on else 'OFF'}")
        if on and self._ranges is not None and self._ranges.automatic:
            self._set(":SENS:CURR:RANG:AUTO ON")  # switched off in mode ZERO it stays where it is

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
        settle_s = self._ranges.settle_s if measuring and self._ranges is not None else 0.0
        aperture_s = nplc / self._line_hz
        self._refuse_step(step_s, aperture_s, settle_s)
        # No source delay within a train: it is left out where a level stays as it is.
        if self._overhead_s is None:
            self._prepare(FASTEST_NPLC, 0)
            self._overhead_s = self._find_overhead()
            self._refuse_step(step_s, aperture_s, settle_s)
        self._prepare(nplc, 0)
        delay_s = step_s - aperture_s - self._overhead_s
        seen = self._sweep([level for level, _ in steps], delay_s, step_s)
        self._prepare(self._nplc, self._ranges.settle_s if self._ranges is not None else 0)
        self._refuse_odd_steps([time_s for _, time_s in seen], step_s)
        readings = [reading for reading, _ in seen[1:-1]]
        wanted = [m for m, (_, measure) in zip(readings, steps, strict=True) if measure]
        return Train.of(wanted, seen=readings)

    def _refuse_step(self, step_s: float, aperture_s: float, settle_s: float) -> None:
        """Raise :class:`Unsupported` where a step cannot be as short as that."""
        overhead_s = self._overhead_s or 0.0
        least_s = aperture_s + overhead_s + max(settle_s, LEAST_DELAY_S)
        if step_s < least_s * (1 - 1e-9):
            raise Unsupported(
                f"{NAME}: a level of {step_s:g} s is shorter than its reading, {aperture_s:g} s,"
                f" the {settle_s:g} s until it has settled and {overhead_s:g} s of the step itself"
            )

    def _find_overhead(self) -> float:
        """Return what a step takes beside its delay and its reading, found by a sweep at 0 V."""
        seen = self._sweep([0.0] * TRIED_STEPS, LEAST_DELAY_S, MOST_OVERHEAD_S)
        step_s = (seen[-1][1] - seen[0][1]) / (len(seen) - 1)
        overhead_s = step_s - LEAST_DELAY_S - FASTEST_NPLC / self._line_hz
        if not -1e-6 <= overhead_s <= MOST_OVERHEAD_S:
            raise UnexpectedReply(
                f"{self.link.address}: a step of a sweep took {overhead_s:g} s beside its delay"
                f" and its reading, outside 0 to {MOST_OVERHEAD_S:g} s"
            )
        return max(overhead_s, 0.0)

    def _prepare(self, nplc: float, source_delay_s: float) -> None:
        """Set integration time and source delay, read back."""
        self._send_setting(":SENS:CURR:NPLC", nplc)
        self._send_setting(":SOUR:VOLT:DEL", source_delay_s)
        self._confirm_settings()

    def _refuse_odd_steps(self, times_s: list[float], step_s: float) -> None:
        """Raise :class:`InstrumentFault` where a step did not last as long as asked."""
        for before_s, after_s in pairwise(times_s):
            lasted_s = after_s - before_s
            if abs(lasted_s - step_s) > TOLERANCE_S + TOLERANCE * step_s:
                raise InstrumentFault(
                    f"{self.link.address}: a level of {step_s:g} s lasted {lasted_s:g} s; the"
                    f" tolerance is {TOLERANCE_S + TOLERANCE * step_s:g} s"
                )

    def _sweep(
        self, levels: list[float], delay_s: float, step_s: float
    ) -> list[tuple[Measured, float]]:
        """Source 0 V, levels, 0 V; return the reading of each and its time, seconds.

        The step at 0 V before them has a reading too, from which the first of them is timed.
        """
        levels = [0.0, *levels, 0.0]  # the level stays at the last of the list
        for start in range(0, len(levels), LIST_LINE):
            line = ",".join(number(v) for v in levels[start : start + LIST_LINE])
            self._set(f":SOUR:LIST:VOLT{'' if start == 0 else ':APP'} {line}")
        ranges = self._ranges
        again = ""
        if ranges is not None and ranges.automatic:
            self._set(f":SENS:CURR:RANG {number(ranges.measure_a)}")
            again = ":SENS:CURR:RANG:AUTO ON;"
        self._set(f":TRAC:CLE {BUFFER}")
        self._set(f":SOUR:SWE:VOLT:LIST 1,{number(delay_s)},1,OFF,{BUFFER}")
        data = f":TRAC:DATA? 1,{len(levels)},{BUFFER},{TIMED_ELEMENTS}"
        timeout_s = 2 * len(levels) * step_s + self._settings.timeout_s
        run = f":INIT;*WAI;:SOUR:VOLT 0;:OUTP ON;{again}{data}"
        reply = self.link.query(run, timeout_s=timeout_s)
        self._level_v = 0.0
        return self._timed(data, reply, len(levels))

    def _timed(self, question: str, reply: str, count: int) -> list[tuple[Measured, float]]:
        fields = reply.split(",")
        if len(fields) != 3 * count:
            raise UnexpectedReply(
                f"{self.link.address}: {question} answered {len(fields)} values for {count}"
                " readings with their status and time"
            )
        pairs = [word for n in range(count) for word in fields[3 * n : 3 * n + 2]]
        readings = self._readings(question, ",".join(pairs), count)
        times_s = [parse_number(self.link, question, text) for text in fields[2::3]]
        return list(zip(readings, times_s, strict=True))

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
