"""Gradient descent on a network of two layers whose weights become G_ON or G_OFF.

A latent weight w gives the conductance G_OFF + (G_ON − G_OFF) σ(``sharpness`` · w), a soft step;
programmed, it is G_ON where w > 0 and G_OFF elsewhere. Behind each column an inverting amplifier
gives −V_rail tanh(R I / V_rail). Inputs of 0 and 1 are rows at ``low_v`` and ``high_v``. Loss:
cross-entropy of the softmax of the output voltages. Rate: doubled from 1/1024 over the first ten
epochs, halved after every ``halve_every``. Normal numbers are added to each batch of inputs.
Source: S. Malapaka and R. Nandha V, "Training of Binary Neural Network for CMOS RRAM Crossbar"
(2024), for the initial weights (Xavier uniform, times ``initial_factor``) and the descent; the
gradients are written out here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwloop.steps.network.network import sigmoid
from hwloop.types import FloatArray

_WARM_UP = 10
"""Epochs over which the rate doubles."""


@dataclass(frozen=True)
class BinaryCircuit:
    """Cells, amplifiers and rows: siemens, volts and ohms; ``feedback_ohm``: of both layers."""

    on_conductance_s: float
    off_conductance_s: float
    rail_v: float
    feedback_ohm: tuple[float, float]
    high_v: float
    low_v: float

    def row_v(self, x: FloatArray) -> FloatArray:
        """Return the row voltages of inputs, where 0 is ``low_v`` and 1 is ``high_v``."""
        return self.low_v + (self.high_v - self.low_v) * x

    def answer(
        self, row_v: FloatArray, first_conductance_s: FloatArray, last_conductance_s: FloatArray
    ) -> Answer:
        """Compute the amplifier outputs of rows (samples, inputs), volts.

        ``first_conductance_s``: (inputs, hidden), ``last_conductance_s``: (hidden, outputs),
        siemens.
        """
        hidden_v = self._amplified(row_v @ first_conductance_s, 0)
        return Answer(hidden_v, self._amplified(hidden_v @ last_conductance_s, 1))

    def _amplified(self, current_a: FloatArray, layer: int) -> FloatArray:
        swing = np.tanh(self.feedback_ohm[layer] * current_a / self.rail_v)
        return np.asarray(-self.rail_v * swing)

    def slope_ohm(self, output_v: FloatArray, layer: int) -> FloatArray:
        """Return d output / d current of the amplifiers, ohms: 0 at the rails."""
        return -self.feedback_ohm[layer] * (1 - (output_v / self.rail_v) ** 2)


@dataclass(frozen=True, eq=False)
class Answer:
    """Output voltages of the amplifiers: (samples, hidden) and (samples, outputs)."""

    hidden_v: FloatArray
    output_v: FloatArray


@dataclass(frozen=True)
class BinaryDescent:
    """Parameters of the descent; ``rate``: after the warm-up."""

    rate: float
    epochs: int
    batch: int
    input_noise: float
    sharpness: float
    initial_factor: float
    halve_every: int | None


@dataclass(frozen=True, eq=False)
class BinaryTrained:
    """Latent weights (inputs, hidden), (hidden, outputs); accuracy and loss of each epoch."""

    latent: tuple[FloatArray, FloatArray]
    accuracy: FloatArray
    loss: FloatArray


def soft_conductance_s(latent: FloatArray, circuit: BinaryCircuit, sharpness: float) -> FloatArray:
    """Return conductances between G_OFF and G_ON, siemens, shaped as ``latent``."""
    return circuit.off_conductance_s + (
        circuit.on_conductance_s - circuit.off_conductance_s
    ) * sigmoid(sharpness * latent)


def hard_conductance_s(latent: FloatArray, circuit: BinaryCircuit) -> FloatArray:
    """Return G_ON where ``latent`` is above 0, else G_OFF, siemens."""
    return np.where(latent > 0, circuit.on_conductance_s, circuit.off_conductance_s)


def start(
    sizes: tuple[int, int, int], factor: float, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Draw initial weights by Xavier: uniform, ±√(6 / (inputs + outputs)), times ``factor``."""
    inputs, hidden, outputs = sizes

    def drawn(rows: int, cols: int) -> FloatArray:
        bound = factor * np.sqrt(6 / (rows + cols))
        return rng.uniform(-bound, bound, (rows, cols))

    return drawn(inputs, hidden), drawn(hidden, outputs)


def train_binary(
    x: FloatArray,
    y: FloatArray,
    *,
    hidden: int,
    circuit: BinaryCircuit,
    descent: BinaryDescent,
    rng: np.random.Generator,
) -> BinaryTrained:
    """Train on inputs (samples, inputs) and classes 0, 1, … (samples,)."""
    classes = y.astype(np.int64)
    wanted = np.eye(int(classes.max()) + 1)[classes]
    sizes = (x.shape[1], hidden, wanted.shape[1])
    latent = start(sizes, descent.initial_factor, rng)
    accuracies, losses = [], []
    for epoch in range(descent.epochs):
        order = rng.permutation(len(x))
        right = loss = 0.0
        for begin in range(0, len(x), descent.batch):
            chosen = order[begin : begin + descent.batch]
            noisy = x[chosen] + descent.input_noise * rng.standard_normal((len(chosen), sizes[0]))
            step = gradients(circuit.row_v(noisy), wanted[chosen], latent, circuit, descent)
            rate = _rate(epoch, descent)
            latent = (latent[0] - rate * step.first, latent[1] - rate * step.last)
            right += step.right
            loss += step.loss * len(chosen)
        accuracies.append(right / len(x))
        losses.append(loss / len(x))
    return BinaryTrained(latent, np.array(accuracies), np.array(losses))


def _rate(epoch: int, descent: BinaryDescent) -> float:
    warm = descent.rate * 2.0 ** min(epoch - _WARM_UP, 0)
    halvings = 0 if descent.halve_every is None else max(epoch - 1, 0) // descent.halve_every
    return warm / 2.0**halvings


@dataclass(frozen=True, eq=False)
class Gradients:
    """Gradients of a batch's mean loss; ``right``: right answers before the step."""

    first: FloatArray
    last: FloatArray
    loss: float
    right: int


def gradients(
    row_v: FloatArray,
    wanted: FloatArray,
    latent: tuple[FloatArray, FloatArray],
    circuit: BinaryCircuit,
    descent: BinaryDescent,
) -> Gradients:
    """Compute the gradients of the loss to the latent weights, shaped as these.

    ``row_v``: (batch, inputs), volts. ``wanted``: one-hot classes, (batch, outputs).
    """
    first_conductance_s, last_conductance_s = (
        soft_conductance_s(one, circuit, descent.sharpness) for one in latent
    )
    answer = circuit.answer(row_v, first_conductance_s, last_conductance_s)
    logits = answer.output_v - answer.output_v.max(axis=1, keepdims=True)
    log_share = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    wrong = (np.exp(log_share) - wanted) / len(row_v)
    behind_last = wrong * circuit.slope_ohm(answer.output_v, 1)
    behind_first = (behind_last @ last_conductance_s.T) * circuit.slope_ohm(answer.hidden_v, 0)
    return Gradients(
        first=(row_v.T @ behind_first)
        * _slope_conductance_s(first_conductance_s, circuit, descent.sharpness),
        last=(answer.hidden_v.T @ behind_last)
        * _slope_conductance_s(last_conductance_s, circuit, descent.sharpness),
        loss=float(-(log_share * wanted).sum() / len(row_v)),
        right=int((logits.argmax(axis=1) == wanted.argmax(axis=1)).sum()),
    )


def _slope_conductance_s(
    conductance_s: FloatArray, circuit: BinaryCircuit, sharpness: float
) -> FloatArray:
    """Return d conductance / d latent weight, computed from the conductance itself."""
    window_conductance_s = circuit.on_conductance_s - circuit.off_conductance_s
    share = (conductance_s - circuit.off_conductance_s) / window_conductance_s
    return np.asarray(sharpness * window_conductance_s * share * (1 - share))
