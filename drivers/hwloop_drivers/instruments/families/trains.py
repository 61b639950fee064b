"""Trains as sweeps make them: steps of equal length, or equal pulses from 0 V."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hwloop.errors import Unsupported
from hwloop_drivers.instruments.families.common import refuse_above
from hwloop_drivers.roles import TrainPoint


@dataclass(frozen=True)
class SweepLimits:
    """Limits of a sweep of equal steps; ``name`` is the instrument's, for its refusals."""

    name: str
    least_width_s: float
    most_width_s: float
    most_points: int
    most_v: float


def refuse_sweep(limits: SweepLimits, points: Sequence[TrainPoint]) -> None:
    """Raise :class:`Unsupported` unless all widths are multiples of the shortest, within limits."""
    if not points:
        raise Unsupported("a train needs a point")
    least = min(points, key=lambda point: point.width_s)
    step_s = least.width_s
    name, least_s, most_s = limits.name, limits.least_width_s, limits.most_width_s
    if not least_s * (1 - 1e-9) <= step_s <= most_s:
        raise Unsupported(
            f"{name}: {width_or_interval(least)} of {step_s:g} s is outside {least_s:g} to"
            f" {most_s:g} s, which its source delay can make"
        )
    for point in points:
        refuse_above(f"{name}: level", point.level_v, limits.most_v, "V")
        steps = point.width_s / step_s
        if not math.isclose(steps, round(steps), rel_tol=1e-9):
            raise Unsupported(
                f"{name}: widths {step_s:g} s and {point.width_s:g} s in one train; a list sweep"
                " makes only multiples of the shortest"
            )
    count = sum(round(point.width_s / step_s) for point in points)
    if count >= limits.most_points:
        raise Unsupported(
            f"{name}: {count} steps and one at 0 V; a list holds {limits.most_points}"
        )


def width_or_interval(point: TrainPoint) -> str:
    """Return what the duration of a point is in a message: at 0 V that of an interval."""
    return "a width" if point.level_v else "an interval"


def shortest(points: Sequence[TrainPoint]) -> float:
    """Return the shortest width of the points, seconds."""
    return min(point.width_s for point in points)


def equal_steps(points: Sequence[TrainPoint]) -> list[tuple[float, bool]]:
    """Return levels of the shortest width each, and whether a reading ends each."""
    step_s = shortest(points)
    steps = []
    for point in points:
        count = round(point.width_s / step_s)
        steps += [(point.level_v, False)] * (count - 1) + [(point.level_v, point.measure)]
    return steps


@dataclass(frozen=True)
class Pulses:
    """Equal pulses from 0 V with equal pauses between them; ``off_s`` None for a single one."""

    level_v: float
    on_s: float
    off_s: float | None
    count: int


def as_pulses(points: Sequence[TrainPoint]) -> Pulses | None:
    """Return the points as equal pulses without readings; None if they are not such."""
    on = points[0]
    off = points[1] if len(points) > 1 else None
    alike = all(point == (off if n % 2 else on) for n, point in enumerate(points))
    if not alike or on.measure or (off is not None and (off.measure or off.level_v != 0)):
        return None
    return Pulses(
        on.level_v, on.width_s, None if off is None else off.width_s, (len(points) + 1) // 2
    )
