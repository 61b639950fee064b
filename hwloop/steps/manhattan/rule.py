"""Manhattan rule, equations 1 to 5, and the stop criterion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwloop.steps.manhattan.rows import SignArray
from hwloop.steps.manhattan.settings import ManhattanSettings
from hwloop.types import BoolArray, FloatArray


@dataclass(frozen=True)
class Judgement:
    """Activations of an epoch, their shortfall, and the update that the rule makes of them.

    ``current_a``, ``activation``, ``shortfall``: (..., patterns, neurons). ``wrong``: patterns that
    do not meet the stop criterion, (..., patterns). ``update``: signs, (..., rows, neurons).
    """

    current_a: FloatArray
    activation: FloatArray
    shortfall: FloatArray
    wrong: BoolArray
    update: SignArray

    @property
    def converged(self) -> BoolArray:
        """Return where every pattern meets the stop criterion, (...)."""
        return np.asarray(~self.wrong.any(axis=-1))


def judge(settings: ManhattanSettings, column_current_a: FloatArray) -> Judgement:
    """Compute activations, shortfalls and the signs of the update by Eqs. 1 to 5.

    ``column_current_a``: (..., patterns, cols), amperes, positive into the column.
    """
    current_a = differential(column_current_a)
    phase = settings.beta_per_a * current_a
    activation = np.tanh(phase)
    target = settings.target
    wants_one = np.array(settings.outputs) == 1
    shortfall = np.maximum(np.where(wants_one, target - activation, activation - target), 0.0)
    if settings.stop == "targets":
        # Along the first axis: along a last one of a few neurons it takes ten times as long.
        wrong: BoolArray = np.asarray(np.moveaxis(shortfall > 0, -1, 0).copy().any(axis=0))
    else:
        # By the currents, which have the order of the activations: several of those may round to 1.
        wrong = misclassified(current_a, wants_one)
    delta = (target - activation) * settings.beta_per_a * _sech_squared(phase)
    summed = _over_patterns(delta, settings.voltage_v(settings.patterns))
    update = np.sign(summed).astype(np.int8)
    return Judgement(current_a, activation, shortfall, wrong, update)


def _over_patterns(delta: FloatArray, voltage_v: FloatArray) -> FloatArray:
    """Return Σ_p delta · voltage_v, (..., patterns, neurons), (patterns, rows) → (..., rows, n).

    By einsum, which does not fuse product and sum as a matrix product may: equal terms of opposite
    signs are 0. With the arrays and neurons as one long axis it takes a quarter of the time.
    """
    patterns, rows = voltage_v.shape
    by_pattern = np.moveaxis(delta, -2, 0)
    summed = np.einsum("pm,pr->rm", by_pattern.reshape(patterns, -1), voltage_v)
    return np.moveaxis(summed.reshape(rows, *by_pattern.shape[1:]), 0, -2)


def differential(values: FloatArray) -> FloatArray:
    """Return G⁺ − G⁻ or I⁺ − I⁻ of each column pair, (..., cols) → (..., neurons)."""
    return values[..., 0::2] - values[..., 1::2]


def misclassified(values: FloatArray, wants_one: BoolArray) -> BoolArray:
    """Return the patterns in which no wanted neuron exceeds all others, (..., patterns).

    ``values``: (..., patterns, neurons). A tie counts as wrong.
    """
    wanted = np.where(wants_one, values, -np.inf).max(axis=-1)
    others = np.where(wants_one, -np.inf, values).max(axis=-1)
    wrong: BoolArray = wanted <= others
    return wrong


def _sech_squared(phase: FloatArray) -> FloatArray:
    """Return 1/cosh² without overflow, and above 0 where tanh rounds to 1."""
    decay = np.exp(-2.0 * np.abs(phase))
    return 4.0 * decay / (1.0 + decay) ** 2
