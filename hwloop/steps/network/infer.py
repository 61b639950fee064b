"""Inference with a placed network, layer by layer through the array's multiplication.

Activations, pooling and the sums of blocks are done in software. Samples stream through the network
in chunks, see :mod:`hwloop.steps.network.inference.stream`. For the samples of the calibration each
layer is also multiplied in NumPy with the weights of the read-back conductances; the difference is
the error of the array's multiplication. The whole network is also evaluated in NumPy with the
wanted weights, for its accuracy without hardware. Both are done in a thread beside the array.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from hwloop.array.blocks import Keep
from hwloop.array.codes import smallest_type
from hwloop.array.operations import VectorBatch
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import Description
from hwloop.errors import ConfigError, StepError
from hwloop.settings.bulk import LabelledData
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, Fraction, Number
from hwloop.statistics import wilson_interval
from hwloop.steps.array import Array
from hwloop.steps.common.cells import conductance_s, planned_read
from hwloop.steps.contract import Foreseen, Plan, PlannedOperation, Step
from hwloop.steps.network.array_product import PlacedNetwork, effective_bits, with_tiles
from hwloop.steps.network.inference.forethought import (
    LONG_PER_UNIT_V,
    UNKNOWN,
    KeptRecord,
    PlannedNetwork,
    arrays_of,
    chunks_of,
    foreseen_batches,
    kept_record,
    known_network,
    outer_of,
    planned_products,
    record_remark,
)
from hwloop.steps.network.inference.sizes import (
    LayerSize,
    layer_sizes,
    sample_batches,
    samples_at_once,
)
from hwloop.steps.network.inference.software import SoftwareAnswers
from hwloop.steps.network.inference.stream import LayerState, RangeRules, Stream
from hwloop.steps.network.network import predicted
from hwloop.steps.rows import Outcome, Row, Yield, blank_row, column
from hwloop.types import FloatArray

IntArray = NDArray[np.int64]

CONFUSION_COUNTS = 10_000_000
"""Most counts of the confusion matrices of all arrays, 80 MB; more are left out, and said so."""


class InferSettings(Settings):
    """Settings of an inference; ``data``: samples and their classes.

    ``record``: what the record keeps, every voltage and current, the answers of the converters, or
    a summary; if left out, the fullest of them below 200 MB. ``calibration``: the first samples,
    which settle the scale of each layer's inputs and the ranges of the converters.
    ``input_margin``: of that scale beyond the largest input, a fraction of it. ``over_range``:
    largest share of a layer's inputs, or of a block's conversions, that may be held at an end of
    their range.
    ``memory_mb``: that the samples on their way through the network may take, megabytes.
    """

    data: LabelledData
    record: Keep | None = None
    calibration: Count = 200
    input_margin: Fraction = 0.1
    over_range: Annotated[Fraction, Field(le=1)] = 1e-3
    memory_mb: Annotated[Number, Field(ge=1, le=1e6)] = 50.0


@dataclass(frozen=True, eq=False)
class InferRow(Row):
    """Accuracy over the samples; (...) is the population."""

    samples: int = column("1", "samples")
    correct: IntArray = column("1", "right answers of the array; (...)")
    accuracy: FloatArray = column("1", "fraction of them; (...)")
    accuracy_low: FloatArray = column("1", "95 % Wilson interval, lower end; (...)")
    accuracy_high: FloatArray = column("1", "upper end; (...)")
    software_accuracy: float = column("1", "of the wanted weights in NumPy")
    confusion: IntArray = column(
        "1", "counts; (..., true class, answer); empty where it would be too large"
    )
    answers: NDArray[np.unsignedinteger] = column(
        "1", "class that each sample is taken for; (..., samples)"
    )

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
    held_inputs: float = column("1", "share of its inputs that were held at limits.read_v")
    over_range: float = column("1", "share of its conversions held at an end of their range")


def run(settings: InferSettings, array: Array) -> Iterator[Yield]:
    """Read the conductances back, send all samples through the array, and count right answers.

    Raises :class:`StepError` where no network is mapped, samples do not fit, a current could not be
    measured, or too many conversions were over range.
    """
    placed = placed_network(array, step="infer")
    x, y = settings.data.load()
    classes = _refuse_classes(y, outputs=placed.network.forward(x[:1]).shape[-1])
    mask = np.ones(array.geometry.shape, dtype=np.bool_)
    tiles_conductance_s = with_tiles(conductance_s(array, mask, step="infer"), array)
    sizes = layer_sizes(sample_batches(placed.network, placed.on_tiles, x[0]))
    kept, at_once = _kept(settings, array.backend.description, array.settings.tiles, sizes, len(x))
    stream = Stream(
        array,
        placed.as_driven,
        placed.on_tiles,
        rules=RangeRules(settings.input_margin, settings.over_range, placed.unit_v),
        total=len(x),
        keep=kept.kind,
    )
    comparisons: list[Future[_LayerError]] = []

    def compare(layer: int, inputs: FloatArray, sums: FloatArray) -> None:
        comparisons.append(
            software.compute(lambda: _compared(placed, layer, tiles_conductance_s, inputs, sums))
        )

    with SoftwareAnswers(placed.network) as software:
        software.add(x[: settings.calibration])
        first = stream.calibrate(x[: settings.calibration], compare)
        answers = [predicted(first)]
        for begin in range(first.shape[-2], len(x), at_once):
            software.add(x[begin : begin + at_once])
            answers.append(predicted(stream.outputs(x[begin : begin + at_once])))
        errors = [one.result() for one in comparisons]
        exact = software.all()
    yield from map(_layer_row, range(len(errors)), errors, stream.states)
    row = _count_answers(np.concatenate(answers, axis=-1), exact, y, classes=classes)
    yield row
    yield Outcome(True, f"{_summary(row)}; {_held(placed, stream.states)}{kept.text}")


def _kept(
    settings: InferSettings,
    description: Description,
    tiles: int,
    sizes: Sequence[LayerSize],
    samples: int,
) -> tuple[KeptRecord, int]:
    """Return what the record keeps, and how many samples go through the network at once."""
    kept = kept_record(sizes, samples, description=description, tiles=tiles, wanted=settings.record)
    memory_bytes = int(settings.memory_mb * 1_000_000)
    arrays = arrays_of(description, tiles)
    return kept, samples_at_once(sizes, arrays=arrays, memory_bytes=memory_bytes)


def _held(placed: PlacedNetwork, states: Sequence[LayerState]) -> str:
    """Return a message about the layer of which most was held at an end of a range, or ""."""
    found = ""
    for name, shares in (
        ("inputs", [state.held_inputs / max(state.inputs, 1) for state in states]),
        ("conversions", [_over_range(state) for state in states]),
    ):
        worst = int(np.argmax(shares))
        if shares[worst]:
            layer = placed.network.matrices[worst].name
            found += (
                f"up to {shares[worst]:.2g} of {name} held at an end of their range ({layer}); "
            )
    return found


def _over_range(state: LayerState) -> float:
    return float(state.over_range.sum() / max(int(state.conversions.sum()), 1))


def placed_network(array: Array, *, step: str) -> PlacedNetwork:
    """Return the network that map_network placed; raises :class:`StepError` if it has not run."""
    placed = array.left(PlacedNetwork)
    if placed is None:
        raise StepError(f"{step}: no network is mapped: put a step map_network before it")
    return placed


@dataclass(frozen=True, eq=False)
class _LayerError:
    """Errors of one layer over the samples of the calibration; (...) is the population."""

    sums: FloatArray
    bits: FloatArray
    weights: FloatArray


def _compared(
    placed: PlacedNetwork,
    layer: int,
    tiles_conductance_s: FloatArray,
    inputs: FloatArray,
    sums: FloatArray,
) -> _LayerError:
    """Compare the sums of the array with those of the weights that were read back."""
    matrix = placed.network.matrices[layer]
    weights = placed.weights_of(tiles_conductance_s, layer)
    exact: list[FloatArray] = []

    def multiply(vectors: FloatArray) -> FloatArray:
        exact.append(vectors @ weights)
        return exact[0]

    matrix.apply(inputs, multiply)
    found = sums
    if matrix.kernel is not None:
        found = np.moveaxis(sums, -3, -1)
        found = found.reshape(*found.shape[:-4], -1, found.shape[-1])
    return _LayerError(
        sums=_rms(found - exact[0]),
        bits=np.median(effective_bits(found, exact[0]), axis=-1),
        weights=_rms(weights - matrix.weights),
    )


def _layer_row(layer: int, error: _LayerError, state: LayerState) -> MultiplyRow:
    return MultiplyRow(
        layer=layer,
        rms_error=error.sums,
        bits=error.bits,
        rms_weight_error=error.weights,
        held_inputs=state.held_inputs / max(state.inputs, 1),
        over_range=_over_range(state),
    )


def _rms(values: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.mean(np.square(values), axis=(-2, -1))))


def _count_answers(
    answers: FloatArray, software: FloatArray, y: FloatArray, *, classes: int
) -> InferRow:
    outer = answers.shape[:-1]
    lines = answers.reshape(-1, len(y)).astype(np.int64)
    kept = classes if len(lines) * classes**2 <= CONFUSION_COUNTS else 0
    confusion = np.zeros((len(lines), kept, kept), dtype=np.int64)
    for one, line in zip(confusion, lines, strict=True):
        if kept:
            np.add.at(one, (y.astype(np.int64), line), 1)
    correct = np.count_nonzero(lines == y, axis=-1)
    ends = np.array([wilson_interval(int(count), len(y)) for count in correct])
    return InferRow(
        samples=len(y),
        correct=correct.reshape(outer),
        accuracy=(correct / len(y)).reshape(outer),
        accuracy_low=ends[:, 0].reshape(outer),
        accuracy_high=ends[:, 1].reshape(outer),
        software_accuracy=float(np.mean(software == y)),
        confusion=confusion.reshape(*outer, kept, kept),
        answers=answers.astype(smallest_type(classes - 1)),
    )


def _refuse_classes(y: FloatArray, *, outputs: int) -> int:
    """Return the classes of so many outputs; raises :class:`ConfigError` at the first beyond."""
    classes = max(2, outputs)
    beyond = np.flatnonzero(y >= classes)
    if beyond.size:
        raise ConfigError(
            f"entry {beyond[0]} is {y[beyond[0]]:g}; the network has {classes}, 0 to {classes - 1}",
            key="data.classes",
        )
    return classes


def _summary(row: InferRow) -> str:
    if row.accuracy.ndim == 0:
        found = (
            f"accuracy {float(row.accuracy):.4g} of {row.samples} samples (95 %:"
            f" {float(row.accuracy_low):.3f} to {float(row.accuracy_high):.3f})"
        )
    else:
        found = f"accuracy {row.accuracy.mean():.4g} ± {row.accuracy.std():.2g} over the arrays"
    if not row.confusion.size:
        found += "; confusion is left out, so many classes are there: see answers"
    return f"{found}; {row.software_accuracy:.4g} in software"


def plan(
    settings: InferSettings, array: ArraySettings, before: Mapping[type, object] | None = None
) -> Plan:
    """Return the plan: one read of the array, and for each sample a multiplication of each layer.

    ``before``: with the network that an earlier step will leave, where it is known. Raises
    :class:`ConfigError` where the samples do not fit it.
    """
    x, y = settings.data.load()
    read = planned_read(array, None, 1)
    known = known_network(before)
    if known is None:
        vector = VectorBatch(np.full((1, array.rows), array.limits.read_v))
        return Plan([read, PlannedOperation(vector, len(x))], rows=1, remark=lambda _: UNKNOWN)
    # At limits.read_v inputs beyond the calibration are held.
    products, sizes = planned_products(known, x, level_v=array.limits.read_v)
    _refuse_classes(y, outputs=known.network.forward(x[:1]).shape[-1])
    remark = record_remark(sizes, len(x), tiles=array.tiles, wanted=settings.record)
    foreseen = partial(_foreseen, settings, array, known, x)
    return Plan([read, *products], rows=1, remark=remark, foreseen=foreseen)


def _foreseen(
    settings: InferSettings,
    array: ArraySettings,
    known: PlannedNetwork,
    x: FloatArray,
    description: Description,
) -> Foreseen:
    """Return the batches of every chunk of samples, and the rows of the tables."""
    ones = sample_batches(known.network, known.layers, x[0], per_unit_v=LONG_PER_UNIT_V)
    kept, at_once = _kept(settings, description, array.tiles, layer_sizes(ones), len(x))
    outer = outer_of(description, array.tiles)
    chunks = chunks_of(len(x), first=settings.calibration, at_once=at_once)
    batches = foreseen_batches(ones, chunks, outer=outer, keep=kept.kind)
    each = np.zeros(outer)
    layer = blank_row(MultiplyRow, rms_error=each, bits=each, rms_weight_error=each)
    outputs = known.network.forward(x[:1]).shape[-1]
    none = np.zeros(len(x))
    row = _count_answers(np.zeros((*outer, len(x))), none, none, classes=max(2, outputs))
    return Foreseen(batches, [(layer, len(known.layers)), (row, 1)])


INFER = Step(
    name="infer",
    summary="Answers of a mapped network by the array's own multiplication",
    settings=InferSettings,
    run=run,
    plan=plan,
    plan_after=plan,
    figures="hwloop.figures.networks:inference",
)
