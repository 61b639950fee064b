"""Entries of a network besides its matrices: lines of channels, and what a drive does to values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwloop.array.switching_law import switching_probability, switching_voltage_v
from hwloop.errors import StepError
from hwloop.types import FloatArray


@dataclass(frozen=True, eq=False)
class ChannelLine:
    """Line y = ``scale`` x + ``shift`` of each channel, computed in software; both (channels,).

    ``images``: whether x is (..., samples, channels, height, width), or (..., samples, channels).
    """

    scale: FloatArray
    shift: FloatArray
    images: bool

    def apply(self, x: FloatArray) -> FloatArray:
        """Return y of x; raises :class:`StepError` where x has another number of channels."""
        axis = -3 if self.images else -1
        if x.shape[axis] != len(self.scale):
            raise StepError(
                f"affine layer: takes {len(self.scale)} channels, but gets {x.shape[axis]}"
            )
        across = (len(self.scale), 1, 1) if self.images else (len(self.scale),)
        return self.scale.reshape(across) * x + self.shift.reshape(across)


@dataclass(frozen=True)
class InputLimit:
    """Scaling of a sample's inputs to ±``largest`` where, and only where, they exceed it.

    What follows is not scaled back. ``images``: see :class:`ChannelLine`. Source: ``naive_scale``
    of MemTorch 1.1.6, C. Lammie et al., Neurocomputing 485, 124 (2022); there each image by itself
    before a convolution, and before a dense layer all samples of a batch together.
    """

    largest: float
    images: bool

    def apply(self, x: FloatArray) -> FloatArray:
        """Return the inputs as they are driven, in units of the activation."""
        axes = (-3, -2, -1) if self.images else (-1,)
        peak = np.abs(x).max(axis=axes, keepdims=True, initial=0.0)
        return x * np.where(peak > self.largest, self.largest / np.maximum(peak, 1e-300), 1.0)


@dataclass(frozen=True, eq=False)
class OutputLine:
    """Line y = ``factor`` x + ``offset`` of the outputs of a layer on the array.

    Both (...), one for each array of a population.
    """

    factor: FloatArray
    offset: FloatArray

    def apply(self, x: FloatArray) -> FloatArray:
        """Return y of outputs (..., samples, …)."""
        across = (*self.factor.shape, *(1 for _ in range(x.ndim - self.factor.ndim)))
        return self.factor.reshape(across) * x + self.offset.reshape(across)


@dataclass(eq=False)
class FiringUnits:
    """Units that fire or not, 1 or 0, by the switching of a binary cell.

    ``width_s``: of the voltage on the cell, switching_voltage_v of a unit's sum. ``time_s``,
    ``scale_v``: of :mod:`hwloop.array.switching_law`. ``asked``, ``fired``: units since
    :meth:`begin`, and ``highest_v`` on any of their cells.
    """

    rng: np.random.Generator
    width_s: float
    time_s: float
    scale_v: float
    asked: int = 0
    fired: int = 0
    highest_v: float = -np.inf

    def begin(self) -> None:
        """Set both counts and the highest voltage back."""
        self.asked, self.fired, self.highest_v = 0, 0, -np.inf

    def apply(self, x: FloatArray) -> FloatArray:
        """Return which units fire of their sums (..., samples, units)."""
        law = {"time_s": self.time_s, "scale_v": self.scale_v}
        voltage_v = switching_voltage_v(x, self.width_s, **law)
        fired = self.rng.random(x.shape) < switching_probability(voltage_v, self.width_s, **law)
        self.asked += x.size
        self.fired += int(np.count_nonzero(fired))
        self.highest_v = max(self.highest_v, float(voltage_v.max(initial=-np.inf)))
        return fired.astype(np.float64)


Entry = ChannelLine | InputLimit | OutputLine | FiringUnits
