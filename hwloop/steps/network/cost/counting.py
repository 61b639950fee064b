"""Counts, energy and time of one layer of a placed network, for one sample.

Cells: Σ V² G t over the driven rows and all columns of their tiles, which stand at 0 V. Converters:
one conversion for each row and each column of a block and vector. Blocks on different tiles work at
once, those of one tile one after the other; the columns of a vector are converted while the next is
driven, so that a vector takes the longer of both.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwloop.steps.network.array_product import PlacedNetwork
from hwloop.steps.network.cost.converters import Converter
from hwloop.steps.network.mapping.placement import Block
from hwloop.steps.network.network import Network
from hwloop.types import FloatArray

_SAMPLES_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class LayerDrive:
    """Inputs of a layer: vectors for each sample, their largest, and the mean square of each row.

    ``mean_square``: (rows,), of the inputs, the 1 of a bias among them.
    """

    vectors: int
    largest: float
    mean_square: FloatArray


@dataclass(frozen=True)
class Periphery:
    """Converters, and the time ``vector_s`` that the voltages of one vector stand."""

    dac: Converter
    adc: Converter
    adcs_per_tile: int
    vector_s: float


@dataclass(frozen=True, eq=False)
class LayerCost:
    """Counts, joules and seconds of one layer for one sample; ``cell_energy_j``: (...)."""

    vectors: int
    multiplications: int
    zero_multiplications: int
    cell_multiplications: int
    dac_conversions: int
    adc_conversions: int
    cell_energy_j: FloatArray
    dac_energy_j: float
    adc_energy_j: float
    time_s: float


def drives(network: Network, x: FloatArray) -> list[LayerDrive]:
    """Return the inputs of every layer, in NumPy, for samples (samples, …)."""
    count = len(network.matrices)
    squares = [np.zeros(rows) for rows, _ in network.sizes]
    largest, vectors = np.zeros(count), np.zeros(count, dtype=np.int64)

    def observe(layer: int, inputs: FloatArray) -> FloatArray:
        squares[layer] += np.square(inputs).sum(axis=0)
        largest[layer] = max(largest[layer], float(np.abs(inputs).max(initial=0.0)))
        vectors[layer] += len(inputs)
        return inputs @ network.matrices[layer].weights

    for first in range(0, len(x), _SAMPLES_AT_ONCE):
        network.forward(x[first : first + _SAMPLES_AT_ONCE], observe)
    return [
        LayerDrive(
            int(vectors[layer]) // len(x), float(largest[layer]), squares[layer] / vectors[layer]
        )
        for layer in range(count)
    ]


def layer_cost(
    placed: PlacedNetwork,
    layer: int,
    drive: LayerDrive,
    *,
    row_conductance_s: FloatArray,
    per_unit_v: float,
    periphery: Periphery,
) -> LayerCost:
    """Return the cost of a layer, a unit of whose inputs is driven at ``per_unit_v``.

    ``row_conductance_s``: (..., tiles, rows), siemens, the sum over all columns of a tile.
    """
    weights = placed.network.matrices[layer].weights
    products = weights[:-1] if placed.network.matrices[layer].bias else weights
    blocks = placed.placement.of_layer(layer)
    held = placed.placement.holds(layer, placed.network.sizes[layer])
    power_w = np.zeros(row_conductance_s.shape[:-2])
    for block in blocks:
        square_v2 = drive.mean_square[list(block.rows)] * per_unit_v**2
        power_w += row_conductance_s[..., block.tile, block.place[0]] @ square_v2
    dac = drive.vectors * sum(len(block.rows) for block in blocks)
    adc = drive.vectors * sum(block.width for block in blocks)
    nonzero = int(np.count_nonzero(products))
    return LayerCost(
        vectors=drive.vectors,
        multiplications=drive.vectors * nonzero,
        zero_multiplications=drive.vectors * (products.size - nonzero),
        cell_multiplications=drive.vectors * int(held[: len(products)].sum()),
        dac_conversions=dac,
        adc_conversions=adc,
        cell_energy_j=power_w * drive.vectors * periphery.vector_s,
        dac_energy_j=dac * periphery.dac.energy_j,
        adc_energy_j=adc * periphery.adc.energy_j,
        time_s=drive.vectors * _rounds_s(blocks, periphery),
    )


def _rounds_s(blocks: Sequence[Block], periphery: Periphery) -> float:
    """Return the time of one vector through all blocks, seconds."""
    on_tile: dict[int, list[int]] = defaultdict(list)
    for block in blocks:
        on_tile[block.tile].append(block.width)
    total_s = 0.0
    for turn in range(max(map(len, on_tile.values()), default=0)):
        widest = max(widths[turn] for widths in on_tile.values() if len(widths) > turn)
        conversions = math.ceil(widest / periphery.adcs_per_tile)
        total_s += max(periphery.vector_s, conversions * periphery.adc.conversion_s)
    return total_s
