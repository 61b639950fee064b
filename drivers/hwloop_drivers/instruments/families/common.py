"""Numbers on the wire, and refusals, as every driver has them."""

from __future__ import annotations

import math

from pydantic import BeforeValidator

from hwloop.errors import UnexpectedReply, Unsupported
from hwloop_drivers.links.link import Link

NAME = BeforeValidator(lambda value: str(value) if type(value) is int else value)
"""For a model or card whose name YAML reads as a number: 7002."""


def number(value: float) -> str:
    """Return a number as it is sent: nine significant digits."""
    return f"{value:.9g}"


def parse_number(link: Link, question: str, reply: str) -> float:
    """Return the number in a reply; raises :class:`UnexpectedReply` where there is none."""
    try:
        value = float(reply)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise UnexpectedReply(f"{link.address}: {question} answered {reply!r}, not a number")
    return value


def parse_pairs(link: Link, question: str, reply: str, count: int) -> list[tuple[float, float]]:
    """Return ``count`` readings with their status; raises :class:`UnexpectedReply` otherwise."""
    fields = reply.split(",")
    if len(fields) != 2 * count:
        raise UnexpectedReply(
            f"{link.address}: {question} answered {len(fields)} values for {count} readings with"
            " their status"
        )
    values = [parse_number(link, question, field) for field in fields]
    return list(zip(values[::2], values[1::2], strict=True))


def refuse_above(what: str, value: float, bound: float, unit: str) -> None:
    """Raise :class:`Unsupported` if the magnitude of ``value`` exceeds ``bound``."""
    if not abs(value) <= bound:
        raise Unsupported(f"{what} {value:g} {unit} is beyond the instrument's {bound:g} {unit}")
