"""One channel of a Keithley 2600B; its trains are scripts inside the instrument."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from typing_extensions import override

from hwloop.errors import Unsupported
from hwloop_drivers.instruments.families.common import number, refuse_above
from hwloop_drivers.instruments.families.source_meter import measured
from hwloop_drivers.instruments.families.trains import as_pulses, width_or_interval
from hwloop_drivers.instruments.families.tsp_source_meter import TspSourceMeter
from hwloop_drivers.instruments.keithley_2600b.models import (
    MODELS,
    SETTLE_S,
    Keithley2600BSettings,
)
from hwloop_drivers.links.link import Link
from hwloop_drivers.roles import Measured, SourceSetup, Train, TrainPoint, VerifyLoop

STATUS_COMPLIANCE = 0x40  # of a reading in a buffer: reference manual, bufferVar.statuses
LEAST_DELAY_S = 1e-3  # a level set by a script line, which takes up to about 0.1 ms itself
LEAST_PULSE_S = 1e-4  # the trigger model's: data sheet, minimum pulse width
MOST_WIDTH_S = 1e5
SENSE_REMOTE = 1
MOST_POINTS = 10_000
SCRIPT = "keithley_2600b/trains.lua"
SCRIPT_VERSION = 4


class Keithley2600BChannel(TspSourceMeter):
    """One channel as voltage source and ammeter."""

    _compliance_bit = STATUS_COMPLIANCE

    def __init__(self, link: Link, settings: Keithley2600BSettings, letter: str) -> None:
        super().__init__(link, settings)
        self._settings, self._smu = settings, f"smu{letter}"
        self._name = f"{settings.model} channel {letter}"
        self._model = MODELS[settings.model]
        self._timeout_s = settings.timeout_s
        self._level_path = f"{self._smu}.source.levelv"
        self._limit_path = f"{self._smu}.source.limiti"
        self._limited = f"{self._smu}.source.compliance"
        self._read_call = f"hwloop.read({self._smu})"
        self._range_v = self._model.ranges_v[0]
        self._compliance_a = 0.0

    def read_back(self) -> dict[str, object]:
        """Return range, compliance, integration time and sense as the instrument has them."""
        names = {
            "source_range_v": "source.rangev",
            "compliance_current_a": "source.limiti",
            "nplc": "measure.nplc",
        }
        numbers = {name: self._ask(f"{self._smu}.{path}") for name, path in names.items()}
        return {**numbers, "four_wire": self._ask(f"{self._smu}.sense") == SENSE_REMOTE}

    def forget(self) -> None:
        """Forget what was known before the instrument was reset."""
        self._precise = False
        self._level_v = 0.0

    def turn_off(self) -> None:
        """Go to 0 V or 0 A and switch off; not read back."""
        smu = self._smu
        self.link.write(f"{smu}.source.levelv = 0 {smu}.source.leveli = 0")
        self.link.write(f"{smu}.source.output = {smu}.OUTPUT_OFF")
        self._level_v = 0.0

    @override
    def set_up(self, setup: SourceSetup) -> None:
        range_v = self._range_for(setup)
        smu, settings = self._smu, self._settings
        nplc = setup.nplc if settings.nplc is None else settings.nplc
        self._load_script(SCRIPT, SCRIPT_VERSION)
        self._set_word_confirmed(f"{smu}.source.func", f"{smu}.OUTPUT_DCVOLTS")
        self._set(f"{smu}.source.levelv = 0")
        # First the least limit: a wide range refuses a limit beyond its power.
        self._set_confirmed(f"{smu}.source.limiti", self._model.least_a)
        self._set_confirmed(f"{smu}.source.rangev", range_v)
        self._set_confirmed(f"{smu}.source.limiti", setup.compliance_a)
        self._set_word_confirmed(f"{smu}.source.offmode", f"{smu}.OUTPUT_ZERO")
        sense = "REMOTE" if settings.four_wire else "LOCAL"
        self._set_word_confirmed(f"{smu}.sense", f"{smu}.SENSE_{sense}")
        self._set_confirmed(f"{smu}.source.delay", 0)
        lowest_a = self._lowest_range(setup)
        self._settle_s = SETTLE_S[lowest_a]
        self._set_confirmed(f"{smu}.measure.delay", self._settle_s)
        self._set_confirmed(f"{smu}.measure.nplc", nplc)
        # Done once, it may read back as off.
        self._set(f"{smu}.measure.autozero = {smu}.AUTOZERO_ONCE")
        if setup.measure_range_a is None:
            # Between readings the range that carries the limit: should a lower one clamp the
            # output, as that of a 2450 does, no pulse meets it.
            self._set_confirmed(f"{smu}.measure.lowrangei", lowest_a)
            self._set_word_confirmed(f"{smu}.measure.autorangei", f"{smu}.AUTORANGE_FOLLOW_LIMIT")
        else:
            self._set_confirmed(f"{smu}.measure.rangei", lowest_a)
        self._aperture_s = nplc / self._ask("localnode.linefreq")
        self._confirm(f"{smu}.source.limiti", setup.compliance_a)  # after all that may change it
        self._range_v, self._compliance_a = range_v, setup.compliance_a
        self._level_v = 0.0

    @property
    @override
    def source_enabled(self) -> bool:
        return self._ask(f"{self._smu}.source.output") == 1

    @source_enabled.setter
    def source_enabled(self, on: bool) -> None:
        state = f"{self._smu}.OUTPUT_{'ON' if on else 'OFF'}"
        self._set_finished(f"{self._smu}.source.output = {state}")

    @override
    def refuse_train(self, points: Sequence[TrainPoint]) -> None:
        # A script makes widths from 1 ms on; the factory script equal pulses from 0.1 ms on.
        if not points:
            raise Unsupported("a train needs a point")
        if len(points) > MOST_POINTS:
            raise Unsupported(f"{self._name}: {len(points)} points; {MOST_POINTS} at most")
        for point in points:
            refuse_above(f"{self._name}: level", point.level_v, self._model.ranges_v[-1], "V")
        by_width = sorted(points, key=lambda point: point.width_s)
        least_s = LEAST_DELAY_S if as_pulses(points) is None else LEAST_PULSE_S
        for point in (by_width[0], by_width[-1]):
            if not least_s * (1 - 1e-9) <= point.width_s <= MOST_WIDTH_S:
                raise Unsupported(
                    f"{self._name}: {width_or_interval(point)} of {point.width_s:g} s is outside"
                    f" {least_s:g} to {MOST_WIDTH_S:g} s, which its scripts can make"
                )

    @override
    def apply_train(self, points: Sequence[TrainPoint]) -> Train:
        self.refuse_train(points)
        self._refuse_levels(*(point.level_v for point in points))
        pulses = as_pulses(points)
        total_s = math.fsum(point.width_s for point in points)
        if pulses is not None and pulses.on_s < LEAST_DELAY_S:
            off_s = pulses.on_s if pulses.off_s is None else pulses.off_s
            command = (
                f"hwloop.pulses({self._smu}, status.measurement.instrument.{self._smu},"
                f" {number(pulses.level_v)},"
                f" {number(self._compliance_a)}, {number(pulses.on_s)}, {number(off_s)},"
                f" {pulses.count})"
            )
            return self._run(command, total_s + off_s, 0)
        command = f"{self._send_points(points)} hwloop.train({self._smu})"
        return self._run(command, total_s, sum(p.measure for p in points))

    @override
    def refuse_loop(self, loop: VerifyLoop) -> None:
        # Its script has loops of both channels, with the widths of the script.
        self.refuse_train([TrainPoint(loop.start_v, loop.width_s)])
        if loop.width_s < LEAST_DELAY_S or loop.max_pulses > MOST_POINTS:
            raise Unsupported(
                f"{self._name}: a loop makes widths from {LEAST_DELAY_S:g} s and at most"
                f" {MOST_POINTS} pulses, not {loop.width_s:g} s and {loop.max_pulses}"
            )
        for other in (*(companion.source for companion in loop.companions), loop.meter or self):
            if not isinstance(other, Keithley2600BChannel) or other.link is not self.link:
                raise Unsupported(f"{self._name}: a loop has outputs of the same instrument only")

    @override
    def verify_loop(self, loop: VerifyLoop) -> list[Measured]:
        self.refuse_loop(loop)
        entries = [
            f"{{{channel.name}, {', '.join(number(level_v) for level_v in levels)}}}"
            for channel, levels in self._loop_levels(loop)
        ]
        meter = loop.meter if isinstance(loop.meter, Keithley2600BChannel) else self
        parts = f"{self.name}, {meter.name}, {{{', '.join(entries)}}}"
        command = f"hwloop.verify({parts}, {self._loop_arguments(loop)})"
        return meter.run_loop(command, loop)

    @property
    def name(self) -> str:
        """Get the channel's name in scripts, such as ``smua``."""
        return self._smu

    def run_loop(self, command: str, loop: VerifyLoop) -> list[Measured]:
        """Run a loop that measures with this channel; return one reading for each pulse."""
        return self._run_loop(command, loop)

    def refuse_levels(self, *levels_v: float) -> None:
        """Raise :class:`Unsupported` where a level is beyond the range that was set up."""
        self._refuse_levels(*levels_v)

    def _loop_levels(
        self, loop: VerifyLoop
    ) -> Iterator[tuple[Keithley2600BChannel, tuple[float, ...]]]:
        """Yield the other channels of a loop with start, step and level during reads, volts."""
        for other in loop.companions:
            if isinstance(other.source, Keithley2600BChannel):
                last_v = other.start_v + (loop.max_pulses - 1) * other.step_v
                other.source.refuse_levels(other.start_v, last_v, other.read_v)
                yield other.source, (other.start_v, other.step_v, other.read_v)

    def _lowest_range(self, setup: SourceSetup) -> float:
        """Return the lowest range that readings are made in, amperes: the fixed one if any is."""
        fixed_a = setup.measure_range_a
        if fixed_a is not None:
            refuse_above(f"{self._name}: measurement range", fixed_a, self._model.most_a, "A")
            return next(full for full in SETTLE_S if abs(fixed_a) <= full)
        return self._model.lowest_range_for(self._settings.lowest_range_a, setup.compliance_a)

    def _range_for(self, setup: SourceSetup) -> float:
        """Return the range to lock, volts; raises :class:`Unsupported` where the model has none."""
        model = self._model
        refuse_above(f"{self._name}: range", setup.range_v, model.ranges_v[-1], "V")
        range_v = next(r for r in model.ranges_v if abs(setup.range_v) <= r)
        what = f"{self._name}: compliance in the {range_v:g} V range"
        refuse_above(what, setup.compliance_a, model.most_at(range_v), "A")
        if setup.compliance_a < model.least_a:
            raise Unsupported(
                f"{self._name}: compliance {setup.compliance_a:g} A is below the instrument's"
                f" {model.least_a:g} A"
            )
        if setup.measure_range_a is not None and setup.measure_range_a < model.least_range_a:
            raise Unsupported(
                f"{self._name}: a measurement range of {setup.measure_range_a:g} A is below its"
                f" smallest, {model.least_range_a:g} A"
            )
        return range_v

    @override
    def _measured(self, current_a: float, status: int) -> Measured:
        return measured(current_a, status, compliance=STATUS_COMPLIANCE)
