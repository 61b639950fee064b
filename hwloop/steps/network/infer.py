"""Inference with a placed network, layer by layer through the array's multiplication.

Activations, pooling and the sums of blocks are done in software. Each layer is also multiplied in
NumPy with the weights of the read-back conductances; the difference is the error of the array's
multiplication. The whole network is also evaluated in NumPy with the wanted weights, for its
accuracy without hardware.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from hwloop.array.operations import VectorBatch
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError, StepError
from hwloop.settings.bulk import LabelledData
from hwloop.settings.model import Settings
from hwloop.statistics import wilson_interval
from hwloop.steps.array import Array
from hwloop.steps.common.cells import conductance_s, planned_read
from hwloop.steps.contract import Plan, PlannedOperation, Step
from hwloop.steps.network.array_product import PlacedNetwork, effective_bits, multiply, with_tiles
from hwloop.steps.network.network import predicted
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import FloatArray

IntArray = NDArray[np.int64]


class InferSettings(Settings):
    """Settings of an inference; ``data``: samples and their classes."""

    data: LabelledData


@dataclass(frozen=True, eq=False)
class InferRow(Row):
    """Accuracy over the samples; (...) is the population."""

    samples: int = column("1", "samples")
    correct: IntArray = column("1", "right answers of the array; (...)")
    accuracy: FloatArray = column("1", "fraction of them; (...)")
    accuracy_low: FloatArray = column("1", "95 % Wilson interval, lower end; (...)")
    accuracy_high: FloatArray = column("1", "upper end; (...)")
    software_accuracy: float = column("1", "of the wanted weights in NumPy")
    confusion: IntArray = column("1", "counts; (..., true class, answer)")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"accuracy": float(np.mean(self.accuracy))}


@dataclass(frozen=True, eq=False)
class MultiplyRow(Row):
    """Error of the multiplication of one layer, against the read-back conductances."""

    table: ClassVar[str] = "layers"

    layer: int = column("1", "index of the layer among those with weights")
    rms_error: FloatArray = column("1", "rms of sum by the array - sum by read-back weights; (...)")
    bits: FloatArray = column("1", "effective bits, median over outputs; inf: no error; (...)")
    rms_weight_error: FloatArray = column("1", "rms of read-back weight - wanted weight; (...)")


def run(settings: InferSettings, array: Array) -> Iterator[Yield]:
    """Read the conductances back, multiply layer by layer, and count the right answers.

    Raises :class:`StepError` where no network is mapped or a current could not be measured.
    """
    placed = placed_network(array, step="infer")
    x, y = settings.data.load()
    mask = np.ones(array.geometry.shape, dtype=np.bool_)
    tiles_conductance_s = with_tiles(conductance_s(array, mask, step="infer"), array)
    found: list[MultiplyRow] = []

    def by_array(layer: int, inputs: FloatArray) -> FloatArray:
        weights = placed.weights_of(tiles_conductance_s, layer)
        sums = multiply(array, placed, layer, inputs)
        found.append(_compared(placed, layer, sums, inputs @ weights, weights))
        return sums

    outputs = placed.network.forward(x, by_array)
    yield from found
    software = predicted(placed.network.forward(x))
    row = _count_answers(predicted(outputs), software, y, classes=max(2, outputs.shape[-1]))
    yield row
    yield Outcome(True, _summary(row))


def placed_network(array: Array, *, step: str) -> PlacedNetwork:
    """Return the network that map_network placed; raises :class:`StepError` if it has not run."""
    placed = array.left(PlacedNetwork)
    if placed is None:
        raise StepError(f"{step}: no network is mapped: put a step map_network before it")
    return placed


def _compared(
    placed: PlacedNetwork, layer: int, sums: FloatArray, exact: FloatArray, weights: FloatArray
) -> MultiplyRow:
    wanted = placed.network.matrices[layer].weights
    return MultiplyRow(
        layer=layer,
        rms_error=_rms(sums - exact),
        bits=np.median(effective_bits(sums, exact), axis=-1),
        rms_weight_error=_rms(weights - wanted),
    )


def _rms(values: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.mean(np.square(values), axis=(-2, -1))))


def _count_answers(
    answers: FloatArray, software: FloatArray, y: FloatArray, *, classes: int
) -> InferRow:
    if y.min() < 0 or y.max() >= classes or np.any(y != np.round(y)):
        raise ConfigError(f"classes {y.min():g} to {y.max():g}; the network has {classes}")
    outer = answers.shape[:-1]
    lines = answers.reshape(-1, len(y)).astype(np.int64)
    confusion = np.zeros((len(lines), classes, classes), dtype=np.int64)
    for one, line in zip(confusion, lines, strict=True):
        np.add.at(one, (y.astype(np.int64), line), 1)
    correct = np.trace(confusion, axis1=-2, axis2=-1)
    ends = np.array([wilson_interval(int(count), len(y)) for count in correct])
    return InferRow(
        samples=len(y),
        correct=correct.reshape(outer),
        accuracy=(correct / len(y)).reshape(outer),
        accuracy_low=ends[:, 0].reshape(outer),
        accuracy_high=ends[:, 1].reshape(outer),
        software_accuracy=float(np.mean(software == y)),
        confusion=confusion.reshape(*outer, classes, classes),
    )


def _summary(row: InferRow) -> str:
    if row.accuracy.ndim == 0:
        found = (
            f"accuracy {float(row.accuracy):.4g} of {row.samples} samples (95 %:"
            f" {float(row.accuracy_low):.3f} to {float(row.accuracy_high):.3f})"
        )
    else:
        found = f"accuracy {row.accuracy.mean():.4g} ± {row.accuracy.std():.2g} over the arrays"
    return f"{found}; {row.software_accuracy:.4g} in software"


def plan(settings: InferSettings, array: ArraySettings) -> Plan:
    """Return the plan: one read of the array, and multiplications at the read voltage."""
    vector = VectorBatch(np.full((1, array.rows), array.read.read_v))
    _, y = settings.data.load()
    return Plan([planned_read(array, None, 1), PlannedOperation(vector, len(y))], rows=1)


INFER = Step(
    name="infer",
    summary="Answers of a mapped network by the array's own multiplication",
    settings=InferSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.networks:inference",
)
