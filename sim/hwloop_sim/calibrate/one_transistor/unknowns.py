"""Settings that are sought, as unbounded numbers of size about one, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwloop.types import FloatArray

_LOGIT = {"redraw.correlation"}
_SQUARE = {
    "growth.cycle_ratio",
    "redraw.cycle_sigma",
    "spread.r_series_ohm",
    "spread.v_transistor_v",
    "spread.unsteadiness",
    "spread.v_reset_v",
    "spread.reset_floor_conductance_s",
}
"""Deviations that may be none: sought as squares, of which less than 0 is none."""

_LIMITS = {
    "growth.exponent": (0.5, 10.0),
    "unsteadiness": (1e-3, 2.5),
    "spread.unsteadiness": (0.0, 1.9),
    "spread.reset_floor_conductance_s": (0.0, 1.9),
    "redraw.pulse_sigma": (0.02, 2.5),
    "redraw.v_sigma_v": (1e-3, 1.0),
    "redraw.correlation": (1e-3, 0.999),
}
_SCALE = {"r_series_ohm": 0.2, "v_transistor_v": 0.05, "v_reset_v": 0.2}
"""By which logarithm a number of one changes the value; one, but for these."""
_ROOM, _ROOM_OF_SQUARE = 50.0, 10.0
_OPEN = 2.0
"""Error, beside the value, from which on that is not determined."""


@dataclass(frozen=True)
class Unknowns:
    """``start``: of each by its name, dots inside mappings; all above 0."""

    start: Mapping[str, float]

    def numbers(self) -> FloatArray:
        """Of the start."""
        return np.array([1.0 if name in _SQUARE else 0.0 for name in self.start])

    def limits(self) -> tuple[FloatArray, FloatArray]:
        """Of the numbers: least and greatest that are tried."""
        pairs = [
            (_number(name, low, of), _number(name, high, of))
            for name, of, low, high in self._room()
        ]
        low, high = np.array(pairs).T
        return low, high

    def _room(self) -> Iterator[tuple[str, float, float, float]]:
        for name, start in self.start.items():
            room = (start / _ROOM, start * _ROOM)
            if name in _SQUARE:
                room = (0.0, start * _ROOM_OF_SQUARE)
            yield name, start, *_LIMITS.get(name, room)

    def undetermined(self, values: Mapping[str, float], errors: Mapping[str, float]) -> list[str]:
        """Those of which nothing is known, and of those that cannot be none, hardly anything."""
        found = []
        for name, value in values.items():
            most = np.inf if name in _SQUARE | _LOGIT else _OPEN * value
            if not errors[name] < most:
                found.append(name)
        return found

    def values(self, numbers: FloatArray) -> dict[str, float]:
        """By name."""
        pairs = zip(self.start.items(), numbers, strict=True)
        return {name: float(_value(name, start, one)) for (name, start), one in pairs}

    def errors(self, numbers: FloatArray, errors: FloatArray) -> dict[str, float]:
        """Of the values, by name: what they change by within one error, the same either way.

        A deviation that may be none can only change upwards.
        """
        squared = np.array([name in _SQUARE for name in self.start])
        at = np.where(squared, np.maximum(numbers, 0.0), numbers)
        high, low = self.values(at + errors), self.values(np.where(squared, at, at - errors))
        share = {name: 1 if name in _SQUARE else 2 for name in self.start}
        return {name: (high[name] - low[name]) / share[name] for name in self.start}


def nested(values: Mapping[str, float]) -> dict[str, Any]:
    """As the settings of a device have them."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        outer, _, inner = name.partition(".")
        if outer == "spread":
            found.setdefault(outer, {})[inner] = {"sigma": value}
        elif inner:
            found.setdefault(outer, {})[inner] = value
        else:
            found[outer] = value
    return found


def _number(name: str, value: float, start: float) -> float:
    if name in _SQUARE:
        return (value / start) ** 2
    scaled = _logit if name in _LOGIT else np.log
    return float((scaled(value) - scaled(start)) / _SCALE.get(name, 1.0))


def _value(name: str, start: float, number: float) -> float:
    if name in _SQUARE:
        return start * float(np.sqrt(max(number, 0.0)))
    if name in _LOGIT:
        return float(1 / (1 + np.exp(-_logit(start) - number)))
    return start * float(np.exp(number * _SCALE.get(name, 1.0)))


def _logit(value: float) -> float:
    return float(np.log(value / (1 - value)))
