"""A link that keeps what is sent, and that can be made to fail."""

from __future__ import annotations

import re
from collections.abc import Callable

from typing_extensions import override

from hwloop.errors import InstrumentTimeout
from hwloop_drivers.links.link import Link

GARBAGE = "#?~!"
NINE_DIGITS = 1e-8  # relative: a number that was sent with nine significant digits
_NUMBER = re.compile(r"(?<![A-Za-z0-9_.])[+-]?\d+\.?\d*(?:[eE][+-]?\d+)?")


class Tap(Link):
    """A link that hands messages on to ``inner``, and keeps them in :attr:`sent`.

    ``lost``: messages for which this is True never arrive, and get no answer. ``garbled``: every
    answer is noise. ``break_after``: so many messages still go through; then nothing does, and
    every call raises :class:`hwloop.errors.InstrumentTimeout`, until :meth:`mend`.
    """

    def __init__(self, inner: Link) -> None:
        self.inner = inner
        self.address = inner.address
        self.sent: list[str] = []
        self.closed = False
        self.garbled = False
        self.lost: Callable[[str], bool] = lambda _: False
        self.break_after: int | None = None

    @override
    def write(self, text: str) -> None:
        self._pass(text)
        if not self.lost(text):
            self.inner.write(text)

    @override
    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        self._ask(text)
        reply = self.inner.query(text, timeout_s=timeout_s)
        return GARBAGE if self.garbled else reply

    @override
    def query_binary(self, text: str, *, timeout_s: float | None = None) -> bytes:
        self._ask(text)
        reply = self.inner.query_binary(text, timeout_s=timeout_s)
        return GARBAGE.encode() if self.garbled else reply

    @override
    def recover(self, verify: Callable[[], None]) -> None:
        self.break_after = None
        self.inner.recover(verify)

    @override
    def close(self) -> None:
        self.closed = True
        self.inner.close()

    def mend(self) -> None:
        """Let every message arrive again, and every answer come back as it is."""
        self.break_after, self.garbled, self.lost = None, False, lambda _: False

    def sent_number(self, value: float) -> bool:
        """Return whether a number was sent that agrees with this one to nine digits."""
        return any(holds_number(text, value, NINE_DIGITS) for text in self.sent)

    def _ask(self, text: str) -> None:
        self._pass(text)
        if self.lost(text):
            raise InstrumentTimeout(f"{self.address}: {text!r} was lost")

    def _pass(self, text: str) -> None:
        if self.break_after is not None:
            if self.break_after == 0:
                raise InstrumentTimeout(f"{self.address}: broken off before {text!r}")
            self.break_after -= 1
        self.sent.append(text)


def holds_number(text: str, value: float, relative: float) -> bool:
    """Return whether one of the numbers in a message is this one."""
    found = (float(match) for match in _NUMBER.findall(text))
    return any(abs(number - value) <= relative * abs(value) for number in found)
