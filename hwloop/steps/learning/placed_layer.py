"""A layer of weights in the cells of the array: driven both ways, and pulsed.

Each weight is a pair of cells side by side, w = (G⁺ − G⁻)/(G_high − G_low), so that −1 ≤ w ≤ 1. An
input of 1 drives its row with ``input_v``. Backwards, an error of 1 drives the columns of its
neuron with +``input_v`` and −``input_v``, and the rows are measured. Larger values are scaled down
for the array and the answer back up, so that no line exceeds ``input_v``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from hwloop.array.blocks import BlockBatch, CellBlock, Keep
from hwloop.array.operations import PulseMap
from hwloop.errors import StepError
from hwloop.messages import first_place
from hwloop.steps.array import Array
from hwloop.steps.learning.pulses import CellPulses, IntArray, on_pairs, pulse_maps
from hwloop.types import BoolArray, FloatArray


@dataclass(frozen=True)
class Place:
    """Cells of a layer: rows for ``inputs`` from ``top``, pairs of columns from ``left`` on."""

    top: int
    left: int
    inputs: int
    outputs: int

    @property
    def forward(self) -> CellBlock:
        """Return the cells as they are driven from the rows."""
        return CellBlock(0, self.top, self.left, 2 * self.outputs, tuple(range(self.inputs)))

    @property
    def backward(self) -> CellBlock:
        """Return the cells as they are driven from the columns."""
        return CellBlock(0, self.left, self.top, self.inputs, tuple(range(2 * self.outputs)))

    @property
    def cells(self) -> tuple[slice, slice]:
        """Return the rows and columns of the array that it takes."""
        return self.forward.row_slice, self.forward.col_slice


@dataclass
class PlacedLayer:
    """Weights at a place of the array.

    ``span_conductance_s``: G_high − G_low. ``pulsed``: pulses given to each array so far.
    ``cut``: updates of a weight that :meth:`bounded` has cut so far. ``at_work``: arrays of the
    population that still learn; the others get no pulses.
    """

    array: Array
    place: Place
    pulses: CellPulses
    input_v: float
    span_conductance_s: float
    keep: Keep
    label: str
    pulsed: IntArray = field(init=False)
    cut: IntArray = field(init=False)
    at_work: BoolArray = field(init=False)

    def __post_init__(self) -> None:
        self.pulsed = np.zeros(self.array.population, dtype=np.int64)
        self.cut = np.zeros(self.array.population, dtype=np.int64)
        self.at_work = np.ones(self.array.population, dtype=np.bool_)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the weights, (..., inputs, outputs)."""
        return (*self.array.population, self.place.inputs, self.place.outputs)

    def forward(self, inputs: FloatArray) -> FloatArray:
        """Return the weighted sums, (..., samples, outputs), of inputs (..., samples, inputs)."""
        scale = max(1.0, float(np.abs(inputs).max(initial=0.0)))
        batch = BlockBatch(inputs * (self.input_v / scale), (self.place.forward,), keep=self.keep)
        current_a = self._measured(batch)
        pair_a = current_a[..., 0::2] - current_a[..., 1::2]
        sums: FloatArray = pair_a * (scale / (self.input_v * self.span_conductance_s))
        return sums

    def backward(self, errors: FloatArray) -> FloatArray:
        """Return Σ w δ over the outputs, (..., samples, inputs), of errors (..., samples, outputs).

        Each sample is scaled to use the whole range of voltages.
        """
        largest = np.abs(errors).max(axis=-1, keepdims=True)
        scale = np.where(largest > 0, largest, 1.0)
        driven_v = np.zeros((*errors.shape[:-1], 2 * errors.shape[-1]))
        driven_v[..., 0::2] = errors / scale * self.input_v
        driven_v[..., 1::2] = -driven_v[..., 0::2]
        batch = BlockBatch(driven_v, (self.place.backward,), keep=self.keep, driven="cols")
        sums: FloatArray = self._measured(batch) * (
            scale / (self.input_v * self.span_conductance_s)
        )
        return sums

    def bounded(self, steps: FloatArray, most: int) -> IntArray:
        """Return whole steps of the weights, at most so many either way, and count those cut."""
        beyond = (np.abs(steps) > most).sum(axis=(-2, -1))
        self.cut = self.cut + np.where(self.at_work, beyond, 0)
        return np.clip(steps, -most, most).astype(np.int64)

    def step(self, steps: IntArray) -> None:
        """Move every weight by whole steps, (..., inputs, outputs): pulses of its two cells."""
        own = np.where(self.at_work[..., None, None], steps, 0)
        for pulse in pulse_maps(self._whole(on_pairs(own, self.pulses)), self.pulses):
            self.apply(pulse)

    def apply(self, pulse: PulseMap) -> None:
        """Apply a map of the whole array, and count its pulses."""
        self.array.backend.pulse(pulse)
        given = pulse.addressed.sum(axis=(-2, -1)) * pulse.count
        self.pulsed = self.pulsed + np.broadcast_to(given, self.pulsed.shape)

    def on_array(self, values: FloatArray) -> FloatArray:
        """Return values of the layer's cells, (..., inputs, 2 · outputs), as a map; 0 elsewhere."""
        whole = np.zeros((*values.shape[:-2], *self.array.geometry.shape), dtype=values.dtype)
        whole[(..., *self.place.cells)] = values
        return whole

    def _whole(self, counts: IntArray) -> IntArray:
        whole = np.zeros((*counts.shape[:-2], *self.array.geometry.shape), dtype=np.int64)
        whole[(..., *self.place.cells)] = counts
        return whole

    def _measured(self, batch: BlockBatch) -> FloatArray:
        reading = self.array.backend.multiply_blocks(batch)
        if np.isnan(reading.current_a).any():
            *_, vector, line = place = first_place(np.isnan(reading.current_a))
            lines = "column" if batch.driven == "rows" else "row"
            raise StepError(
                f"train_in_situ: {self.label}: {lines} {line} of vector {vector} could not be"
                f" measured (flags {int(reading.flags[place])}: over-range or compliance): raise"
                " limits.current_a or lower input_v"
            )
        return reading.current_a
