"""Messages on a link: blocks, and texts as a log shows them."""

from __future__ import annotations

import contextlib
from typing import Any

from hwloop.errors import UnexpectedReply

SHOWN_TEXT, SHOWN_BYTES = 500, 60
LINE_BYTES = 1 << 22
"""Largest answer of one line, in bytes: 4 MiB, about 250 000 readings."""
BLOCK_BYTES = 1 << 26
"""Largest binary block, in bytes: 64 MiB."""


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
    whole = 2 + digits + int(length) + len(end)
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
