"""Distributions over the cells of an array: shifts, initial states, parameters of device models."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from hwloop.errors import ConfigError
from hwloop.messages import cell_name, first_place
from hwloop.settings.model import Settings
from hwloop.settings.tables import NumberTable
from hwloop.settings.units import Fraction, Number, PositiveSiemens, Unit, format_quantity
from hwloop.types import FloatArray


class ScaledLognormal(Settings):
    """A lognormal draw, rescaled so that the extremes of each array are given.

    μ = ln((min + max)/2), σ = |ln(max/min)|/divisor; then a linear map takes the smallest draw of
    an array to ``min_conductance_s`` and the largest to ``max_conductance_s``.
    """

    distribution: Literal["scaled_lognormal"]
    min_conductance_s: PositiveSiemens
    max_conductance_s: PositiveSiemens
    divisor: Annotated[Number, Field(gt=0)] = 5.0

    @model_validator(mode="after")
    def _ordered(self) -> ScaledLognormal:
        if self.min_conductance_s >= self.max_conductance_s:
            raise ValueError(
                f"min_conductance_s {self.min_conductance_s:g} must be below max_conductance_s"
                f" {self.max_conductance_s:g}"
            )
        return self

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """Draw a conductance for every cell, (..., rows, cols), siemens."""
        if shape[-2] * shape[-1] < 2:
            raise ConfigError("scaled_lognormal needs at least two cells; use lognormal")
        mu = np.log((self.min_conductance_s + self.max_conductance_s) / 2)
        sigma = abs(np.log(self.max_conductance_s / self.min_conductance_s)) / self.divisor
        draws = rng.lognormal(mu, sigma, shape)
        lowest = draws.min(axis=(-2, -1), keepdims=True)
        highest = draws.max(axis=(-2, -1), keepdims=True)
        rescaled: FloatArray = self.min_conductance_s + (draws - lowest) / (highest - lowest) * (
            self.max_conductance_s - self.min_conductance_s
        )
        return rescaled


class Lognormal(Settings):
    """A plain lognormal: median and standard deviation of the logarithm."""

    distribution: Literal["lognormal"]
    median_conductance_s: PositiveSiemens
    sigma: Fraction

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """Draw a conductance for every cell, (..., rows, cols), siemens."""
        return rng.lognormal(np.log(self.median_conductance_s), self.sigma, shape)


class GivenValues(Settings):
    """Values given for every cell: (rows, cols), or one such map for each array."""

    distribution: Literal["given"]
    values_conductance_s: Annotated[NumberTable, Unit("S")]

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return the given values; :class:`ConfigError` where their shape does not fit."""
        values = np.array(self.values_conductance_s, dtype=np.float64)
        if values.shape not in (shape, shape[-2:]):
            raise ConfigError(
                f"shape {values.shape} does not fit the cells {shape}", key="values_conductance_s"
            )
        return np.array(np.broadcast_to(values, shape))


ConductanceSpread = Annotated[
    ScaledLognormal | Lognormal | GivenValues, Field(discriminator="distribution")
]
"""One of the distributions, chosen by its name."""


class Uniform(Settings):
    """A uniform distribution between two conductances."""

    distribution: Literal["uniform"]
    min_conductance_s: PositiveSiemens
    max_conductance_s: PositiveSiemens

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        if self.min_conductance_s > self.max_conductance_s:
            raise ValueError(
                f"min_conductance_s {self.min_conductance_s:g} must not be above max_conductance_s"
                f" {self.max_conductance_s:g}"
            )
        return self

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """Draw a conductance for every cell, (..., rows, cols), siemens."""
        return rng.uniform(self.min_conductance_s, self.max_conductance_s, shape)


InitialDistribution = Annotated[
    Uniform | Lognormal | GivenValues, Field(discriminator="distribution")
]
InitialState = PositiveSiemens | InitialDistribution
"""The conductances that cells begin with: one number for all, or a distribution by its name."""

_ROUNDS = 1000


def draw_initial(
    initial: InitialState,
    shape: tuple[int, ...],
    rng: np.random.Generator,
    *,
    low_conductance_s: FloatArray | float,
    high_conductance_s: FloatArray | float,
) -> FloatArray:
    """Draw the initial conductance of every cell, (..., rows, cols), siemens, in the model's range.

    A lognormal is truncated to the range: values outside are drawn again. Raises
    :class:`ConfigError` with the cell, its value and the range where a value is outside.
    """
    low_conductance_s = np.broadcast_to(np.asarray(low_conductance_s, dtype=np.float64), shape)
    high_conductance_s = np.broadcast_to(np.asarray(high_conductance_s, dtype=np.float64), shape)
    try:
        values = np.full(shape, initial) if isinstance(initial, float) else initial.draw(shape, rng)
    except ConfigError as exc:
        raise exc.below("initial") from None
    if isinstance(initial, Lognormal):
        for _ in range(_ROUNDS):
            if not (wrong := (values < low_conductance_s) | (values > high_conductance_s)).any():
                break
            values[wrong] = initial.draw((int(wrong.sum()),), rng)
    # Snap values within rounding error of a bound to the bound.
    outside = (values < low_conductance_s * (1 - 1e-9)) | (values > high_conductance_s * (1 + 1e-9))
    if outside.any():
        place = first_place(outside)
        raise ConfigError(
            f"{cell_name(place)}: {format_quantity(values[place], 'S')} is outside the range of"
            f" the model, {format_quantity(low_conductance_s[place], 'S')} to"
            f" {format_quantity(high_conductance_s[place], 'S')}",
            key="initial",
        )
    return np.clip(values, low_conductance_s, high_conductance_s)


class ParameterSpread(Settings):
    """Spread of a parameter from device to device: value · exp(sigma · ξ), ξ normal."""

    distribution: Literal["lognormal"] = "lognormal"
    sigma: Annotated[Number, Field(ge=0, le=2)]

    def factors(
        self,
        shape: tuple[int, ...],
        rng: np.random.Generator,
        *,
        within: tuple[FloatArray | float, FloatArray | float] = (0.0, np.inf),
    ) -> FloatArray:
        """Draw a factor of median 1 for every cell; those outside of ``within`` are drawn again.

        ``within`` holds 1, the factor of a cell that finds no other within its bounds.
        """
        drawn = rng.lognormal(0.0, self.sigma, shape)
        low, high = within
        for _ in range(_ROUNDS):
            if not (wrong := (drawn < low) | (drawn > high)).any():
                return drawn
            drawn[wrong] = rng.lognormal(0.0, self.sigma, int(wrong.sum()))
        drawn[(drawn < low) | (drawn > high)] = 1.0
        return drawn
