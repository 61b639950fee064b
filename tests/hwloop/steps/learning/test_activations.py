"""Errors at the output against the slope of the loss, taken numerically."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.steps.learning.activations import (
    ACTIVATIONS,
    ActivationName,
    LossName,
    mean_loss,
    output_error,
)

PAIRS: list[tuple[LossName, ActivationName]] = [
    ("squared", "tanh"),
    ("squared", "sigmoid"),
    ("squared", "relu"),
    ("squared", "linear"),
    ("cross_entropy", "softmax"),
    ("cross_entropy", "sigmoid"),
]


@pytest.mark.parametrize(("loss", "activation"), PAIRS)
@given(seed=st.integers(0, 1000), outputs=st.integers(1, 4))
def test_the_error_is_the_slope_of_the_loss(
    loss: LossName, activation: ActivationName, seed: int, outputs: int
) -> None:
    rng = np.random.default_rng(seed)
    u = rng.normal(size=(1, outputs))
    targets = np.eye(outputs)[[seed % outputs]]
    of = ACTIVATIONS[activation].of

    def at(values: np.ndarray) -> float:
        return float(mean_loss(loss, of(values), targets))

    step = 1e-6
    slopes = [
        (at(u + step * unit) - at(u - step * unit)) / (2 * step)
        for unit in np.eye(outputs)[:, None]
    ]
    error = output_error(loss, activation, of(u), targets)
    np.testing.assert_allclose(error[0], -np.array(slopes), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_large_sums_stay_within_the_bounds_without_overflow(name: ActivationName) -> None:
    one = ACTIVATIONS[name]
    with np.errstate(over="raise", invalid="raise"):
        y = one.of(np.array([[-800.0, 0.0, 900.0]]))
        assert np.isfinite(one.slope(y)).all()
    assert (y >= one.low).all()
    assert (y <= one.high).all()
