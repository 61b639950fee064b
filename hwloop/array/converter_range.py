"""Levels of a converter, and the range that data give it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hwloop.errors import Unsupported
from hwloop.settings.model import Settings
from hwloop.settings.units import Fraction, Number
from hwloop.types import FloatArray

Bits = Annotated[int, Field(strict=True, ge=2, le=24)]


@dataclass(frozen=True)
class Levels:
    """The levels between ``low`` and ``high`` of a converter of ``bits``."""

    low: float
    high: float
    bits: int

    @property
    def top(self) -> int:
        """Return the highest code; the lowest is 0."""
        return (1 << self.bits) - (2 if self.low == -self.high else 1)

    @property
    def step(self) -> float:
        """Return the distance of two neighbouring levels."""
        return (self.high - self.low) / self.top

    def values(self, codes: FloatArray | NDArray[np.int32]) -> FloatArray:
        """Return the levels of codes; the middle code of a symmetric range is exactly 0."""
        middle = (self.high + self.low) / 2
        return middle + (np.asarray(codes, dtype=np.float64) - self.top / 2) * self.step

    def nearest(self, values: FloatArray) -> FloatArray:
        """Return the level nearest to each value; beyond the range, that of its end."""
        codes = np.clip(np.round((values - self.low) / self.step), 0, self.top)
        return self.values(codes)


class CalibratedRange(Settings):
    """A range of an ADC that holds the data it is calibrated on, and a margin.

    ``percent``: of the magnitudes that it holds, 100 for all of them. Symmetric where the data have
    both signs, else from 0.
    """

    kind: Literal["calibrated", "percentile"]
    percent: Annotated[Number, Field(gt=0, le=100)] = 100.0
    margin: Fraction = 0.0

    @model_validator(mode="after")
    def _consistent(self) -> CalibratedRange:
        if self.kind == "calibrated" and self.percent != 100:
            raise ValueError("calibrated holds all data; for a part of them, kind: percentile")
        return self

    def fit(self, current_a: FloatArray) -> tuple[float, float]:
        """Return (low, high), amperes; :class:`Unsupported` where every current is 0 A."""
        finite_a = current_a[np.isfinite(current_a)]
        reach_a = 0.0
        if finite_a.size and self.percent == 100:
            reach_a = max(float(finite_a.max()), -float(finite_a.min()))
        elif finite_a.size:
            reach_a = float(np.percentile(np.abs(finite_a), self.percent))
        reach_a *= 1 + self.margin
        if reach_a == 0:
            raise Unsupported("the ADC cannot be calibrated: every current of the data is 0 A")
        low, high = bool((finite_a < 0).any()), bool((finite_a > 0).any())
        return (-reach_a if low else 0.0), (reach_a if high else 0.0)
