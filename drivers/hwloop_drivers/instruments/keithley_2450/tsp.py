"""Keithley 2450 SourceMeter in TSP; commands after its reference manual, 2450-901-01, section 8."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from typing_extensions import override

from hwloop.errors import Unsupported
from hwloop_drivers.instruments.families.common import number, refuse_above
from hwloop_drivers.instruments.families.identified import KEITHLEY
from hwloop_drivers.instruments.families.single_source import SingleSource
from hwloop_drivers.instruments.families.source_meter import LOW_LIMIT_A, measured
from hwloop_drivers.instruments.families.trains import width_or_interval
from hwloop_drivers.instruments.families.tsp import TspInstrument
from hwloop_drivers.instruments.families.tsp_source_meter import TspSourceMeter
from hwloop_drivers.instruments.keithley_2450.limits import (
    LIMITS,
    NAME,
    NEAR,
    STATUS_LIMIT,
    Keithley2450Settings,
    ranges_for,
    require_language,
)
from hwloop_drivers.links.link import Link
from hwloop_drivers.roles import (
    Measured,
    SourceSetup,
    Train,
    TrainPoint,
    VerifyLoop,
)

LEAST_WIDTH_S = 1e-3  # PulseTrain_SVMI.tsp, Keithley's example: about 0.75 ms without a reading
MOST_WIDTH_S = 1e5
MOST_POINTS = 10_000
SCRIPT = "keithley_2450/trains.lua"
SCRIPT_VERSION = 3


class Keithley2450Tsp(TspSourceMeter, TspInstrument, SingleSource):
    """A 2450 as voltage source and ammeter; its trains are scripts inside it."""

    makers, models, near = KEITHLEY, (NAME,), NEAR
    error_question = "print(eventlog.next(eventlog.SEV_ERROR))"
    clear_command = "eventlog.clear()"
    quiet_command = "localnode.prompts = 0 localnode.showevents = 0"
    _name = NAME
    _level_path, _limit_path = "smu.source.level", "smu.source.ilimit.level"
    _off_commands = ("abort", "smu.source.level = 0 smu.source.output = smu.OFF")
    _read_back_questions: ClassVar[Mapping[str, str]] = {
        "source_range_v": "smu.source.range",
        "compliance_current_a": "smu.source.ilimit.level",
        "nplc": "smu.measure.nplc",
    }
    _four_wire_question = "smu.measure.sense == smu.SENSE_4WIRE and 1 or 0"
    _limited = "smu.source.ilimit.tripped == smu.ON"
    _read_call = "hwloop.read()"
    _compliance_bit = STATUS_LIMIT

    def __init__(self, link: Link, settings: Keithley2450Settings) -> None:
        super().__init__(link, settings)
        self._settings, self._timeout_s = settings, settings.timeout_s
        self._range_v = LIMITS.ranges_v[0] * LIMITS.over
        self._automatic = False

    @override
    def verify_identity(self) -> None:
        # A 2450 that speaks TSP.
        super().verify_identity()
        require_language(self.link, "tsp")

    @override
    def set_up(self, setup: SourceSetup) -> None:
        settings = self._settings
        ranges = ranges_for(setup, settings.lowest_range_a)
        nplc = setup.nplc if settings.nplc is None else settings.nplc
        self._load_script(SCRIPT, SCRIPT_VERSION)
        self._set_word_confirmed("smu.source.func", "smu.FUNC_DC_VOLTAGE")
        self._set("smu.source.level = 0")
        self._set_word_confirmed("smu.measure.func", "smu.FUNC_DC_CURRENT")
        self._set("smu.measure.autorange = smu.ON")
        self._set(f"smu.source.ilimit.level = {number(LOW_LIMIT_A)}")
        self._set_confirmed("smu.source.range", ranges.source_v)
        # The range that carries the limit: a lower one would clamp the output to 105 % of itself.
        self._set(f"smu.measure.range = {number(ranges.measure_a)}")
        if ranges.automatic:
            self._set(f"smu.measure.autorangelow = {number(ranges.lowest_a)}")
            self._set_word_confirmed("smu.measure.autorangerebound", "smu.ON")
            self._set_word_confirmed("smu.measure.autorange", "smu.ON")
        self._set(f"smu.source.ilimit.level = {number(setup.compliance_a)}")
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
        self._settle_s, self._automatic = ranges.settle_s, ranges.automatic
        self._set_confirmed("hwloop.settle", self._settle_s)
        self._set(f"hwloop.aperture = {number(self._aperture_s)}")
        # After all that may have changed them.
        self._confirm("smu.measure.range", ranges.measure_a)
        self._confirm("smu.source.ilimit.level", setup.compliance_a)
        self._range_v, self._level_v = ranges.source_v * LIMITS.over, 0.0

    @property
    @override
    def source_enabled(self) -> bool:
        return self._holds("smu.source.output == smu.ON")

    @source_enabled.setter
    def source_enabled(self, on: bool) -> None:
        self._set_finished(f"smu.source.output = smu.{'ON' if on else 'OFF'}")
        if on and self._automatic:  # switched off in mode ZERO it stays where it is
            self._set("smu.measure.autorange = smu.ON")

    @override
    def refuse_train(self, points: Sequence[TrainPoint]) -> None:
        # A script makes widths from 1 ms on, each as it likes.
        if not points:
            raise Unsupported("a train needs a point")
        if len(points) > MOST_POINTS:
            raise Unsupported(f"{NAME}: {len(points)} points; {MOST_POINTS} at most")
        for point in points:
            refuse_above(f"{NAME}: level", point.level_v, LIMITS.most_v, "V")
            if not LEAST_WIDTH_S * (1 - 1e-9) <= point.width_s <= MOST_WIDTH_S:
                raise Unsupported(
                    f"{NAME}: {width_or_interval(point)} of {point.width_s:g} s is outside"
                    f" {LEAST_WIDTH_S:g} to {MOST_WIDTH_S:g} s, which its scripts can make"
                )

    @override
    def apply_train(self, points: Sequence[TrainPoint]) -> Train:
        self.refuse_train(points)
        self._refuse_levels(*(point.level_v for point in points))
        command = self._send_points(points)
        total_s = math.fsum(point.width_s for point in points)
        count = sum(p.measure for p in points)
        return self._run(f"{command} hwloop.train()", total_s, count)

    @override
    def refuse_loop(self, loop: VerifyLoop) -> None:
        # Its script has loops of one output, with the widths of trains.
        if loop.max_pulses > MOST_POINTS:
            raise Unsupported(f"{NAME}: {loop.max_pulses} pulses; {MOST_POINTS} at most")
        if loop.companions or loop.meter not in (None, self):
            raise Unsupported(f"{NAME}: it has one output; a loop needs another to go with it")
        points = [TrainPoint(loop.start_v, loop.width_s)]
        if loop.read_s is not None:
            points.append(TrainPoint(loop.read_v, loop.read_s, measure=True))
        self.refuse_train(points)

    @override
    def verify_loop(self, loop: VerifyLoop) -> list[Measured]:
        self.refuse_loop(loop)
        command = f"hwloop.verify({self._loop_arguments(loop)})"
        return self._run_loop(command, loop)

    @override
    def _measured(self, current_a: float, status: int) -> Measured:
        return measured(current_a, status, compliance=STATUS_LIMIT)
