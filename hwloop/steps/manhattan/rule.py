"""Equations 1 to 5 of the rule, and whether an array is done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwloop.steps.manhattan.rows import SignArray
from hwloop.steps.manhattan.settings import ManhattanSettings
from hwloop.types import BoolArray, FloatArray


@dataclass(frozen=True)
class Judgement:
    """Activations of an epoch, and what the rule makes of them.

    ``wrong``: the patterns that the stop criterion does not find as they should be.
    """

    current_a: FloatArray
    activation: FloatArray
    shortfall: FloatArray
    wrong: BoolArray
    update: SignArray

    @property
    def converged(self) -> BoolArray:
        """Arrays of which every pattern is as it should be, (...)."""
        return np.asarray(~self.wrong.any(axis=-1))


def judge(settings: ManhattanSettings, column_current_a: FloatArray) -> Judgement:
    """Eqs. 1 to 5: activations (..., patterns, neurons) and the update's sign."""
    current_a = differential(column_current_a)
    phase = settings.beta_per_a * current_a
    activation = np.tanh(phase)
    target = settings.target
    wants_one = np.array(settings.outputs) == 1
    shortfall = np.maximum(np.where(wants_one, target - activation, activation - target), 0.0)
    if settings.stop == "targets":
        wrong: BoolArray = np.asarray((shortfall > 0).any(axis=-1))
    else:
        # By the currents, whose order is the activations': these may round to 1 alike.
        wrong = misclassified(current_a, wants_one)
    delta = (target - activation) * settings.beta_per_a * _sech_squared(phase)
    voltage_v = settings.voltage_v(settings.patterns)
    summed = np.einsum("...pn,pr->...rn", delta, voltage_v)
    update = np.sign(summed).astype(np.int8)
    return Judgement(current_a, activation, shortfall, wrong, update)


def differential(values: FloatArray) -> FloatArray:
    """G⁺ − G⁻, or I⁺ − I⁻: (..., cols) → (..., neurons)."""
    return values[..., 0::2] - values[..., 1::2]


def misclassified(values: FloatArray, wants_one: BoolArray) -> BoolArray:
    """Where the wanted neuron is not above every other: (..., patterns, neurons) → (..., patterns).

    A tie is no answer, so it is wrong.
    """
    wanted = np.where(wants_one, values, -np.inf).max(axis=-1)
    others = np.where(wants_one, -np.inf, values).max(axis=-1)
    wrong: BoolArray = wanted <= others
    return wrong


def _sech_squared(phase: FloatArray) -> FloatArray:
    """1/cosh², which neither overflows nor rounds to 0 where tanh rounds to 1."""
    decay = np.exp(-2.0 * np.abs(phase))
    return 4.0 * decay / (1.0 + decay) ** 2
