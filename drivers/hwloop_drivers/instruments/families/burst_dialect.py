"""Dialects of outputs that wait in triggered bursts, and the bounds of their pulses."""

from __future__ import annotations

import math
from dataclasses import dataclass

LEVEL_DIGITS = 4  # resolution of a level: data sheets of the 33500B, 33600A and 81160A
LEVEL_STEP_V = 1e-4


@dataclass(frozen=True)
class Dialect:
    """The headers of one output, in their short forms, and the words that make it wait.

    ``source``: header of its trigger source, with the words ``parked`` and ``armed`` (over the
    bus). ``waiting``: headers and words that make triggered pulses of it, in the order of sending;
    each is read back. ``edges``: sent after them. ``lock_range``: sent at the largest amplitude, ""
    for an instrument that has no range to lock; ``locked`` asks for 0 then. ``load_ohm``: inf where
    the instrument knows an open circuit. ``waits``: whether ``*OPC?`` answers after the burst only.
    """

    high: str
    low: str
    offset: str
    polarity: str
    width: str
    period: str
    count: str
    output: str
    load: str
    limit_high: str
    limit_low: str
    limits: str
    source: str
    armed: str
    waiting: tuple[tuple[str, str], ...]
    parked: str = "EXT"
    edges: tuple[str, ...] = ()
    lock_range: str = ""
    locked: str = ""
    load_ohm: float = math.inf
    waits: bool = True


@dataclass(frozen=True)
class Bounds:
    """Bounds of the pulses that an output can make into an open circuit.

    ``least_v``: the smallest amplitude. ``width_step_s``: widths are multiples of it.
    ``beside_width_s``: the least that a period leaves beside the width of its pulse.
    """

    most_v: float
    least_v: float
    least_width_s: float
    width_step_s: float
    most_width_s: float
    least_period_s: float
    beside_width_s: float
    most_count: int


@dataclass(frozen=True)
class Shape:
    """The two levels of a pulse, and at which of them the output rests."""

    high_v: float
    low_v: float
    inverted: bool

    @property
    def rest_v(self) -> float:
        """Get the level between pulses, volts."""
        return self.high_v if self.inverted else self.low_v


def level_step_v(level_v: float) -> float:
    """Return the resolution of a level, volts: four digits, at least 0.1 mV."""
    if level_v == 0:
        return LEVEL_STEP_V
    digit_v: float = 10.0 ** (math.floor(math.log10(abs(level_v))) + 1 - LEVEL_DIGITS)
    return max(digit_v, LEVEL_STEP_V)
