"""Weights on the levels of cells, and normalisations folded into the weights before them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwloop.steps.network.mapping.mapping import WeightColumns, map_weights
from hwloop.steps.network.network import ConvLayer, DenseLayer
from hwloop.steps.network.training.hardware_aware.pruning import outputs_first
from hwloop.types import FloatArray


def bias_name(layer: DenseLayer | ConvLayer) -> str | None:
    """Return the array that holds the bias of a layer after its normalisation was folded."""
    if layer.bias is not None:
        return layer.bias
    return None if layer.norm is None else f"{layer.norm}.bias"


def folded(
    layers: list[DenseLayer | ConvLayer], arrays: Mapping[str, FloatArray]
) -> dict[str, FloatArray]:
    """Return the arrays with every normalisation folded, and itself left as the identity.

    The same ``layers`` read them: variances are 1 − eps, so that the division is by 1.
    """
    made = {name: np.array(value, dtype=np.float64) for name, value in arrays.items()}
    for layer in layers:
        if layer.norm is None:
            continue
        gamma, beta, mean, variance = (
            made[f"{layer.norm}.{part}"].ravel()
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + layer.norm_eps)
        weight = outputs_first(layer, made[layer.weight])
        weight *= scale.reshape(-1, *(1,) * (weight.ndim - 1))
        shift = beta - mean * scale
        made[f"{layer.norm}.weight"] = np.ones_like(gamma)
        made[f"{layer.norm}.bias"] = np.zeros_like(beta)
        made[f"{layer.norm}.running_mean"] = np.zeros_like(mean)
        made[f"{layer.norm}.running_var"] = np.full_like(variance, 1 - layer.norm_eps)
        if layer.bias is None:
            made[f"{layer.norm}.bias"] = shift
        else:
            own = made[layer.bias]
            made[layer.bias] = own * scale.reshape(own.shape) + shift.reshape(own.shape)
    return made


def on_levels(
    layer: DenseLayer | ConvLayer,
    weight: FloatArray,
    bias: FloatArray | None,
    columns: WeightColumns,
) -> tuple[FloatArray, FloatArray | None]:
    """Return weight and bias as the cells hold them, in their own shapes.

    By the rule of ``map_network``: the matrix (rows, outputs) with the bias as its last row becomes
    conductances on levels, and these weights.
    """
    turned = outputs_first(layer, np.asarray(weight, np.float64))
    rows = turned.reshape(len(turned), -1).T
    matrix = rows if bias is None else np.concatenate([rows, np.reshape(bias, (1, -1))])
    held = map_weights(matrix, columns).weights()
    held_rows = held if bias is None else held[:-1]
    held_weight = outputs_first(layer, held_rows.T.reshape(turned.shape))
    return held_weight, None if bias is None else held[-1].reshape(np.shape(bias))
