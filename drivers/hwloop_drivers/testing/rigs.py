"""Rigs on which a driver is tried, and the rules of every instrument."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from hwloop.errors import BackendError, HwloopError, InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.links.link import Link
from hwloop_drivers.roles import Instrument, SwitchMatrix
from hwloop_drivers.testing.tap import Tap

ABSENT = 1e9  # volts, amperes: no instrument has them
MOST_MESSAGES = 1000


@dataclass(frozen=True)
class SeenPulse:
    """A level that the resistor saw for a while: volts across it, seconds.

    ``ended_s``: on a clock of the rig's; NaN where it has none, and no interval is checked.
    """

    level_v: float
    width_s: float
    ended_s: float = math.nan


@dataclass(frozen=True)
class SourceRig:
    """An instrument whose output ``output`` drives ``load_ohm`` to ground.

    ``pulses``: the levels that the resistor has seen so far, in order, above the rig's quiet level.
    ``output_v``: the level of the output now, into an open circuit; None if it is off.
    ``again``: another driver on the same instrument, without the first one's state: as when a
    bench is made safe after its run has died. ``mistake``: a message that the instrument takes
    for an error; "" where it keeps none.
    """

    instrument: Instrument
    again: Callable[[], Instrument]
    pulses: Callable[[], Sequence[SeenPulse]]
    output_v: Callable[[], float | None]
    load_ohm: float
    output: str = ""
    mistake: str = ":HWLOOP:NONSENSE"


@dataclass(frozen=True)
class MatrixRig:
    """A matrix whose closed channels are known, and whose relays can be made to stick.

    ``channels``: three that exist, none of which the instrument closes by itself. ``wrong``: names
    of no channel. ``closed``: the channels that connect now, in truth. ``stick``: from now on a
    relay does not move, and the instrument does not report a movement. ``again``, ``mistake``: as
    of a :class:`SourceRig`.
    """

    instrument: SwitchMatrix
    again: Callable[[], SwitchMatrix]
    channels: tuple[str, str, str]
    wrong: tuple[str, ...]
    closed: Callable[[], frozenset[str]]
    stick: Callable[[str], None]
    mistake: str = ":HWLOOP:NONSENSE"


R = TypeVar("R", SourceRig, MatrixRig)
Make = Callable[[Callable[[Link], Tap]], R]


class Tried(Generic[R]):
    """A fresh rig and the tap on its link."""

    def __init__(self, make: Make[R]) -> None:
        taps: list[Tap] = []

        def tap(link: Link) -> Tap:
            taps.append(Tap(link))
            return taps[-1]

        self.rig: R = make(tap)
        assert len(taps) == 1, "make must hand the driver's link through tap, once"
        self.tap = taps[0]


class OneAtATime(Generic[R]):
    """A maker of rigs that closes each before the next: there may be but one instrument."""

    def __init__(self, make: Make[R]) -> None:
        self._make: Make[R] = make
        self._last: R | None = None

    def __call__(self, tap: Callable[[Link], Tap]) -> R:
        """Close the link of the last rig, and make the next one."""
        self._close_last()
        self._last = self._make(tap)
        return self._last

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close_last()

    def _close_last(self) -> None:
        if self._last is not None:
            self._last.instrument.link.close()


def check_instrument(make: Make[R]) -> None:
    """Check identity, errors and shutdown, which every instrument has."""
    tried = Tried(make)
    instrument = tried.rig.instrument
    assert tried.tap.sent == [], "making a driver must send nothing"
    instrument.verify_identity()
    assert instrument.id, "an instrument must have an identity"
    instrument.reset()
    instrument.check_errors()
    if tried.rig.mistake:
        tried.tap.inner.write(tried.rig.mistake)
        rule = "an error of the instrument must be raised by check_errors"
        raises(InstrumentFault, instrument.check_errors, rule)
        instrument.check_errors()
        tried.tap.inner.write(tried.rig.mistake)
        instrument.clear()
        instrument.check_errors()
    _check_other_identity(make)
    _check_end(make)


def _check_other_identity(make: Make[R]) -> None:
    tried = Tried(make)
    tried.tap.garbled = True
    rule = "another identity must be refused with UnexpectedReply"
    raises(UnexpectedReply, tried.rig.instrument.verify_identity, rule)


def _check_end(make: Make[R]) -> None:
    """Check that the end of ``with`` shuts down, even after an error."""
    tried = Tried(make)
    shutdown = rule("the end of with must be shutdown")
    with suppress(_Expected), shutdown, tried.rig.instrument as entered:
        assert entered is tried.rig.instrument, "with must give the instrument itself"
        entered.reset()
        raise _Expected
    assert tried.tap.closed, "the end of with must close the link"


def broken_off(make: Make[R], prepare: Callable[[Tried[R]], Any]) -> Iterator[Tried[R]]:
    """Yield rigs on which an action broke off after its first message, its second, and so on.

    ``prepare`` makes a rig ready, and returns the action. The link is mended again.
    """
    for count in range(MOST_MESSAGES):
        tried = Tried(make)
        action = prepare(tried)
        tried.tap.break_after = count
        try:
            action()
        except BackendError:
            tried.tap.mend()
            yield tried
        else:
            return
    raise AssertionError(f"an action must end within {MOST_MESSAGES} messages")


def raises(
    kind: type[HwloopError], action: Callable[[], object], rule: str, *, holding: str = ""
) -> None:
    """Check that an action raises this, and nothing else, with a text in its message."""
    try:
        outcome = action()
    except kind as exc:
        if holding not in str(exc):
            raise AssertionError(f"{rule}; it said {str(exc)!r}") from exc
        return
    except Exception as exc:
        raise AssertionError(f"{rule}; it raised {type(exc).__name__}: {exc}") from exc
    raise AssertionError(f"{rule}; it was done, and gave {outcome!r}")


def refused_unsent(tap: Tap, action: Callable[[], object], rule: str) -> None:
    """Check that an action raises Unsupported, and that nothing was sent."""
    sent = len(tap.sent)
    raises(Unsupported, action, rule)
    assert len(tap.sent) == sent, f"{rule} before anything is sent; {tap.sent[sent:]} was"


def near(value: float, wanted: float, relative: float, absolute: float = 0.0) -> bool:
    """Return whether a value is the wanted one within a relative or absolute tolerance."""
    return abs(value - wanted) <= max(relative * abs(wanted), absolute)


@contextmanager
def rule(text: str) -> Iterator[None]:
    """Turn an error inside into an AssertionError that names the broken rule."""
    try:
        yield
    except HwloopError as exc:
        raise AssertionError(f"{text}; it raised {type(exc).__name__}: {exc}") from exc


class _Expected(Exception):
    """Raised by the suite itself."""
