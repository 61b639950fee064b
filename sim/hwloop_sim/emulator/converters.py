"""Converters at the edge of an array: DAC and ADC as plain functions, and as an array has them.

A converter of b bits has the levels low + n · step, n = 0 to 2^b − 1. Where its range is symmetric
about 0 it leaves one code unused, n = 0 to 2^b − 2, so that 0 is a level. A value further than half
a step outside is over range: a DAC refuses it, an ADC flags it, and neither shows a number for it.
Source: M. J. M. Pelgrom, Analog-to-Digital Conversion, Springer 2017, for offset and gain error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hwloop.array.converter_range import Bits, CalibratedRange, Levels
from hwloop.errors import Unsupported
from hwloop.messages import first_place
from hwloop.settings.model import Settings
from hwloop.settings.units import Ampere, Number, Volt
from hwloop.types import BoolArray, FloatArray

GainError = Annotated[Number, Field(gt=-0.5, lt=0.5)]


class Dac(Settings):
    """The converters that drive the rows: the nearest level, with gain error, offset and noise.

    ``noise_v``: standard deviation, drawn for every vector and row.
    """

    bits: Bits
    low_v: Volt
    high_v: Volt
    offset_v: Volt = 0.0
    gain_error: GainError = 0.0
    noise_v: Annotated[Volt, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> Dac:
        if self.low_v >= self.high_v:
            raise ValueError(f"low_v {self.low_v:g} must be below high_v {self.high_v:g}")
        return self

    @property
    def levels(self) -> Levels:
        """Return the levels of the converter, volts."""
        return Levels(self.low_v, self.high_v, self.bits)

    def check(self, voltage_v: FloatArray) -> None:
        """Raise :class:`Unsupported` naming the first value beyond the range."""
        half_v = self.levels.step / 2
        beyond = (voltage_v < self.low_v - half_v) | (voltage_v > self.high_v + half_v)
        if beyond.any():
            *_, vector, row = place = first_place(beyond)
            raise Unsupported(
                f"vector {vector}, row {row}: voltage_v {voltage_v[place]:g} is outside the DAC's"
                f" {self.low_v:g} to {self.high_v:g} V: widen converters.dac low_v and"
                " high_v, or lower read.read_v"
            )

    def convert(self, voltage_v: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return the voltages of the rows, (..., batch, rows), in volts.

        Raises :class:`Unsupported` beyond the range.
        """
        self.check(voltage_v)
        levels = self.levels
        # Half a step outside at most, as checked.
        codes = np.clip(np.rint((voltage_v - levels.low) / levels.step), 0.0, float(levels.top))
        driven_v = levels.values(codes) * (1 + self.gain_error) + self.offset_v
        if self.noise_v:
            driven_v = driven_v + rng.normal(0, self.noise_v, driven_v.shape)
        return driven_v


class FixedRange(Settings):
    """A given range of an ADC, amperes."""

    kind: Literal["fixed"]
    low_a: Ampere
    high_a: Ampere

    @model_validator(mode="after")
    def _ordered(self) -> FixedRange:
        if self.low_a >= self.high_a:
            raise ValueError(f"low_a {self.low_a:g} must be below high_a {self.high_a:g}")
        return self

    def fit(self, current_a: FloatArray) -> tuple[float, float]:  # noqa: ARG002 - it is given
        """Return the given range, (low, high), amperes."""
        return self.low_a, self.high_a


class MemTorchRange(Settings):
    """A range for each vector and converter tile, as MemTorch quantises its partial sums.

    With p the largest magnitude of a tile's currents for a vector, amperes: step s = 2^(1 − bits +
    ⌈log₂(p + 1e-12)⌉), codes ⌊I/s + ½⌋ from −2^(bits−1) to 2^(bits−1) − 1. The highest current may
    be clipped by a step, and currents that are all equal are left as they are. Source: linear
    quantisation without overflow in ``quantize.h`` of MemTorch 1.1.6.
    """

    kind: Literal["memtorch"]

    def fit(self, current_a: FloatArray) -> tuple[float, float]:  # noqa: ARG002 - none
        """Refuse: there is no one range; raises :class:`Unsupported`."""
        raise Unsupported("a range of kind memtorch is another for each vector")


AdcRange = Annotated[FixedRange | CalibratedRange | MemTorchRange, Field(discriminator="kind")]


def memtorch_levels_a(current_a: FloatArray, bits: int) -> FloatArray:
    """Return currents (..., batch, cols) as :class:`MemTorchRange` quantises them, amperes."""
    peak_a = np.abs(current_a).max(axis=-1, keepdims=True, initial=0.0)
    step_a = np.exp2(1 - bits + np.ceil(np.log2(peak_a + 1e-12)))
    bound = 2.0 ** (bits - 1)
    levels_a = np.clip(np.floor(current_a / step_a + 0.5), -bound, bound - 1) * step_a
    return np.where(np.ptp(current_a, axis=-1, keepdims=True) == 0, current_a, levels_a)


@dataclass(frozen=True, eq=False)
class Converted:
    """The output of ADCs: codes, clipped to the ends; values, NaN where a code is over range."""

    codes: NDArray[np.int32]
    over_range: BoolArray
    value_a: FloatArray


class Adc(Settings):
    """The converters that read the columns: I · (1 + gain) + offset + noise, to the nearest level.

    ``gain_error``, ``offset_a``: of all converters alike; ``gain_sigma``, ``offset_sigma_a``: their
    spread from one converter to the next. ``noise_a``: standard deviation, drawn in every
    conversion.
    """

    bits: Bits
    range: AdcRange
    offset_a: Ampere = 0.0
    offset_sigma_a: Annotated[Ampere, Field(ge=0)] = 0.0
    gain_error: GainError = 0.0
    gain_sigma: Annotated[Number, Field(ge=0, le=0.2)] = 0.0
    noise_a: Annotated[Ampere, Field(ge=0)] = 0.0

    @property
    def each_vector(self) -> bool:
        """Return whether the range is another for each vector."""
        return isinstance(self.range, MemTorchRange)

    def levels(self, calibration_a: FloatArray) -> Levels:
        """Return the levels, amperes, of a fixed range, or calibrated on these currents."""
        low_a, high_a = self.range.fit(calibration_a)
        return Levels(low_a, high_a, self.bits)

    def range_of_each(self, calibration_a: list[FloatArray]) -> list[Levels]:
        """Return the levels of several converters, each calibrated on its own currents, amperes.

        Where all of its currents are 0 A, a converter has the widest range of the others.
        """
        alive = [bool(np.any(one_a[np.isfinite(one_a)])) for one_a in calibration_a]
        if not any(alive) or isinstance(self.range, FixedRange):
            return [self.levels(one_a) for one_a in calibration_a]
        own = [
            self.levels(one_a) if seen else None
            for one_a, seen in zip(calibration_a, alive, strict=True)
        ]
        widest = max((one for one in own if one), key=lambda one: one.high - one.low)
        return [one or widest for one in own]

    def draw_gain(self, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """Draw 1 + gain error of converters."""
        return 1 + self.gain_error + rng.normal(0, self.gain_sigma, shape)

    def draw_offset_a(self, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """Draw the offsets of converters, amperes."""
        return self.offset_a + rng.normal(0, self.offset_sigma_a, shape)

    def convert(
        self,
        current_a: FloatArray,
        levels: Levels,
        rng: np.random.Generator,
        *,
        gain: FloatArray | None = None,
        offset_a: FloatArray | None = None,
    ) -> Converted:
        """Convert currents (..., batch, cols), amperes.

        ``gain``, ``offset_a``: of each column's converter, (..., cols).
        """
        from hwloop_sim.compiled import kernels

        if self.noise_a:
            current_a = current_a + rng.normal(0, self.noise_a, current_a.shape)
        *population, _, cols = current_a.shape
        shape = (*population, cols)
        gain = np.full(shape, 1 + self.gain_error) if gain is None else gain
        offset_a = np.full(shape, self.offset_a) if offset_a is None else offset_a
        codes, over, value_a = kernels.digitise(
            current_a, gain, offset_a, low=levels.low, high=levels.high, top=levels.top
        )
        return Converted(codes, over, value_a)
