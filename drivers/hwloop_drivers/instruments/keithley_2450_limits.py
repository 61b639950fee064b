"""What a Keithley 2450 can do, whichever language it is spoken to in.

Ranges and power envelope after its data sheet, SPEC-2450; the least limit, 10 % of a measurement
range that is locked, after the reference manual, 2450-901-01.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from hwloop.errors import UnexpectedReply, Unsupported
from hwloop.operations import Flag
from hwloop_drivers.instruments.common import refuse_above
from hwloop_drivers.link import Link, LinkSettings
from hwloop_drivers.roles import Measured, SourceSetup

NAME = "2450"
OVER = 1.05  # what a range reaches, as a multiple of its name
RANGES_V = (0.02, 0.2, 2.0, 20.0, 200.0)
RANGES_A = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
ENVELOPE = ((21.0, 1.05), (210.0, 0.105))  # up to so many volts, so many amperes
LEAST_A = 1e-9
LEAST_OF_RANGE = 0.1
STATUS_LIMIT = 32  # bit of a source status: bufferVar.sourcestatuses
OVERFLOW = 9.9e37
Language = Literal["scpi", "tsp"]


class Keithley2450Settings(LinkSettings):
    """``language``: the command set that the box is set to, from its menu or by ``*LANG``.

    ``nplc``: integration time of a reading; None for the run's. ``four_wire``: sense at the device.
    """

    language: Language = "scpi"
    nplc: float | None = Field(default=None, ge=0.01, le=10)
    four_wire: bool = False


def range_for(setup: SourceSetup) -> float:
    """The range to lock, volts; raises :class:`Unsupported` for what the box cannot do."""
    most_v = RANGES_V[-1] * OVER
    refuse_above(f"{NAME}: range", setup.range_v, most_v, "V")
    range_v = next(r for r in RANGES_V if abs(setup.range_v) <= r * OVER)
    most_a = next(a for v, a in ENVELOPE if range_v <= v)
    refuse_above(f"{NAME}: compliance in the {range_v:g} V range", setup.compliance_a, most_a, "A")
    least_a = LEAST_A
    if setup.measure_range_a is not None:
        refuse_above(f"{NAME}: measurement range", setup.measure_range_a, OVER * RANGES_A[-1], "A")
        held_a = next(r for r in RANGES_A if abs(setup.measure_range_a) <= r * OVER)
        least_a = max(least_a, LEAST_OF_RANGE * held_a)
    if setup.compliance_a < least_a:
        raise Unsupported(
            f"{NAME}: compliance {setup.compliance_a:g} A is below {least_a:g} A, the least for"
            " its measurement range"
        )
    return range_v


def measured(current_a: float, source_status: float) -> Measured:
    """A reading with the status of its source, as the buffers of both languages have it."""
    flags = Flag(0)
    if abs(current_a) >= OVERFLOW:
        flags |= Flag.OVER_RANGE
    if int(source_status) & STATUS_LIMIT:
        flags |= Flag.COMPLIANCE
    return Measured(math.nan if flags else current_a, flags)


def require_language(link: Link, language: Language) -> None:
    """Raise :class:`UnexpectedReply` unless the box speaks the driver's language."""
    found = link.query("*LANG?").strip().upper()
    if found != language.upper():
        raise UnexpectedReply(
            f"{link.address}: the 2450 speaks {found}, the station says language: {language};"
            f" send *LANG {language.upper()} and switch it off and on, or change the station"
        )
