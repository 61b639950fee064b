"""Facilitation, relaxation and spike timing measured on cells whose short-term state is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwloop.array.operations import PulsePair, Wait
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError, StepError
from hwloop.steps.plasticity.paired_pulse import PAIRED_PULSE
from hwloop.steps.plasticity.relaxation_after import RELAXATION_AFTER, relaxation_figures
from hwloop.steps.plasticity.stdp import STDP
from tests.characterised import emulated, results

WIDTH_S, TAU_S = 1e-3, 50e-3
UP = {"amplitude_v": 1.0, "width_s": WIDTH_S}
DOWN = {"amplitude_v": -1.0, "width_s": WIDTH_S}
# A million pulses to either end of 100 µS: steps of 50 pS that do not depend on the state.
DEVICE = {
    "model": "soft_bounds",
    "min_conductance_s": 1e-9,
    "max_conductance_s": 100e-6,
    "initial": 50e-6,
    "up_pulses": 1e6,
    "down_pulses": 1e6,
    "up": UP,
    "down": DOWN,
}
STEP_S = 50e-6 * 1e-6
INTERVALS_S = [5e-3, 10e-3, 20e-3, 40e-3, 80e-3, 160e-3]


def cells(population: int | None = None, **short_term: float) -> Any:
    effect = {"effect": "short_term", "tau_s": TAU_S, **short_term}
    return emulated(DEVICE, population=population, sim={"effects": [effect], "read_time_s": 1e-6})


def test_facilitation_is_one_plus_a_exp_of_minus_interval_over_tau() -> None:
    settings = {"pulse": UP, "intervals_s": INTERVALS_S, "rest_s": 2.0}
    found = results(PAIRED_PULSE, settings, cells(population=2))
    for row in found["facilitation"]:
        # From the end of the first pulse to that of the second: the interval and its width.
        expected = 1 + np.exp(-(row.interval_s + WIDTH_S) / TAU_S)
        np.testing.assert_allclose(row.facilitation, expected, rtol=2e-4)
    figures = found["figures"][0]
    np.testing.assert_allclose(figures.tau_s, TAU_S, rtol=2e-3)
    np.testing.assert_allclose(figures.lasting, 1.0, rtol=1e-3)
    np.testing.assert_allclose(figures.amplitude, np.exp(-WIDTH_S / TAU_S), rtol=1e-3)
    assert np.isnan(figures.fast_tau_s)  # there is no second exponential
    assert found["outcome"][0].message.startswith("facilitation at 0.005 s: median 1.89")


@pytest.mark.parametrize("read_time_s", [1e-6, 1.25e-3])
def test_facilitation_of_what_relaxes_does_not_depend_on_how_long_a_read_takes(
    read_time_s: float,
) -> None:
    # Half of a pulse lasts; right values: 1 + exp(−(interval + width)/τ) whatever the read takes.
    effect = {"effect": "short_term", "tau_s": TAU_S, "volatile": 0.5}
    backend = emulated(DEVICE, sim={"effects": [effect], "read_time_s": read_time_s})
    settings = {"pulse": UP, "intervals_s": INTERVALS_S, "rest_s": 2.0}
    found = results(PAIRED_PULSE, settings, backend)["facilitation"]
    for row in found:
        expected = 1 + np.exp(-(row.interval_s + WIDTH_S) / TAU_S)
        np.testing.assert_allclose(row.volatile, expected, rtol=1e-3)
    # The whole change counts what lasts as well: the longer the read, the more of it.
    lasts = 0.5 / (0.5 + 0.5 * np.exp(-32 * read_time_s / TAU_S))  # 16 cells, twice
    index = 1 + lasts + (1 - lasts) * np.exp(-(INTERVALS_S[0] + WIDTH_S) / TAU_S)
    np.testing.assert_allclose(found[0].facilitation, index, rtol=1e-3)


@pytest.mark.parametrize(("read_time_s", "said"), [(1e-6, False), (1.25e-3, True)])
def test_a_first_read_that_ends_long_after_first_s_is_said(read_time_s: float, said: bool) -> None:
    backend = emulated(DEVICE, sim={"read_time_s": read_time_s})
    settings = {"pulse": UP, "first_s": 10e-3, "last_s": 1.0, "per_decade": 2}
    (outcome,) = results(RELAXATION_AFTER, settings, backend)["outcome"]
    words = "first_s 10 ms was missed: the first read ended 50 ms after the train"
    assert (words in outcome.message) == said


def test_the_window_of_spike_timing_is_what_consolidates_of_the_first_pulse() -> None:
    settings = {"pre": UP, "post": DOWN, "delays_s": INTERVALS_S, "rest_s": 2.0}
    found = results(STDP, settings, cells(volatile=0.8, consolidation=0.25))
    delays_s = [row.delay_s for row in found["window"]]
    assert delays_s == sorted([*INTERVALS_S, *(-one for one in INTERVALS_S)])
    for row in found["window"]:
        left = np.exp(-(abs(row.delay_s) + WIDTH_S) / TAU_S)
        expected = np.sign(row.delay_s) * 0.25 * 0.8 * STEP_S * left / 50e-6
        np.testing.assert_allclose(row.change, expected, rtol=2e-3)
    figures = found["figures"][0]
    amplitude = 0.25 * 0.8 * STEP_S * np.exp(-WIDTH_S / TAU_S) / 50e-6
    np.testing.assert_allclose(figures.pre_first_change, amplitude, rtol=5e-3)
    np.testing.assert_allclose(figures.post_first_change, -amplitude, rtol=5e-3)
    for tau_s in (figures.pre_first_tau_s, figures.post_first_tau_s):
        np.testing.assert_allclose(tau_s, TAU_S, rtol=1e-2)


def _slope(order: str, repeats: int, seed: int = 1) -> float:
    """The slope of the change over the rank of the delay, pre first, on cells that only drift."""
    far = DEVICE | {"up_pulses": 300, "down_pulses": 300, "initial": 5e-6}
    settings = {"pre": UP, "post": DOWN, "delays_s": INTERVALS_S, "rest_s": 1.0}
    settings |= {"order": order, "repeats": repeats}
    array = replace(emulated(far), rng=np.random.default_rng(seed))
    found = results(STDP, settings, array)["window"]
    changes = [row.change.mean() for row in found if row.delay_s > 0]
    return float(np.polyfit(np.arange(len(changes)), changes, 1)[0])


def test_a_drifting_cell_shows_a_window_where_the_order_is_given_and_none_otherwise() -> None:
    # The cells have no memory of time: whatever depends on the delay is the order's.
    given = _slope("given", repeats=2)
    random = np.array([_slope("random", repeats=2, seed=seed) for seed in range(12)])
    error = random.std(ddof=1) / np.sqrt(random.size)
    assert abs(random.mean()) < 3 * error  # nothing on average
    assert abs(given) > 5 * error
    assert abs(_slope("interleaved", repeats=2)) < 0.3 * abs(given)


def test_relaxation_gives_back_the_settings_of_the_short_term_state() -> None:
    settings = {"pulse": UP, "first_s": 1e-3, "last_s": 5.0}
    found = results(RELAXATION_AFTER, settings, cells(volatile=0.7, beta=0.6))
    figures = found["figures"][0]
    np.testing.assert_allclose(figures.tau_s, TAU_S, rtol=1e-3)
    np.testing.assert_allclose(figures.beta, 0.6, rtol=1e-3)
    np.testing.assert_allclose(figures.decay_conductance_s, 0.7 * STEP_S, rtol=2e-3)
    lasting_s = figures.settled_conductance_s - figures.before_conductance_s
    np.testing.assert_allclose(lasting_s, 0.3 * STEP_S, rtol=2e-3)
    assert (figures.two_state_aic > 0).all()  # two states do not explain a stretched exponential


def test_two_states_are_told_from_a_stretched_exponential() -> None:
    times_s = np.geomspace(1e-3, 10.0, 40)
    path = 1e-6 + 2e-6 * np.exp(-times_s / 0.01) + 1e-6 * np.exp(-times_s / 1.0)
    rng = np.random.default_rng(1)
    noisy = path * (1 + 1e-4 * rng.normal(size=times_s.size))
    found = relaxation_figures(times_s, noisy.reshape(-1, 1, 1), np.full((1, 1), 1e-6))
    assert found.two_state_aic[0, 0] < -50
    assert found.fast_tau_s[0, 0] == pytest.approx(0.01, rel=0.01)
    assert found.slow_tau_s[0, 0] == pytest.approx(1.0, rel=0.01)
    assert found.fast_conductance_s[0, 0] == pytest.approx(2e-6, rel=0.01)


def test_the_plan_holds_every_pair_in_both_orders_and_a_rest_for_each_cell() -> None:
    settings = STDP.settings.parse(
        {"pre": UP, "post": DOWN, "delays_s": [0.01], "rest_s": 2.0, "pairs": 3, "repeats": 2}
    )
    array: ArraySettings = cells().settings
    plan = STDP.plan(settings, array)
    pairs = [one for one in plan.operations if isinstance(one.operation, PulsePair)]
    assert [(one.operation.first_v.max(), one.at_most) for one in pairs] == [(1.0, 6), (-1.0, 6)]
    rests = [one for one in plan.operations if isinstance(one.operation, Wait)]
    assert [(one.operation.duration_s, one.at_most) for one in rests] == [(2.0, 12 * 16)]


@pytest.mark.parametrize(
    ("step", "settings", "words"),
    [
        (
            STDP,
            {"pre": UP | {"gate_v": 1.0}, "post": DOWN, "delays_s": [0.01], "rest_s": 1.0},
            "pre has gate_v 1.0, post None",
        ),
        (
            RELAXATION_AFTER,
            {"pulse": UP, "first_s": 10.0, "last_s": 1.0},
            "last_s 1 must be above first_s 10",
        ),
        (
            RELAXATION_AFTER,
            {"pulse": UP, "interval_s": 0.1, "first_s": 1.0, "last_s": 10.0},
            "interval_s is given, but count is 1",
        ),
        (PAIRED_PULSE, {"pulse": UP, "intervals_s": [0.0], "rest_s": 1.0}, "intervals_s"),
        (
            PAIRED_PULSE,
            {"pulse": UP, "intervals_s": [], "rest_s": 1.0},
            r"intervals_s: \[\]: expected at least 1 entry; got none",
        ),
        (
            RELAXATION_AFTER,
            {"pulse": UP, "first_s": 1.0, "last_s": 10.0, "per_decade": 10**10},
            "per_decade: 10000000000: input should be less than or equal to 1000",
        ),
    ],
)
def test_wrong_settings_are_refused_with_their_place(step: Any, settings: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        results(step, settings, cells())


@pytest.mark.parametrize(
    ("step", "settings"),
    [
        (PAIRED_PULSE, {"pulse": UP, "intervals_s": [0.01], "rest_s": 1.0}),
        (STDP, {"pre": UP, "post": DOWN, "delays_s": [0.01], "rest_s": 1.0}),
        (RELAXATION_AFTER, {"pulse": UP, "first_s": 1.0, "last_s": 10.0}),
    ],
)
def test_a_failed_read_is_an_error(step: Any, settings: Any) -> None:
    with pytest.raises(StepError, match=f"{step.name}: "):
        results(step, settings, emulated(DEVICE, current_a=1e-12))
