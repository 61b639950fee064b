"""The conformance suite of pulse generators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwloop.errors import InstrumentFault, UnexpectedReply
from hwloop_drivers.roles import PulseGenerator
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
    raises,
    refused_unsent,
    rule,
)


@dataclass(frozen=True)
class PulseGeneratorTrial:
    """Values that the suite asks for; they must be within the instrument's reach.

    ``level_v``: of pulses, above the rig's quiet level. ``read_v``: below it. ``widths_s``: of
    pulses. ``relative``: fraction by which levels and widths may differ.
    """

    range_v: float = 2.0
    level_v: float = 1.2345678
    read_v: float = 0.1
    widths_s: tuple[float, ...] = (1e-7, 2.5e-5, 0.05, 4.0)
    relative: float = 1e-3


def check_pulse_generator(make: Make[SourceRig], trial: PulseGeneratorTrial | None = None) -> None:
    """Check every rule on fresh rigs from ``make``; AssertionError says which is broken."""
    asked = trial or PulseGeneratorTrial()
    with OneAtATime(make) as one:
        check_instrument(one)
        check_shutdown(one, lambda tried: _ready(tried, asked), asked.read_v)
        _check_set_up(one, asked)
        _check_refusals(one, asked)
        check_levels(
            one,
            lambda tried: _ready(tried, asked),
            (asked.level_v, -asked.level_v, asked.read_v, 0.0),
            beyond_v=2 * asked.range_v + 1,
            relative=asked.relative,
        )
        _check_pulses(one, asked)
        _check_garbage(one, asked)
        check_safe_states(one, lambda tried: _ready(tried, asked), asked.level_v)
        check_broken_off(one, lambda tried: _train_of(tried, asked))


def _source(tried: Tried[SourceRig]) -> PulseGenerator:
    source = tried.rig.instrument.outputs().get(tried.rig.output)
    assert isinstance(source, PulseGenerator), "outputs() must give the generator by its name"
    return source


def _ready(tried: Tried[SourceRig], trial: PulseGeneratorTrial) -> PulseGenerator:
    source = _source(tried)
    with rule("a trial within the instrument's reach must be accepted"):
        tried.rig.instrument.verify_identity()
        tried.rig.instrument.reset()
        source.set_up(range_v=trial.range_v)
        source.source_enabled = True
        tried.rig.instrument.check_errors()
    return source


def _check_set_up(make: Make[SourceRig], trial: PulseGeneratorTrial) -> None:
    tried = Tried(make)
    source = _source(tried)
    tried.rig.instrument.reset()
    source.set_up(range_v=trial.range_v)
    tried.rig.instrument.check_errors()
    assert not source.source_enabled, "set_up must leave the output as it was"
    assert not tried.rig.output_v(), "set_up must leave the output as it was"
    assert source.source_voltage == 0, "set_up must end at 0 V"
    source.source_enabled = True
    assert source.source_enabled, "source_enabled must say that the output is on"
    source.set_up(range_v=trial.range_v)
    assert tried.rig.output_v() == 0, "set_up must leave the output as it was"
    _check_deaf(make, trial)


def _check_deaf(make: Make[SourceRig], trial: PulseGeneratorTrial) -> None:
    """Check that settings are read back: an instrument that takes none must be refused."""
    tried = Tried(make)
    tried.rig.instrument.reset()
    tried.tap.lost = lambda text: "?" not in text
    raises(
        InstrumentFault,
        lambda: _source(tried).set_up(range_v=trial.range_v),
        "settings that the instrument did not take must be an InstrumentFault",
    )


def _check_refusals(make: Make[SourceRig], trial: PulseGeneratorTrial) -> None:
    tried = Tried(make)
    source, tap = _source(tried), tried.tap
    message = f"a range of {ABSENT:g} V must be refused"
    refused_unsent(tap, lambda: source.set_up(range_v=ABSENT), message)
    width_s = trial.widths_s[0]
    wrong = (
        (ABSENT, width_s, 1),
        (-ABSENT, width_s, 1),
        (float("nan"), width_s, 1),
        (trial.level_v, 1e-18, 1),
        (trial.level_v, 1e18, 1),
        (trial.level_v, float("nan"), 1),
        (trial.level_v, width_s, 0),
        (trial.level_v, width_s, 10**12),
    )
    wrong_intervals_s = (1e-18, 1e18, float("nan"))

    def refuse_all(act: Callable[..., None]) -> None:
        for level_v, wrong_s, count in wrong:

            def action(level_v: float = level_v, s: float = wrong_s, count: int = count) -> None:
                act(level_v=level_v, width_s=s, count=count)

            message = f"{count} pulses of {level_v:g} V for {wrong_s:g} s must be refused"
            refused_unsent(tap, action, message)

        for wrong_s in wrong_intervals_s:

            def apart(wrong_s: float = wrong_s) -> None:
                act(level_v=trial.level_v, width_s=width_s, count=2, interval_s=wrong_s)

            refused_unsent(tap, apart, f"pulses {wrong_s:g} s apart must be refused")

    refuse_all(source.refuse_pulses)
    sent = len(tap.sent)
    with rule("pulses within the instrument's reach must be accepted"):
        for good_s in trial.widths_s:
            source.refuse_pulses(level_v=trial.level_v, width_s=good_s, count=2)
            source.refuse_pulses(
                level_v=trial.level_v, width_s=good_s, count=2, interval_s=3 * good_s
            )
    assert len(tap.sent) == sent, "refuse_pulses must send nothing"
    _ready(tried, trial)
    refuse_all(source.apply_pulses)
    beyond_v = 2 * trial.range_v + 1
    refused_unsent(
        tap,
        lambda: source.apply_pulses(level_v=beyond_v, width_s=width_s),
        "pulses beyond the range that was set up must be refused",
    )


def _train_of(tried: Tried[SourceRig], trial: PulseGeneratorTrial) -> Callable[[], object]:
    source = _ready(tried, trial)
    return lambda: source.apply_pulses(level_v=-trial.level_v, width_s=trial.widths_s[-1], count=3)


def _check_pulses(make: Make[SourceRig], trial: PulseGeneratorTrial) -> None:
    tried = Tried(make)
    source = _ready(tried, trial)
    before = tried.rig.instrument.read_back()
    share = tried.rig.load_ohm / (tried.rig.load_ohm + source.output_ohm)
    expected: list[tuple[float, float]] = []
    for width_s in trial.widths_s:
        for level_v, count in ((trial.level_v, 2), (-trial.level_v, 1), (-trial.level_v / 1.1, 2)):
            source.apply_pulses(level_v=level_v, width_s=width_s, count=count)
            expected += [(level_v * share, width_s)] * count
            expect_pulses(tried.rig.pulses(), expected, trial.relative)
            _check_interval(tried, trial, width_s, expected)
            assert tried.rig.output_v() == 0, "after pulses the output must be on, at 0 V"
            assert source.source_voltage == 0, "after pulses source_voltage must be 0"
            assert tried.tap.sent_number(level_v), "a level must be sent with nine digits"
            assert tried.tap.sent_number(width_s), "a width must be sent with nine digits"
    assert source.source_enabled, "after pulses the output must be on, at 0 V"
    expect_settings(tried.rig.instrument, before)
    tried.rig.instrument.check_errors()


def _check_interval(
    tried: Tried[SourceRig],
    trial: PulseGeneratorTrial,
    width_s: float,
    expected: list[tuple[float, float]],
) -> None:
    """Check the interval of two pulses; what the load sees is added to ``expected``."""
    level_v, interval_s = expected[-1][0], 3 * width_s
    source = _source(tried)
    share = tried.rig.load_ohm / (tried.rig.load_ohm + source.output_ohm)
    source.apply_pulses(level_v=level_v / share, width_s=width_s, count=2, interval_s=interval_s)
    expected += [(level_v, width_s)] * 2
    expect_pulses(tried.rig.pulses(), expected, trial.relative)
    expect_interval(tried.rig.pulses(), interval_s, trial.relative)


def _check_garbage(make: Make[SourceRig], trial: PulseGeneratorTrial) -> None:
    tried = Tried(make)
    source = _ready(tried, trial)
    tried.tap.garbled = True
    message = "a garbled answer must be an UnexpectedReply"
    raises(UnexpectedReply, lambda: source.source_enabled, message)

    def pulse() -> None:
        source.apply_pulses(level_v=trial.level_v, width_s=trial.widths_s[0])

    raises(UnexpectedReply, pulse, message)
