"""Coincidences of pulse trains, against the mean and variance of their binomial distribution."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hwloop.steps.learning.rules.coincidences import coincidences

VALUES = st.floats(-1, 1, allow_subnormal=False)


def test_the_mean_is_the_outer_product_and_the_variance_that_of_coincidences() -> None:
    inputs, errors = np.array([1.0, 0.5, -0.2]), np.array([0.4, -0.1])
    # By hand: the largest product is 0.4 · 10 = 4 pulses, so 4 slots, all of them hit: p = 1.
    drawn = np.array(
        [
            coincidences(
                inputs,
                errors,
                steps_of_1=10,
                train_length=31,
                rng=np.random.default_rng(seed),
            )
            for seed in range(4000)
        ]
    )
    expected = 10 * np.outer(inputs, errors)
    chance = np.abs(expected) / 4
    variance = 4 * chance * (1 - chance)
    error = np.sqrt(variance / len(drawn))
    assert (np.abs(drawn.mean(axis=0) - expected) <= 4 * error + 1e-12).all()
    np.testing.assert_allclose(drawn.var(axis=0), variance, atol=0.07)
    assert (drawn[:, 0, 0] == 4).all()


@given(
    inputs=hnp.arrays(np.float64, (2, 3), elements=VALUES),
    errors=hnp.arrays(np.float64, (2, 4), elements=VALUES),
    steps_of_1=st.floats(0.01, 1000),
    train_length=st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_no_cell_gets_more_than_the_train_or_a_pulse_of_the_wrong_sign(
    inputs: np.ndarray, errors: np.ndarray, steps_of_1: float, train_length: int, seed: int
) -> None:
    met = coincidences(
        inputs,
        errors,
        steps_of_1=steps_of_1,
        train_length=train_length,
        rng=np.random.default_rng(seed),
    )
    assert (np.abs(met) <= train_length).all()
    signs = np.sign(inputs)[..., :, None] * np.sign(errors)[..., None, :]
    assert ((met == 0) | (np.sign(met) == signs)).all()


def test_products_beyond_the_train_fill_it() -> None:
    met = coincidences(
        np.array([1.0, -1.0]),
        np.array([1.0]),
        steps_of_1=1000,
        train_length=5,
        rng=np.random.default_rng(1),
    )
    np.testing.assert_array_equal(met, [[5], [-5]])
