"""Tuning of a placed network: a line for each layer from its outputs on the array to those wanted.

Random inputs, uniform from −1 to 1, go through each layer on the array and in NumPy; the line of
least squares over all of its outputs, y = factor · x + offset, is applied to what the array gives
from then on. It takes out what is common to all cells of a layer, such as a drift by one factor.
Source: ``naive_tune`` of MemTorch 1.1.6, C. Lammie et al., Neurocomputing 485, 124 (2022).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from typing_extensions import override

from hwloop.array.operations import VectorBatch
from hwloop.array.settings import ArraySettings
from hwloop.errors import StepError
from hwloop.settings.model import Settings
from hwloop.settings.units import Count
from hwloop.steps.array import Array
from hwloop.steps.contract import Plan, PlannedOperation, Step
from hwloop.steps.network.array_product import multiply
from hwloop.steps.network.entries import OutputLine
from hwloop.steps.network.infer import placed_network
from hwloop.steps.network.inference.forethought import UNKNOWN, known_network, planned_vectors
from hwloop.steps.network.network import with_output_lines
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import FloatArray


class TuneNetworkSettings(Settings):
    """Settings of a tuning; ``vectors``: random inputs of each layer."""

    vectors: Count = 256


@dataclass(frozen=True, eq=False)
class TunedRow(Row):
    """Line of one layer; (...) is the population."""

    table: ClassVar[str] = ""

    layer: int = column("1", "index of the layer among those with weights")
    factor: FloatArray = column("1", "of its outputs on the array; (...)")
    offset: FloatArray = column("1", "added to them; (...)")
    determination: FloatArray = column("1", "coefficient of determination R² of the line; (...)")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"layer": self.layer, "factor": float(np.mean(self.factor))}


def run(settings: TuneNetworkSettings, array: Array) -> Iterator[Yield]:
    """Fit the line of each layer, and leave the network with these lines.

    Raises :class:`StepError` where no network is mapped, a current could not be measured, or the
    outputs of a layer do not vary.
    """
    placed = placed_network(array, step="tune_network")
    rows = []
    for index, matrix in enumerate(placed.network.matrices):
        inputs = array.rng.uniform(-1.0, 1.0, (settings.vectors, matrix.weights.shape[0]))
        sums = multiply(array, placed, index, inputs)
        factor, offset, determination = line_through(sums, inputs @ matrix.weights)
        if not np.isfinite(factor).all():
            raise StepError(
                f"tune_network: layer {matrix.name}: its outputs on the array do not vary"
            )
        rows.append(
            TunedRow(layer=index, factor=factor, offset=offset, determination=determination)
        )
        yield rows[-1]
    lines = [OutputLine(row.factor, row.offset) for row in rows]
    array.leave(replace(placed, driven=with_output_lines(placed.as_driven, lines)))
    factors = np.stack([row.factor for row in rows])
    worst = min(float(row.determination.min()) for row in rows)
    yield Outcome(
        True,
        f"{len(rows)} layers tuned: factors {factors.min():.4g} to {factors.max():.4g}, R² at least"
        f" {worst:.4f}",
    )


def line_through(
    found: FloatArray, wanted: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return factor, offset and R², (...), of the line from sums (..., batch, outputs) to wanted.

    ``wanted``: (batch, outputs). NaN where ``found`` does not vary.
    """
    axes = (-2, -1)
    found_mean, wanted_mean = found.mean(axis=axes), wanted.mean()
    beside = found - found_mean[..., None, None]
    squares = np.square(beside).sum(axis=axes)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = (beside * (wanted - wanted_mean)).sum(axis=axes) / squares
    offset = wanted_mean - factor * found_mean
    left = np.square(wanted - (factor[..., None, None] * found + offset[..., None, None]))
    whole = float(np.square(wanted - wanted_mean).sum()) or 1.0
    return np.asarray(factor), np.asarray(offset), np.asarray(1 - left.sum(axis=axes) / whole)


def plan(
    settings: TuneNetworkSettings,
    array: ArraySettings,
    before: Mapping[type, object] | None = None,
) -> Plan:
    """Return the plan: the vectors of each layer at the read voltage.

    ``before``: with the network that an earlier step will leave, where it is known.
    """
    level_v = array.read.read_v
    known = known_network(before)
    if known is None:
        vectors = VectorBatch(np.full((1, array.rows), level_v))
        planned = [PlannedOperation(vectors, settings.vectors)]
        return Plan(planned, rows=MOST_LAYERS, remark=lambda _: UNKNOWN)
    products = planned_vectors(known, settings.vectors, level_v=level_v)
    return Plan(products, rows=len(known.layers))


MOST_LAYERS = 200
"""Layers of a network, of which the plan makes room in the record."""

TUNE_NETWORK = Step(
    name="tune_network",
    summary="A line for each layer from its outputs on the array to those wanted",
    settings=TuneNetworkSettings,
    run=run,
    plan=plan,
    plan_after=plan,
)
