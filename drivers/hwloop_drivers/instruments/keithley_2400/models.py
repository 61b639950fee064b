"""Models of the 2400 family and their limits.

Ranges and limits after the user's manual, 2400S-900-01: 6-2 (compliance limits), 6-3 and 6-4
(measurement ranges), 18-62, note 4 (currents in the highest voltage range); of the 2430 in DC mode.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hwloop.settings.units import Hertz
from hwloop_drivers.instruments.families.source_meter import SourceLimits
from hwloop_drivers.links.link import LinkSettings

ModelName = Literal["2400", "2400-LV", "2401", "2410", "2420", "2425", "2430", "2440"]
_LOW_A = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_HIGH_A = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
LIMITS = SourceLimits(
    ranges_v=(0.2, 2.0, 20.0, 200.0),
    ranges_a=_LOW_A,
    over=1.05,
    envelope=((21.0, 1.05), (210.0, 0.105)),
    least_a=1e-9,  # 0.1 % of the smallest measurement range
)
_LOW_VOLTAGE = SourceLimits(
    ranges_v=(0.2, 2.0, 20.0),
    ranges_a=_LOW_A,
    over=1.05,
    envelope=((21.0, 1.05),),
    least_a=1e-9,
)
_100_V = SourceLimits(
    ranges_v=(0.2, 2.0, 20.0, 100.0),
    ranges_a=(*_HIGH_A, 3.0),
    over=1.05,
    envelope=((21.0, 3.15), (105.0, 1.05)),
    least_a=1e-8,
)
MODELS: dict[ModelName, SourceLimits] = {
    "2400": LIMITS,
    "2400-LV": _LOW_VOLTAGE,
    "2401": _LOW_VOLTAGE,
    "2410": SourceLimits(
        ranges_v=(0.2, 2.0, 20.0, 1000.0),
        ranges_a=(1e-6, 1e-5, 1e-4, 1e-3, 2e-2, 1e-1, 1.0),
        over=1.05,  # 1.1 in the 1000 V range
        envelope=((21.0, 1.05), (1100.0, 0.021)),
        least_a=1e-9,
    ),
    "2420": SourceLimits(
        ranges_v=(0.2, 2.0, 20.0, 60.0),
        ranges_a=(*_HIGH_A, 3.0),
        over=1.05,
        envelope=((21.0, 3.15), (63.0, 1.05)),
        least_a=1e-8,
    ),
    "2425": _100_V,
    "2430": _100_V,
    "2440": SourceLimits(
        ranges_v=(0.2, 2.0, 10.0, 40.0),
        ranges_a=(*_HIGH_A, 5.0),
        over=1.05,
        envelope=((10.5, 5.25), (42.0, 1.05)),
        least_a=1e-8,
    ),
}


class Keithley2400Settings(LinkSettings):
    """Settings of a 2400 or one of its family.

    ``model``: compared with the identity; left out, the identity chooses, and what is checked
    before a connection is checked for a 2400. ``nplc``: integration time of a reading.
    ``four_wire``: sense at the device. ``autozero``: false makes readings three times as fast, with
    a zero that was measured when the source was set up and drifts.
    """

    model: ModelName | None = None
    nplc: float = Field(default=1.0, ge=0.01, le=10)
    line_frequency_hz: Annotated[Hertz, Field(gt=0)] = 50.0
    four_wire: bool = False
    autozero: bool = True
