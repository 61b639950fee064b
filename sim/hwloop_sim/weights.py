"""Signed weights as conductances, which have no sign: differential pairs, or an offset column.

With the slope k = (G_max − G_min)/|w|_max (pairs) or half of it (offset):

- differential: a weight is two neighbouring columns, G⁺ = G_min + k · max(w, 0) in the even one and
  G⁻ = G_min + k · max(−w, 0) in the odd one, and Σ V w = (I⁺ − I⁻)/k;
- offset: a weight is one column, G = (G_min + G_max)/2 + k · w, beside one more, the last, of cells
  at (G_min + G_max)/2, and Σ V w = (I − I_offset)/k.

Source: eqs. 10 and 11 of J. Souto Garnelo et al., "Neuromorphic circuit simulation with memristors"
for pairs; A. Shafiee et al., ISCA 2016, doi:10.1145/3007787.3001139, for the offset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from hwloop.operations import FloatArray
from hwloop.settings import Settings
from hwloop.units import PositiveSiemens, Siemens

Arrangement = Literal["differential", "offset"]


class WeightColumns(Settings):
    """How weights stand in columns, and the conductances of the smallest and the largest."""

    arrangement: Arrangement = "differential"
    min_s: Annotated[Siemens, Field(ge=0)]
    max_s: PositiveSiemens

    @model_validator(mode="after")
    def _ordered(self) -> WeightColumns:
        if self.min_s >= self.max_s:
            raise ValueError(f"min_s {self.min_s:g} must be below max_s {self.max_s:g}")
        return self


@dataclass(frozen=True, eq=False)
class WeightMap:
    """Conductances of weights, (rows, cols), and the slope that leads back."""

    arrangement: Arrangement
    conductance_s: FloatArray
    slope_s: float

    def sums(self, current_a: FloatArray) -> FloatArray:
        """Column currents (..., cols) → Σ V w of each output, volts; NaN where one is NaN."""
        if self.arrangement == "differential":
            return (current_a[..., 0::2] - current_a[..., 1::2]) / self.slope_s
        return (current_a[..., :-1] - current_a[..., -1:]) / self.slope_s


def map_weights(weights: FloatArray, columns: WeightColumns) -> WeightMap:
    """Weights (rows, outputs) → conductances (rows, 2 · outputs) or (rows, outputs + 1).

    The weight of the largest magnitude gets ``max_s`` (or ``min_s``, if negative, with an offset).
    """
    largest = float(np.abs(weights).max(initial=0.0)) or 1.0
    window_s = columns.max_s - columns.min_s
    if columns.arrangement == "differential":
        slope_s = window_s / largest
        pairs = np.stack([np.maximum(weights, 0.0), np.maximum(-weights, 0.0)], axis=-1)
        conductance_s = columns.min_s + slope_s * pairs.reshape(weights.shape[0], -1)
        return WeightMap("differential", conductance_s, slope_s)
    slope_s = window_s / (2 * largest)
    middle_s = (columns.min_s + columns.max_s) / 2
    with_offset = np.concatenate([weights, np.zeros((weights.shape[0], 1))], axis=-1)
    return WeightMap("offset", middle_s + slope_s * with_offset, slope_s)
