"""Limits of a Keithley 2450, for both of its languages.

Ranges and power envelope after its data sheet, SPEC-2450; the least limit, 10 % of a measurement
range that is locked, after the reference manual, 2450-901-01.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwloop.errors import UnexpectedReply, Unsupported
from hwloop_drivers.instruments.families.source_meter import SourceLimits
from hwloop_drivers.links.link import Link, LinkSettings
from hwloop_drivers.roles import SourceSetup

NAME = "2450"
NEAR = ("2460", "2461", "2470")
LIMITS = SourceLimits(
    ranges_v=(0.02, 0.2, 2.0, 20.0, 200.0),
    ranges_a=(1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    over=1.05,
    envelope=((21.0, 1.05), (210.0, 0.105)),
    least_a=1e-9,  # 10 % of the smallest measurement range
)
LEAST_OF_RANGE = 0.1
STATUS_LIMIT = 32  # bit of a source status: bufferVar.sourcestatuses
Language = Literal["scpi", "tsp"]


class Keithley2450Settings(LinkSettings):
    """Settings of a 2450. ``language``: its command set, chosen from its menu or by ``*LANG``.

    ``nplc``: integration time of a reading; None for the run's. ``four_wire``: sense at the device.
    """

    language: Language = "scpi"
    nplc: float | None = Field(default=None, ge=0.01, le=10)
    four_wire: bool = False


def ranges_for(setup: SourceSetup) -> tuple[float, float | None]:
    """Return the source range, volts, and the measurement range, amperes; None: automatic.

    Raises :class:`Unsupported` for what the instrument cannot do.
    """
    range_v = LIMITS.range_for(NAME, setup)
    measure_a = LIMITS.measure_range_for(NAME, setup)
    least_a = LEAST_OF_RANGE * (measure_a or 0.0)
    if setup.compliance_a < least_a * (1 - 1e-9):
        raise Unsupported(
            f"{NAME}: compliance {setup.compliance_a:g} A is below {least_a:g} A,"
            f" the least in its {measure_a:g} A measurement range"
        )
    return range_v, measure_a


def require_language(link: Link, language: Language) -> None:
    """Raise :class:`UnexpectedReply` unless the instrument speaks the driver's language."""
    found = link.query("*LANG?").strip().upper()
    if found != language.upper():
        raise UnexpectedReply(
            f"{link.address}: the 2450 speaks {found}, the station says language: {language};"
            f" send *LANG {language.upper()} and switch it off and on, or change the station"
        )
