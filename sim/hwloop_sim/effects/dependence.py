"""Relative noise as a function of the conductance."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from hwloop.settings.model import Settings
from hwloop.settings.units import Number, PositiveOhm, PositiveSiemens
from hwloop.types import FloatArray

SeriesExponent = Annotated[Number, Field(ge=0, le=4)]


class Dependence(Settings):
    """The law σ_G/G = ``fraction`` · (G/``reference_conductance_s``)^``exponent``.

    Without an exponent, σ_G/G is ``fraction``. ``series_ohm``: R_s, a noiseless resistance in
    series with the noisy part; the cell then shows (1 − G R_s)^``series_exponent`` of the noise,
    and none where it conducts 1/R_s or more. The exponent is 1 where the noisy part's own relative
    noise is constant, and 2 where it falls as 1/(1 + g R_s) of that part's conductance g.
    """

    fraction: Annotated[Number, Field(ge=0, le=1)]
    exponent: Annotated[Number, Field(ge=-2, le=2)] = 0.0
    reference_conductance_s: PositiveSiemens | None = None
    series_ohm: PositiveOhm | None = None
    series_exponent: SeriesExponent = 1.0

    @model_validator(mode="after")
    def _complete(self) -> Dependence:
        if self.exponent and self.reference_conductance_s is None:
            raise ValueError(
                "exponent needs reference_conductance_s, the conductance where fraction holds"
            )
        return self

    def sigma_conductance_s(self, conductance_s: FloatArray) -> FloatArray:
        """Return the standard deviation of the conductance, siemens; 0 at 0 S."""
        shown: FloatArray | float = 1.0
        if self.series_ohm is not None:
            shown = shown_of_series(conductance_s, self.series_ohm) ** self.series_exponent
        if not self.exponent or self.reference_conductance_s is None:
            return self.fraction * shown * conductance_s
        relative = conductance_s / self.reference_conductance_s
        power = np.zeros_like(relative)
        np.power(relative, 1 + self.exponent, out=power, where=relative > 0)
        sigma: FloatArray = self.fraction * self.reference_conductance_s * shown * power
        return sigma


def shown_of_series(conductance_s: FloatArray, series_ohm: float) -> FloatArray:
    """Return the part of a relative change of the noisy part that a cell shows, 1 − G R_s.

    ``series_ohm``: R_s, in series with the part that changes. Never below 0.
    """
    return np.maximum(1 - conductance_s * series_ohm, 0.0)
