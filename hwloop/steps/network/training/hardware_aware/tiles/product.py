"""Sums of a layer as tiles answer them, in a forward pass in PyTorch.

Weights become conductances in the blocks of ``map_network``; of each block the drop along its lines
is a factor of each cell, and its converters round the partial sums. Backward, the factors are
constants and the rounding is not seen: gradients pass straight through (Y. Bengio et al.,
arXiv:1308.3432).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwloop.array.converter_range import Levels
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError
from hwloop.steps.network.mapping.mapping import WeightMap, cols_each, differences, map_weights
from hwloop.steps.network.mapping.placement import Block, place
from hwloop.steps.network.network import ConvLayer, DenseLayer, Network
from hwloop.steps.network.training.hardware_aware.tiles.line_drop import transfer_conductance_s
from hwloop.steps.network.training.hardware_aware.tiles.settings import (
    TileAdc,
    TilesInTraining,
    TileWires,
)
from hwloop.types import FloatArray

Tensor = Any
_MOST_TILES = 1_000_000


def whole_blocks(
    settings: TilesInTraining, array: ArraySettings, network: Network
) -> dict[str, Sequence[Block]]:
    """Return the blocks of each layer, as ``map_network`` places whole layers, by its weight.

    Raises :class:`ConfigError` where no output fits a tile, or no range of conductances is given.
    """
    try:
        columns = settings.mapping.within(array.range)
        shape = array.geometry.shape
        placement = place(network.sizes, columns.arrangement, tiles=_MOST_TILES, shape=shape)
    except ConfigError as exc:
        raise exc.below("tiles") from None
    return {matrix.name: placement.of_layer(index) for index, matrix in enumerate(network.matrices)}


class TileProduct:
    """Products of the layers of a network on the tiles of an array.

    ``blocks``: of each layer, by the name of its weight; the bias is the last row.
    """

    def __init__(
        self, settings: TilesInTraining, array: ArraySettings, blocks: Mapping[str, Sequence[Block]]
    ) -> None:
        import torch

        self._torch: Any = torch
        self._settings = settings
        self._columns = settings.mapping.within(array.range)
        self._tile_rows = array.rows
        self._blocks = blocks
        self._factors: dict[str, FloatArray] = {}
        self._ages: dict[str, int] = {}

    def begin(self) -> None:
        """Let the drop along the lines be computed with the next weights."""
        self._factors, self._ages = {}, {}

    def __call__(
        self, layer: DenseLayer | ConvLayer, x: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        """Compute the sums of a layer as its tiles answer inputs (samples, …)."""
        turned = weight.T if isinstance(layer, DenseLayer) and layer.order == "in_out" else weight
        matrix = turned.reshape(len(turned), -1).T
        vectors = self._vectors(layer, x, weight)
        if bias is not None:
            matrix = self._torch.cat([matrix, bias.reshape(1, -1)])
            vectors = self._torch.cat([vectors, self._torch.ones_like(vectors[..., :1])], dim=-1)
        mapped = map_weights(matrix.detach().numpy().astype(np.float64), self._columns)
        cells_conductance_s = mapped.conductance_s
        if self._settings.wires is not None:
            factors = self._line_factors(layer.weight, mapped, self._settings.wires)
            cells_conductance_s = cells_conductance_s * factors
            matrix = self._straight(
                matrix * self._tensor(_of_weights(factors, mapped)),
                mapped.weights(cells_conductance_s),
            )
        sums = vectors @ matrix
        if self._settings.adc is not None:
            converted = _converted(
                vectors.detach().numpy().astype(np.float64),
                cells_conductance_s,
                mapped,
                self._blocks[layer.weight],
                self._settings.adc,
            )
            sums = self._straight(sums, converted)
        return sums if isinstance(layer, DenseLayer) else _images(layer, x, weight, sums)

    def _tensor(self, values: FloatArray) -> Tensor:
        return self._torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))

    def _straight(self, exact: Tensor, held: FloatArray) -> Tensor:
        """Return the held values with the gradient of the exact ones."""
        return exact + (self._tensor(held) - exact).detach()

    def _vectors(self, layer: DenseLayer | ConvLayer, x: Tensor, weight: Tensor) -> Tensor:
        """Return inputs as row vectors, (..., rows): of a convolution its patches."""
        if isinstance(layer, DenseLayer):
            return x
        patches = self._torch.nn.functional.unfold(
            x, tuple(weight.shape[2:]), padding=layer.padding, stride=layer.stride
        )
        return patches.transpose(1, 2)

    def _line_factors(self, name: str, mapped: WeightMap, wires: TileWires) -> FloatArray:
        """Return the share of each cell (rows, cols) that reaches its column, kept for a while.

        1 where a cell is 0 S.
        """
        age = self._ages.get(name, wires.batches)
        if age >= wires.batches:
            self._factors[name], age = self._computed(name, mapped, wires), 0
        self._ages[name] = age + 1
        return self._factors[name]

    def _computed(self, name: str, mapped: WeightMap, wires: TileWires) -> FloatArray:
        factors: FloatArray = np.ones(mapped.conductance_s.shape)
        for block in self._blocks[name]:
            cols = block.columns(factors.shape[1])
            place_ = (np.array(block.rows)[:, None], np.array(cols))
            own_conductance_s = mapped.conductance_s[place_]
            below = self._tile_rows - block.top - len(block.rows)
            found_conductance_s = transfer_conductance_s(
                own_conductance_s, wires, left=block.left, below=below
            )
            some = own_conductance_s > 0
            factors[place_] = np.divide(
                found_conductance_s, own_conductance_s, out=np.ones(some.shape), where=some
            )
        return factors


def _of_weights(factors: FloatArray, mapped: WeightMap) -> FloatArray:
    """Return the factor (rows, outputs) of the cell in which each weight stands."""
    if cols_each(mapped.arrangement) == 1:
        return factors[:, : len(mapped.slope_conductance_s)]
    return np.where(mapped.weights() >= 0, factors[:, 0::2], factors[:, 1::2])


def _converted(
    vectors: FloatArray,
    cells_conductance_s: FloatArray,
    mapped: WeightMap,
    blocks: Sequence[Block],
    adc: TileAdc,
) -> FloatArray:
    """Return sums (..., outputs) of vectors (..., rows) with the sums of each block converted."""
    slope_conductance_s = mapped.slope_conductance_s
    sums = np.zeros((*vectors.shape[:-1], len(slope_conductance_s)))
    for block in blocks:
        cols = block.columns(cells_conductance_s.shape[1])
        part_a = vectors[..., block.rows] @ cells_conductance_s[np.ix_(block.rows, cols)]
        if not part_a.any():
            continue  # no input: every converter answers 0
        low_a, high_a = adc.range.fit(part_a)
        held_a = Levels(low_a, high_a, adc.bits).nearest(part_a)
        outputs = list(block.outputs)
        sums[..., outputs] += differences(held_a, mapped.arrangement) / slope_conductance_s[outputs]
    return sums


def _images(layer: ConvLayer, x: Tensor, weight: Tensor, sums: Tensor) -> Tensor:
    """Return sums (images, places, outputs) as images (images, outputs, height, width)."""
    height, width = (
        (int(size) + 2 * layer.padding - int(kernel)) // layer.stride + 1
        for size, kernel in zip(x.shape[-2:], weight.shape[2:], strict=True)
    )
    return sums.transpose(1, 2).reshape(len(x), -1, height, width)
