"""The trigger model of a Keysight B2900: layers, events, sweeps.

Each action has an arm layer and a trigger layer with a source, a count and a delay (user's guide,
6-27). SCPI command reference B2910-90030, chapter 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from hwloop_sim.virtual.circuit.clock import BenchClock

INTERNAL = ("AINT", "TIM")  # sources that need nobody


@dataclass
class Layer:
    """A layer of the trigger model: AINT as soon as the one before is done, TIM by its timer."""

    source: str = "AINT"
    timer_s: float = 1e-5
    count: int = 1
    delay_s: float = 0.0


@dataclass
class Trigger(Layer):
    """The trigger layer of one action, and the arm layer around it."""

    arm: Layer = field(default_factory=Layer)

    @property
    def waits(self) -> bool:
        """Return whether a trigger from outside is waited for."""
        return self.source not in INTERNAL or self.arm.source not in INTERNAL


@dataclass(frozen=True)
class TriggerEvent:
    """An action at a time after ``INIT``, seconds."""

    at_s: float
    order: int
    do: Callable[[], None]


@dataclass
class StaircaseSweep:
    """A linear or logarithmic sweep of the source: SCPI reference, 4-96 to 4-98."""

    start: float = 0.0
    stop: float = 0.0
    points: int = 1
    spacing: str = "LIN"
    stair: str = "SING"
    direction: str = "UP"

    def levels(self) -> list[float]:
        """Return the levels in the order in which they are sourced."""
        ends = (self.start, self.stop)
        if self.spacing == "LOG":
            levels = [float(v) for v in np.geomspace(*ends, self.points)]
        else:
            levels = [float(v) for v in np.linspace(*ends, self.points)]
        if self.direction == "DOWN":
            levels.reverse()
        return levels + levels[::-1] if self.stair == "DOUB" else levels


def run(clock: BenchClock, events: list[TriggerEvent]) -> None:
    """Let these events happen, from now on, to the end of the last."""
    begun_s = clock.now_s
    for event in sorted(events, key=lambda event: (round(event.at_s, 12), event.order)):
        clock.advance(max(begun_s + event.at_s - clock.now_s, 0.0))
        event.do()


def later(event: TriggerEvent, by_s: float) -> TriggerEvent:
    """Return the event at a later time."""
    return replace(event, at_s=event.at_s + by_s)
