"""Training for cells that are only on or off, against finite differences and the source's words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.steps.network.training.binary_gradient_descent import (
    BinaryCircuit,
    BinaryDescent,
    gradients,
    hard_conductance_s,
    soft_conductance_s,
    start,
    train_binary,
)

CIRCUIT = BinaryCircuit(7.7e-5, 2.88e-6, 5.0, (5e3, 7e3), high_v=0.1, low_v=-0.1)
DESCENT = BinaryDescent(
    rate=1.0,
    epochs=20,
    batch=3,
    input_noise=0.0,
    sharpness=100.0,
    initial_factor=0.25,
    halve_every=None,
)


def _loss(latent: tuple[np.ndarray, np.ndarray], row_v: np.ndarray, wanted: np.ndarray) -> float:
    """Forward and cross-entropy, from the formulas of the report."""
    g1, g2 = ((7.7e-5 - 2.88e-6) / (1 + np.exp(-100.0 * one)) + 2.88e-6 for one in latent)
    hidden_v = -5 * np.tanh(5e3 * (row_v @ g1) / 5)
    output_v = -5 * np.tanh(7e3 * (hidden_v @ g2) / 5)
    share = np.exp(output_v) / np.exp(output_v).sum(axis=1, keepdims=True)
    return float(-np.log((share * wanted).sum(axis=1)).mean())


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_gradients_are_the_finite_differences_of_the_loss(seed: int) -> None:
    rng = np.random.default_rng(seed)
    row_v = CIRCUIT.row_v(rng.integers(0, 2, (4, 6)).astype(float))
    wanted = np.eye(3)[rng.integers(0, 3, 4)]
    latent = start((6, 5, 3), 0.05, rng)
    found = gradients(row_v, wanted, latent, CIRCUIT, DESCENT)
    assert found.loss == pytest.approx(_loss(latent, row_v, wanted), rel=1e-12)
    for layer, analytic in enumerate((found.first, found.last)):
        place = tuple(int(rng.integers(0, size)) for size in analytic.shape)
        ends = []
        for sign in (1, -1):
            moved = [one.copy() for one in latent]
            moved[layer][place] += sign * 1e-5
            ends.append(_loss((moved[0], moved[1]), row_v, wanted))
        numeric = (ends[0] - ends[1]) / 2e-5
        assert analytic[place] == pytest.approx(numeric, rel=1e-4, abs=1e-9)


def test_a_cell_is_on_where_its_latent_weight_is_positive_and_soft_between() -> None:
    latent = np.array([-1.0, -1e-9, 0.0, 1e-9, 1.0])
    np.testing.assert_array_equal(hard_conductance_s(latent, CIRCUIT), [2.88e-6] * 3 + [7.7e-5] * 2)
    np.testing.assert_allclose(
        soft_conductance_s(latent, CIRCUIT, 100.0)[[0, 2, 4]],
        [2.88e-6, (7.7e-5 + 2.88e-6) / 2, 7.7e-5],
    )


def test_the_rate_doubles_over_ten_epochs_and_is_halved_after_every_166() -> None:
    # One sample, one batch an epoch, a circuit so weak that the gradient hardly changes: the
    # latent weights then move in proportion to the sum of the rates.
    weak = replace(CIRCUIT, feedback_ohm=(1.0, 1.0))
    x, y = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0.0, 1.0])

    def moved(epochs: int) -> float:
        descent = replace(DESCENT, epochs=epochs, batch=2, halve_every=166, sharpness=1.0)
        rng = np.random.default_rng(0)
        began = start((2, 2, 2), descent.initial_factor, np.random.default_rng(0))
        made = train_binary(x, y, hidden=2, circuit=weak, descent=descent, rng=rng)
        return float((made.latent[1] - began[1])[0, 0])

    rates = np.array(
        [2.0 ** min(e - 10, 0) / 2 ** ((e - 1) // 166 if e else 0) for e in range(340)]
    )
    for epochs in (1, 5, 11, 167, 168, 333, 340):
        assert moved(epochs) / moved(1) == pytest.approx(rates[:epochs].sum() / rates[0], rel=5e-3)


def test_amplifiers_at_their_rails_teach_nothing() -> None:
    railed = replace(CIRCUIT, feedback_ohm=(1e9, 1e9))
    rng = np.random.default_rng(1)
    latent = start((4, 3, 2), 0.25, rng)
    row_v = railed.row_v(np.array([[1.0, 1.0, 0.0, 1.0]]))
    found = gradients(row_v, np.array([[1.0, 0.0]]), latent, railed, DESCENT)
    assert np.abs(found.first).max() == 0
    assert np.abs(found.last).max() == 0
