"""Network of weight matrices, multiplied by an array, and of software layers between them.

Weights are named arrays; ``layers`` gives the order of their use. A bias is one more row of the
matrix, driven by an input of 1. A convolution is a matrix that multiplies unrolled patches, or one
small matrix for each kernel element (``convolution.py``). A batch normalisation is folded into the
convolution or dense layer before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeInt, model_validator

from hwloop.errors import ConfigError, StepError
from hwloop.messages import nearest
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, Number
from hwloop.steps.network.convolution import (
    Kernel,
    check_images,
    patches,
    sums_by_elements,
    sums_by_patches,
)
from hwloop.steps.network.entries import ChannelLine, Entry, FiringUnits, InputLimit, OutputLine
from hwloop.steps.network.mapping.mapping import refuse_unfinite
from hwloop.types import FloatArray

Arrays = Mapping[str, FloatArray]
Multiply = Callable[[int, FloatArray], FloatArray]
"""(index of the matrix, inputs (..., batch, rows)) → (..., batch, outputs)."""
Loop = Literal["patches", "kernel_element"]


class Normalised(Settings):
    """Layer with a batch normalisation.

    ``norm``: its prefix, such as ``"1"``, as in PyTorch.
    """

    norm: str | None = None
    norm_eps: Annotated[Number, Field(gt=0)] = 1e-5


class Folded(Normalised):
    """Layer with weights, into which the batch normalisation that follows can be folded."""

    weight: str
    bias: str | None = None


class Affine(Normalised):
    """Bias and batch normalisation of each channel in software, not on the array.

    y = γ (x + ``bias`` − μ)/√(σ² + ε) + β.
    """

    kind: Literal["affine"]
    bias: str | None = None

    @model_validator(mode="after")
    def _some(self) -> Affine:
        if self.bias is None and self.norm is None:
            raise ValueError("give bias or norm")
        return self


class DenseLayer(Folded):
    """Dense layer; ``order``: of the axes of its weights, in PyTorch ``out_in``."""

    kind: Literal["dense"]
    order: Literal["out_in", "in_out"] = "out_in"


class ConvLayer(Folded):
    """Convolution with weights (out, in, height, width) on (samples, in, height, width).

    ``loop``: what is outermost, the unrolled ``patches`` of the image, or the ``kernel_element``,
    each of which then has blocks of its own on the tiles and meets the shifted image once.
    """

    kind: Literal["conv"]
    padding: NonNegativeInt = 0
    stride: Count = 1
    loop: Loop = "patches"


class Function(Settings):
    """Activation in software: σ(x), tanh, max(x, 0), or e^x / Σ e^x over the outputs.

    ``switching``: 1 − exp(−exp(x)), the mean of a unit that fires by chance.
    """

    kind: Literal["sigmoid", "tanh", "relu", "softmax", "switching"]


class Scale(Settings):
    """Linear map y = ``factor`` x + ``offset``, for example from a pixel to its row voltage."""

    kind: Literal["scale"]
    factor: Number = 1.0
    offset: Number = 0.0


class Amplifier(Settings):
    """Inverting amplifier y = −``rail`` tanh(``gain`` x / ``rail``).

    Source: S. Malapaka and R. Nandha V, "Training of Binary Neural Network for CMOS RRAM Crossbar"
    (2024), where the gain is the feedback resistance and the rail the swing of the output.
    """

    kind: Literal["amplifier"]
    rail: Annotated[Number, Field(gt=0)] = 1.0
    gain: Annotated[Number, Field(gt=0)] = 1.0


class MeasuredActivation(Settings):
    """Measured activation: straight lines between points (``x``, ``y``), x rising."""

    kind: Literal["measured"]
    x: tuple[Number, ...] = Field(min_length=2)
    y: tuple[Number, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _rising(self) -> MeasuredActivation:
        if len(self.x) != len(self.y) or np.any(np.diff(self.x) <= 0):
            raise ValueError("x must rise, and have as many entries as y")
        return self


class MaxPool(Settings):
    """Maximum of each ``size`` × ``size`` square; an incomplete square at an edge is left out."""

    kind: Literal["max_pool"]
    size: Count


class Flatten(Settings):
    """Reshape from (samples, channels, height, width) to (samples, features)."""

    kind: Literal["flatten"]


LayerSettings = Annotated[
    DenseLayer
    | ConvLayer
    | Affine
    | Function
    | Scale
    | Amplifier
    | MeasuredActivation
    | MaxPool
    | Flatten,
    Field(discriminator="kind"),
]


@dataclass(frozen=True, eq=False)
class Matrix:
    """Layer as a matrix (rows, outputs); ``bias``: whether its last row is the bias.

    ``kernel``: (channels, height, width) of a convolution, with ``padding``, ``stride`` and
    ``loop``.
    """

    name: str
    weights: FloatArray
    bias: bool
    kernel: Kernel | None = None
    padding: int = 0
    stride: int = 1
    loop: Loop = "patches"

    def apply(self, x: FloatArray, multiply: Callable[[FloatArray], FloatArray]) -> FloatArray:
        """Apply the layer by ``multiply``, which takes inputs (..., batch, rows).

        ``x``: (..., batch, in) of a dense layer, (..., batch, channels, height, width) of a
        convolution. Raises :class:`StepError` where ``x`` does not fit.
        """
        if self.kernel is None:
            return multiply(self._with_bias(x))
        unrolled = patches(
            x, self.kernel, padding=self.padding, stride=self.stride, layer=self.name
        )
        *outer, batch, up, across, rows = unrolled.shape
        sums = multiply(self._with_bias(unrolled.reshape(*outer, batch * up * across, rows)))
        return np.moveaxis(sums.reshape(*sums.shape[:-2], batch, up, across, -1), -1, -3)

    def check_inputs(self, x: FloatArray) -> None:
        """Raise :class:`StepError` where inputs (..., samples, …) are not those of the layer."""
        rows = self.weights.shape[0] - self.bias
        if self.kernel is not None:
            check_images(x, self.kernel, padding=self.padding, layer=self.name)
        elif x.ndim < 2 or x.shape[-1] != rows:
            raise StepError(f"layer {self.name}: takes {rows} inputs, but gets {x.shape[-1]}")

    def exact(self, x: FloatArray) -> FloatArray:
        """Apply the layer in NumPy, in the order of its ``loop``; shapes as of :meth:`apply`."""
        weights = self.weights[:-1] if self.bias else self.weights
        # The bias is added to the sums: vectors with one more entry would be a copy of all.
        if self.kernel is None:
            plain = replace(self, weights=weights, bias=False)
            sums = plain.apply(x, lambda inputs: inputs @ weights)
            return sums + self.weights[-1] if self.bias else sums
        by_loop = sums_by_patches if self.loop == "patches" else sums_by_elements
        sums = by_loop(
            x, weights, self.kernel, padding=self.padding, stride=self.stride, layer=self.name
        )
        return np.add(sums, self.weights[-1][:, None, None], out=sums) if self.bias else sums

    def _with_bias(self, x: FloatArray) -> FloatArray:
        rows = self.weights.shape[0] - self.bias
        if x.shape[-1] != rows:
            raise StepError(f"layer {self.name}: takes {rows} inputs, but gets {x.shape[-1]}")
        return np.concatenate([x, np.ones((*x.shape[:-1], 1))], axis=-1) if self.bias else x


@dataclass(frozen=True, eq=False)
class Network:
    """Matrices and their order; an entry is the index of a matrix or a layer without weights."""

    matrices: tuple[Matrix, ...]
    order: tuple[int | LayerSettings | Entry, ...]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Return (rows, outputs) of each matrix."""
        return [(one.weights.shape[0], one.weights.shape[1]) for one in self.matrices]

    def forward(self, x: FloatArray, multiply: Multiply | None = None) -> FloatArray:
        """Compute outputs (..., samples, outputs) of (samples, …); in NumPy by default."""

        def own(index: int, inputs: FloatArray) -> FloatArray:
            matrix = self.matrices[index]
            if multiply is None:
                return matrix.exact(inputs)
            return matrix.apply(inputs, _bound(multiply, index))

        return self.through(x, own)

    def through(self, x: FloatArray, layer: Callable[[int, FloatArray], FloatArray]) -> FloatArray:
        """Compute outputs with ``layer`` (index of the matrix, its inputs) in place of products.

        Inputs and outputs of a convolution are images, (..., samples, channels, height, width).
        """
        for entry in self.order:
            x = layer(entry, x) if isinstance(entry, int) else _function(entry, x)
        return x


def with_input_limits(network: Network, largest: float) -> Network:
    """Return the network with the inputs of each matrix limited to ±``largest``."""
    order: list[int | LayerSettings | Entry] = []
    for entry in network.order:
        if isinstance(entry, int):
            images = network.matrices[entry].kernel is not None
            order.append(InputLimit(largest, images))
        order.append(entry)
    return replace(network, order=tuple(order))


def with_output_lines(network: Network, lines: Sequence[OutputLine]) -> Network:
    """Return the network with a line after each matrix, in place of earlier ones."""
    order: list[int | LayerSettings | Entry] = []
    for entry in network.order:
        if not isinstance(entry, OutputLine):
            order.append(entry)
        if isinstance(entry, int):
            order.append(lines[entry])
    return replace(network, order=tuple(order))


def _bound(multiply: Multiply, index: int) -> Callable[[FloatArray], FloatArray]:
    return lambda inputs: multiply(index, inputs)


def build(layers: Sequence[LayerSettings], arrays: Arrays) -> Network:
    """Build the network of ``layers`` with weights from ``arrays``.

    Raises :class:`ConfigError` naming a missing array, a wrong shape, or a weight that is not
    finite.
    """
    matrices: list[Matrix] = []
    order: list[int | LayerSettings | Entry] = []
    images = any(isinstance(layer, ConvLayer) for layer in layers)
    for layer in layers:
        if isinstance(layer, DenseLayer | Flatten):
            images = False
        if isinstance(layer, DenseLayer | ConvLayer):
            order.append(len(matrices))
            matrices.append(_matrix(layer, arrays))
        elif isinstance(layer, Affine):
            order.append(_channel_line(layer, arrays, images=images))
        else:
            order.append(layer)
    if not matrices:
        raise ConfigError("no layer has weights", key="layers")
    return Network(tuple(matrices), tuple(order))


def _matrix(layer: DenseLayer | ConvLayer, arrays: Arrays) -> Matrix:
    weight = _named(arrays, layer.weight)
    axes = 4 if isinstance(layer, ConvLayer) else 2
    if weight.ndim != axes:
        raise ConfigError(
            f"{layer.weight} has shape {weight.shape}; a {layer.kind} has {axes} axes"
        )
    if not weight.size:
        raise ConfigError(f"{layer.weight} has shape {weight.shape}: it holds no weight")
    if isinstance(layer, DenseLayer) and layer.order == "in_out":
        weight = weight.T
    flat = weight.reshape(len(weight), -1)
    bias = None if layer.bias is None else _of_outputs(arrays, layer.bias, len(flat))
    if layer.norm is not None:
        scale, shift = _normalisation(layer, arrays, len(flat))
        flat = flat * scale[:, None]
        bias = shift if bias is None else bias * scale + shift
    rows = flat.T if bias is None else np.concatenate([flat.T, bias[None]])
    refuse_unfinite(rows, f"{layer.weight}: weight")
    if isinstance(layer, ConvLayer):
        kernel = (weight.shape[1], weight.shape[2], weight.shape[3])
        settings = layer.padding, layer.stride, layer.loop
        return Matrix(layer.weight, rows, bias is not None, kernel, *settings)
    return Matrix(layer.weight, rows, bias is not None)


def _channel_line(layer: Affine, arrays: Arrays, *, images: bool) -> ChannelLine:
    first = layer.bias or f"{layer.norm}.running_mean"
    channels = len(_named(arrays, first).ravel())
    shift = np.zeros(channels) if layer.bias is None else _of_outputs(arrays, layer.bias, channels)
    scale = np.ones(channels)
    if layer.norm is not None:
        scale, own = _normalisation(layer, arrays, channels)
        shift = shift * scale + own
    refuse_unfinite(np.stack([scale, shift]), f"affine {layer.bias or layer.norm}: entry")
    return ChannelLine(scale, shift, images)


def _normalisation(
    layer: Normalised, arrays: Arrays, outputs: int
) -> tuple[FloatArray, FloatArray]:
    gamma, beta, mean, variance = (
        _of_outputs(arrays, f"{layer.norm}.{part}", outputs)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    if not (variance + layer.norm_eps > 0).all():
        raise ConfigError(
            f"{layer.norm}.running_var plus norm_eps has the entry"
            f" {(variance + layer.norm_eps).min():g}; expected all above 0"
        )
    scale = gamma / np.sqrt(variance + layer.norm_eps)
    return scale, beta - mean * scale


def _named(arrays: Arrays, name: str) -> FloatArray:
    if name not in arrays:
        text = f"there is no array {name!r} of real numbers{nearest(name, arrays)}"
        raise ConfigError(text, key="layers")
    refuse_unfinite(arrays[name], f"{name}: entry")
    return arrays[name]


def _of_outputs(arrays: Arrays, name: str, outputs: int) -> FloatArray:
    found = _named(arrays, name).ravel()
    if len(found) != outputs:
        raise ConfigError(f"{name} has {len(found)} entries for {outputs} outputs")
    return found


def _function(layer: LayerSettings | Entry, x: FloatArray) -> FloatArray:
    match layer:
        case ChannelLine() | InputLimit() | OutputLine() | FiringUnits():
            return layer.apply(x)
        case Function():
            return _FUNCTIONS[layer.kind](x)
        case Scale():
            return layer.factor * x + layer.offset
        case Amplifier():
            return -layer.rail * np.tanh(layer.gain * x / layer.rail)
        case MeasuredActivation():
            return _interpolated(layer, x)
        case MaxPool():
            return _pooled(x, layer.size)
    return x.reshape(*x.shape[:-3], -1)


def _pooled(x: FloatArray, size: int) -> FloatArray:
    """Return the largest of every square: line by line, which is faster than all of it at once."""
    up, across = x.shape[-2] // size, x.shape[-1] // size
    cut = x[..., : up * size, : across * size]
    lines = cut[..., 0::size, :]
    for line in range(1, size):
        lines = np.maximum(lines, cut[..., line::size, :])
    pooled = lines[..., 0::size]
    for column in range(1, size):
        pooled = np.maximum(pooled, lines[..., column::size])
    return pooled


def _interpolated(layer: MeasuredActivation, x: FloatArray) -> FloatArray:
    outside = (x < layer.x[0]) | (x > layer.x[-1])
    if outside.any():
        raise StepError(
            f"activation: {int(outside.sum())} of {x.size} inputs, such as"
            f" {x[outside][0]:g}, are outside the measured {layer.x[0]:g} to {layer.x[-1]:g}"
        )
    return np.interp(x, layer.x, layer.y)


def sigmoid(x: FloatArray) -> FloatArray:
    """Return 1 / (1 + e^−x), without overflow at either end."""
    return np.asarray(0.5 * (1 + np.tanh(x / 2)))


def _softmax(x: FloatArray) -> FloatArray:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _switching(x: FloatArray) -> FloatArray:
    return np.asarray(-np.expm1(-np.exp(np.minimum(x, 700.0))))


_FUNCTIONS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "softmax": _softmax,
    "switching": _switching,
}


def predicted(outputs: FloatArray) -> FloatArray:
    """Return classes (..., samples): the largest output, or whether a single one exceeds 0.5."""
    if outputs.shape[-1] == 1:
        return np.asarray(outputs[..., 0] > 0.5, dtype=np.float64)
    return np.asarray(outputs.argmax(axis=-1), dtype=np.float64)
