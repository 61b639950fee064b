"""Messages on a link: blocks, and texts as a log shows them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hwloop.errors import ConnectionLost, InstrumentTimeout, UnexpectedReply

SHOWN_TEXT, SHOWN_BYTES = 500, 60
LINE_BYTES = 1 << 22
"""Largest answer of one line, in bytes: 4 MiB, about 250 000 readings."""
BLOCK_BYTES = 1 << 26
"""Largest binary block, in bytes: 64 MiB."""


LINE_ENDS = frozenset(b"\r\n")


@dataclass(frozen=True)
class Question:
    """A question under way: what was asked, how long its answer may take, how that ends.

    ``check``: called several times a second; what it raises ends the wait.
    """

    address: str
    text: str
    bound_s: float
    end: bytes
    check: Callable[[], None]
    asked_s: float = field(default_factory=time.monotonic)

    @property
    def left_s(self) -> float:
        """Get the time that is left for the answer, at least 0."""
        return max(self.asked_s + self.bound_s - time.monotonic(), 0.0)

    def no_answer(self, got: bytes = b"") -> InstrumentTimeout:
        """Return the error of an answer that did not come, or of which only ``got`` came."""
        missing = f"{self.address}: no answer to {shortened(self.text)!r} within {self.bound_s:g} s"
        if not got:
            return InstrumentTimeout(missing)
        if got[-1] in LINE_ENDS:
            return InstrumentTimeout(
                f"{missing} that ends with {self.end!r}, but {got[-40:]!r}: set the instrument's"
                f" terminator to LF, or read_termination to {got[-1:].decode('latin-1')!r} in the"
                " settings of the station"
            )
        return InstrumentTimeout(f"{missing} to its end: after {got[-40:]!r} nothing came")

    def ended(self) -> ConnectionLost:
        """Return the error of a link that the instrument has closed."""
        return ConnectionLost(
            f"{self.address}: the instrument has closed the link, noticed at"
            f" {shortened(self.text)!r}"
        )

    def line(self, raw: bytes) -> str:
        """Return the text of a line that came: without its end, however CR and LF make it."""
        text = raw.removesuffix(self.end)
        return (text.strip(b"\r\n") if set(self.end) <= LINE_ENDS else text).decode("latin-1")

    def line_length(self, got: bytearray) -> int | None:
        """Return the length in bytes of a line and its end; None: more will come."""
        place = got.find(self.end)
        if place >= 0:
            return place + len(self.end)
        refuse_endless(self.address, len(got), LINE_BYTES)
        return None

    def block_length(self, got: bytearray) -> int | None:
        """Return the length in bytes of a block and its end; None: more will come."""
        return block_length(self.address, got, self.end)


def shortened(said: str | bytes) -> str:
    """Return a message as it is logged: of a long one the beginning and its length."""
    if isinstance(said, bytes):
        tail = "" if len(said) <= SHOWN_BYTES else f" … ({len(said)} bytes)"
        return repr(said[:SHOWN_BYTES]) + tail
    if len(said) <= SHOWN_TEXT:
        return said
    return f"{said[:SHOWN_TEXT]} … ({len(said)} characters)"


def block_length(address: str, got: bytes | bytearray, end: bytes) -> int | None:
    """Return the length in bytes of the block ``#<n><len>…`` and its end; None: more will come.

    Raises :class:`UnexpectedReply` if it is no block, for one of more than :data:`BLOCK_BYTES`, and
    for ``#0…``, whose end only a link with an END message shows.
    """
    if len(got) < 2:
        return None
    digits = int(got[1:2]) if got[:1] == b"#" and got[1:2].isdigit() else 0
    if not digits:
        raise UnexpectedReply(
            f"{address}: expected a block of known length, got {bytes(got[:40])!r}"
            + ("; over a socket nothing shows where it ends" if got[:2] == b"#0" else "")
        )
    length = got[2 : 2 + digits]
    if len(length) < digits:
        return None
    if not length.isdigit():
        raise UnexpectedReply(f"{address}: expected a block, got {bytes(got[:40])!r}")
    if int(length) > BLOCK_BYTES:
        raise UnexpectedReply(
            f"{address}: the block is said to have {int(length)} bytes; at most {BLOCK_BYTES} are"
            " taken"
        )
    whole = 2 + digits + int(length)
    whole += len(end) + (end == b"\n" and got[whole : whole + 1] == b"\r")
    return whole if len(got) >= whole else None


def payload(address: str, raw: bytes) -> bytes:
    """Return the content of a block ``#<n><len>…`` or ``#0…``; raises :class:`UnexpectedReply`."""
    if raw[:2] == b"#0":
        return raw[2:].removesuffix(b"\n")
    if raw[:1] == b"#" and raw[1:2].isdigit():
        digits = int(raw[1:2])
        length = raw[2 : 2 + digits]
        if length.isdigit() and len(raw) >= 2 + digits + int(length):
            return raw[2 + digits : 2 + digits + int(length)]
    raise UnexpectedReply(f"{address}: expected a block, got {raw[:40]!r}")


def refuse_endless(address: str, count: int, most: int) -> None:
    """Raise :class:`UnexpectedReply` if more than ``most`` bytes have come without an end."""
    if count > most:
        raise UnexpectedReply(f"{address}: more than {most} bytes came without an end")


def close_quietly(resource: Any) -> None:
    """Close a resource and suppress every error of that."""
    with contextlib.suppress(Exception):
        resource.close()
