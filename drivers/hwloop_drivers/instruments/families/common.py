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
OVERFLOW = 9.9e37
"""Least number that SCPI and TSP instruments send for a reading beyond its range, amperes."""
_FORM = re.compile(r"([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d*))?", re.ASCII)
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


class NumberForm:
    """The form of the readings of one instrument, which stays as it was at the first.

    Instruments send as many digits before and after the point and in the exponent with each
    reading, and a plus before all that are not negative, or before none: so that a digit that was
    lost or doubled on the way shows.
    """

    def __init__(self) -> None:
        self._lengths: tuple[int, ...] = ()
        self._has_plus = False

    def refuse_other(self, link: Link, question: str, text: str) -> None:
        """Raise :class:`UnexpectedReply` where a number, one by its text, has another form."""
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise UnexpectedReply(f"{link.address}: {question} answered {text!r}, not a number")
        sign, *parts = match.groups()
        lengths = tuple(len(part or "") for part in parts)
        self._lengths = self._lengths or lengths
        self._has_plus = self._has_plus or sign == "+"
        if lengths != self._lengths or (self._has_plus and not sign):
            raise UnexpectedReply(
                f"{link.address}: {question} answered {text!r}, which has not the form of the"
                " readings before: a byte was lost or doubled on the way; check the cable"
            )


def agreed(link: Link, question: str, reply: str, separator: str) -> str:
    """Return an answer that came twice in one message; raises where the two are not the same."""
    middle = len(reply) // 2
    first, between, second = reply[:middle], reply[middle : middle + 1], reply[middle + 1 :]
    if between != separator or first != second:
        raise UnexpectedReply(
            f"{link.address}: {question} was answered twice and not alike, {reply!r}: a byte was"
            " changed on the way; check the cable"
        )
    return first


def parse_reading(link: Link, question: str, text: str, form: NumberForm) -> float:
    """Return a reading; one that says that there is none, from :data:`OVERFLOW` on, has any form.

    Raises :class:`UnexpectedReply` where it is no number, or not in the form of those before.
    """
    value = parse_number(link, question, text)
    if abs(value) < OVERFLOW:
        form.refuse_other(link, question, text)
    return value


def parse_pairs(
    link: Link, question: str, reply: str, count: int, form: NumberForm
) -> list[tuple[float, int]]:
    """Return ``count`` readings with their status; raises :class:`UnexpectedReply` otherwise."""
    fields = reply.split(",")
    if len(fields) != 2 * count:
        raise UnexpectedReply(
            f"{link.address}: {question} answered {len(fields)} values for {count} readings with"
            " their status"
        )
    return [
        (parse_reading(link, question, value, form), parse_status(link, question, status))
        for value, status in zip(fields[::2], fields[1::2], strict=True)
    ]


def refuse_above(what: str, value: float, bound: float, unit: str) -> None:
    """Raise :class:`Unsupported` if the magnitude of ``value`` exceeds ``bound``."""
    if not abs(value) <= bound:
        raise Unsupported(f"{what} {value:g} {unit} is beyond the instrument's {bound:g} {unit}")
