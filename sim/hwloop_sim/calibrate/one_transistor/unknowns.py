"""Settings to be fitted, mapped to unbounded numbers of size about one and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwloop.types import FloatArray

_LOGIT = {"redraw.correlation", "divider_share"}
_SQUARE = {
    "growth.cycle_ratio",
    "redraw.cycle_sigma",
    "redraw.v_sigma_v",
    "spread.r_series_ohm",
    "spread.v_transistor_v",
    "spread.unsteadiness",
    "spread.v_reset_v",
    "spread.reset_floor_conductance_s",
}
"""Deviations that may be 0: fitted as squares, of which negative ones mean 0."""

_LIMITS = {
    "growth.exponent": (0.5, 10.0),
    "growth.overdrive_exponent": (0.25, 3.5),
    "unsteadiness": (1e-3, 2.5),
    "spread.unsteadiness": (0.0, 1.9),
    "spread.reset_floor_conductance_s": (0.0, 1.9),
    "redraw.pulse_sigma": (0.02, 2.5),
    "redraw.correlation": (1e-3, 0.999),
    "divider_share": (0.05, 0.99),
}
_SCALE = {"r_series_ohm": 0.2, "v_transistor_v": 0.05, "v_reset_v": 0.2}
"""Logarithm by which a number of 1 changes the value; 1 for all others."""
_OF_DAY = "day"
"""First letters of ``day1.v_reset_v``: logarithm of the ratio of a day's value to the first's."""
_DAY_SCALE, _DAY_ROOM = 0.1, 1.0
_ROOM, _ROOM_OF_SQUARE = 50.0, 10.0
_OPEN = 2.0
"""Ratio of error to value from which on a setting is not determined."""


@dataclass(frozen=True)
class Unknowns:
    """Settings to be fitted.

    ``start``: initial value of each by name, above 0; dots in names are nested mappings. Those of a
    day begin at 0 and may be negative.
    """

    start: Mapping[str, float]

    def numbers(self) -> FloatArray:
        """Return the numbers of the initial values."""
        return np.array([1.0 if name in _SQUARE else 0.0 for name in self.start])

    def limits(self) -> tuple[FloatArray, FloatArray]:
        """Return the lowest and highest number tried for each setting."""
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
            if name.startswith(_OF_DAY):
                room = (-_DAY_ROOM, _DAY_ROOM)
            yield name, start, *_LIMITS.get(name, room)

    def undetermined(self, values: Mapping[str, float], errors: Mapping[str, float]) -> list[str]:
        """List the settings whose errors are infinite, or above twice a value that cannot be 0."""
        found = []
        for name, value in values.items():
            may_be_0 = name in _SQUARE | _LOGIT or name.startswith(_OF_DAY)
            most = np.inf if may_be_0 else _OPEN * value
            if not errors[name] < most:
                found.append(name)
        return found

    def values(self, numbers: FloatArray) -> dict[str, float]:
        """Return the settings that the numbers stand for, by name."""
        pairs = zip(self.start.items(), numbers, strict=True)
        return {name: float(_value(name, start, one)) for (name, start), one in pairs}

    def errors(self, numbers: FloatArray, errors: FloatArray) -> dict[str, float]:
        """Return the errors of the settings, by name, from those of the numbers.

        They are half of the change within one error each way; a deviation that may be 0 only
        changes upwards.
        """
        squared = np.array([name in _SQUARE for name in self.start])
        at = np.where(squared, np.maximum(numbers, 0.0), numbers)
        high, low = self.values(at + errors), self.values(np.where(squared, at, at - errors))
        share = {name: 1 if name in _SQUARE else 2 for name in self.start}
        return {name: (high[name] - low[name]) / share[name] for name in self.start}


def of_day(values: Mapping[str, float], day: int) -> dict[str, float]:
    """Return the values that hold on a day, without those of the days."""
    found = {name: one for name, one in values.items() if not name.startswith(_OF_DAY)}
    for name in found:
        found[name] *= float(np.exp(values.get(f"{_OF_DAY}{day}.{name}", 0.0)))
    return found


def over_days(values: Mapping[str, float], days: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return the geometric means over the days, and the deviations of logarithms by parameter."""
    every = [of_day(values, day) for day in range(days)]
    mean = {name: float(np.exp(np.mean([np.log(one[name]) for one in every]))) for name in every[0]}
    names = {name.partition(".")[2] for name in values if name.startswith(_OF_DAY)}
    spread = {
        name: float(np.std([np.log(one[name]) for one in every], ddof=1)) for name in sorted(names)
    }
    return mean, spread


def nested(values: Mapping[str, float]) -> dict[str, Any]:
    """Return values by dotted name as the nested settings of a device."""
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
    if name.startswith(_OF_DAY):
        return value / _DAY_SCALE
    if name in _SQUARE:
        return (value / start) ** 2
    scaled = _logit if name in _LOGIT else np.log
    return float((scaled(value) - scaled(start)) / _SCALE.get(name, 1.0))


def _value(name: str, start: float, number: float) -> float:
    if name.startswith(_OF_DAY):
        return number * _DAY_SCALE
    if name in _SQUARE:
        return start * float(np.sqrt(max(number, 0.0)))
    if name in _LOGIT:
        return float(1 / (1 + np.exp(-_logit(start) - number)))
    return start * float(np.exp(number * _SCALE.get(name, 1.0)))


def _logit(value: float) -> float:
    return float(np.log(value / (1 - value)))
