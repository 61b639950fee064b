"""Models of the Keithley 2600B family, and the settings of their driver."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field

from hwloop.settings.units import Ampere
from hwloop_drivers.links.link import LinkSettings

ModelName = Literal["2601B", "2602B", "2604B", "2611B", "2612B", "2614B", "2634B", "2635B", "2636B"]


class Keithley2600BSettings(LinkSettings):
    """Settings of a 2600B. ``model``: ranges and limits differ between models.

    ``nplc``: integration time of a reading; None for the run's. ``four_wire``: sense at
    the device. ``lowest_range_a``: the lowest range that readings are made in; each reading waits
    until the current has settled in it.
    """

    model: ModelName = "2602B"
    nplc: float | None = Field(default=None, ge=0.001, le=25)
    four_wire: bool = False
    lowest_range_a: Ampere = Field(default=1e-6, gt=0, le=1)


def near_models(model: str) -> tuple[str, ...]:
    """Return the 2600A and the 2600 of a model's ranges: 2636A and 2636 for the 2636B."""
    number = model.removesuffix("B")
    return (f"{number}A", number)


OVER = 1.01
SETTLE_S = {
    1e-10: 0.36, 1e-9: 0.36, 1e-8: 0.09, 1e-7: 0.015, 1e-6: 2.5e-3, 1e-5: 5e-4, 1e-4: 1.5e-4,
    1e-3: 1e-4, 1e-2: 8e-5, 1e-1: 8e-5, 1.0: 1.2e-4, 1.5: 1.2e-4, 3.0: 1.2e-4,
}  # fmt: skip
"""By current range, until a step of the voltage has settled within 0.1 %: Keithley's help, topic
*Measurement settling time considerations*."""


@dataclass(frozen=True)
class Keithley2600BModel:
    """Ranges and limits of a model, from its data sheet.

    ``envelope_a``: the largest current in the ranges that cannot supply the full current.
    """

    letters: str
    ranges_v: tuple[float, ...]
    envelope_a: tuple[tuple[float, float], ...]
    most_a: float
    least_a: float = 1e-8
    least_range_a: float = 1e-7

    def lowest_range_for(self, wanted_a: float, compliance_a: float) -> float:
        """Return the lowest range to read in, amperes: as wanted, or one of the compliance."""
        sought_a = max(min(wanted_a, compliance_a / OVER), self.least_range_a)
        return next(full for full in SETTLE_S if sought_a <= full * (1 + 1e-9))

    def most_at(self, range_v: float) -> float:
        """Return the largest compliance in a range, amperes."""
        return dict(self.envelope_a).get(range_v, self.most_a)


_2601B = Keithley2600BModel("a", (0.1, 1.0, 6.0, 40.0), ((40.0, 1.0),), most_a=3.0)
_2611B = Keithley2600BModel("a", (0.2, 2.0, 20.0, 200.0), ((200.0, 0.1),), most_a=1.5)
_2634B = replace(_2611B, letters="ab", least_a=1e-10, least_range_a=1e-9)
_2635B = replace(_2634B, letters="a", least_range_a=1e-10)
MODELS = {
    "2601B": _2601B,
    "2602B": replace(_2601B, letters="ab"),
    "2604B": replace(_2601B, letters="ab"),
    "2611B": _2611B,
    "2612B": replace(_2611B, letters="ab"),
    "2614B": replace(_2611B, letters="ab"),
    "2634B": _2634B,
    "2635B": _2635B,
    "2636B": replace(_2635B, letters="ab"),
}
