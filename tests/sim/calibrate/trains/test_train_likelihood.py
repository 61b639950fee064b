"""The likelihood of steps: that of a normal distribution, its gradient, and what it finds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal

from hwloop.types import FloatArray
from hwloop_sim.calibrate.trains.train_likelihood import TrainSteps, error_of_root, spreads

SCATTER, RHO, SPEED, NOISE = (0.003, 0.006), 0.6, 0.15, 0.002
SIZE = 30


def drawn(rng: np.random.Generator) -> TrainSteps:
    """Return steps of a train as the model has them, pulse by pulse."""
    along = np.linspace(0, 1, SIZE)
    hats = np.array([1 - along, along])
    mean = 0.03 * (1 - 0.8 * along)
    deviation, walk = rng.normal(), []
    for scatter in SCATTER @ hats:
        deviation = RHO * deviation + np.sqrt(1 - RHO**2) * rng.normal()
        walk.append(scatter * deviation)
    reads = NOISE * rng.normal(size=SIZE + 1)
    left = SPEED * rng.normal() * mean + np.array(walk) + np.diff(reads)
    return TrainSteps(left, hats, mean, np.zeros(SIZE))


def values() -> FloatArray:
    return np.array([*np.log(SCATTER), RHO, SPEED**2, NOISE**2])


def test_the_cost_is_minus_the_logarithm_of_the_normal_density_and_its_gradient() -> None:
    one = drawn(np.random.default_rng(1))
    covariance = one.parts(values())[2]
    density = multivariate_normal(np.zeros(SIZE), covariance).logpdf(one.left)
    cost, gradient = one.cost(values())
    assert cost == pytest.approx(-density - 0.5 * SIZE * np.log(2 * np.pi))
    steps = 1e-6 * np.maximum(np.abs(values()), 1e-6)
    np.testing.assert_allclose(
        gradient, approx_fprime(values(), lambda at: one.cost(at)[0], steps), rtol=0.01, atol=0.05
    )


def test_the_covariance_is_that_of_steps_drawn_one_after_the_other() -> None:
    rng = np.random.default_rng(2)
    trains = [drawn(rng) for _ in range(6000)]
    seen = np.cov([one.left for one in trains], rowvar=False)
    true = trains[0].parts(values())[2]
    error = np.sqrt((true**2 + np.outer(np.diag(true), np.diag(true))) / len(trains))
    assert np.abs((seen - true) / error).max() < 5


def test_what_the_steps_were_drawn_with_is_found_together() -> None:
    rng = np.random.default_rng(3)
    (found,) = spreads([[drawn(rng) for _ in range(40)]])
    of = np.array([*found.scatter, found.correlation, found.speed, found.noise])
    assert np.abs((of - [*SCATTER, RHO, SPEED, NOISE]) / found.errors).max() < 3


def test_the_error_of_a_deviation_is_that_of_its_square_but_wider_where_it_is_small() -> None:
    assert error_of_root(4.0, 1e-4) == pytest.approx(1e-4 / 4, rel=1e-3)
    assert error_of_root(1.0, 0.5) == pytest.approx((np.exp(0.5) - 1) / 2)
    assert error_of_root(0.0, 0.04) == pytest.approx(0.2)
