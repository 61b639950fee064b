"""Coincidences of random pulse trains: the outer product of two vectors, made in the array.

Each row and each column gets a train of at most ``train_length`` slots; a slot holds a pulse with a
probability in proportion to the entry. A cell sees a whole pulse where both hold one, so that on
average n_ij = rate · x_i δ_j / step_weight. Source: T. Gokmen and Y. Vlasov, Front. Neurosci. 10,
333 (2016), doi:10.3389/fnins.2016.00333; the trains are as short as the largest product allows, and
the probabilities of rows and columns balanced, as in T. Gokmen, O. M. Onen and W. Haensch, Front.
Neurosci. 11, 538 (2017), doi:10.3389/fnins.2017.00538 (update management).
"""

from __future__ import annotations

import numpy as np

from hwloop.steps.learning.pulses import IntArray
from hwloop.types import FloatArray


def coincidences(
    inputs: FloatArray,
    errors: FloatArray,
    *,
    steps_of_1: float,
    train_length: int,
    rng: np.random.Generator,
) -> IntArray:
    """Return the signed pulses of each weight, (..., inputs, outputs).

    ``inputs``: (..., inputs). ``errors``: (..., outputs). ``steps_of_1``: mean number of pulses of
    a product of 1. Where the largest product asks for more than ``train_length``, its probability
    is 1 and the trains are full: a cell never gets more.
    """
    outer = np.broadcast_shapes(inputs.shape[:-1], errors.shape[:-1])
    wanted, lines = np.ones((*outer, 1)), []
    for values in (inputs, errors):
        largest = np.abs(values).max(axis=-1, keepdims=True)
        wanted = wanted * largest
        lines.append(values / np.where(largest > 0, largest, 1.0))
    wanted = wanted * steps_of_1
    slots = np.clip(np.ceil(wanted), 1, train_length)
    level = np.sqrt(wanted / slots)
    longest = int(slots.max())
    used = np.arange(longest) < slots  # (..., slots)
    trains = []
    for line in lines:
        chance = np.abs(line) * level
        pulses = rng.random((*outer, longest, line.shape[-1])) < chance[..., None, :]
        trains.append((pulses & used[..., None]) * np.sign(line)[..., None, :])
    rows, columns = trains
    met: IntArray = np.rint(np.swapaxes(rows, -1, -2) @ columns).astype(np.int64)
    return met
