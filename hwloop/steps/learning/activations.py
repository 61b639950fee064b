"""Activations of a layer with their slopes, and the losses at the output.

u is the weighted sum times the layer's ``gain``. Slopes are taken from the answer y. The errors are
those of gradient descent: δ = −∂loss/∂u.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hwloop.types import FloatArray

ActivationName = Literal["tanh", "sigmoid", "relu", "linear", "softmax"]
LossName = Literal["squared", "cross_entropy"]


@dataclass(frozen=True)
class Activation:
    """Answer y of a sum u, dy/du as a function of y, and the bounds of y."""

    of: Callable[[FloatArray], FloatArray]
    slope: Callable[[FloatArray], FloatArray]
    low: float
    high: float


def softmax(u: FloatArray) -> FloatArray:
    """Return shares of 1 along the last axis, without overflow."""
    powers = np.exp(u - u.max(axis=-1, keepdims=True))
    shares: FloatArray = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def sigmoid(u: FloatArray) -> FloatArray:
    """Return 1/(1 + exp(−u)), without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * u))


ACTIVATIONS: Mapping[ActivationName, Activation] = {
    "tanh": Activation(np.tanh, lambda y: 1 - y**2, -1.0, 1.0),
    "sigmoid": Activation(sigmoid, lambda y: y * (1 - y), 0.0, 1.0),
    "relu": Activation(
        lambda u: np.maximum(u, 0.0), lambda y: (y > 0).astype(np.float64), 0.0, np.inf
    ),
    "linear": Activation(lambda u: u, np.ones_like, -np.inf, np.inf),
    "softmax": Activation(softmax, lambda y: y * (1 - y), 0.0, 1.0),
}


def output_error(
    loss: LossName, activation: ActivationName, answers: FloatArray, targets: FloatArray
) -> FloatArray:
    """Return δ = −∂loss/∂u of the output layer, (..., samples, outputs).

    ``squared``: Σ (t − y)²/2. ``cross_entropy`` of softmax or sigmoid: t − y, where the slopes
    cancel.
    """
    error: FloatArray = targets - answers
    return error if loss == "cross_entropy" else error * ACTIVATIONS[activation].slope(answers)


def mean_loss(loss: LossName, answers: FloatArray, targets: FloatArray) -> FloatArray:
    """Return the loss of a sample, averaged over the samples, (...)."""
    if loss == "squared":
        each: FloatArray = 0.5 * np.square(targets - answers).sum(axis=-1)
        return np.asarray(each.mean(axis=-1))
    tiny = np.finfo(np.float64).tiny
    surprise = targets * np.log(np.maximum(answers, tiny))
    if answers.shape[-1] == 1 or not np.allclose(answers.sum(axis=-1), 1.0):
        surprise = surprise + (1 - targets) * np.log(np.maximum(1 - answers, tiny))
    missing: FloatArray = -surprise.sum(axis=-1).mean(axis=-1)
    return missing
