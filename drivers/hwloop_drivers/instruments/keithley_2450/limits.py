"""Limits of a Keithley 2450, for both of its languages.

Ranges and power envelope after its data sheet, SPEC-2450. The rest after Keithley's help, by topic:
*smu.measure.autorangerebound* (the output gives no more than 105 % of the measurement range in
use), *smu.source.xlimit.level* (a limit is at least 10.6 % of a fixed measurement range; the
instrument raises a smaller one without an error), *Source delay* (how long a level settles).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from hwloop.errors import UnexpectedReply, Unsupported
from hwloop.settings.units import Ampere
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
    least_a=1e-9,
)
LEAST_OF_RANGE = 0.106
SETTLE_S = dict(zip(LIMITS.ranges_a, (0.05, 0.05, 3e-3, 2e-3, *(1e-3,) * 5), strict=True))
"""By measurement range: the automatic delays of a voltage source."""
STATUS_LIMIT = 32  # bit of a source status: bufferVar.sourcestatuses
Language = Literal["scpi", "tsp"]


class Keithley2450Settings(LinkSettings):
    """Settings of a 2450. ``language``: its command set, chosen from its menu or by ``*LANG``.

    ``nplc``: integration time of a reading; None for the run's. ``four_wire``: sense at the device.
    ``lowest_range_a``: the lowest range that readings are made in; each reading waits until the
    current has settled in it, 50 ms below 1 uA.
    """

    language: Language = "scpi"
    nplc: float | None = Field(default=None, ge=0.01, le=10)
    four_wire: bool = False
    lowest_range_a: Ampere = Field(default=1e-6, ge=1e-8, le=1)


@dataclass(frozen=True)
class ChosenRanges:
    """Ranges for a set-up: of the source, volts, and of the meter, amperes.

    ``automatic``: the meter's range follows each reading, from ``lowest_a`` on, and is back at
    ``measure_a``, which carries the limit, after it. ``settle_s``: from a level to its reading.
    """

    source_v: float
    measure_a: float
    lowest_a: float
    automatic: bool
    settle_s: float


def ranges_for(setup: SourceSetup, lowest_range_a: float) -> ChosenRanges:
    """Return the ranges; raises :class:`Unsupported` for what the instrument cannot do."""
    source_v = LIMITS.range_for(NAME, setup)
    compliance_a = setup.compliance_a
    fixed_a = LIMITS.measure_range_for(NAME, setup)
    measure_a = LIMITS.carrying_range(compliance_a) if fixed_a is None else fixed_a
    least_a, most_a = LEAST_OF_RANGE * measure_a, LIMITS.over * measure_a
    if not least_a * (1 - 1e-9) <= compliance_a <= most_a * (1 + 1e-9):
        raise Unsupported(
            f"{NAME}: compliance {compliance_a:g} A is outside {least_a:g} to {most_a:g} A, which"
            f" its {measure_a:g} A measurement range allows"
        )
    lowest_a = measure_a
    if fixed_a is None:
        lowest_a = next(r for r in LIMITS.ranges_a if min(lowest_range_a, measure_a) <= r)
    return ChosenRanges(source_v, measure_a, lowest_a, fixed_a is None, SETTLE_S[lowest_a])


def require_language(link: Link, language: Language) -> None:
    """Raise :class:`UnexpectedReply` unless the instrument speaks the driver's language."""
    found = link.query("*LANG?").strip().upper()
    if found != language.upper():
        raise UnexpectedReply(
            f"{link.address}: the 2450 speaks {found}, the station says language: {language};"
            f" send *LANG {language.upper()} and switch it off and on, or change the station"
        )
