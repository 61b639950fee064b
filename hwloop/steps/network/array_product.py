"""Multiplication of the layers of a placed network by the array.

The largest input of a batch is driven at the array's read voltage, the others in proportion. Blocks
on different tiles are driven at once, blocks of one tile one after the other, so that the other
cells of their columns are at 0 V. Only the columns of the driven block are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hwloop.array.operations import MOST_ENTRIES
from hwloop.steps.array import Array
from hwloop.steps.network.inference.layer_product import LayerOnTiles, measured, on_tiles
from hwloop.steps.network.mapping.mapping import WeightMap, differences
from hwloop.steps.network.mapping.placement import Placement
from hwloop.steps.network.network import Network
from hwloop.types import FloatArray


@dataclass(frozen=True, eq=False)
class PlacedNetwork:
    """Network with the conductances of its weights and their places on the tiles.

    ``driven``: the network with what the drive does to inputs and outputs; None: nothing.
    ``unit_v``: voltage of a unit of input; None: the largest input is at the read voltage.
    """

    network: Network
    maps: tuple[WeightMap, ...]
    placement: Placement
    driven: Network | None = None
    unit_v: float | None = None

    @property
    def as_driven(self) -> Network:
        """Return the network as the array runs it."""
        return self.network if self.driven is None else self.driven

    @property
    def target_conductance_s(self) -> FloatArray:
        """Return target conductances (tiles, rows, cols), siemens; NaN in unused cells."""
        return self.placement.on_tiles([one.conductance_s for one in self.maps])

    @cached_property
    def on_tiles(self) -> list[LayerOnTiles]:
        """Return every layer with its map and its blocks."""
        return on_tiles(self.network.matrices, self.maps, self.placement)

    def weights_of(self, tiles_conductance_s: FloatArray, layer: int) -> FloatArray:
        """Return weights (..., rows, outputs) of a layer from siemens (..., tiles, rows, cols).

        Those without cells, which are not placed because they are 0, are 0.
        """
        matrix, mapped = self.network.matrices[layer], self.maps[layer]
        out = np.zeros((*tiles_conductance_s.shape[:-3], *matrix.weights.shape))
        for block in self.placement.of_layer(layer):
            signed_conductance_s = differences(
                tiles_conductance_s[(..., block.tile, *block.place)], mapped.arrangement
            )
            rows, outputs = np.array(block.rows)[:, None], list(block.outputs)
            out[..., rows, outputs] = signed_conductance_s / mapped.slope_conductance_s[outputs]
        return out


def with_tiles(values: FloatArray, array: Array) -> FloatArray:
    """Return (..., rows, cols) of the array as (..., tiles, rows, cols), also for a single tile."""
    return values[..., None, :, :] if array.settings.tiles == 1 else values


def multiply(array: Array, placed: PlacedNetwork, layer: int, inputs: FloatArray) -> FloatArray:
    """Multiply inputs (..., batch, rows) by one layer on the array → sums (..., batch, outputs).

    Raises :class:`StepError` naming tile and column where a current could not be measured.
    """
    full = float(np.abs(inputs).max(initial=0.0)) or 1.0
    per_unit_v = array.settings.read.read_v / full
    own = placed.on_tiles[layer]
    # The bias, where there is one, is among the inputs: they are vectors as they are driven.
    plain = replace(own, matrix=replace(own.matrix, bias=False, kernel=None))
    outer = array.population if array.settings.tiles == 1 else array.population[:-1]
    sums = np.zeros((*outer, inputs.shape[-2], len(own.mapped.slope_conductance_s)))
    for part in _parts(inputs.shape[-2], array) if own.blocks else ():
        batch = plain.batch(inputs[..., part, :], per_unit_v=per_unit_v)
        sums[..., part, :] = plain.sums(measured(array, plain, batch), per_unit_v=per_unit_v)
    return sums


def _parts(batch: int, array: Array) -> Iterator[slice]:
    size = max(1, MOST_ENTRIES // (int(np.prod(array.population)) * array.settings.rows))
    for begin in range(0, batch, size):
        yield slice(begin, min(begin + size, batch))


def effective_bits(found: FloatArray, exact: FloatArray) -> FloatArray:
    """Compute the effective bits of each output, (..., outputs), from sums (..., batch, outputs).

    log₂ of the range of the exact sums over √12 times the rms error: an ideal converter of n bits
    over that range has n. inf without error; NaN where the exact sums do not vary.
    """
    span = np.ptp(exact, axis=-2)
    error = np.sqrt(np.mean(np.square(found - exact), axis=-2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log2(np.where(span > 0, span, np.nan) / (np.sqrt(12) * error)))
