"""A link to a virtual instrument in the same process, without a network between them."""

from __future__ import annotations

from collections.abc import Callable

from typing_extensions import override

from hwloop.errors import InstrumentTimeout
from hwloop_drivers.links.link import Link
from hwloop_drivers.links.messages import payload


class InProcessLink(Link):
    """A link that hands every message to ``receive``, which answers with text or None.

    An answer to a message that is no question would be taken for that of the next question on a
    real link: it is an :class:`AssertionError` here. ``sent`` keeps the messages.
    """

    def __init__(self, receive: Callable[[str], str | None]) -> None:
        self.address = "in process"
        self.sent: list[str] = []
        self._receive = receive

    @override
    def write(self, text: str) -> None:
        self.sent.append(text)
        reply = self._receive(text)
        assert reply is None, f"{text!r} was answered by {reply!r}, which is never read"

    @override
    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        self.sent.append(text)
        self.round_trips += 1
        reply = self._receive(text)
        if reply is None:
            raise InstrumentTimeout(f"{self.address}: {text!r} was not answered")
        return reply

    @override
    def query_binary(self, text: str, *, timeout_s: float | None = None) -> bytes:
        return payload(self.address, self.query(text, timeout_s=timeout_s).encode("latin-1"))

    @override
    def recover(self, verify: Callable[[], None]) -> None:
        verify()

    @override
    def close(self) -> None:
        pass
