"""The search of an automatic measurement range that stays where the last reading left it.

2400 Series user's manual, 7-3: a reading beyond the range raises it by three, and another reading
is taken; one of 10 %, 1 % or 0.1 % of the range lowers it by one, two or three. Each reading in a
new range takes its time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Reading = TypeVar("Reading")
AT_ONCE = 3
"""Ranges by which the search goes up or down for one reading."""


def searched(
    first: Reading,
    read_in: Callable[[float], Reading],
    *,
    ranges: Sequence[float],
    present: float,
    top: float,
    value: Callable[[Reading], float],
) -> Reading:
    """Return the reading at which the search ends, ``first`` having been taken in ``present``.

    ``ranges``: nominal, ascending. ``top``: the highest that the search goes to. ``value``:
    infinite for a reading beyond its range. After a step down the search goes up by single ranges
    only, so that noise at the end of a range does not keep it searching.
    """
    reading, place = first, ranges.index(present)
    highest = max(place, ranges.index(top))
    step_up = AT_ONCE
    while True:
        size = abs(value(reading))
        if size == float("inf"):
            if place == highest:
                return reading
            place = min(place + step_up, highest)
        else:
            lower = next(n for n, full in enumerate(ranges) if size <= full or n == place)
            if lower == place or step_up == 1:
                return reading
            place = max(lower, place - AT_ONCE)
            step_up = 1 if lower == place else step_up
        reading = read_in(ranges[place])
