"""Rules that every output keeps, with a meter or without."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from hwloop_drivers.roles import Instrument, PulseGenerator, SourceMeter
from hwloop_drivers.roles.read_back import refuse_changed
from hwloop_drivers.testing.rigs import (
    Make,
    SeenPulse,
    SourceRig,
    Tried,
    broken_off,
    near,
    refused_unsent,
    rule,
)

Ready = Callable[[Tried[SourceRig]], SourceMeter | PulseGenerator]
LEVEL_DIGITS_V = 1e-4  # no output is finer than needed to tell 0 V from this


def expect_settings(instrument: Instrument, before: Mapping[str, object]) -> None:
    """Check that ``read_back`` gives what it gave before levels, readings and trains."""
    with rule("levels, readings and trains must leave what read_back gives as it was"):
        refuse_changed("the instrument", before, instrument.read_back())


def check_levels(
    make: Make[SourceRig],
    ready: Ready,
    levels_v: Sequence[float],
    *,
    beyond_v: float,
    relative: float,
) -> None:
    """Check that a level reaches the output at once, and is refused unsent beyond the range."""
    tried = Tried(make)
    source = ready(tried)
    assert tried.rig.output_v() == 0, "an output that is switched on after set_up must be at 0 V"
    for level_v in levels_v:
        with rule(f"a level of {level_v:g} V within the range must be accepted"):
            source.source_voltage = level_v
        driven_v = tried.rig.output_v()
        assert driven_v is not None, "a level must not switch the output off"
        assert near(driven_v, level_v, relative, LEVEL_DIGITS_V), (
            f"a level must reach the output: {level_v:g} V was set, {driven_v:g} V is there"
        )
        assert near(source.source_voltage, level_v, relative, LEVEL_DIGITS_V), (
            "source_voltage must be the level that was set"
        )
        assert not level_v or tried.tap.sent_number(level_v), (
            "a level must be sent with nine digits"
        )
    for wrong_v in (beyond_v, -beyond_v, float("nan")):

        def set_wrong(wrong_v: float = wrong_v) -> None:
            source.source_voltage = wrong_v

        refused_unsent(tried.tap, set_wrong, f"a level of {wrong_v:g} V must be refused")
    tried.rig.instrument.check_errors()


def check_safe_states(make: Make[SourceRig], ready: Ready, level_v: float) -> None:
    """Check the safe state from a level, after an error, before any setup, and repeated."""
    for cause in ("a level", "an error", "nothing"):
        tried = Tried(make)
        if cause != "nothing":
            source = ready(tried)
            source.source_voltage = level_v
        if cause == "an error" and tried.rig.mistake:
            tried.tap.inner.write(tried.rig.mistake)
        for _ in range(2):
            _make_safe(tried, f"after {cause}")
    tried = Tried(make)
    source = ready(tried)
    source.source_voltage = level_v
    tried.rig.instrument.safe_state()
    assert not source.source_enabled, "safe_state must leave source_enabled False"
    tried = Tried(make)
    ready(tried).source_voltage = level_v
    with rule("safe_state of a driver that knows nothing must work"):
        tried.rig.again().safe_state()
    assert not tried.rig.output_v(), (
        "safe_state must leave the output off that another driver has left at a level"
    )


def check_broken_off(
    make: Make[SourceRig], train_of: Callable[[Tried[SourceRig]], Callable[[], object]]
) -> None:
    """Check that after a train broken off at any message the safe state and a new train work."""
    for tried in broken_off(make, train_of):
        _make_safe(tried, f"after a train that broke off at {tried.tap.sent[-1]!r}")
        before = len(tried.rig.pulses())
        with rule("a train must go after one that broke off, once the instrument is reset"):
            train_of(tried)()
        fresh = [p for p in list(tried.rig.pulses())[before:] if p.width_s]
        assert fresh, "a train must go after one that broke off, once the instrument is reset"
        assert tried.rig.output_v() == 0, "after a train the output must be on, at 0 V"


def check_shutdown(make: Make[SourceRig], ready: Ready, level_v: float) -> None:
    """Check that the end of ``with`` leaves the output off."""
    tried = Tried(make)
    with rule("the end of with must leave the output off"), tried.rig.instrument:
        source = ready(tried)
        source.source_voltage = level_v
    assert not tried.rig.output_v(), "the end of with must leave the output off"
    assert tried.tap.closed, "the end of with must close the link"


def expect_pulses(
    seen: Sequence[SeenPulse], expected: Sequence[tuple[float, float]], relative: float
) -> None:
    """Check that the resistor saw these pulses, (volts, seconds), and no others."""
    message = f"the load must see {_listed(expected)}; it saw " + _listed(
        [(pulse.level_v, pulse.width_s) for pulse in seen]
    )
    assert len(seen) == len(expected), message
    for pulse, (level_v, width_s) in zip(seen, expected, strict=True):
        assert near(pulse.level_v, level_v, relative), message
        assert near(pulse.width_s, width_s, relative), message


def expect_interval(seen: Sequence[SeenPulse], interval_s: float, relative: float) -> None:
    """Check that the latest two pulses stood ``interval_s`` apart, end to begin."""
    before, after = seen[-2:]
    found_s = after.ended_s - after.width_s - before.ended_s
    if not math.isnan(found_s):
        assert near(found_s, interval_s, relative), (
            f"pulses must stand the interval apart: {interval_s:g} s were asked for, {found_s:g} s"
            " passed"
        )


def _make_safe(tried: Tried[SourceRig], when: str) -> None:
    with rule(f"safe_state must work {when}"):
        tried.rig.instrument.safe_state()
    assert not tried.rig.output_v(), (
        f"safe_state must leave the output off {when}; it is at {tried.rig.output_v()} V"
    )


def _listed(pulses: Sequence[tuple[float, float]]) -> str:
    return ", ".join(f"{level_v:g} V for {width_s:g} s" for level_v, width_s in pulses) or "nothing"
