"""The conformance suite of source meters."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from hwloop.array.operations import Flag
from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.roles import Measured, SourceMeter, SourceSetup, Train, TrainPoint, VerifyLoop
from hwloop_drivers.testing.outputs import (
    check_broken_off,
    check_levels,
    check_safe_states,
    check_shutdown,
    expect_interval,
    expect_pulses,
    expect_settings,
)
from hwloop_drivers.testing.rigs import (
    ABSENT,
    Make,
    OneAtATime,
    SourceRig,
    Tried,
    check_instrument,
    near,
    raises,
    refused_unsent,
    rule,
)
from hwloop_drivers.testing.tap import holds_number


@dataclass(frozen=True)
class SourceMeterTrial:
    """Values that the suite asks for; they must be within the instrument's reach.

    ``level_v``: of pulses, above the rig's quiet level. ``read_v``: below it. ``width_s``,
    ``read_width_s``: of pulses and of levels with a reading. ``compliance_a`` must be more than
    ``level_v`` drives through the load, and not so much more that a range that carries it does not
    resolve ``read_v``: some instruments read in that range inside a train. ``beyond_v``: out of the
    range that the instrument locks for ``range_v``. ``relative``: fraction by which readings and
    levels may differ. ``trains``: False for an instrument that reads and holds levels only; then
    every train must be refused.
    """

    range_v: float = 2.0
    level_v: float = 1.2345678
    read_v: float = 0.1
    width_s: float = 2e-3
    read_width_s: float = 0.1
    compliance_a: float = 2.34567891e-5
    nplc: float = 1.0
    beyond_v: float = 100.0
    relative: float = 1e-3
    trains: bool = True

    @property
    def setup(self) -> SourceSetup:
        """Get the setup that the trial begins with."""
        return SourceSetup(self.range_v, self.compliance_a, nplc=self.nplc)


def check_source_meter(make: Make[SourceRig], trial: SourceMeterTrial | None = None) -> None:
    """Check every rule on fresh rigs from ``make``; AssertionError says which is broken."""
    asked = trial or SourceMeterTrial()
    with OneAtATime(make) as one:
        check_instrument(one)
        check_shutdown(one, lambda tried: _ready(tried, asked), asked.read_v)
        _check_set_up(one, asked)
        _check_refusals(one, asked)
        check_levels(
            one,
            lambda tried: _ready(tried, asked),
            (asked.level_v, -asked.level_v, asked.read_v, 0.0),
            beyond_v=asked.beyond_v,
            relative=asked.relative,
        )
        _check_readings(one, asked)
        _check_compliance(one, asked)
        _check_garbage(one, asked)
        check_safe_states(one, lambda tried: _ready(tried, asked), asked.level_v)
        if asked.trains:
            _check_train(one, asked)
            _check_verify_loop(one, asked)
            check_broken_off(one, lambda tried: _train_of(tried, asked))


def _source(tried: Tried[SourceRig]) -> SourceMeter:
    source = tried.rig.instrument.outputs().get(tried.rig.output)
    assert isinstance(source, SourceMeter), "outputs() must give the source meter by its name"
    return source


def _ready(tried: Tried[SourceRig], trial: SourceMeterTrial) -> SourceMeter:
    source = _source(tried)
    with rule("a trial within the instrument's reach must be accepted"):
        tried.rig.instrument.verify_identity()
        tried.rig.instrument.reset()
        source.set_up(trial.setup)
        source.source_enabled = True
        tried.rig.instrument.check_errors()
    return source


def _check_set_up(make: Make[SourceRig], trial: SourceMeterTrial) -> None:
    tried = Tried(make)
    source = _source(tried)
    tried.rig.instrument.reset()
    source.set_up(trial.setup)
    tried.rig.instrument.check_errors()
    assert not source.source_enabled, "set_up must leave the output as it was"
    assert not tried.rig.output_v(), "set_up must leave the output as it was"
    assert tried.tap.sent_number(trial.compliance_a), "the compliance must be sent with nine digits"
    assert near(source.compliance_current, trial.compliance_a, 1e-6), (
        "compliance_current must be what was set up"
    )
    assert source.source_voltage == 0, "set_up must end at 0 V"
    source.source_enabled = True
    assert source.source_enabled, "source_enabled must say that the output is on"
    source.set_up(trial.setup)
    assert source.source_enabled, "set_up must leave the output as it was"
    _check_lost_compliance(make, trial)


def _check_lost_compliance(make: Make[SourceRig], trial: SourceMeterTrial) -> None:
    """Check that a compliance which the instrument does not take is refused."""
    tried = Tried(make)
    tried.rig.instrument.reset()
    tried.tap.lost = lambda text: "?" not in text and holds_number(text, trial.compliance_a, 1e-2)
    raises(
        InstrumentFault,
        lambda: _source(tried).set_up(trial.setup),
        "a compliance that the instrument did not take must be an InstrumentFault",
    )


def _check_refusals(make: Make[SourceRig], trial: SourceMeterTrial) -> None:
    tried = Tried(make)
    source, tap = _source(tried), tried.tap
    for wrong in (
        SourceSetup(ABSENT, trial.compliance_a),
        SourceSetup(trial.range_v, ABSENT),
        SourceSetup(trial.range_v, 1e-30),
    ):
        refused_unsent(tap, partial(source.set_up, wrong), f"{wrong} must be refused")
    trains: tuple[Sequence[TrainPoint], ...] = (
        [],
        [TrainPoint(trial.level_v, 1e-18)],
        [TrainPoint(trial.level_v, 1e18)],
        [TrainPoint(ABSENT, trial.width_s)],
    )
    for train in trains:
        message = f"a train of {train} must be refused"
        refused_unsent(tap, partial(source.refuse_train, train), message)
    good = [TrainPoint(trial.level_v, trial.width_s)]
    sent = len(tap.sent)
    if trial.trains:
        with rule("a train within the instrument's reach must be accepted"):
            source.refuse_train(good)
    else:
        trains = (*trains, good)
    with rule("a level within the instrument's reach must be accepted"):
        source.refuse_level(trial.level_v)
    assert len(tap.sent) == sent, "refuse_train and refuse_level must send nothing"
    refused_unsent(tap, lambda: source.refuse_level(ABSENT), f"a level of {ABSENT:g} V")
    _ready(tried, trial)
    for train in trains:
        message = f"a train of {train} must be refused"
        refused_unsent(tap, partial(source.apply_train, train), message)
    beyond = [TrainPoint(trial.beyond_v, trial.width_s)]
    message = "a train beyond the range that was set up must be refused"
    refused_unsent(tap, lambda: source.apply_train(beyond), message)


def _check_readings(make: Make[SourceRig], trial: SourceMeterTrial) -> None:
    tried = Tried(make)
    source = _ready(tried, trial)
    before = tried.rig.instrument.read_back()
    for level_v in (trial.level_v, -trial.level_v, trial.read_v):
        source.source_voltage = level_v
        measured = source.measure_current()
        assert measured.flags == Flag(0), "a good reading must have no flag"
        assert near(measured.current_a, level_v / tried.rig.load_ohm, trial.relative), (
            f"a reading must be the current out of the output: {level_v:g} V through"
            f" {tried.rig.load_ohm:g} ohm read {measured.current_a:g} A"
        )
        assert near(source.current, level_v / tried.rig.load_ohm, trial.relative), (
            "current must be what measure_current reads"
        )
        assert not _tripped(source), "an output below its compliance must not be tripped"
    source.ramp_to_voltage(0.0, steps=3)
    assert source.source_voltage == 0, "ramp_to_voltage must end at its level"
    expect_settings(tried.rig.instrument, before)
    tried.rig.instrument.check_errors()


def _check_compliance(make: Make[SourceRig], trial: SourceMeterTrial) -> None:
    tried = Tried(make)
    source = _ready(tried, trial)
    source.source_voltage = 0.0
    limit_a = trial.level_v / tried.rig.load_ohm / 2
    source.set_up(SourceSetup(trial.range_v, limit_a, nplc=trial.nplc))
    source.source_voltage = trial.level_v
    measured = source.measure_current()
    assert math.isnan(measured.current_a), (
        f"a reading at compliance must be NaN; it was {measured.current_a:g} A"
    )
    assert Flag.COMPLIANCE in measured.flags, "a reading at compliance must be flagged COMPLIANCE"
    assert math.isnan(source.current), "current at compliance must be NaN"
    assert _tripped(source), "an output at its compliance must be tripped"
    source.source_voltage = trial.read_v
    assert not _tripped(source), "an output below its compliance must not be tripped"
    assert source.measure_current().flags == Flag(0), "a good reading must have no flag"


def _tripped(source: SourceMeter) -> bool:
    return source.tripped


def _train(trial: SourceMeterTrial) -> list[TrainPoint]:
    up, down = trial.level_v, -trial.level_v / 1.1
    interval, pause = TrainPoint(0.0, 3 * trial.width_s), TrainPoint(0.0, trial.width_s)
    return [TrainPoint(up, trial.width_s), interval, TrainPoint(down, trial.width_s), pause]


def _train_of(tried: Tried[SourceRig], trial: SourceMeterTrial) -> Callable[[], object]:
    source = _ready(tried, trial)
    return lambda: source.apply_train(_train(trial))


def _check_train(make: Make[SourceRig], trial: SourceMeterTrial) -> None:
    tried = Tried(make)
    source = _ready(tried, trial)
    before = tried.rig.instrument.read_back()
    train = source.apply_train(_train(trial))
    assert train == Train(), (
        "a train that measures nothing and was not limited must give no reading and no flag"
    )
    tried.rig.instrument.check_errors()
    expected = [(p.level_v, p.width_s) for p in _train(trial) if p.level_v]
    expect_pulses(tried.rig.pulses(), expected, trial.relative)
    expect_interval(tried.rig.pulses(), 3 * trial.width_s, trial.relative)
    _expect_rest(source, tried.rig)
    measuring = [
        TrainPoint(trial.level_v, trial.read_width_s),
        TrainPoint(trial.read_v, trial.read_width_s, measure=True),
    ]
    train = source.apply_train(measuring * 3)
    tried.rig.instrument.check_errors()
    _expect_readings(train.readings, 3, trial.read_v / tried.rig.load_ohm, trial.relative)
    assert train.flags == Flag(0), "a train that no limit touched must have no flag"
    expected += [(trial.level_v, trial.read_width_s)] * 3
    expect_pulses(tried.rig.pulses(), expected, trial.relative)
    _expect_rest(source, tried.rig)
    source.source_voltage = trial.read_v
    assert near(source.current, trial.read_v / tried.rig.load_ohm, trial.relative), (
        "a train must leave levels and readings as they were"
    )
    expect_settings(tried.rig.instrument, before)


def _expect_readings(
    readings: Sequence[Measured], count: int, current_a: float, relative: float
) -> None:
    assert len(readings) == count, "a train must give one reading for each point that measures"
    for reading in readings:
        assert near(reading.current_a, current_a, relative), (
            f"a reading in a train must be {current_a:g} A; it was {reading.current_a:g} A"
        )


def _expect_rest(source: SourceMeter, rig: SourceRig) -> None:
    assert rig.output_v() == 0, "after a train the output must be on, at 0 V"
    assert source.source_enabled, "after a train the output must be on, at 0 V"
    assert source.source_voltage == 0, "after a train source_voltage must be 0"


def _check_verify_loop(make: Make[SourceRig], trial: SourceMeterTrial) -> None:
    """Check a loop's amplitudes, end and readings, or that it is refused unsent."""
    tried = Tried(make)
    source = _ready(tried, trial)
    before = tried.rig.instrument.read_back()
    read_a = trial.read_v / tried.rig.load_ohm
    step_v = trial.level_v / 10
    never = VerifyLoop(
        trial.level_v, step_v, trial.width_s, trial.read_v, trial.read_width_s,
        low_a=2 * read_a, high_a=3 * read_a, max_pulses=3,
    )  # fmt: skip
    sent = len(tried.tap.sent)
    try:
        readings = source.verify_loop(never)
    except Unsupported:
        assert len(tried.tap.sent) == sent, "a loop must be refused before anything is sent"
        return
    _expect_readings(readings, 3, read_a, trial.relative)
    steps = [(trial.level_v + n * step_v, trial.width_s) for n in range(3)]
    expect_pulses(tried.rig.pulses(), steps, trial.relative)
    _expect_rest(source, tried.rig)
    at_once = VerifyLoop(
        trial.level_v, step_v, trial.width_s, trial.read_v, trial.read_width_s,
        low_a=0.5 * read_a, high_a=2 * read_a, max_pulses=3,
    )  # fmt: skip
    _expect_readings(source.verify_loop(at_once), 1, read_a, trial.relative)
    expect_pulses(tried.rig.pulses(), [*steps, steps[0]], trial.relative)
    _expect_rest(source, tried.rig)
    open_below = replace(
        at_once, read_s=None, both_polarities=True, low_a=-math.inf, high_a=1.5 * read_a
    )
    _expect_readings(source.verify_loop(open_below), 1, read_a, trial.relative)
    expect_pulses(tried.rig.pulses(), [*steps, steps[0], steps[0]], trial.relative)
    _expect_rest(source, tried.rig)
    expect_settings(tried.rig.instrument, before)
    tried.rig.instrument.check_errors()


def _check_garbage(make: Make[SourceRig], trial: SourceMeterTrial) -> None:
    tried = Tried(make)
    source = _ready(tried, trial)
    tried.tap.garbled = True
    message = "a garbled answer must be an UnexpectedReply"
    raises(UnexpectedReply, source.measure_current, message)
    raises(UnexpectedReply, lambda: source.compliance_current, message)
    raises(UnexpectedReply, lambda: source.source_enabled, message)
    raises(UnexpectedReply, lambda: source.tripped, message)
