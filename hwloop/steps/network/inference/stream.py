"""Samples in chunks through the whole network: what each layer needs is settled by the first ones.

The first samples, the calibration, go through the network layer by layer. Of each layer they settle
the scale of its inputs and, in the same operation, the ranges of its converters. All other samples
follow with these, so many at a time as the memory allows. An answer depends on its sample, on the
calibration and on the number of the sample, and not on how many come at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hwloop.array.blocks import BlockBatch, Keep
from hwloop.errors import StepError
from hwloop.steps.array import Array
from hwloop.steps.network.inference.layer_product import (
    IntArray,
    LayerOnTiles,
    measured_or_held,
)
from hwloop.steps.network.network import Network
from hwloop.types import FloatArray


@dataclass(frozen=True)
class RangeRules:
    """Rules of the scale of inputs, and of what may be held at an end of a range.

    ``margin``: of the scale of the inputs beyond the largest of the calibration, a fraction of it.
    ``over_range``: largest share of a layer's inputs, or of a block's conversions, that may be held
    at an end of their range; each is counted. ``unit_v``: voltage of a unit of input, in place of a
    scale of its own for each layer.
    """

    margin: float = 0.1
    over_range: float = 1e-3
    unit_v: float | None = None


@dataclass(eq=False)
class LayerState:
    """Scale of a layer's inputs, and counts of what was held at an end of a range.

    ``over_range``: conversions of each block; ``conversions``: of each block, of all samples so
    far.
    """

    per_unit_v: float = 0.0
    inputs: int = 0
    held_inputs: int = 0
    over_range: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    conversions: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))


Watch = Callable[[int, FloatArray, FloatArray], None]
"""Takes (layer, inputs, sums shaped as the next layer takes them) of the calibration."""


class Stream:
    """A placed network on an array, through which samples go in chunks.

    ``total``: of all samples, by which shares are judged.
    """

    def __init__(
        self,
        array: Array,
        network: Network,
        layers: Sequence[LayerOnTiles],
        *,
        rules: RangeRules,
        total: int,
        keep: Keep,
    ) -> None:
        self._array, self._network, self._layers = array, network, layers
        self._rules, self._total, self._keep = rules, total, keep
        self.states = [LayerState() for _ in layers]

    def calibrate(self, x: FloatArray, watch: Watch) -> FloatArray:
        """Return the outputs of the first samples, which settle scales and ranges."""

        def layer(index: int, inputs: FloatArray) -> FloatArray:
            own = float(np.abs(inputs).max(initial=0.0))
            if self._layers[index].matrix.bias:
                own = max(own, 1.0)
            full = own * (1 + self._rules.margin) or 1.0
            self.states[index].per_unit_v = (
                self._array.settings.read.read_v / full
                if self._rules.unit_v is None
                else self._rules.unit_v
            )
            sums = self._multiplied(index, inputs, calibrate=True)
            watch(index, inputs, sums)
            return sums

        return self._network.through(x, layer)

    def outputs(self, x: FloatArray) -> FloatArray:
        """Return the outputs of further samples."""
        return self._network.through(x, self._multiplied)

    def _multiplied(self, index: int, x: FloatArray, *, calibrate: bool = False) -> FloatArray:
        layer, state = self._layers[index], self.states[index]
        layer.matrix.check_inputs(x)
        if not layer.blocks:
            return layer.matrix.exact(x)  # all of its weights are 0, and have no cells
        state.inputs += x.size

        def batch_of(driven: FloatArray) -> BlockBatch:
            return layer.batch(
                driven, per_unit_v=state.per_unit_v, calibrate=calibrate, keep=self._keep
            )

        batch = batch_of(x)
        low_v, high_v = batch.extremes_v
        if max(-low_v, high_v) > self._array.settings.limits.read_v:
            batch = batch_of(self._held(index, x))
        current_a, over = measured_or_held(self._array, layer, batch)
        self._count(index, batch, over)
        return layer.shaped(layer.sums(current_a, per_unit_v=state.per_unit_v), batch)

    def _held(self, index: int, x: FloatArray) -> FloatArray:
        """Return the inputs, those beyond the array's limit held at it and counted."""
        state = self.states[index]
        limit_v = self._array.settings.limits.read_v
        unit_v = abs(state.per_unit_v)
        bound = limit_v / unit_v
        if bound * unit_v > limit_v:  # by rounding
            bound = float(np.nextafter(bound, 0.0))
        state.held_inputs += int(np.count_nonzero(np.abs(x) > bound))
        whole = x.size // x.shape[x.ndim - self._sample_axes(index)] * self._total
        if state.held_inputs > self._rules.over_range * whole:
            raise StepError(
                f"layer {self._layers[index].matrix.name}: more than"
                f" {self._rules.over_range:.3g} of its inputs, such as"
                f" {float(np.abs(x).max()):.4g}, are beyond {bound:.4g}, which is driven at"
                f" limits.read_v {limit_v:g}: raise calibration,"
                " input_margin or over_range"
            )
        return np.clip(x, -bound, bound)

    def _sample_axes(self, index: int) -> int:
        return 2 if self._layers[index].matrix.kernel is None else 4

    def _count(self, index: int, batch: BlockBatch, over: IntArray) -> None:
        """Count conversions, and refuse a block of which too many are over range."""
        layer, state = self._layers[index], self.states[index]
        arrays = int(np.prod(self._array.population))
        if layer.tiles > 1:
            arrays //= layer.tiles
        each = np.array([arrays * block.width for block in layer.blocks])
        if not state.conversions.size:
            state.conversions = state.over_range = np.zeros(len(layer.blocks), np.int64)
        state.conversions = state.conversions + each * batch.vectors
        state.over_range = state.over_range + over
        whole = each * (batch.vectors // batch.samples) * self._total
        worst = int(np.argmax(state.over_range / whole))
        if state.over_range[worst] > self._rules.over_range * whole[worst]:
            share = state.over_range[worst] / whole[worst]
            raise StepError(
                f"layer {layer.matrix.name}, tile {layer.blocks[worst].tile}: the converters clip"
                f" {share:.3g} of the conversions or more, over_range allows"
                f" {self._rules.over_range:.3g}: widen their range or its margin, or raise"
                " calibration"
            )
