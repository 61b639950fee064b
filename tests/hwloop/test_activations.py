"""Activations against values worked out by hand, and their slopes against differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.activations import (
    inverting_amplifier,
    inverting_amplifier_slope,
    relu,
    sigmoid,
    softmax,
    tanh,
)

AMPLIFIER = {"rail_v": 5.0, "feedback_ohm": 5e3}


def test_known_values() -> None:
    x = np.array([-1.0, 0.0, 2.0])
    np.testing.assert_allclose(sigmoid(x), [1 / (1 + math.e), 0.5, 1 / (1 + math.exp(-2))])
    np.testing.assert_allclose(tanh(x), [math.tanh(v) for v in x])
    np.testing.assert_array_equal(relu(x), [0, 0, 2])
    np.testing.assert_allclose(softmax(np.log([[1.0, 3.0]])), [[0.25, 0.75]])


def test_nothing_overflows_at_large_arguments() -> None:
    np.testing.assert_array_equal(sigmoid(np.array([-1e5, 1e5])), [0, 1])
    np.testing.assert_array_equal(softmax(np.array([-1e5, 1e5])), [0, 1])


def test_amplifier_inverts_with_its_feedback_and_stops_at_the_rails() -> None:
    v = inverting_amplifier(np.array([1e-9, -1e-9, 1.0, -1.0]), **AMPLIFIER)
    np.testing.assert_allclose(v, [-5e-6, 5e-6, -5, 5], rtol=1e-9)
    assert inverting_amplifier(np.array([1e-3]), **AMPLIFIER)[0] == pytest.approx(
        -5 * math.tanh(1), rel=1e-12
    )


@given(st.floats(-5e-3, 5e-3))
def test_slope_is_that_of_a_small_step(current_a: float) -> None:
    step_a = 1e-8
    ends = np.array([current_a - step_a, current_a + step_a])
    low, high = inverting_amplifier(ends, **AMPLIFIER)
    here = inverting_amplifier(np.array([current_a]), **AMPLIFIER)
    slope = inverting_amplifier_slope(here, **AMPLIFIER)[0]
    assert slope == pytest.approx((high - low) / (2 * step_a), rel=1e-4, abs=1e-2)
