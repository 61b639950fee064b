"""The conformance suites refuse drivers that break one rule, and say which."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from hwloop.array.operations import Flag
from hwloop.errors import UnexpectedReply
from hwloop_drivers.instruments import keithley_7001
from hwloop_drivers.instruments.families.burst_output import BurstOutput
from hwloop_drivers.instruments.families.common import number
from hwloop_drivers.instruments.keithley_2400.driver import Keithley2400
from hwloop_drivers.instruments.keithley_2400.sweep import ListSweep
from hwloop_drivers.instruments.keithley_7001 import Keithley7001
from hwloop_drivers.instruments.keysight_33500b import Keysight33500B
from hwloop_drivers.roles import Measured, SourceSetup, Train, TrainPoint, VerifyLoop
from hwloop_drivers.testing import (
    PulseGeneratorTrial,
    SourceMeterTrial,
    check_pulse_generator,
    check_source_meter,
    check_switch_matrix,
)
from tests.drivers.conformance_rigs import Source, matrix_rig
from tests.drivers.instruments.test_matrices import CASES

NPLC = {"nplc": 1}


def broken_meters() -> Iterator[tuple[str, type[Keithley2400]]]:
    class AnyBox(Keithley2400):
        def verify_identity(self) -> None:
            pass

    yield "another identity must be refused", AnyBox

    class SendsAtOnce(Keithley2400):
        def __init__(self, link: Any, settings: Any) -> None:
            super().__init__(link, settings)
            link.write("*CLS")

    yield "making a driver must send nothing", SendsAtOnce

    class Swallows(Keithley2400):
        def check_errors(self) -> None:
            self.clear()

    yield "an error of the instrument must be raised", Swallows

    class StaysOpen(Keithley2400):
        def shutdown(self) -> None:
            self.safe_state()

    yield "the end of with must close the link", StaysOpen

    class StaysOn(Keithley2400):
        def shutdown(self) -> None:
            self.link.close()

    yield "the end of with must leave the output off", StaysOn

    class TurnsOn(Keithley2400):
        def set_up(self, setup: SourceSetup) -> None:
            super().set_up(setup)
            self.source_enabled = True

    yield "set_up must leave the output as it was", TurnsOn

    class TurnsOff(Keithley2400):
        def set_up(self, setup: SourceSetup) -> None:
            self.source_enabled = False
            super().set_up(setup)

    yield "set_up must leave the output as it was", TurnsOff

    class SixDigits(Keithley2400):
        def _send_setting(self, header: str, value: float | str) -> None:
            self._set(f"{header} {value if isinstance(value, str) else format(value, '.6g')}")

    yield "the compliance must be sent with nine digits", SixDigits

    class Trusts(Keithley2400):
        def _confirm_settings(self) -> None:
            pass

    yield "that the instrument did not take must be an InstrumentFault", Trusts

    class ClipsCompliance(Keithley2400):
        def set_up(self, setup: SourceSetup) -> None:
            super().set_up(SourceSetup(setup.range_v, min(setup.compliance_a, 1.05)))

    yield "must be refused; it was done", ClipsCompliance

    class SendsFirst(Keithley2400):
        def set_up(self, setup: SourceSetup) -> None:
            self._set(":SOUR:FUNC VOLT")
            super().set_up(setup)

    yield "must be refused before anything is sent", SendsFirst

    class TimesByHand(Keithley2400):
        def refuse_train(self, points: Sequence[TrainPoint]) -> None:
            pass

        def apply_train(self, points: Sequence[TrainPoint]) -> Train:
            readings = []
            for point in points:
                self.source_voltage = point.level_v
                if point.measure:
                    readings.append(self.measure_current())
            self.source_voltage = 0.0
            return Train.of(readings)

    yield "a train of [] must be refused", TimesByHand

    class RoundsLevel(Keithley2400):
        source_voltage = property(
            lambda self: self._level_v,
            lambda self, v: Keithley2400.source_voltage.__set__(self, round(v, 1)),  # type: ignore[attr-defined]
        )

    yield "a level must reach the output", RoundsLevel

    class ClipsLevel(Keithley2400):
        source_voltage = property(
            lambda self: self._level_v,
            lambda self, v: Keithley2400.source_voltage.__set__(self, max(min(v, 2.0), -2.0)),  # type: ignore[attr-defined]
        )

    yield "a level of 100 V must be refused; it was done", ClipsLevel

    class Backwards(Keithley2400):
        def measure_current(self) -> Measured:
            seen = super().measure_current()
            return Measured(-seen.current_a, seen.flags)

    yield "a reading must be the current out of the output", Backwards

    class NumberAtCompliance(Keithley2400):
        def measure_current(self) -> Measured:
            seen = super().measure_current()
            return replace(seen, current_a=self.compliance_current) if seen.flags else seen

    yield "a reading at compliance must be NaN", NumberAtCompliance

    class Unflagged(Keithley2400):
        def measure_current(self) -> Measured:
            return Measured(super().measure_current().current_a)

    yield "must be flagged COMPLIANCE", Unflagged

    class NeverTripped(Keithley2400):
        @property
        def tripped(self) -> bool:
            return False

    yield "an output at its compliance must be tripped", NeverTripped

    class Hurries(Keithley2400):
        def _run(self, sweep: ListSweep) -> tuple[list[Measured], Flag]:
            return super()._run(replace(sweep, delay_s=sweep.delay_s / 2))

    yield "V for 0.002 s; it saw", Hurries

    class LosesThePolarity(Keithley2400):
        def _run(self, sweep: ListSweep) -> tuple[list[Measured], Flag]:
            return super()._run(replace(sweep, levels_v=tuple(map(abs, sweep.levels_v))))

    yield "the load must see", LosesThePolarity

    class ForgetsReadings(Keithley2400):
        def apply_train(self, points: Sequence[TrainPoint]) -> Train:
            train = super().apply_train(points)
            return replace(train, readings=train.readings[:1])

    yield "one reading for each point that measures", ForgetsReadings

    class StaysUp(Keithley2400):
        def apply_train(self, points: Sequence[TrainPoint]) -> Train:
            train = super().apply_train(points)
            self.link.write(":SOUR:VOLT 0.1")
            return train

    yield "after a train the output must be on, at 0 V", StaysUp

    kept = "must leave what read_back gives as it was"

    class MovesTheSense(Keithley2400):
        def measure_current(self) -> Measured:
            self.link.write(":SYST:RSEN ON")
            return super().measure_current()

    yield kept, MovesTheSense

    class LeavesFourWires(Keithley2400):
        def apply_train(self, points: Sequence[TrainPoint]) -> Train:
            train = super().apply_train(points)
            self.link.write(":SYST:RSEN ON")
            return train

    yield kept, LeavesFourWires

    class SilentLoop(Keithley2400):
        def verify_loop(self, loop: VerifyLoop) -> list[Measured]:
            self.source_voltage = loop.read_v
            readings = [self.measure_current() for _ in range(loop.max_pulses)]
            self.source_voltage = 0.0
            return readings

    yield "the load must see", SilentLoop

    class GarbageIsZero(Keithley2400):
        def measure_current(self) -> Measured:
            try:
                return super().measure_current()
            except UnexpectedReply:
                return Measured(0.0)

    yield "a garbled answer must be an UnexpectedReply", GarbageIsZero

    class GarbageIsNaN(Keithley2400):
        def measure_current(self) -> Measured:
            try:
                return super().measure_current()
            except UnexpectedReply:
                return Measured(math.nan, Flag.OVER_RANGE)

    yield "a garbled answer must be an UnexpectedReply", GarbageIsNaN

    class OnlyZero(Keithley2400):
        def safe_state(self) -> None:
            self.source_voltage = 0.0

    yield "safe_state must leave source_enabled False", OnlyZero

    class OnlyWhenWell(Keithley2400):
        def safe_state(self) -> None:
            self._raise_errors()
            super().safe_state()

    yield "safe_state must work after an error", OnlyWhenWell

    class OnlyWhenReady(Keithley2400):
        def safe_state(self) -> None:
            if self._level_v:
                super().safe_state()

    yield "that another driver has left at a level", OnlyWhenReady


def broken_generators() -> Iterator[tuple[str, type[BurstOutput]]]:
    class Unread(BurstOutput):
        def _set_confirmed(self, header: str, value: float) -> None:
            self._set(f"{header} {number(value)}")

        def _set_word_confirmed(self, header: str, word: str) -> None:
            self._set(f"{header} {word}")

        def _set_load(self) -> None:
            self._set(f"{self._dialect.load} INF")

        def _confirm_shape(self, *args: Any) -> None:
            pass

        def _lock_range(self, bound_v: float) -> None:
            pass

        def _confirm_load(self) -> None:
            pass

        def _confirm_all(self, settings: Mapping[str, float | str]) -> None:
            pass

    yield "settings that the instrument did not take must be an InstrumentFault", Unread

    class Doubles(BurstOutput):
        def _set_load(self) -> None:
            self._set(f"{self._dialect.load} 50")

        def _confirm_load(self) -> None:
            pass

    yield "a level must reach the output: 1.23457 V was set, 2.47 V is there", Doubles

    class Positive(BurstOutput):
        def apply_pulses(
            self, *, level_v: float, width_s: float, count: int = 1, interval_s: float | None = None
        ) -> None:
            super().apply_pulses(
                level_v=abs(level_v), width_s=width_s, count=count, interval_s=interval_s
            )

    yield "the load must see", Positive

    class Once(BurstOutput):
        def apply_pulses(
            self, *, level_v: float, width_s: float, count: int = 1, interval_s: float | None = None
        ) -> None:
            self.refuse_pulses(level_v=level_v, width_s=width_s, count=count, interval_s=interval_s)
            super().apply_pulses(level_v=level_v, width_s=width_s, interval_s=interval_s)

    yield "the load must see", Once

    class OwnPause(BurstOutput):
        def apply_pulses(
            self, *, level_v: float, width_s: float, count: int = 1, interval_s: float | None = None
        ) -> None:
            self.refuse_pulses(level_v=level_v, width_s=width_s, count=count, interval_s=interval_s)
            super().apply_pulses(level_v=level_v, width_s=width_s, count=count)

    yield "pulses must stand the interval apart: 3e-07 s were asked for", OwnPause

    class Microseconds(BurstOutput):
        def apply_pulses(
            self, *, level_v: float, width_s: float, count: int = 1, interval_s: float | None = None
        ) -> None:
            self.refuse_pulses(level_v=level_v, width_s=width_s, count=count, interval_s=interval_s)
            rounded_s = max(round(width_s, 6), 1e-6)
            super().apply_pulses(
                level_v=level_v, width_s=rounded_s, count=count, interval_s=interval_s
            )

    yield "V for 1e-07 s; it saw", Microseconds

    class FromBelow(BurstOutput):
        """Rests at the low level whatever the sign."""

        def _path(self, now: Any, rest_v: float, peak_v: float) -> list[str]:
            return [c for c in super()._path(now, rest_v, peak_v) if "POL" not in c]

        def _confirm_shape(self, *args: Any) -> None:
            pass

    yield "the load must see", FromBelow

    class LeavesOn(BurstOutput):
        def make_safe(self) -> None:
            self._move(0.0)

    yield "the end of with must leave the output off", LeavesOn

    class AnyWidth(BurstOutput):
        def refuse_pulses(
            self, *, level_v: float, width_s: float, count: int, interval_s: float | None = None
        ) -> None:
            pass

    yield "must be refused", AnyWidth

    class ReturnsEarly(BurstOutput):
        def _trigger(self, duration_s: float) -> None:
            self._set(f"{self._dialect.source} BUS;*TRG")

    yield "the load must see", ReturnsEarly

    class WidensItsLimit(BurstOutput):
        def apply_pulses(
            self, *, level_v: float, width_s: float, count: int = 1, interval_s: float | None = None
        ) -> None:
            super().apply_pulses(
                level_v=level_v, width_s=width_s, count=count, interval_s=interval_s
            )
            self._set(f"{self._dialect.limit_high} 4")

    yield "must leave what read_back gives as it was", WidensItsLimit


def broken_matrices() -> Iterator[tuple[str, type[Keithley7001]]]:
    class Trusts(Keithley7001):
        def _fault(self, what: str, channels: Any) -> None:
            pass

    yield "a relay that does not close must be an InstrumentFault that names it", Trusts

    class Nameless(Keithley7001):
        def _fault(self, what: str, channels: Any) -> None:
            super()._fault(what, ["a relay"] if channels else [])

    yield "must be an InstrumentFault that names it", Nameless

    class SaysWhatItWanted(Keithley7001):
        wanted: frozenset[str] = frozenset()

        def close_channels(self, channels: Sequence[str]) -> None:
            self._refuse(channels)
            super().close_channels(channels[:1])
            self.wanted = frozenset(channels)

        closed = property(lambda self: self.wanted or Keithley7001.closed.fget(self))  # type: ignore[attr-defined,assignment]

    yield "must be closed", SaysWhatItWanted

    class AnyChannel(Keithley7001):
        def refuse_channel(self, channel: str) -> None:
            pass

    yield "is no channel, and must be refused", AnyChannel

    class ClosesTheGoodOnes(Keithley7001):
        def close_channels(self, channels: Sequence[str]) -> None:
            for channel in channels:
                super().close_channels([channel])

    yield "must be refused before anything is sent", ClosesTheGoodOnes

    class OpensFirst(Keithley7001):
        def change(self, *, close: Sequence[str], open_: Sequence[str]) -> None:
            self.open_channels(open_)
            self.close_channels(close)

    yield "change must close before it opens", OpensFirst

    class GarbageIsOpen(Keithley7001):
        @property
        def closed(self) -> frozenset[str]:
            try:
                return super().closed
            except UnexpectedReply:
                return frozenset()

    yield "a garbled answer must be an UnexpectedReply", GarbageIsOpen

    class LeavesClosed(Keithley7001):
        def safe_state(self) -> None:
            self.clear()

    yield "safe_state must leave every channel open", LeavesClosed

    class ResetsNothing(Keithley7001):
        def reset(self) -> None:
            self.clear()

    yield "must be closed", ResetsNothing


def _refused(rule: str, check: Callable[[], None], name: str) -> None:
    with pytest.raises(Exception) as caught:
        check()
    assert rule in str(caught.value), f"{name}: {caught.value}"
    assert isinstance(caught.value, AssertionError), f"{name}: {caught.value!r}"


@pytest.mark.parametrize(
    ("rule", "driver"), list(broken_meters()), ids=lambda v: getattr(v, "__name__", "")
)
def test_suite_names_the_rule_that_a_source_meter_breaks(rule: str, driver: Any) -> None:
    source = Source("keithley_2400", NPLC, driver=driver)
    _refused(rule, lambda: check_source_meter(source.make), driver.__name__)


@pytest.mark.parametrize(
    ("rule", "output"), list(broken_generators()), ids=lambda v: getattr(v, "__name__", "")
)
def test_suite_names_the_rule_that_a_pulse_generator_breaks(rule: str, output: Any) -> None:
    def make(link: Any, settings: Any) -> Keysight33500B:
        generator = Keysight33500B(link, settings)
        good = generator._outputs[""]
        generator._outputs[""] = output(link, settings, good._name, good._dialect, good._bounds)
        return generator

    source = Source("keysight_33500b", {"model": "33511B"}, driver=make)
    _refused(rule, lambda: check_pulse_generator(source.make), output.__name__)


@pytest.mark.parametrize(
    ("rule", "driver"), list(broken_matrices()), ids=lambda v: getattr(v, "__name__", "")
)
def test_suite_names_the_rule_that_a_matrix_breaks(rule: str, driver: Any) -> None:
    def make(link: Any, settings: Any) -> Keithley7001:
        parsed = keithley_7001.Keithley7001Settings.parse(dict(settings))
        made: Keithley7001 = driver(link, parsed)
        return made

    _refused(rule, lambda: check_switch_matrix(partial(matrix_rig, CASES[0], driver=make)), "")


def test_a_rig_must_hand_its_link_through_the_tap() -> None:
    source = Source("keithley_2400")

    def make(_: Any) -> Any:
        bypass: Any = lambda link: link  # noqa: E731 - what is wrong here
        return source.make(bypass)

    with pytest.raises(AssertionError, match="through tap, once"):
        check_source_meter(make)


def test_a_trial_beyond_the_instrument_is_refused_as_what_it_is() -> None:
    source = Source("keysight_33500b", {"model": "33511B"})
    rule = "pulses within the instrument's reach must be accepted; it raised Unsupported"
    with pytest.raises(AssertionError, match=rule):
        check_pulse_generator(source.make, PulseGeneratorTrial(widths_s=(0.1, 1e-9)))


def test_an_instrument_that_is_said_to_make_no_trains_must_refuse_them() -> None:
    source = Source("keithley_2400", NPLC)
    with pytest.raises(AssertionError, match=r"a train of .* must be refused; it was done"):
        check_source_meter(source.make, SourceMeterTrial(trains=False))
