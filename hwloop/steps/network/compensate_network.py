"""Second phase of a mapping: small values on cells of zero weight that compensate the errors.

After ``map_network`` and ``program_verify``: reads back the weights, and gives cells of zero weight
the small targets that bring the sums of each layer, for the given samples, closest to those of the
wanted weights (``two_phase.py``). A second ``program_verify`` programs them; all other cells are
left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from hwloop.array.settings import ArraySettings
from hwloop.errors import StepError
from hwloop.settings.bulk import LabelledData
from hwloop.settings.model import Settings
from hwloop.settings.units import Number
from hwloop.steps.array import Array
from hwloop.steps.common.cells import conductance_s, planned_read
from hwloop.steps.contract import Plan, Step
from hwloop.steps.network.array_product import PlacedNetwork, with_tiles
from hwloop.steps.network.infer import placed_network
from hwloop.steps.network.map_network import NextTargetsRow, for_array
from hwloop.steps.network.mapping.mapping import cols_each, with_small_weights
from hwloop.steps.network.mapping.two_phase import second_phase
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import FloatArray


class CompensateNetworkSettings(Settings):
    """Settings of the second phase.

    ``data``: samples whose inputs the layers see; their classes are not used. ``largest``:
    magnitude of a small value, as a fraction of the layer's largest weight. ``damping``: of the
    least squares, as a fraction of the mean square of the inputs.
    """

    data: LabelledData
    largest: Annotated[Number, Field(gt=0, lt=1)] = 0.2
    damping: Annotated[Number, Field(gt=0)] = 1e-3


@dataclass(frozen=True, eq=False)
class CompensationRow(Row):
    """Errors of the sums of one layer before and after, in units of input times weight."""

    table: ClassVar[str] = "layers"

    layer: int = column("1", "index of the layer among those with weights")
    zeros: int = column("1", "weights that are 0, with cells or without")
    changed: int = column("1", "of these, how many get a small value")
    rms_error: float = column("1", "rms of sum of read-back weights - of wanted weights")
    rms_error_expected: float = column("1", "the same once the small values are programmed")


def run(settings: CompensateNetworkSettings, array: Array) -> Iterator[Yield]:
    """Read back, solve layer by layer, and leave the network with its new targets.

    Raises :class:`StepError` for more than one array, or where no network is mapped.
    """
    placed = placed_network(array, step="compensate_network")
    if int(np.prod(array.population)) > array.settings.tiles:
        raise StepError(
            "compensate_network: the arrays of a population have different errors, but one"
            " network is placed for all: run one array"
        )
    x, _ = settings.data.load()
    mask = np.ones(array.geometry.shape, dtype=np.bool_)
    read_conductance_s = with_tiles(conductance_s(array, mask, step="compensate_network"), array)
    tiles_conductance_s = read_conductance_s.reshape(read_conductance_s.shape[-3:])
    achieved = [placed.weights_of(tiles_conductance_s, layer) for layer in range(len(placed.maps))]
    small, rows = _solved(placed, achieved, x, settings)
    maps = tuple(with_small_weights(*pair) for pair in zip(placed.maps, small, strict=True))
    second = replace(placed, maps=maps)
    array.leave(second)
    yield from rows
    yield NextTargetsRow(
        target_conductance_s=for_array(_changed_conductance_s(second, small), array)
    )
    changed = sum(row.changed for row in rows)
    gain = ", ".join(f"{one.rms_error:.3g} to {one.rms_error_expected:.3g}" for one in rows)
    yield Outcome(True, f"{changed} zero weights get small values; error of the sums from {gain}")


def _solved(
    placed: PlacedNetwork,
    achieved: list[FloatArray],
    x: FloatArray,
    settings: CompensateNetworkSettings,
) -> tuple[list[FloatArray], list[CompensationRow]]:
    """Solve for the small weights of every layer.

    A later layer sees the sums of the compensated earlier ones.
    """
    found: list[FloatArray] = []
    rows: list[CompensationRow] = []

    def solve(layer: int, inputs: FloatArray) -> FloatArray:
        wanted, held = placed.network.matrices[layer].weights, achieved[layer]
        bound = settings.largest * float(np.abs(wanted).max())
        small = second_phase(
            wanted,
            held,
            inputs,
            may=(wanted == 0) & placed.placement.holds(layer, placed.network.sizes[layer]),
            largest=bound,
            damping=settings.damping,
        )
        after = np.where(small != 0, small, held)
        rows.append(
            CompensationRow(
                layer=layer,
                zeros=int((wanted == 0).sum()),
                changed=int((small != 0).sum()),
                rms_error=_rms(inputs @ (held - wanted)),
                rms_error_expected=_rms(inputs @ (after - wanted)),
            )
        )
        found.append(small)
        return inputs @ after

    placed.network.forward(x, solve)
    return found, rows


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _changed_conductance_s(placed: PlacedNetwork, small: list[FloatArray]) -> FloatArray:
    """Return targets (tiles, rows, cols) of all cells of changed weights; NaN elsewhere."""
    parts = []
    for mapped, values in zip(placed.maps, small, strict=True):
        part_conductance_s = np.full(mapped.conductance_s.shape, np.nan)
        changed = np.repeat(values != 0, cols_each(mapped.arrangement), axis=1)
        own_conductance_s = part_conductance_s[:, : changed.shape[1]]
        own_conductance_s[changed] = mapped.conductance_s[:, : changed.shape[1]][changed]
        parts.append(part_conductance_s)
    return placed.placement.on_tiles(parts)


def plan(settings: CompensateNetworkSettings, array: ArraySettings) -> Plan:
    """Return the plan: one read of the array."""
    settings.data.load()
    return Plan([planned_read(array, None, 1)], rows=2)


COMPENSATE_NETWORK = Step(
    name="compensate_network",
    summary="Second phase of a mapping: small values on zero weights that make up for the others",
    settings=CompensateNetworkSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.networks:mapping",
)
