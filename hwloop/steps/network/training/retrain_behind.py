"""Chip in the loop: layers behind those on the array are retrained on what the array answers.

After W. Wan et al., "A compute-in-memory chip based on resistive random-access memory", Nature 608,
504 (2022), doi:10.1038/s41586-022-04992-8: program a layer, measure its outputs on the training
set, retrain the layers behind it, go on with the next. Programming is a step of its own: this one
yields the targets of the next layer. Needs PyTorch: ``pip install 'hwloop[torch]'``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import model_validator
from typing_extensions import override

from hwloop.array.conductance_bounds import refuse_outside
from hwloop.array.operations import VectorBatch
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError, StepError
from hwloop.settings.bulk import LabelledData
from hwloop.settings.units import Count
from hwloop.steps.array import Array
from hwloop.steps.contract import Plan, PlannedOperation, Step
from hwloop.steps.network.array_product import PlacedNetwork, multiply
from hwloop.steps.network.infer import placed_network
from hwloop.steps.network.inference.forethought import (
    UNKNOWN,
    known_network,
    planned_products,
)
from hwloop.steps.network.map_network import NextTargetsRow, for_array
from hwloop.steps.network.mapping.mapping import OwnOrArrayRange, map_weights
from hwloop.steps.network.mapping.placement import Block
from hwloop.steps.network.network import (
    Amplifier,
    ConvLayer,
    DenseLayer,
    Flatten,
    Function,
    LayerSettings,
    Matrix,
    MaxPool,
    MeasuredActivation,
    Network,
    Scale,
    predicted,
)
from hwloop.steps.network.training.hardware_aware.descent import NoisyDescent, threads
from hwloop.steps.network.training.hardware_aware.settings import DescentSettings
from hwloop.steps.network.training.hardware_aware.start import (
    Samples,
    load_samples,
    refuse_without_torch,
)
from hwloop.steps.network.training.hardware_aware.tiles.product import TileProduct
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import FloatArray


class RetrainBehindSettings(DescentSettings):
    """Settings of the retraining.

    ``programmed``: layers with weights, from the first, that are on the array and stay as they are.
    ``data``: training samples, each multiplied by these layers. ``mapping``: of the layers behind,
    as ``map_network`` has it. ``targets``: of the ``next`` layer alone, which is then programmed,
    measured and followed by another retraining; or of all layers ``behind``, after the last.
    """

    programmed: Count
    data: LabelledData
    mapping: OwnOrArrayRange = OwnOrArrayRange()
    targets: Literal["next", "behind"] = "next"

    @model_validator(mode="after")
    def _nothing_pruned(self) -> RetrainBehindSettings:
        if self.pruning is not None:
            raise ValueError("pruning: prune before the first layer is programmed, in train_cnn")
        if not self.most_epochs:
            raise ValueError("epochs: 0 retrains nothing")
        return self


@dataclass(frozen=True, eq=False)
class RetrainedRow(Row):
    """Accuracy on the training samples before and after, from what the array answered."""

    table: ClassVar[str] = "retrained"

    samples: int = column("1", "samples that the array answered")
    accuracy_before: float = column("1", "with the layers behind as they were, in software")
    accuracy_after: float = column("1", "with the layers behind retrained, in software")
    loss: FloatArray = column("1", "of each epoch; (epochs,)")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"accuracy": round(self.accuracy_after, 4)}


def run(settings: RetrainBehindSettings, array: Array) -> Iterator[Yield]:
    """Measure, retrain, leave the network as retrained, and yield the targets of its next layer.

    Raises :class:`StepError` where no network is mapped, none of its layers is behind, or the array
    is a population, whose members would each need a network of their own.
    """
    import torch

    seed = int(array.rng.integers(2**31))
    placed = placed_network(array, step="retrain_behind")
    first = settings.programmed
    _refuse_nothing_behind(placed.network, first)
    if array.population[: len(array.population) - (array.settings.tiles > 1)]:
        raise StepError(
            f"retrain_behind: {array.population[0]} arrays would each need a network of their own:"
            " run one"
        )
    samples = load_samples(settings.data, "data")
    behind = _behind(placed.network, first)
    measured = (_measured(array, placed, first, samples[0]), samples[1])
    _refuse_classes(behind, measured)
    with threads(torch, settings.threads):
        retrained, losses = _retrained(settings, array.settings, placed, measured, seed)
    left = _remapped(settings, array, placed, retrained)
    array.leave(left)
    row = RetrainedRow(
        samples=len(samples[1]),
        accuracy_before=_accuracy(behind, measured),
        accuracy_after=_accuracy(_behind(retrained, first), measured),
        loss=losses,
    )
    yield row
    last = first + 1 if settings.targets == "next" else len(retrained.matrices)
    yield NextTargetsRow(target_conductance_s=for_array(_targets(left, first, last), array))
    yield Outcome(
        True,
        f"{row.samples} samples answered by {first} layer{'s' if first > 1 else ''}; training"
        f" accuracy with the layers behind {row.accuracy_before:.4f}, retrained"
        f" {row.accuracy_after:.4f}",
    )


def _refuse_nothing_behind(network: Network, programmed: int) -> None:
    layers = len(network.matrices)
    if programmed >= layers:
        raise StepError(
            f"retrain_behind: programmed {programmed}: the network has {layers} layers with"
            f" weights, so at most {layers - 1} can have one behind them"
        )


def _refuse_classes(behind: Network, measured: Samples) -> None:
    outputs = behind.forward(measured[0][:1]).shape[-1]
    largest = int(measured[1].max())
    if outputs < 2 or largest >= outputs:
        raise StepError(
            f"retrain_behind: classes up to {largest}; the network has {outputs} outputs, and two"
            " or more are needed"
        )


def _split(network: Network, programmed: int) -> int:
    """Return the place in the order of the first layer that is not programmed."""
    return next(
        place
        for place, entry in enumerate(network.order)
        if isinstance(entry, int) and entry >= programmed
    )


def _before(network: Network, programmed: int) -> Network:
    return replace(network, order=network.order[: _split(network, programmed)])


def _behind(network: Network, programmed: int) -> Network:
    return replace(network, order=network.order[_split(network, programmed) :])


def _measured(array: Array, placed: PlacedNetwork, programmed: int, x: FloatArray) -> FloatArray:
    """Return what reaches the layers behind when the array multiplies by those before them."""
    before = _before(placed.network, programmed)
    return before.forward(x, lambda layer, inputs: multiply(array, placed, layer, inputs))


def _accuracy(behind: Network, measured: Samples) -> float:
    return float(np.mean(predicted(behind.forward(measured[0])) == measured[1]))


def _retrained(
    settings: RetrainBehindSettings,
    array: ArraySettings,
    placed: PlacedNetwork,
    measured: Samples,
    seed: int,
) -> tuple[Network, FloatArray]:
    """Return the network with the layers behind retrained, and the loss of each epoch.

    Weights without cells stay 0.
    """
    network = placed.network
    order = network.order[_split(network, settings.programmed) :]
    layers: list[LayerSettings] = []
    arrays: dict[str, FloatArray] = {}
    masks: dict[str, Any] = {}
    blocks: dict[str, Sequence[Block]] = {}
    for entry in order:
        if not isinstance(entry, int):
            layers.append(_trainable(entry))
            continue
        matrix = network.matrices[entry]
        layer = _layer(matrix, entry)
        layers.append(layer)
        arrays |= _arrays(layer, matrix, matrix.weights)
        held = placed.placement.holds(entry, network.sizes[entry]).astype(np.float64)
        masks |= {name: one > 0 for name, one in _arrays(layer, matrix, held).items()}
        blocks[layer.weight] = placed.placement.of_layer(entry)
    tiles = None if settings.tiles is None else TileProduct(settings.tiles, array, blocks)
    descent = NoisyDescent(settings, layers, arrays, measured, seed, tiles=tiles)
    descent.masks = masks
    losses = np.array([epoch.loss for epoch in descent.epochs()])
    found = descent.held_arrays()
    matrices = list(network.matrices)
    for entry in order:
        if isinstance(entry, int):
            matrix = matrices[entry]
            matrices[entry] = _with_arrays(matrix, _layer(matrix, entry), found)
    return replace(network, matrices=tuple(matrices)), losses


def _trainable(entry: object) -> LayerSettings:
    """Return a layer without weights that the gradient descent knows."""
    if not isinstance(entry, Function | Scale | Amplifier | MeasuredActivation | MaxPool | Flatten):
        raise StepError(
            f"retrain_behind: {type(entry).__name__} behind the programmed layers: not retrained"
        )
    return entry


def _layer(matrix: Matrix, index: int) -> DenseLayer | ConvLayer:
    """Return the layer of a matrix, its arrays named by its index."""
    bias = f"{index}.bias" if matrix.bias else None
    if matrix.kernel is None:
        return DenseLayer(kind="dense", weight=f"{index}.weight", bias=bias, order="in_out")
    return ConvLayer(
        kind="conv",
        weight=f"{index}.weight",
        bias=bias,
        padding=matrix.padding,
        stride=matrix.stride,
    )


def _arrays(
    layer: DenseLayer | ConvLayer, matrix: Matrix, values: FloatArray
) -> dict[str, FloatArray]:
    """Return weight and bias from values (rows, outputs), in the layer's own shapes."""
    rows = values[:-1] if matrix.bias else values
    weight = rows if matrix.kernel is None else rows.T.reshape(-1, *matrix.kernel)
    return {layer.weight: weight} | ({} if layer.bias is None else {layer.bias: values[-1]})


def _with_arrays(
    matrix: Matrix, layer: DenseLayer | ConvLayer, arrays: dict[str, FloatArray]
) -> Matrix:
    weight = arrays[layer.weight]
    rows = weight if matrix.kernel is None else weight.reshape(len(weight), -1).T
    if layer.bias is not None:
        rows = np.concatenate([rows, arrays[layer.bias][None]])
    return replace(matrix, weights=rows)


def _remapped(
    settings: RetrainBehindSettings, array: Array, placed: PlacedNetwork, network: Network
) -> PlacedNetwork:
    """Return the placed network with new conductances for the layers behind, in their places."""
    columns = settings.mapping.within(array.settings.range)
    maps = list(placed.maps)
    for index in range(settings.programmed, len(maps)):
        if columns.arrangement != maps[index].arrangement:
            raise StepError(
                f"retrain_behind: mapping.arrangement is {columns.arrangement}, but map_network"
                f" placed {maps[index].arrangement} columns"
            )
        maps[index] = map_weights(network.matrices[index].weights, columns)
    return replace(placed, network=network, maps=tuple(maps))


def _targets(placed: PlacedNetwork, first: int, last: int) -> FloatArray:
    """Return targets (tiles, rows, cols), siemens, of the layers ``first`` to before ``last``."""
    blocks = tuple(block for block in placed.placement.blocks if first <= block.layer < last)
    only = replace(placed, placement=replace(placed.placement, blocks=blocks))
    return only.target_conductance_s


def plan(
    settings: RetrainBehindSettings,
    array: ArraySettings,
    before: Mapping[type, object] | None = None,
) -> Plan:
    """Return the plan: the training samples by each programmed layer at the read voltage.

    ``before``: with the network that an earlier step will leave, where it is known. Raises
    :class:`ConfigError` without PyTorch, for samples that cannot be used, and where no layer is
    behind.
    """
    refuse_without_torch()
    columns = settings.mapping.within(array.range)
    for end in ("min_conductance_s", "max_conductance_s"):
        refuse_outside(getattr(columns, end), array, key=f"mapping.{end}")
    x, y = load_samples(settings.data, "data")
    settings.held_out_of(len(x))
    level_v = array.read.read_v
    known = known_network(before)
    if known is None:
        vector = PlannedOperation(VectorBatch(np.full((1, array.rows), level_v)), len(y))
        return Plan([vector] * settings.programmed, rows=1, remark=lambda _: UNKNOWN)
    try:
        _refuse_nothing_behind(known.network, settings.programmed)
    except StepError as exc:
        raise ConfigError(str(exc), key="programmed") from None
    first = replace(known, network=_before(known.network, settings.programmed))
    products, _ = planned_products(first, x, level_v=level_v)
    return Plan(products, rows=1)


RETRAIN_BEHIND = Step(
    name="retrain_behind",
    summary="Retrain the layers behind those on the array on what the array answers",
    settings=RetrainBehindSettings,
    run=run,
    plan=plan,
    plan_after=plan,
    libraries=("torch",),
)
