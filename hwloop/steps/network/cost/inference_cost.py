"""Estimate of the multiplications, conversions, energy and time of one inference.

After ``map_network``, best after ``program_verify``: the array is read once, for its conductances,
and the inputs of every layer are computed in NumPy. The estimate holds cells and converters; it
leaves out amplifiers, line drivers and wires, sample-and-hold, buffers, activations and all other
digital work, standby, and the programming.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from typing_extensions import override

from hwloop.array.settings import ArraySettings
from hwloop.settings.bulk import LabelledData
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, Fraction, PositiveSecond, format_quantity
from hwloop.steps.array import Array
from hwloop.steps.common.cells import conductance_s, planned_read
from hwloop.steps.contract import Plan, Step
from hwloop.steps.network.array_product import PlacedNetwork, with_tiles
from hwloop.steps.network.cost.converters import BRAHMS_DAC, ISAAC_ADC, ISAAC_READ_S, Converter
from hwloop.steps.network.cost.counting import LayerCost, LayerDrive, Periphery, drives, layer_cost
from hwloop.steps.network.infer import placed_network
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import FloatArray


class InferenceCostSettings(Settings):
    """Settings of an estimate.

    ``data``: samples whose inputs the layers see; their classes are not used. ``input_margin``: of
    the scale of the inputs beyond the largest, as of the step ``infer``. ``vector_s``: time that
    the row voltages of one vector stand. ``dac``, ``adc``: figures of the converters;
    ``adcs_per_tile``: that share the columns of a tile.
    """

    data: LabelledData
    input_margin: Fraction = 0.1
    vector_s: PositiveSecond = ISAAC_READ_S
    dac: Converter = BRAHMS_DAC
    adc: Converter = ISAAC_ADC
    adcs_per_tile: Count = 1


@dataclass(frozen=True, eq=False)
class LayerCostRow(Row):
    """Estimate for one layer and one sample; (...) is the population."""

    table: ClassVar[str] = "layers"

    layer: int = column("1", "index of the layer among those with weights")
    vectors: int = column("1", "row vectors that it multiplies")
    multiplications: int = column("1", "by weights other than 0, biases left out")
    zero_multiplications: int = column("1", "by weights of 0")
    cell_multiplications: int = column("1", "by weights that have cells, zeros among them")
    dac_conversions: int = column("1", "one for each row of a block and vector")
    adc_conversions: int = column("1", "one for each column of a block and vector")
    cell_energy_j: FloatArray = column("J", "in the cells of driven rows; (...)")
    dac_energy_j: float = column("J", "of the row converters")
    adc_energy_j: float = column("J", "of the column converters")
    time_s: float = column("s", "one vector after the other, tiles at once")


@dataclass(frozen=True, eq=False)
class InferenceCostRow(Row):
    """Estimate for all layers and one sample; (...) is the population."""

    samples: int = column("1", "samples whose inputs were taken")
    multiplications: int = column("1", "by weights other than 0, biases left out")
    zero_multiplications: int = column("1", "by weights of 0")
    cell_multiplications: int = column("1", "by weights that have cells, zeros among them")
    cells: int = column("1", "cells of blocks")
    tiles: int = column("1", "tiles with a block")
    cell_energy_j: FloatArray = column("J", "in the cells of driven rows; (...)")
    dac_energy_j: float = column("J", "of the row converters")
    adc_energy_j: float = column("J", "of the column converters")
    energy_j: FloatArray = column("J", "of cells and converters; (...)")
    time_s: float = column("s", "one layer after the other")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"energy": format_quantity(float(np.mean(self.energy_j)), "J", digits=3)}


def run(settings: InferenceCostSettings, array: Array) -> Iterator[Yield]:
    """Read the conductances, and estimate layer by layer.

    Raises :class:`StepError` where no network is mapped or a cell could not be read.
    """
    placed = placed_network(array, step="inference_cost")
    x, _ = settings.data.load()
    mask = np.ones(array.geometry.shape, dtype=np.bool_)
    read_conductance_s = with_tiles(conductance_s(array, mask, step="inference_cost"), array)
    periphery = Periphery(settings.dac, settings.adc, settings.adcs_per_tile, settings.vector_s)
    costs = [
        layer_cost(
            placed,
            layer,
            drive,
            row_conductance_s=read_conductance_s.sum(axis=-1),
            per_unit_v=_per_unit_v(settings, array, placed, drive),
            periphery=periphery,
        )
        for layer, drive in enumerate(drives(placed.network, x))
    ]
    for layer, cost in enumerate(costs):
        yield LayerCostRow(layer=layer, **vars(cost))
    blocks = placed.placement.blocks
    row = _total(
        costs,
        samples=len(x),
        cells=sum(block.cells for block in blocks),
        tiles=len({block.tile for block in blocks}),
    )
    yield row
    yield Outcome(True, _summary(row))


def _per_unit_v(
    settings: InferenceCostSettings, array: Array, placed: PlacedNetwork, drive: LayerDrive
) -> float:
    """Return the volts of a unit of a layer's inputs, as the step ``infer`` drives them."""
    if placed.unit_v is not None:
        return placed.unit_v
    full = drive.largest * (1 + settings.input_margin) or 1.0
    return array.settings.read.read_v / full


def _total(costs: list[LayerCost], *, samples: int, cells: int, tiles: int) -> InferenceCostRow:
    cell_energy_j = np.sum([one.cell_energy_j for one in costs], axis=0)
    dac_energy_j = sum(one.dac_energy_j for one in costs)
    adc_energy_j = sum(one.adc_energy_j for one in costs)
    return InferenceCostRow(
        samples=samples,
        multiplications=sum(one.multiplications for one in costs),
        zero_multiplications=sum(one.zero_multiplications for one in costs),
        cell_multiplications=sum(one.cell_multiplications for one in costs),
        cells=cells,
        tiles=tiles,
        cell_energy_j=np.asarray(cell_energy_j),
        dac_energy_j=dac_energy_j,
        adc_energy_j=adc_energy_j,
        energy_j=np.asarray(cell_energy_j + dac_energy_j + adc_energy_j),
        time_s=sum(one.time_s for one in costs),
    )


def _summary(row: InferenceCostRow) -> str:
    every = row.multiplications + row.zero_multiplications
    energies = ", ".join(
        f"{name} {format_quantity(float(np.mean(value)), 'J', digits=3)}"
        for name, value in (
            ("cells", row.cell_energy_j),
            ("DACs", row.dac_energy_j),
            ("ADCs", row.adc_energy_j),
        )
    )
    return (
        f"a sample takes {row.multiplications} multiplications ({row.zero_multiplications} of"
        f" {every} are by 0), {format_quantity(row.time_s, 's', digits=3)} and"
        f" {format_quantity(float(np.mean(row.energy_j)), 'J', digits=3)} ({energies}); drivers,"
        " amplifiers, wires, digital work and programming are not in it"
    )


def plan(settings: InferenceCostSettings, array: ArraySettings) -> Plan:
    """Return the plan: one read of the array."""
    settings.data.load()
    return Plan([planned_read(array, None, 1)], rows=1)


INFERENCE_COST = Step(
    name="inference_cost",
    summary="Estimate of multiplications, conversions, energy and time of an inference",
    settings=InferenceCostSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.inference_cost:cost",
)
