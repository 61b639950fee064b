"""How strong a relative noise is at a conductance."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from hwloop.operations import FloatArray
from hwloop.settings import Settings
from hwloop.units import Number, PositiveSiemens


class Dependence(Settings):
    """σ_G/G = ``fraction`` · (G/``reference_s``)^``exponent``; just ``fraction`` without one."""

    fraction: Annotated[Number, Field(ge=0, le=1)]
    exponent: Annotated[Number, Field(ge=-2, le=2)] = 0.0
    reference_s: PositiveSiemens | None = None

    @model_validator(mode="after")
    def _complete(self) -> Dependence:
        if self.exponent and self.reference_s is None:
            raise ValueError("exponent needs reference_s, the conductance where fraction holds")
        return self

    def sigma_s(self, conductance_s: FloatArray) -> FloatArray:
        """Standard deviation of the conductance, siemens; 0 where there is none."""
        if not self.exponent or self.reference_s is None:
            return self.fraction * conductance_s
        relative = conductance_s / self.reference_s
        power = np.zeros_like(relative)
        np.power(relative, 1 + self.exponent, out=power, where=relative > 0)
        sigma: FloatArray = self.fraction * self.reference_s * power
        return sigma
