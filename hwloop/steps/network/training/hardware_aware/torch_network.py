"""Forward pass of a network in PyTorch, layer by layer as ``map_network`` lists them.

PyTorch is handed in, so that importing this module does not load it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hwloop.errors import StepError
from hwloop.steps.network.network import (
    Amplifier,
    ConvLayer,
    DenseLayer,
    Flatten,
    Function,
    LayerSettings,
    MaxPool,
    MeasuredActivation,
    Scale,
)

Tensor = Any
Held = Callable[[DenseLayer | ConvLayer], tuple[Tensor, Tensor | None]]
"""Layer → weight and bias that its multiplication is done with."""
Product = Callable[[DenseLayer | ConvLayer, Tensor, Tensor, Tensor | None], Tensor]
"""(layer, inputs, weight, bias) → sums."""


def forward(
    torch: Any,
    layers: Sequence[LayerSettings],
    x: Tensor,
    held: Held,
    norm: Callable[[DenseLayer | ConvLayer, Tensor], Tensor],
    *,
    product: Product | None = None,
) -> Tensor:
    """Compute outputs (samples, outputs) of inputs (samples, …).

    ``held``: weights and biases to multiply with. ``norm``: the normalisation after a layer.
    ``product``: sums of a layer, inputs, weight and bias, in place of the exact ones. Raises
    :class:`StepError` where a measured activation is driven outside its points.
    """
    for layer in layers:
        if isinstance(layer, DenseLayer | ConvLayer):
            weight, bias = held(layer)
            sums = (
                _product(torch, layer, x, weight, bias)
                if product is None
                else product(layer, x, weight, bias)
            )
            x = norm(layer, sums)
        else:
            x = _function(torch, layer, x)
    return x


def _product(
    torch: Any, layer: DenseLayer | ConvLayer, x: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    flat = None if bias is None else bias.reshape(-1)
    if isinstance(layer, ConvLayer):
        return torch.nn.functional.conv2d(
            x, weight, flat, stride=layer.stride, padding=layer.padding
        )
    turned = weight.T if layer.order == "in_out" else weight
    return torch.nn.functional.linear(x, turned, flat)


def normalise(
    torch: Any,
    layer: DenseLayer | ConvLayer,
    tensors: Mapping[str, Tensor],
    x: Tensor,
    *,
    training: bool,
) -> Tensor:
    """Normalise by the batch while ``training``, else by the running mean and variance."""
    if layer.norm is None:
        return x
    return torch.nn.functional.batch_norm(
        x,
        tensors[f"{layer.norm}.running_mean"],
        tensors[f"{layer.norm}.running_var"],
        tensors[f"{layer.norm}.weight"],
        tensors[f"{layer.norm}.bias"],
        training=training,
        eps=layer.norm_eps,
    )


def _function(torch: Any, layer: LayerSettings, x: Tensor) -> Tensor:
    match layer:
        case Function(kind="softmax"):
            return torch.softmax(x, dim=-1)
        case Function(kind="switching"):
            return -torch.expm1(-torch.exp(torch.clamp(x, max=50.0)))
        case Function():
            return getattr(torch, layer.kind)(x)
        case Scale():
            return layer.factor * x + layer.offset
        case Amplifier():
            return -layer.rail * torch.tanh(layer.gain * x / layer.rail)
        case MeasuredActivation():
            return _interpolated(torch, layer, x)
        case MaxPool():
            return torch.nn.functional.max_pool2d(x, layer.size)
        case Flatten():
            return x.flatten(start_dim=1)
    raise StepError(f"layer {layer.kind}: cannot be trained")


def _interpolated(torch: Any, layer: MeasuredActivation, x: Tensor) -> Tensor:
    points, values = (x.new_tensor(one) for one in (layer.x, layer.y))
    outside = (x < points[0]) | (x > points[-1])
    if bool(outside.any()):
        raise StepError(
            f"activation: {int(outside.sum())} of {x.numel()} inputs, such as"
            f" {float(x[outside][0]):g}, are outside the measured {layer.x[0]:g} to"
            f" {layer.x[-1]:g}"
        )
    left = torch.clamp(torch.searchsorted(points, x.detach(), right=True) - 1, 0, len(points) - 2)
    slope = (values[1:] - values[:-1]) / (points[1:] - points[:-1])
    return values[left] + slope[left] * (x - points[left])
