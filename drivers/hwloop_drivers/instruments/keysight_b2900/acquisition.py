"""Readings during a train of a B2900: those that are wanted, and those that watch its limit.

Nothing in a B2900 latches that its output was at the limit; the status of a reading tells it, for
the time of that reading. So no level but 0 V ends without a reading. Where levels are to be
watched beside those that are measured, each step of the train ends with a short reading, and the
mean of several is the reading of a level: together they integrate as long as one would.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from hwloop.errors import Unsupported
from hwloop_drivers.instruments.keysight_b2900.models import LEAST_APERTURE_S, MOST_APERTURE_S
from hwloop_drivers.instruments.keysight_b2900.train import MOST_TRIGGERS, TICK_S, TrainPlan

SAME = 1e-9


@dataclass(frozen=True)
class Acquisition:
    """Readings of ``aperture_s`` that end at ``first_us`` and every ``spacing_us`` after it.

    ``wanted``: for each point that measures, the numbers of the readings whose mean is its own.
    """

    first_us: int
    spacing_us: int
    count: int
    aperture_s: float
    wanted: tuple[range, ...] = ()

    @property
    def delay_s(self) -> float:
        """Get the time from the start of the train to the first reading, seconds."""
        # In whole steps of the trigger's delay, so that no reading ends after its level.
        return math.floor(self.first_us - self.aperture_s / TICK_S + SAME) * TICK_S


@dataclass(frozen=True)
class Timing:
    """Times that a reading takes, seconds.

    ``aperture_s``: its integration. ``settling_s``: from a step of the level to its start.
    ``between_s``: from its end to the start of the next.
    """

    aperture_s: float
    settling_s: float
    between_s: float


def plan_acquisition(name: str, plan: TrainPlan, timing: Timing) -> Acquisition:
    """Return the readings of a train; raises :class:`Unsupported` where they do not fit."""
    _refuse_unsettled(name, plan, timing)
    if plan.pulse_us is not None:
        aperture_s = _longest_s(plan.pulse_us, timing)
        return Acquisition(plan.pulse_us, plan.period_us, plan.count, aperture_s)
    if plan.has_unmeasured_levels or not any(point.measure for point in plan.points):
        return _reading_of_each_step(name, plan, timing)
    return _readings_of_levels(name, plan, timing)


def _longest_s(step_us: int, timing: Timing) -> float:
    """Return the longest aperture of readings that end with each step, seconds."""
    return min(round(step_us - timing.between_s / TICK_S) * TICK_S, MOST_APERTURE_S)


def _refuse_unsettled(name: str, plan: TrainPlan, timing: Timing) -> None:
    needed_s = timing.settling_s + timing.aperture_s
    for point in plan.points:
        if point.measure and needed_s > point.width_s * (1 + SAME):
            raise Unsupported(
                f"{name}: a level of {point.width_s:g} s is shorter than settling and reading,"
                f" {timing.settling_s:g} s and {timing.aperture_s:g} s"
            )


def _reading_of_each_step(name: str, plan: TrainPlan, timing: Timing) -> Acquisition:
    longest_s = _longest_s(plan.period_us, timing)
    count = plan.count - 1  # the last is at 0 V
    if not any(point.measure for point in plan.points):
        return Acquisition(plan.period_us, plan.period_us, count, longest_s)
    together = math.ceil(timing.aperture_s / longest_s * (1 - SAME))
    aperture_s = max(timing.aperture_s / together, LEAST_APERTURE_S)
    wanted, end = [], 0
    for point, steps in zip(plan.points, plan.steps, strict=True):
        end += steps
        if not point.measure:
            continue
        before_s = (steps - together + 1) * plan.period_us * TICK_S - aperture_s
        if steps < together or before_s < timing.settling_s * (1 - SAME):
            raise Unsupported(
                f"{name}: a level of {point.width_s:g} s has {steps} steps of"
                f" {plan.period_us * TICK_S:g} s; settling and {together} readings of"
                f" {aperture_s:g} s do not fit"
            )
        wanted.append(range(end - together, end))
    return Acquisition(plan.period_us, plan.period_us, count, aperture_s, tuple(wanted))


def _readings_of_levels(name: str, plan: TrainPlan, timing: Timing) -> Acquisition:
    """Return the timer that ends a reading with each point that measures."""
    ends_us = _ends_us(plan)
    gaps_us = [later - earlier for earlier, later in pairwise(ends_us)]
    spacing_us = math.gcd(*gaps_us) if gaps_us else 0
    if spacing_us and timing.aperture_s + timing.between_s > spacing_us * TICK_S * (1 + SAME):
        raise Unsupported(
            f"{name}: a spacing of readings of {spacing_us * TICK_S:g} s is shorter than a reading,"
            f" {timing.aperture_s:g} s, and {timing.between_s:g} s before the next"
        )
    count = 1 + (ends_us[-1] - ends_us[0]) // spacing_us if spacing_us else 1
    if count > MOST_TRIGGERS:
        raise Unsupported(f"{name}: {count} readings; {MOST_TRIGGERS} at most")
    numbers = [(end_us - ends_us[0]) // spacing_us if spacing_us else 0 for end_us in ends_us]
    wanted = tuple(range(n, n + 1) for n in numbers)
    return Acquisition(ends_us[0], spacing_us, count, timing.aperture_s, wanted)


def _ends_us(plan: TrainPlan) -> Sequence[int]:
    ends_us, at_us = [], 0
    for point, steps in zip(plan.points, plan.steps, strict=True):
        at_us += steps * plan.period_us
        if point.measure:
            ends_us.append(at_us)
    return ends_us
