"""What the drivers of SCPI instruments share."""

from __future__ import annotations

import math

from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.link import Link

MOST_ERRORS = 100


def number(value: float) -> str:
    """A number as it is sent: nine significant digits."""
    return f"{value:.9g}"


def parse_number(link: Link, question: str, reply: str) -> float:
    """The number in a reply; raises :class:`UnexpectedReply`."""
    try:
        value = float(reply)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise UnexpectedReply(f"{link.address}: {question} answered {reply!r}, not a number")
    return value


def set_confirmed(link: Link, header: str, value: float) -> None:
    """Send a setting, read it back and compare; raises :class:`InstrumentFault`."""
    link.write(f"{header} {number(value)}")
    reply = parse_number(link, f"{header}?", link.query(f"{header}?"))
    if not math.isclose(reply, value, rel_tol=1e-6, abs_tol=1e-15):
        raise InstrumentFault(
            f"{link.address}: {header} was set to {number(value)} but reads back {number(reply)}"
        )


def check_scpi_errors(link: Link, question: str = ":SYST:ERR?") -> None:
    """Raise :class:`InstrumentFault` with all that is in the error queue."""
    errors = []
    for _ in range(MOST_ERRORS):
        reply = link.query(question)
        code = reply.partition(",")[0].strip().lstrip("+")
        if not code.lstrip("-").isdigit():
            raise UnexpectedReply(f"{link.address}: {question} answered {reply!r}")
        if int(code) == 0:
            break
        errors.append(reply)
    if errors:
        raise InstrumentFault(f"{link.address}: {'; '.join(errors)}")


def verify_model(link: Link, *models: str) -> None:
    """Raise :class:`UnexpectedReply` unless the identity names one of ``models``."""
    identity = link.query("*IDN?")
    if not any(model in identity.upper() for model in models):
        raise UnexpectedReply(
            f"{link.address}: expected {' or '.join(models)}, found {identity!r}; check the"
            " station's kind and address"
        )


def refuse_above(what: str, value: float, bound: float, unit: str) -> None:
    """Raise :class:`Unsupported` if the magnitude of ``value`` exceeds ``bound``."""
    if not abs(value) <= bound:
        raise Unsupported(f"{what} {value:g} {unit} is beyond the instrument's {bound:g} {unit}")
