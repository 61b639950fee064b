"""Gradient descent on a small network in NumPy: dense, ReLU between layers, a sigmoid at the end.

Loss: binary cross-entropy; all samples at once. Source: G. Duarte Tomaz de Sá, "Designing a cat
detector with resistive memory" (2025), sections 2.2 and 4.1 and appendix A.

Where there are fewer samples than inputs, the first layer is trained in the space of the samples:
its weights are the initial ones plus Xᵀ C, so that X W = X W₀ + (X Xᵀ) C. The numbers are the same
but for rounding, and found faster by the ratio of inputs to samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwloop.steps.network.network import sigmoid
from hwloop.types import FloatArray


@dataclass(frozen=True, eq=False)
class Trained:
    """Weights, one or two matrices (inputs, outputs); accuracy and loss of each iteration."""

    weights: tuple[FloatArray, ...]
    accuracy: FloatArray
    loss: FloatArray


@dataclass(frozen=True)
class Descent:
    """Parameters of the descent; ``stop_accuracy``: on the training samples, before the update."""

    rate: float
    iterations: int
    stop_accuracy: float | None = None


def start(inputs: int, hidden: int | None, *, seed: int, scale: float) -> tuple[FloatArray, ...]:
    """Return initial weights: 0 for one layer; for two, ``scale`` times normal numbers.

    Drawn from NumPy's legacy generator with ``seed``, output weights first, as in the source.
    """
    if hidden is None:
        return (np.zeros((inputs, 1)),)
    legacy = np.random.RandomState(seed)  # same numbers as the source
    last = scale * legacy.randn(1, hidden)
    first = scale * legacy.randn(hidden, inputs)
    return first.T, last.T


def train(
    x: FloatArray, y: FloatArray, weights: tuple[FloatArray, ...], descent: Descent
) -> Trained:
    """Train on inputs (samples, inputs), bias included, and classes 0 or 1 (samples,)."""
    samples, inputs = x.shape
    few = samples < inputs
    began = x @ weights[0]
    gram = x @ x.T if few else x
    # C in the space of the samples, or the change of the weights itself.
    moved = np.zeros((samples if few else inputs, weights[0].shape[1]))
    last = weights[1] if len(weights) == 2 else None
    wanted = y[:, None]
    accuracies, losses = [], []
    for _ in range(descent.iterations):
        hidden = began + gram @ moved
        rectified = np.maximum(hidden, 0.0)
        answer = sigmoid(hidden if last is None else rectified @ last)
        accuracies.append(float(np.mean((answer > 0.5) == (wanted > 0.5))))
        losses.append(_cross_entropy(answer, wanted))
        wrong = (answer - wanted) / samples
        back = wrong
        if last is not None:
            back = (wrong @ last.T) * (hidden > 0)
            last = last - descent.rate * rectified.T @ wrong
        moved -= descent.rate * (back if few else x.T @ back)
        if descent.stop_accuracy is not None and accuracies[-1] >= descent.stop_accuracy:
            break
    first = weights[0] + (x.T @ moved if few else moved)
    made = (first,) if last is None else (first, last)
    return Trained(made, np.array(accuracies), np.array(losses))


def _cross_entropy(answer: FloatArray, wanted: FloatArray) -> float:
    tiny = 1e-9  # as in the source, to avoid ln 0
    terms = wanted * np.log(answer + tiny) + (1 - wanted) * np.log(1 - answer + tiny)
    return float(-terms.mean())
