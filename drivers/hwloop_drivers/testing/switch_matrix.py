"""The conformance suite of switch matrices."""

from __future__ import annotations

from functools import partial

from hwloop.errors import InstrumentFault, UnexpectedReply
from hwloop_drivers.testing.rigs import (
    Make,
    MatrixRig,
    OneAtATime,
    Tried,
    broken_off,
    check_instrument,
    raises,
    refused_unsent,
    rule,
)


def check_switch_matrix(make: Make[MatrixRig]) -> None:
    """Check every rule on fresh rigs from ``make``; AssertionError says which is broken."""
    with OneAtATime(make) as one:
        check_instrument(one)
        _check_refusals(one)
        _check_switching(one)
        _check_change(one)
        _check_stuck(one)
        _check_garbage(one)
        _check_safe_states(one)


def _ready(make: Make[MatrixRig]) -> Tried[MatrixRig]:
    tried = Tried(make)
    with rule("a matrix must be reset and verified"):
        tried.rig.instrument.verify_identity()
        tried.rig.instrument.reset()
        tried.rig.instrument.check_errors()
    return tried


def _check_refusals(make: Make[MatrixRig]) -> None:
    tried = Tried(make)
    matrix = tried.rig.instrument
    for channel in tried.rig.channels:
        with rule(f"channel {channel!r} must be accepted"):
            matrix.refuse_channel(channel)
    assert tried.tap.sent == [], "refuse_channel must send nothing"
    for wrong in tried.rig.wrong:
        message = f"{wrong!r} is no channel, and must be refused"
        refused_unsent(tried.tap, partial(matrix.refuse_channel, wrong), message)
    tried = _ready(make)
    matrix, good = tried.rig.instrument, tried.rig.channels[0]
    for wrong in tried.rig.wrong:
        message = f"{wrong!r} is no channel, and must be refused"
        refused_unsent(tried.tap, partial(matrix.close_channels, [good, wrong]), message)
        refused_unsent(tried.tap, partial(matrix.open_channels, [good, wrong]), message)
    assert not tried.rig.closed() & set(tried.rig.channels), (
        "a refused list must close nothing of it"
    )


def _expect(tried: Tried[MatrixRig], wanted: set[str]) -> None:
    channels = frozenset(tried.rig.channels)
    said, true = tried.rig.instrument.closed & channels, tried.rig.closed() & channels
    assert true == wanted, f"{sorted(wanted)} must be closed; {sorted(true)} are"
    assert said == wanted, f"closed must be {sorted(wanted)}; it is {sorted(said)}"


def _check_switching(make: Make[MatrixRig]) -> None:
    tried = _ready(make)
    matrix, (first, second, third) = tried.rig.instrument, tried.rig.channels
    _expect(tried, set())
    matrix.close_channels([first, second])
    _expect(tried, {first, second})
    matrix.close_channels([third])
    _expect(tried, {first, second, third})
    matrix.open_channels([second])
    _expect(tried, {first, third})
    matrix.close_channels([])
    matrix.open_channels([])
    _expect(tried, {first, third})
    matrix.open_all()
    _expect(tried, set())
    matrix.close_channels([first])
    matrix.reset()
    _expect(tried, set())
    matrix.check_errors()
    assert matrix.outputs() == {}, "a matrix must have no outputs"


def _check_change(make: Make[MatrixRig]) -> None:
    """Check that a line is on one or the other, after whichever message a change broke off."""
    tried = _ready(make)
    matrix, (first, second, third) = tried.rig.instrument, tried.rig.channels
    matrix.close_channels([first])
    matrix.change(close=[second, third], open_=[first])
    _expect(tried, {second, third})
    matrix.change(close=[], open_=[second, third])
    _expect(tried, set())
    matrix.check_errors()

    def prepare(fresh: Tried[MatrixRig]) -> object:
        one, other, _ = fresh.rig.channels
        fresh.rig.instrument.reset()
        fresh.rig.instrument.close_channels([one])
        return lambda: fresh.rig.instrument.change(close=[other], open_=[one])

    for broken in broken_off(make, prepare):
        assert broken.rig.closed() & set(broken.rig.channels), (
            "change must close before it opens: no line may float between"
        )


def _check_stuck(make: Make[MatrixRig]) -> None:
    for verb in ("close", "open"):
        tried = _ready(make)
        matrix, stuck = tried.rig.instrument, tried.rig.channels[1]
        if verb == "open":
            matrix.close_channels(tried.rig.channels)
        tried.rig.stick(stuck)
        act = matrix.close_channels if verb == "close" else matrix.open_channels
        message = f"a relay that does not {verb} must be an InstrumentFault that names it"
        raises(InstrumentFault, partial(act, tried.rig.channels), message, holding=stuck)
        if verb == "open":
            raises(InstrumentFault, matrix.open_all, message)


def _check_garbage(make: Make[MatrixRig]) -> None:
    tried = _ready(make)
    matrix = tried.rig.instrument
    tried.tap.garbled = True
    message = "a garbled answer must be an UnexpectedReply"
    raises(UnexpectedReply, lambda: matrix.closed, message)
    raises(UnexpectedReply, lambda: matrix.close_channels([tried.rig.channels[0]]), message)


def _check_safe_states(make: Make[MatrixRig]) -> None:
    """Check the safe state after closing, after an error, before any setup, and repeated."""
    for cause in ("closing", "an error", "nothing"):
        tried = _ready(make) if cause != "nothing" else Tried(make)
        if cause != "nothing":
            tried.rig.instrument.close_channels(tried.rig.channels)
        if cause == "an error" and tried.rig.mistake:
            tried.tap.inner.write(tried.rig.mistake)
        for _ in range(2):
            with rule(f"safe_state must work after {cause}"):
                tried.rig.instrument.safe_state()
            assert not tried.rig.closed() & set(tried.rig.channels), (
                f"safe_state must leave every channel open after {cause}"
            )
    tried = _ready(make)
    tried.rig.instrument.close_channels(tried.rig.channels)
    with rule("safe_state of a driver that knows nothing must work"):
        tried.rig.again().safe_state()
    assert not tried.rig.closed() & set(tried.rig.channels), (
        "safe_state must leave every channel open that another driver has closed"
    )
