"""Signals that stop a run: the first between two rows, the second at once where that is harmless.

An exception out of a signal may come between any two instructions. In a file library's callback, or
while a bench is being made safe, nothing can bear that. So the second signal raises only in the
code of a step and in an operation of the backend, and none after it raises anywhere.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from typing_extensions import override

from hwloop.array.operations import Answer, Operation
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.wrapper import Wrapper
from hwloop.errors import Stopped


class StopRequest:
    """A request to stop a run, or none so far.

    ``may_raise``: whether the code that is running can bear an exception out of a second request.
    """

    def __init__(self) -> None:
        self.reason = ""
        self.may_raise = False
        self._again = self._ignored = False

    def ask(self, reason: str) -> None:
        """Note the first request; the second stops at once, or as soon as that can be borne.

        A second SIGHUP does not: a terminal that closes may send several.
        """
        if self._ignored:
            return
        if not self.reason:
            self.reason = reason
        elif reason != "SIGHUP":
            self._again = True
            if self.may_raise:
                self.refuse_second()

    def ignore(self) -> None:
        """Ignore every later request, since the run is ending already."""
        self._ignored = True

    def check(self) -> None:
        """Raise :class:`Stopped` with the reason where someone has asked to stop."""
        if self.reason:
            self._ignored = True
            raise Stopped(self.reason)

    def refuse_second(self) -> None:
        """Raise :class:`KeyboardInterrupt` where someone has asked twice, and only once."""
        if self._again and not self._ignored:
            self._ignored = True
            raise KeyboardInterrupt(self.reason)


class Interruptible(Wrapper):
    """A backend during whose operations a second request raises, or waits (``may_raise``)."""

    def __init__(self, inner: CrossbarBackend, stop: StopRequest, *, may_raise: bool) -> None:
        super().__init__(inner)
        self._stop, self._may_raise = stop, may_raise

    @override
    def perform(self, operation: Operation) -> Answer:
        self._stop.refuse_second()
        before, self._stop.may_raise = self._stop.may_raise, self._may_raise
        try:
            return self._inner.perform(operation)
        finally:
            self._stop.may_raise = before


@contextmanager
def stop_on_signal(*, ends_process: bool = False) -> Iterator[StopRequest]:
    """Turn SIGINT, SIGTERM and SIGHUP into a request to stop.

    SIGHUP, of a terminal that closes, stays ignored where ``nohup`` or whoever has started the run
    had it ignored. ``ends_process``: where someone has asked to stop, the process is about to end
    and ignores further signals for good; else the handlers from before are restored.
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
        request.ignore()
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if ends_process and request.reason else handler)


def _stopping_signals() -> list[signal.Signals]:
    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    return numbers
