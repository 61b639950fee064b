"""Choice of the weights that a pruning keeps: by magnitude, by kernels, by whole channels.

Structured pruning leaves rows and columns of a matrix empty, so that they need no cells.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hwloop.errors import StepError
from hwloop.steps.network.network import ConvLayer, DenseLayer
from hwloop.steps.network.training.hardware_aware.settings import Pruning
from hwloop.types import BoolArray, FloatArray

T = TypeVar("T", bound=np.generic)
_PRUNED = {"magnitude": "weights", "kernels": "kernels", "channels": "channels"}

Masks = dict[str, BoolArray]
"""Name of an array → where it is kept; an array that is kept whole is not among them."""


def kept_after(
    pruning: Pruning,
    fraction: float,
    layers: Sequence[DenseLayer | ConvLayer],
    arrays: Mapping[str, FloatArray],
) -> Masks:
    """Return what stays when ``fraction`` of the weights, kernels or channels is taken away.

    What an earlier step has set to 0 ranks lowest, and so stays away. Raises :class:`StepError`
    where nothing of a layer stays.
    """
    match pruning.kind:
        case "magnitude":
            masks = _by_magnitude(pruning, fraction, layers, arrays)
        case "kernels":
            masks = _by_kernel(fraction, layers, arrays)
        case "channels":
            masks = _by_channel(fraction, layers, arrays)
    for layer in layers:
        if layer.weight in masks and not masks[layer.weight].any():
            raise StepError(
                f"pruning: {fraction:g} of the {_PRUNED[pruning.kind]} taken away leaves nothing of"
                f" {layer.weight}: lower pruning.fraction"
            )
    return masks


def outputs_first(layer: DenseLayer | ConvLayer, array: NDArray[T]) -> NDArray[T]:
    """Return a view of a weight array whose first axis is its outputs."""
    return array.T if isinstance(layer, DenseLayer) and layer.order == "in_out" else array


def _keep_largest(ranks: FloatArray, fraction: float) -> BoolArray:
    """Return which entries stay when the smallest ``fraction`` of them is taken away, rounded."""
    kept = np.ones(ranks.size, dtype=np.bool_)
    kept[np.argsort(ranks, axis=None, kind="stable")[: round(fraction * ranks.size)]] = False
    return kept.reshape(ranks.shape)


def _by_magnitude(
    pruning: Pruning,
    fraction: float,
    layers: Sequence[DenseLayer | ConvLayer],
    arrays: Mapping[str, FloatArray],
) -> Masks:
    sizes = {layer.weight: np.abs(arrays[layer.weight]) for layer in layers}
    if pruning.within == "layer":
        return {name: _keep_largest(size, fraction) for name, size in sizes.items()}
    kept = _keep_largest(np.concatenate([size.ravel() for size in sizes.values()]), fraction)
    ends = np.cumsum([size.size for size in sizes.values()])[:-1]
    return {
        name: part.reshape(sizes[name].shape)
        for name, part in zip(sizes, np.split(kept, ends), strict=True)
    }


def _by_kernel(
    fraction: float, layers: Sequence[DenseLayer | ConvLayer], arrays: Mapping[str, FloatArray]
) -> Masks:
    masks: Masks = {}
    for layer in layers:
        if isinstance(layer, ConvLayer):
            weight = arrays[layer.weight]
            norms = np.sqrt(np.square(weight).sum(axis=(2, 3)))
            kept = _keep_largest(norms, fraction)[:, :, None, None]
            masks[layer.weight] = np.array(np.broadcast_to(kept, weight.shape))
    return masks


def _by_channel(
    fraction: float, layers: Sequence[DenseLayer | ConvLayer], arrays: Mapping[str, FloatArray]
) -> Masks:
    """Keep the largest outputs of each layer but the last, and what is multiplied with them."""
    masks: Masks = {
        layer.weight: np.ones(arrays[layer.weight].shape, dtype=np.bool_) for layer in layers
    }
    for layer, behind in itertools.pairwise(layers):
        weight = outputs_first(layer, arrays[layer.weight])
        norms = np.sqrt(np.square(weight).reshape(len(weight), -1).sum(axis=1))
        kept = _keep_largest(norms, fraction)
        outputs_first(layer, masks[layer.weight])[~kept] = False
        inputs = outputs_first(behind, masks[behind.weight])
        # After a flattening, each channel is a run of neighbouring inputs.
        by_channel = inputs.reshape(len(inputs), len(kept), -1)
        inputs[...] = (by_channel & kept[None, :, None]).reshape(inputs.shape)
        if layer.bias is not None:
            masks[layer.bias] = kept.reshape(arrays[layer.bias].shape)
        if layer.norm is not None:
            masks[f"{layer.norm}.weight"] = masks[f"{layer.norm}.bias"] = kept
    return masks
