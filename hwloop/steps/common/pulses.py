"""Settings of pulses that several steps share."""

from __future__ import annotations

import numpy as np
from pydantic import model_validator

from hwloop.array.operations import PulseMap
from hwloop.array.settings import ArraySettings
from hwloop.settings.model import Settings
from hwloop.settings.units import PositiveSecond, PositiveVolt, Volt
from hwloop.steps.common.cells import Cells, chosen
from hwloop.steps.contract import PlannedOperation
from hwloop.types import BoolArray


class Pulse(Settings):
    """One rectangular pulse; ``gate_v``: on the gates of a 1T1R array."""

    amplitude_v: Volt
    width_s: PositiveSecond
    gate_v: PositiveVolt | None = None

    @model_validator(mode="after")
    def _not_zero(self) -> Pulse:
        if self.amplitude_v == 0:
            raise ValueError("amplitude_v is 0 V: that is no pulse")
        return self


MOST_LEVELS = 100_000
"""The most levels of a sweep, so that a slip in a step or an end is refused and not planned."""


def steps_within(span_v: float, step_v: float) -> int:
    """Return how many whole steps a span of volts has; ValueError above :data:`MOST_LEVELS`."""
    steps = span_v / step_v * (1 + 1e-12)
    if not steps <= MOST_LEVELS:
        raise ValueError(f"{steps:.3g} levels by steps of {step_v:g} V; at most {MOST_LEVELS}")
    return int(steps)


class LevelSweep(Settings):
    """Levels from ``start_v`` to ``stop_v``, volts, in steps of the magnitude ``step_v``."""

    start_v: Volt
    stop_v: Volt
    step_v: PositiveVolt

    @model_validator(mode="after")
    def _outwards(self) -> LevelSweep:
        if self.start_v * self.stop_v <= 0:
            raise ValueError("start_v and stop_v must be of one sign and not 0 V")
        if abs(self.stop_v) < abs(self.start_v):
            raise ValueError(f"stop_v {self.stop_v:g} is smaller than start_v {self.start_v:g}")
        steps_within(abs(self.stop_v - self.start_v), self.step_v)
        return self

    def levels_v(self) -> list[float]:
        """Return every level, volts; ``stop_v`` is the last one."""
        sign = np.sign(self.stop_v)
        count = steps_within(abs(self.stop_v - self.start_v), self.step_v)
        levels = [round(self.start_v + sign * n * self.step_v, 9) for n in range(count + 1)]
        return levels if np.isclose(levels[-1], self.stop_v) else [*levels, self.stop_v]


def pulse_of(
    mask: BoolArray, amplitude_v: float, width_s: float, *, gate_v: float | None, count: int = 1
) -> PulseMap:
    """Return the same pulses for every cell of ``mask``."""
    return PulseMap(np.where(mask, amplitude_v, 0.0), width_s, count, gate_v)


def planned_pulse(
    array: ArraySettings, cells: Cells | None, pulse: Pulse, at_most: int, *, count: int = 1
) -> PlannedOperation:
    """Return the planned pulses of the chosen cells, ``at_most`` times."""
    mask = chosen(cells, array.geometry.shape)
    operation = pulse_of(mask, pulse.amplitude_v, pulse.width_s, gate_v=pulse.gate_v, count=count)
    return PlannedOperation(operation, at_most)
