"""Numbers on the wire, and refusals, as every driver has them."""

from __future__ import annotations

import math
import re

from pydantic import BeforeValidator

from hwloop.errors import UnexpectedReply, Unsupported
from hwloop_drivers.links.link import Link

NAME = BeforeValidator(lambda value: str(value) if type(value) is int else value)
"""For a model or card whose name YAML reads as a number: 7002."""

MOST_STATUS = 1 << 32
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


def number(value: float) -> str:
    """Return a number as it is sent: nine significant digits."""
    return f"{value:.9g}"


def parse_number(link: Link, question: str, reply: str) -> float:
    """Return the number in a reply; raises :class:`UnexpectedReply` where there is none.

    A decimal number with or without an exponent, as instruments send them: not ``nan``, ``inf`` or
    ``1_000``, which Python would take, and none too large to be a number.
    """
    value = float(reply) if _DECIMAL.fullmatch(reply.strip()) else math.nan
    if not math.isfinite(value):
        raise UnexpectedReply(f"{link.address}: {question} answered {reply!r}, not a number")
    return value


def parse_status(link: Link, question: str, reply: str) -> int:
    """Return the bits of a status; raises :class:`UnexpectedReply` unless it is a whole number."""
    value = parse_number(link, question, reply)
    if not (0 <= value < MOST_STATUS and value.is_integer()):
        raise UnexpectedReply(f"{link.address}: {question} answered {reply!r}, not a status")
    return int(value)


def parse_pairs(link: Link, question: str, reply: str, count: int) -> list[tuple[float, int]]:
    """Return ``count`` readings with their status; raises :class:`UnexpectedReply` otherwise."""
    fields = reply.split(",")
    if len(fields) != 2 * count:
        raise UnexpectedReply(
            f"{link.address}: {question} answered {len(fields)} values for {count} readings with"
            " their status"
        )
    return [
        (parse_number(link, question, value), parse_status(link, question, status))
        for value, status in zip(fields[::2], fields[1::2], strict=True)
    ]


def refuse_above(what: str, value: float, bound: float, unit: str) -> None:
    """Raise :class:`Unsupported` if the magnitude of ``value`` exceeds ``bound``."""
    if not abs(value) <= bound:
        raise Unsupported(f"{what} {value:g} {unit} is beyond the instrument's {bound:g} {unit}")
