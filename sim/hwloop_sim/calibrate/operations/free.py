"""Parameters that a fit varies: their scale, and the range of the search."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwloop_sim.calibrate.covariance import ParameterScale
from hwloop_sim.calibrate.operations.history import History


@dataclass(frozen=True)
class Free:
    """A fitted parameter; its value is searched from ``low`` to ``high``.

    ``scale``: "log" of the magnitude, for values that keep their sign; "logit", for values between
    0 and 1; "linear", for values that may be 0. ``steps_v``: applied magnitudes, ascending from 0,
    of a threshold that the data only show as lying between two of them: the result is an interval.
    ``allowed``: the least and largest value that the model takes.
    """

    name: str
    low: float
    high: float
    scale: ParameterScale = "log"
    steps_v: tuple[float, ...] = ()
    allowed: tuple[float, float] = (-math.inf, math.inf)

    def inner(self, value: float) -> float:
        """Convert a value to the scale of the fit."""
        if self.scale == "log":
            return math.log(abs(value))
        if self.scale == "logit":
            return math.log(value / (1 - value))
        return value / self.unit

    def outer(self, inner: float) -> float:
        """Convert back from the scale of the fit."""
        if self.scale == "log":
            return math.copysign(math.exp(inner), self.high)
        if self.scale == "logit":
            return 1 / (1 + math.exp(-inner))
        return inner * self.unit

    def slope(self, inner: float) -> float:
        """Compute the magnitude of the derivative of the value on the scale of the fit."""
        value = self.outer(inner)
        if self.scale == "log":
            return abs(value)
        return value * (1 - value) if self.scale == "logit" else self.unit

    @property
    def middles(self) -> list[float]:
        """Return the middle of each step, on the scale of the fit."""
        pairs = zip(self.steps_v[:-1], self.steps_v[1:], strict=True)
        return [self.inner((low + high) / 2) for low, high in pairs]

    @property
    def ends(self) -> tuple[float, float]:
        """Return the ends of the search, on the scale of the fit."""
        ends = sorted((self.inner(self.low), self.inner(self.high)))
        return ends[0], ends[1]

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the bounds of the fit on its scale, well beyond the ends of the search.

        They are those of the model where these are closer.
        """
        low, high = self.ends
        room = {"log": 7.0, "logit": 3.0, "linear": high - low}[self.scale]
        least, most = self._allowed_inner
        return max(low - room, least), min(high + room, most)

    @property
    def _allowed_inner(self) -> tuple[float, float]:
        least, most = self.allowed
        if self.scale == "log":
            if self.high < 0:
                least, most = -most, -least
            return _log(least), _log(most)
        if self.scale == "logit":
            return (self.inner(least) if least > 0 else -math.inf), (
                self.inner(most) if most < 1 else math.inf
            )
        return least / self.unit, most / self.unit

    @property
    def unit(self) -> float:
        """Return the value that is 1 on a linear scale."""
        return max(abs(self.low), abs(self.high))


def _log(value: float) -> float:
    if value <= 0:
        return -math.inf
    return math.log(value) if value < math.inf else math.inf


Turned = Callable[[Sequence[History], bool], dict[str, Any]]


@dataclass(frozen=True)
class OperationModel:
    """Recipe for fitting a device model to histories.

    ``free(histories, settings)``: its parameters, with the ranges that these data suggest.
    ``held``: settings that no such data determine, with the reason. ``turned(histories, rises)``:
    settings that follow directly from the data, for cells whose conductance a positive voltage
    raises or lowers. ``starts``: number of initial points, fewer for slow models. ``decades``:
    whether currents are compared on a logarithmic scale above the noise, as an exponential law
    requires.
    """

    name: str
    free: Callable[[Sequence[History], Any], list[Free]]
    held: Mapping[str, str]
    turned: Turned
    starts: int = 512
    decades: bool = False
