"""Models of Keysight's B2900 and their limits.

Ranges, envelope and trigger intervals after the data sheet, 5990-7009EN; the least limit after the
user's guide, B2910-90010, "Limit/Compliance"; settling after its supplemental characteristics,
page 2-20. The B models are taken to be as the A models of the same number. No text was found for
B2901BL and B2910BL: what any of their family might lack is refused, which is unconfirmed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field

from hwloop_drivers.instruments.families.source_meter import SourceLimits
from hwloop_drivers.links.link import LinkSettings

ModelName = Literal[
    "B2901A", "B2902A", "B2911A", "B2912A",
    "B2901B", "B2902B", "B2911B", "B2912B", "B2901BL", "B2910BL",
]  # fmt: skip
LIMITS = SourceLimits(
    ranges_v=(0.2, 2.0, 20.0, 200.0),
    ranges_a=(1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1.5, 3.0),
    over=1.05,
    envelope=((6.0, 3.03), (21.0, 1.515), (210.0, 0.105)),
    least_a=1e-9,  # 1 % of the 100 nA range, 10 % of the 10 nA range
)
LOW_LIMITS = replace(LIMITS, ranges_a=(1e-8, *LIMITS.ranges_a))
_RANGES_BL_A = tuple(range_a for range_a in LIMITS.ranges_a if range_a <= 1.5)
BL_LIMITS = replace(LIMITS, ranges_a=_RANGES_BL_A, envelope=((21.0, 1.515), (210.0, 0.105)))
BL_20_V_LIMITS = replace(BL_LIMITS, ranges_v=(0.2, 2.0, 20.0), envelope=((21.0, 1.515),))
SETTLING_S = ((1e-7, 1e-2), (1e-6, 5e-4), (1e-4, 2.5e-4), (3.0, 8e-5))
"""Largest current range, amperes, and the time in which a step settles to 0.1 % there, seconds.

Of the current source: for the meter only the high capacitance mode has figures (2-24).
"""
LEAST_APERTURE_S, MOST_APERTURE_S = 8e-6, 2.0


@dataclass(frozen=True)
class KeysightB2900Model:
    """Channels by name, as outputs have them; the least interval of its triggers, seconds."""

    channels: tuple[str, ...]
    least_interval_s: float
    limits: SourceLimits

    @property
    def between_readings_s(self) -> float:
        """Get the time beside its aperture that a triggered reading takes, seconds.

        From the shortest aperture and the shortest interval of triggers in the data sheet.
        """
        return self.least_interval_s - LEAST_APERTURE_S


_ONE, _TWO = ("",), ("1", "2")
MODELS: dict[ModelName, KeysightB2900Model] = {
    "B2901A": KeysightB2900Model(_ONE, 2e-5, LIMITS),
    "B2902A": KeysightB2900Model(_TWO, 2e-5, LIMITS),
    "B2911A": KeysightB2900Model(_ONE, 1e-5, LOW_LIMITS),
    "B2912A": KeysightB2900Model(_TWO, 1e-5, LOW_LIMITS),
    "B2901B": KeysightB2900Model(_ONE, 2e-5, LIMITS),
    "B2902B": KeysightB2900Model(_TWO, 2e-5, LIMITS),
    "B2911B": KeysightB2900Model(_ONE, 1e-5, LOW_LIMITS),
    "B2912B": KeysightB2900Model(_TWO, 1e-5, LOW_LIMITS),
    "B2901BL": KeysightB2900Model(_ONE, 2e-5, BL_20_V_LIMITS),
    "B2910BL": KeysightB2900Model(_ONE, 2e-5, BL_LIMITS),
}


class KeysightB2900Settings(LinkSettings):
    """Settings of a B2900. ``model``: verified against its identity.

    ``nplc``: integration time of a reading; None for the run's. ``four_wire``: sense at the device.
    """

    model: ModelName = "B2901A"
    nplc: float | None = Field(default=None, ge=4e-4, le=100)
    four_wire: bool = False


def settling_s(range_a: float) -> float:
    """Return the time in which a level settles to 0.1 % in a current range, seconds."""
    return next(time_s for most_a, time_s in SETTLING_S if range_a <= most_a)
