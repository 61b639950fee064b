"""Parameters that a fit may move: in which scale, and between which ends it looks for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hwloop_sim.calibrate.operations.history import History

Scale = Literal["log", "logit", "linear"]


@dataclass(frozen=True)
class Free:
    """A parameter that is fitted; ``low`` to ``high``: where its value is looked for.

    ``scale``: "log" of the magnitude, for what keeps its sign; "logit", for what is between 0 and
    1; "linear", for what may be 0. ``steps_v``: magnitudes that were applied, ascending from 0,
    of a threshold that the data see only as between two of them: what is found is an interval.
    """

    name: str
    low: float
    high: float
    scale: Scale = "log"
    steps_v: tuple[float, ...] = ()

    def inner(self, value: float) -> float:
        """The value as the fit has it."""
        if self.scale == "log":
            return math.log(abs(value))
        if self.scale == "logit":
            return math.log(value / (1 - value))
        return value / self._unit

    def outer(self, inner: float) -> float:
        """And back."""
        if self.scale == "log":
            return math.copysign(math.exp(inner), self.high)
        if self.scale == "logit":
            return 1 / (1 + math.exp(-inner))
        return inner * self._unit

    def slope(self, inner: float) -> float:
        """By how much the value changes with its inner one, without sign."""
        value = self.outer(inner)
        if self.scale == "log":
            return abs(value)
        return value * (1 - value) if self.scale == "logit" else self._unit

    @property
    def middles(self) -> list[float]:
        """Inner values in the middle of each step."""
        pairs = zip(self.steps_v[:-1], self.steps_v[1:], strict=True)
        return [self.inner((low + high) / 2) for low, high in pairs]

    @property
    def ends(self) -> tuple[float, float]:
        """Inner ends of the search."""
        ends = sorted((self.inner(self.low), self.inner(self.high)))
        return ends[0], ends[1]

    @property
    def bounds(self) -> tuple[float, float]:
        """Inner bounds of the fit, which goes well beyond what the search has seen."""
        low, high = self.ends
        room = {"log": 7.0, "logit": 3.0, "linear": high - low}[self.scale]
        return low - room, high + room

    @property
    def _unit(self) -> float:
        return max(abs(self.low), abs(self.high))


Turned = Callable[[Sequence[History], bool], dict[str, Any]]


@dataclass(frozen=True)
class OperationModel:
    """How a device model is fitted to histories.

    ``free(histories, settings)``: its parameters, with the ends that these data suggest.
    ``held``: settings that no such data determine, with the reason; the others are on their scale.
    ``turned(histories, rises)``: settings that the data give outright, of cells whose conductance
    a positive voltage raises, or lowers. ``starts``: how many are tried, fewer for slow models.
    ``decades``: whether currents are compared on a scale of logarithms above the noise, as an
    exponential law wants it.
    """

    name: str
    free: Callable[[Sequence[History], Any], list[Free]]
    held: Mapping[str, str]
    turned: Turned
    starts: int = 512
    decades: bool = False
