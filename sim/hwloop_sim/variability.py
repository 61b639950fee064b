"""Device-to-device variability: how a quantity scatters over the cells of an array."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from hwloop.datafile import NumberTable
from hwloop.errors import ConfigError
from hwloop.operations import FloatArray
from hwloop.settings import Settings
from hwloop.units import Fraction, Number, PositiveSiemens


class ScaledLognormal(Settings):
    """A lognormal draw, rescaled so that each array's extremes meet ``min_s`` and ``max_s``.

    μ = ln((min + max)/2), σ = |ln(max/min)|/divisor; then a linear map takes the smallest draw
    of an array to ``min_s`` and the largest to ``max_s``.
    """

    distribution: Literal["scaled_lognormal"]
    min_s: PositiveSiemens
    max_s: PositiveSiemens
    divisor: Annotated[Number, Field(gt=0)] = 5.0

    @model_validator(mode="after")
    def _ordered(self) -> ScaledLognormal:
        if self.min_s >= self.max_s:
            raise ValueError(f"min_s {self.min_s:g} must be below max_s {self.max_s:g}")
        return self

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """Values for every cell, (..., rows, cols), siemens."""
        if shape[-2] * shape[-1] < 2:
            raise ConfigError(
                "scaled_lognormal needs at least two cells; use lognormal", key="shift"
            )
        mu = np.log((self.min_s + self.max_s) / 2)
        sigma = abs(np.log(self.max_s / self.min_s)) / self.divisor
        draws = rng.lognormal(mu, sigma, shape)
        lowest = draws.min(axis=(-2, -1), keepdims=True)
        highest = draws.max(axis=(-2, -1), keepdims=True)
        rescaled: FloatArray = self.min_s + (draws - lowest) / (highest - lowest) * (
            self.max_s - self.min_s
        )
        return rescaled


class Lognormal(Settings):
    """A plain lognormal: median and standard deviation of the logarithm."""

    distribution: Literal["lognormal"]
    median_s: PositiveSiemens
    sigma: Fraction

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """Values for every cell, (..., rows, cols), siemens."""
        return rng.lognormal(np.log(self.median_s), self.sigma, shape)


class Given(Settings):
    """Values given for every cell: (rows, cols), or one such map for each array."""

    distribution: Literal["given"]
    values_s: NumberTable

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """The given values; :class:`ConfigError` where their shape does not fit."""
        values = np.array(self.values_s, dtype=np.float64)
        if values.shape not in (shape, shape[-2:]):
            raise ConfigError(
                f"shape {values.shape} does not fit the cells {shape}", key="shift.values_s"
            )
        return np.array(np.broadcast_to(values, shape))


Spread = Annotated[ScaledLognormal | Lognormal | Given, Field(discriminator="distribution")]
"""One of the distributions, chosen by its name."""
