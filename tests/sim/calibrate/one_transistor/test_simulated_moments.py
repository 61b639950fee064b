"""Parameters found by simulated moments, where theory says what they are and how sure."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from hwloop.errors import NotConverged
from hwloop.types import FloatArray
from hwloop_sim.calibrate.one_transistor.simulated_moments import Match, match_moments
from hwloop_sim.calibrate.one_transistor.unknowns import Unknowns, nested

SAMPLE, DRAWS = 40, 200
TRUE = {"v_reset_v": 1.5, "redraw.pulse_sigma": 0.3, "redraw.correlation": 0.6}
START = {"v_reset_v": 1.3, "redraw.pulse_sigma": 0.5, "redraw.correlation": 0.3}
UNKNOWNS = Unknowns(START)


def drawn(values: dict[str, float], rng: np.random.Generator, draws: int) -> FloatArray:
    """A mean, and a sum of parts that are common and not."""
    common, own = rng.standard_normal((draws, SAMPLE, 1)), rng.standard_normal((draws, SAMPLE, 2))
    part = values["redraw.correlation"]
    off = np.sqrt(part) * common + np.sqrt(1 - part) * own
    return np.asarray(values["v_reset_v"] + values["redraw.pulse_sigma"] * off)


def moments(seen: FloatArray) -> FloatArray:
    """Mean, deviation, and the deviation of a difference."""
    difference = seen[..., 0] - seen[..., 1]
    return np.column_stack([seen.mean(axis=(1, 2)), seen.std(axis=(1, 2)), difference.std(axis=1)])


def matched(seed: int) -> Match:
    seen = moments(drawn(TRUE, np.random.default_rng(seed), 1))[0]

    def simulate(numbers: FloatArray) -> FloatArray:
        return moments(drawn(UNKNOWNS.values(numbers), np.random.default_rng(99), DRAWS))

    return match_moments(simulate, seen, UNKNOWNS, "made")


def test_the_errors_are_those_of_theory_and_the_moments_are_met() -> None:
    found = matched(1)
    # Of a mean of 40 pairs of correlation 0.6; of their deviation, from the variance of its square.
    of_mean = 0.3 * np.sqrt((1 + 0.6) / 2 / SAMPLE)
    of_deviation = 0.3 * np.sqrt((1 + 0.6**2) / (4 * SAMPLE))
    assert found.errors["v_reset_v"] == pytest.approx(of_mean, rel=0.2)
    assert found.errors["redraw.pulse_sigma"] == pytest.approx(of_deviation, rel=0.2)
    # Fisher's z: tanh'(z) / sqrt(n).
    assert found.errors["redraw.correlation"] == pytest.approx((1 - 0.6**2) / np.sqrt(40), rel=0.25)
    np.testing.assert_allclose(found.off, 0.0, atol=0.05)


def test_the_truth_is_within_the_stated_errors_as_often_as_it_should_be() -> None:
    off = []
    for seed in range(40):
        found = matched(seed)
        off.append([abs(found.values[name] - TRUE[name]) / found.errors[name] for name in TRUE])
    for width, share in ((1, 0.683), (2, 0.954)):
        least = binom.ppf(1e-4, len(off), share)
        assert np.all((np.array(off) < width).sum(axis=0) >= least)


def test_what_does_not_show_in_the_moments_is_refused_by_name() -> None:
    unknowns = Unknowns({**START, "v_slope_v": 0.1})
    seen = moments(drawn(TRUE, np.random.default_rng(1), 1))[0]

    def simulate(numbers: FloatArray) -> FloatArray:
        seen = moments(drawn(unknowns.values(numbers), np.random.default_rng(99), DRAWS))
        faint = 1e-9 * numbers[3] * np.random.default_rng(5).standard_normal(DRAWS)
        return np.column_stack([seen, seen[:, 0] + faint])

    with pytest.raises(NotConverged, match=r"^made: v_slope_v cannot be told from these sweeps$"):
        match_moments(simulate, np.append(seen, seen[0]), unknowns, "made")


def test_numbers_of_the_start_are_its_values_and_a_square_below_zero_is_none() -> None:
    start = {"r_series_ohm": 4e3, "redraw.correlation": 0.2, "redraw.cycle_sigma": 0.3}
    unknowns = Unknowns(start)
    assert unknowns.values(unknowns.numbers()) == pytest.approx(start)
    low, high = unknowns.limits()
    assert np.all(low < unknowns.numbers())
    assert np.all(high > unknowns.numbers())
    numbers = unknowns.numbers()
    numbers[2] = -0.1
    assert unknowns.values(numbers)["redraw.cycle_sigma"] == 0.0
    # Of a square of 0 ± 0.25 (0.3)²: up to half of 0.3.
    errors = unknowns.errors(numbers, np.array([0.1, 0.1, 0.25]))
    assert errors["redraw.cycle_sigma"] == pytest.approx(0.15)
    assert errors["r_series_ohm"] == pytest.approx(4e3 * np.sinh(0.02))


def test_names_with_dots_are_mappings_and_a_spread_is_a_sigma() -> None:
    given = {"a": 1.0, "growth.exponent": 2.0, "spread.a": 0.1}
    assert nested(given) == {"a": 1.0, "growth": {"exponent": 2.0}, "spread": {"a": {"sigma": 0.1}}}
