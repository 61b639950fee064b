"""Trains of a B2900: a list of equal steps, or the pulse shape, and readings on a timer.

Source and meter are triggered by timers of their own that start together: the steps are the
greatest common divisor of all widths, the readings may be further apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from hwloop.errors import Unsupported
from hwloop_drivers.instruments.families.common import refuse_above
from hwloop_drivers.instruments.families.trains import as_pulses
from hwloop_drivers.instruments.keysight_b2900.models import LIMITS
from hwloop_drivers.roles import TrainPoint

LEAST_WIDTH_S, MOST_WIDTH_S = 5e-5, 1e5  # pulse width and trigger interval: data sheet
TICK_S = 1e-6  # pulse width programming resolution
MOST_STEPS = 2500
MOST_TRIGGERS = 100_000


@dataclass(frozen=True)
class Readings:
    """Ends of the readings, µs: the first, the spacing, how many; which of them are wanted."""

    first_us: int
    spacing_us: int
    wanted: tuple[bool, ...]


@dataclass(frozen=True)
class TrainPlan:
    """A train: ``levels_v`` in order, one period each; pulses of ``pulse_us`` if not None.

    With pulses there is one level, ``count`` times.
    """

    levels_v: tuple[float, ...]
    period_us: int
    count: int
    pulse_us: int | None = None
    readings: Readings | None = None

    @property
    def duration_s(self) -> float:
        """Get the time until the last period has ended, seconds."""
        return self.count * self.period_us * TICK_S


def plan_train(name: str, points: Sequence[TrainPoint], *, least_interval_s: float) -> TrainPlan:
    """Return the plan of these points; raises :class:`Unsupported` if nothing can make them."""
    if not points:
        raise Unsupported("a train needs a point")
    for point in points:
        refuse_above(f"{name}: level", point.level_v, LIMITS.most_v, "V")
    widths_us = [_ticks(name, point.width_s) for point in points]
    pulses = as_pulses(points)
    if pulses is not None:
        on_us = widths_us[0]
        off_us = widths_us[1] if len(points) > 1 else round(LEAST_WIDTH_S / TICK_S)
        if pulses.count > MOST_TRIGGERS:
            raise Unsupported(f"{name}: {pulses.count} pulses; {MOST_TRIGGERS} at most")
        return TrainPlan((pulses.level_v,), on_us + off_us, pulses.count, pulse_us=on_us)
    step_us = math.gcd(*widths_us)
    if step_us * TICK_S < least_interval_s * (1 - 1e-9):
        raise Unsupported(
            f"{name}: all widths are multiples of no more than {step_us * TICK_S:g} s; its triggers"
            f" are {least_interval_s:g} s apart at least"
        )
    counts = [width_us // step_us for width_us in widths_us]
    steps = sum(counts) + 1
    if steps > MOST_STEPS:
        raise Unsupported(
            f"{name}: {steps} steps of {step_us * TICK_S:g} s, the divisor of all widths; a list"
            f" holds {MOST_STEPS}"
        )
    levels = [p.level_v for p, count in zip(points, counts, strict=True) for _ in range(count)]
    return TrainPlan((*levels, 0.0), step_us, steps, readings=_readings(name, points, widths_us))


def _ticks(name: str, width_s: float) -> int:
    if not LEAST_WIDTH_S * (1 - 1e-9) <= width_s <= MOST_WIDTH_S:
        raise Unsupported(
            f"{name}: a width of {width_s:g} s is outside {LEAST_WIDTH_S:g} to {MOST_WIDTH_S:g} s"
        )
    ticks = round(width_s / TICK_S)
    if not math.isclose(ticks * TICK_S, width_s, rel_tol=1e-9):
        raise Unsupported(f"{name}: a width of {width_s:.9g} s is no multiple of {TICK_S:g} s")
    return ticks


def _readings(name: str, points: Sequence[TrainPoint], widths_us: list[int]) -> Readings | None:
    """Return the timer that ends a reading with each point that measures; None without readings."""
    ends_us, at_us = [], 0
    for point, width_us in zip(points, widths_us, strict=True):
        at_us += width_us
        if point.measure:
            ends_us.append(at_us)
    if not ends_us:
        return None
    gaps_us = [later - earlier for earlier, later in pairwise(ends_us)]
    spacing_us = math.gcd(*gaps_us) if gaps_us else 0
    count = 1 + (ends_us[-1] - ends_us[0]) // spacing_us if spacing_us else 1
    if count > MOST_TRIGGERS:
        raise Unsupported(f"{name}: {count} readings; {MOST_TRIGGERS} at most")
    at = dict.fromkeys(ends_us, True)
    wanted = tuple(at.get(ends_us[0] + n * spacing_us, False) for n in range(count))
    return Readings(ends_us[0], spacing_us, wanted)
