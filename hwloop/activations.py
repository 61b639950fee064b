"""Activations between the layers of a network, and their slopes for training."""

from __future__ import annotations

import numpy as np

from hwloop.operations import FloatArray


def sigmoid(x: FloatArray) -> FloatArray:
    """1 / (1 + e^−x), without overflow for any finite x."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def tanh(x: FloatArray) -> FloatArray:
    """Hyperbolic tangent."""
    return np.tanh(x)


def relu(x: FloatArray) -> FloatArray:
    """x where it is positive, else 0."""
    return np.maximum(x, 0.0)


def softmax(x: FloatArray) -> FloatArray:
    """e^x over its sum along the last axis, without overflow."""
    raised: FloatArray = np.exp(x - x.max(axis=-1, keepdims=True))
    shares: FloatArray = raised / raised.sum(axis=-1, keepdims=True)
    return shares


def inverting_amplifier(current_a: FloatArray, *, rail_v: float, feedback_ohm: float) -> FloatArray:
    """Output voltage of an inverting transimpedance amplifier, volts.

    −V_INV·tanh(R_INV·I / V_INV): slope −``feedback_ohm`` about zero, never beyond ±``rail_v``.
    A positive current, into the column, gives a negative voltage. Source: Malapaka and Nandha V,
    Training of Binary Neural Network for CMOS RRAM Crossbar (2024), 1.2.
    """
    return -rail_v * np.tanh(feedback_ohm * current_a / rail_v)


def inverting_amplifier_slope(
    voltage_v: FloatArray, *, rail_v: float, feedback_ohm: float
) -> FloatArray:
    """dV/dI of :func:`inverting_amplifier` at its output ``voltage_v``, ohms; 0 at the rails."""
    return -feedback_ohm * (1.0 - (voltage_v / rail_v) ** 2)
