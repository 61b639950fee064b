"""Signals that stop a run between two rows."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from hwloop.errors import Stopped


class StopRequest:
    """A request to stop a run, or none so far."""

    def __init__(self) -> None:
        self.reason = ""
        self._ignored = False

    def ask(self, reason: str) -> None:
        """Note the first request; the second stops at once.

        A second SIGHUP does not: a terminal that closes may send several.
        """
        if self._ignored:
            return
        if self.reason:
            if reason == "SIGHUP":
                return
            raise KeyboardInterrupt(reason)
        self.reason = reason

    def ignore(self) -> None:
        """Ignore every later request, since the run is ending already."""
        self._ignored = True

    def check(self) -> None:
        """Raise :class:`Stopped` with the reason where someone has asked to stop."""
        if self.reason:
            raise Stopped(self.reason)


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into a stop between two rows.

    The second stops at once. SIGHUP, of a terminal that closes, stays ignored where ``nohup`` or
    whoever has started the run had it ignored.
    """
    request = StopRequest()

    def ask(number: int, _frame: FrameType | None) -> None:
        request.ask(signal.Signals(number).name)

    try:
        before = {number: signal.signal(number, ask) for number in _stopping_signals()}
    except ValueError:  # not in the main thread: whoever runs us there handles signals
        yield request
        return
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stopping_signals() -> list[signal.Signals]:
    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    return numbers
