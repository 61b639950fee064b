"""Trains of a B2900: a list of equal steps, or the pulse shape, and readings on a timer.

Source and meter are triggered by timers of their own that start together: the steps are the
greatest common divisor of all widths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hwloop.errors import Unsupported
from hwloop_drivers.instruments.families.common import refuse_above
from hwloop_drivers.instruments.families.trains import as_pulses, width_or_interval
from hwloop_drivers.roles import TrainPoint

LEAST_WIDTH_S, MOST_WIDTH_S = 5e-5, 1e5  # pulse width and trigger interval: data sheet
TICK_S = 1e-6  # pulse width programming resolution
MOST_STEPS = 2500
MOST_TRIGGERS = 100_000


@dataclass(frozen=True)
class TrainPlan:
    """A train: ``levels_v`` in order, one period each; pulses of ``pulse_us`` if not None.

    With pulses there is one level, ``count`` times. ``points``: of the train, and ``steps``: how
    many periods each lasts.
    """

    levels_v: tuple[float, ...]
    period_us: int
    count: int
    points: tuple[TrainPoint, ...]
    steps: tuple[int, ...] = ()
    pulse_us: int | None = None

    @property
    def duration_s(self) -> float:
        """Get the time until the last period has ended, seconds."""
        return self.count * self.period_us * TICK_S

    @property
    def has_unmeasured_levels(self) -> bool:
        """Get whether any level but 0 V ends without a reading."""
        return any(point.level_v and not point.measure for point in self.points)


def plan_train(
    name: str, points: Sequence[TrainPoint], *, least_interval_s: float, most_v: float
) -> TrainPlan:
    """Return the plan of these points; raises :class:`Unsupported` if nothing can make them."""
    if not points:
        raise Unsupported("a train needs a point")
    for point in points:
        refuse_above(f"{name}: level", point.level_v, most_v, "V")
    widths_us = [_ticks(name, point) for point in points]
    pulses = as_pulses(points)
    if pulses is not None:
        on_us = widths_us[0]
        off_us = widths_us[1] if len(points) > 1 else round(LEAST_WIDTH_S / TICK_S)
        if pulses.count > MOST_TRIGGERS:
            raise Unsupported(f"{name}: {pulses.count} pulses; {MOST_TRIGGERS} at most")
        return TrainPlan(
            (pulses.level_v,), on_us + off_us, pulses.count, tuple(points), pulse_us=on_us
        )
    step_us = math.gcd(*widths_us)
    if step_us * TICK_S < least_interval_s * (1 - 1e-9):
        raise Unsupported(
            f"{name}: all widths are multiples of no more than {step_us * TICK_S:g} s; its triggers"
            f" are {least_interval_s:g} s apart at least"
        )
    counts = tuple(width_us // step_us for width_us in widths_us)
    steps = sum(counts) + 1
    if steps > MOST_STEPS:
        raise Unsupported(
            f"{name}: {steps} steps of {step_us * TICK_S:g} s, the divisor of all widths; a list"
            f" holds {MOST_STEPS}"
        )
    levels = [p.level_v for p, count in zip(points, counts, strict=True) for _ in range(count)]
    return TrainPlan((*levels, 0.0), step_us, steps, tuple(points), steps=counts)


def _ticks(name: str, point: TrainPoint) -> int:
    width_s, words = point.width_s, width_or_interval(point)
    if not LEAST_WIDTH_S * (1 - 1e-9) <= width_s <= MOST_WIDTH_S:
        raise Unsupported(
            f"{name}: {words} of {width_s:g} s is outside {LEAST_WIDTH_S:g} to {MOST_WIDTH_S:g} s"
        )
    ticks = round(width_s / TICK_S)
    if not math.isclose(ticks * TICK_S, width_s, rel_tol=1e-9):
        raise Unsupported(f"{name}: {words} of {width_s:.9g} s is no multiple of {TICK_S:g} s")
    return ticks
