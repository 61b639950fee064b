"""What the models of Keysight's B2900 can do.

Ranges, envelope and trigger intervals after the data sheet, 5990-7009EN; the least limit after the
user's guide, B2910-90010, "Limit/Compliance".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from hwloop.errors import Unsupported
from hwloop_drivers.instruments.common import refuse_above
from hwloop_drivers.link import LinkSettings
from hwloop_drivers.roles import SourceSetup

ModelName = Literal["B2901A", "B2902A", "B2911A", "B2912A"]
OVER = 1.05  # what a range reaches, as a multiple of its name
RANGES_V = (0.2, 2.0, 20.0, 200.0)
ENVELOPE = ((6.0, 3.03), (21.0, 1.515), (210.0, 0.105))  # up to so many volts, so many amperes
LEAST_A = 1e-9  # 1 % of the 100 nA range, 10 % of the 10 nA range
MOST_A = 3.0


@dataclass(frozen=True)
class Model:
    """Channels by name, as outputs have them; the least interval of its triggers, seconds."""

    channels: tuple[str, ...]
    least_interval_s: float


MODELS: dict[ModelName, Model] = {
    "B2901A": Model(("",), 2e-5),
    "B2902A": Model(("1", "2"), 2e-5),
    "B2911A": Model(("",), 1e-5),
    "B2912A": Model(("1", "2"), 1e-5),
}


class KeysightB2900Settings(LinkSettings):
    """``model``: verified against its identity. ``nplc``: integration time, None for the run's.

    ``four_wire``: sense at the device.
    """

    model: ModelName = "B2901A"
    nplc: float | None = Field(default=None, ge=4e-4, le=100)
    four_wire: bool = False


def range_for(name: str, setup: SourceSetup) -> float:
    """The range to lock, volts; raises :class:`Unsupported` for what the box cannot do."""
    refuse_above(f"{name}: range", setup.range_v, RANGES_V[-1] * OVER, "V")
    range_v = next(r for r in RANGES_V if abs(setup.range_v) <= r * OVER)
    most_a = next(a for v, a in ENVELOPE if range_v <= v)
    what = f"{name}: compliance in the {range_v:g} V range"
    refuse_above(what, setup.compliance_a, most_a, "A")
    if setup.compliance_a < LEAST_A:
        raise Unsupported(
            f"{name}: compliance {setup.compliance_a:g} A is below the instrument's {LEAST_A:g} A"
        )
    if setup.measure_range_a is not None:
        refuse_above(f"{name}: measurement range", setup.measure_range_a, MOST_A, "A")
    return range_v
