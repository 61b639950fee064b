"""Models of Keysight's B2900 and their limits.

Ranges, envelope and trigger intervals after the data sheet, 5990-7009EN; the least limit after the
user's guide, B2910-90010, "Limit/Compliance".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field

from hwloop_drivers.instruments.families.source_meter import SourceLimits
from hwloop_drivers.links.link import LinkSettings

ModelName = Literal["B2901A", "B2902A", "B2911A", "B2912A"]
LIMITS = SourceLimits(
    ranges_v=(0.2, 2.0, 20.0, 200.0),
    ranges_a=(1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1.5, 3.0),
    over=1.05,
    envelope=((6.0, 3.03), (21.0, 1.515), (210.0, 0.105)),
    least_a=1e-9,  # 1 % of the 100 nA range, 10 % of the 10 nA range
)
LOW_LIMITS = replace(LIMITS, ranges_a=(1e-8, *LIMITS.ranges_a))


def near_models(model: str) -> tuple[str, ...]:
    """Return the B2900B of a model's channels and ranges: B2912B for the B2912A."""
    return (model.removesuffix("A") + "B",)


@dataclass(frozen=True)
class KeysightB2900Model:
    """Channels by name, as outputs have them; the least interval of its triggers, seconds."""

    channels: tuple[str, ...]
    least_interval_s: float
    limits: SourceLimits


MODELS: dict[ModelName, KeysightB2900Model] = {
    "B2901A": KeysightB2900Model(("",), 2e-5, LIMITS),
    "B2902A": KeysightB2900Model(("1", "2"), 2e-5, LIMITS),
    "B2911A": KeysightB2900Model(("",), 1e-5, LOW_LIMITS),
    "B2912A": KeysightB2900Model(("1", "2"), 1e-5, LOW_LIMITS),
}


class KeysightB2900Settings(LinkSettings):
    """Settings of a B2900. ``model``: verified against its identity.

    ``nplc``: integration time of a reading; None for the run's. ``four_wire``: sense at the device.
    """

    model: ModelName = "B2901A"
    nplc: float | None = Field(default=None, ge=4e-4, le=100)
    four_wire: bool = False
