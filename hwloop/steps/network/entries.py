"""Entries of a network besides its matrices: lines of channels, and what a drive does to values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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


Entry = ChannelLine | InputLimit | OutputLine
