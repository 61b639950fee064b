"""Start of a training: samples and arrays that fit the layers, checked before PyTorch is needed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

import numpy as np

from hwloop.errors import ConfigError, StepError
from hwloop.messages import nearest
from hwloop.settings.bulk import LabelledData
from hwloop.steps.network.network import (
    Affine,
    ConvLayer,
    DenseLayer,
    LayerSettings,
    Network,
    build,
)
from hwloop.steps.network.training.hardware_aware.settings import TrainCnnSettings
from hwloop.types import FloatArray

Samples = tuple[FloatArray, FloatArray]
"""Inputs (samples, …) and classes (samples,)."""
NORM_PARTS = ("weight", "bias", "running_mean", "running_var")


def refuse_without_torch() -> None:
    """Raise :class:`ConfigError` where PyTorch is not installed."""
    if find_spec("torch") is None:
        raise ConfigError("PyTorch is not installed: pip install 'hwloop[torch]'")


def weighted(layers: Sequence[LayerSettings]) -> list[DenseLayer | ConvLayer]:
    """Return the layers that have weights."""
    return [layer for layer in layers if isinstance(layer, DenseLayer | ConvLayer)]


def names_of(layer: DenseLayer | ConvLayer) -> list[str]:
    """Return the names of a layer's arrays: weight, bias, parts of its normalisation."""
    own = [layer.weight] if layer.bias is None else [layer.weight, layer.bias]
    return own + ([] if layer.norm is None else [f"{layer.norm}.{part}" for part in NORM_PARTS])


def start_arrays(settings: TrainCnnSettings, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Return the arrays that the training starts from, by name.

    Without a file: weights and biases uniform within ±1/√inputs, as PyTorch's layers start;
    normalisations as the identity. Raises :class:`ConfigError` where an array is missing.
    """
    layers = weighted(settings.layers)
    for number, layer in enumerate(settings.layers):
        if isinstance(layer, Affine):
            raise ConfigError(
                f"layer {number}: affine is not trained: give bias and norm to the layer before",
                key="layers",
            )
    if settings.weights is None:
        _refuse_other_shapes(settings)
        return {name: array for layer in layers for name, array in _drawn(settings, layer, rng)}
    found = settings.weights.arrays()
    wanted = [name for layer in layers for name in names_of(layer)]
    for name in wanted:
        if name not in found:
            raise ConfigError(
                f"there is no array {name!r}{nearest(name, found)}",
                key="weights",
                file=str(settings.weights.file),
            )
    return {name: found[name] for name in wanted}


def _refuse_other_shapes(settings: TrainCnnSettings) -> None:
    used = [layer.weight for layer in weighted(settings.layers)]
    for name in settings.shapes:
        if name not in used:
            raise ConfigError(
                f"no layer has the weight {name!r}{nearest(name, used)}", key="shapes"
            )


def _drawn(
    settings: TrainCnnSettings, layer: DenseLayer | ConvLayer, rng: np.random.Generator
) -> Iterator[tuple[str, FloatArray]]:
    shape = settings.shapes.get(layer.weight)
    if shape is None:
        raise ConfigError(
            f"give the shape of {layer.weight!r}{nearest(layer.weight, settings.shapes)}",
            key="shapes",
        )
    axes = 4 if isinstance(layer, ConvLayer) else 2
    if len(shape) != axes:
        raise ConfigError(
            f"{layer.weight} has shape {shape}; a {layer.kind} has {axes} axes", key="shapes"
        )
    turned = isinstance(layer, DenseLayer) and layer.order == "in_out"
    outputs, inputs = (shape[1], shape[0]) if turned else (shape[0], math.prod(shape[1:]))
    bound = 1 / math.sqrt(inputs)
    yield layer.weight, rng.uniform(-bound, bound, shape)
    if layer.bias is not None:
        yield layer.bias, rng.uniform(-bound, bound, outputs)
    if layer.norm is not None:
        for part, value in zip(NORM_PARTS, (1.0, 0.0, 0.0, 1.0), strict=True):
            yield f"{layer.norm}.{part}", np.full(outputs, value)


def load_samples(data: LabelledData, key: str, *, like: Samples | None = None) -> Samples:
    """Return samples and classes of the setting ``key``.

    ``like``: samples whose shape they must have. Raises :class:`ConfigError` naming what differs.
    """
    x, y = data.load(key)
    if like is not None and x.shape[1:] != like[0].shape[1:]:
        raise ConfigError(
            f"its samples have shape {x.shape[1:]}, those of data {like[0].shape[1:]}", key=key
        )
    return x, y


def fitting_network(
    settings: TrainCnnSettings, arrays: dict[str, FloatArray], samples: dict[str, Samples]
) -> Network:
    """Return the network, when it takes the samples and has an output for every class.

    ``samples``: by the key of their setting. Raises :class:`ConfigError` naming the layer, the
    sample and the bound.
    """
    try:
        network = build(settings.layers, arrays)
    except ConfigError as exc:
        raise exc if exc.key else ConfigError(str(exc), key="layers") from None
    for key, (x, y) in samples.items():
        try:
            answer = network.forward(x[:1])
        except (StepError, ValueError) as exc:
            raise ConfigError(f"samples of shape {x.shape[1:]}: {exc}", key=key) from None
        if answer.ndim != 2 or answer.shape[-1] < 2:
            raise ConfigError(
                f"the last layer gives {answer.shape[1:]}; expected two outputs or more, one for"
                " each class",
                key="layers",
            )
        wrong = np.flatnonzero(y >= answer.shape[-1])
        if wrong.size:
            raise ConfigError(
                f"class {wrong[0]} is {y[wrong[0]]:g}; the network has {answer.shape[-1]} outputs",
                key=key,
            )
    return network


def multiplications(network: Network, sample: FloatArray) -> list[FloatArray]:
    """Return how often each weight of each matrix is multiplied for one sample (1, …).

    The number of positions of a convolution, 1 for a dense layer, as arrays (rows, outputs).
    """
    found: dict[int, FloatArray] = {}

    def count(index: int, inputs: FloatArray) -> FloatArray:
        weights = network.matrices[index].weights
        found[index] = np.full(weights.shape, float(inputs.shape[-2]))
        return inputs @ weights

    network.forward(sample, count)
    return [found[index] for index in sorted(found)]
