"""Bounds, levels and stuck cells: on random matrices, as a mapped network would need them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hwloop.errors import ConfigError
from hwloop_sim.cells.composed import NonIdealDevice
from hwloop_sim.cells.effect import make_effects
from hwloop_sim.emulator.backend import SimSettings
from tests.emulated import DEVICE, Steps, everywhere, non_ideal

BOUNDS = {"effect": "state_bounds", "min_conductance_s": 1e-6, "max_conductance_s": 1e-4}


def showing(conductance_s: np.ndarray, *effects: dict[str, object], seed: int = 1) -> np.ndarray:
    """What cells at these conductances show."""
    chosen = SimSettings.parse({"device": DEVICE, "effects": effects}).effects
    made = make_effects(chosen, conductance_s.shape, np.random.default_rng(seed))
    return NonIdealDevice(Steps(conductance_s), made).conductance_s


def random_matrix(seed: int = 3, shape: tuple[int, ...] = (64, 48)) -> np.ndarray:
    """Conductances over four decades."""
    return 10 ** np.random.default_rng(seed).uniform(-7, -3, shape)


def test_bounds_are_lognormal_over_the_cells() -> None:
    effect = BOUNDS | {"min_sigma": 0.2, "max_sigma": 0.1}
    low = showing(np.zeros((100, 100)), effect).ravel()
    high = showing(np.ones((100, 100)), effect).ravel()
    assert stats.kstest(np.log(low / 1e-6), "norm", (0, 0.2)).pvalue > 1e-3
    assert stats.kstest(np.log(high / 1e-4), "norm", (0, 0.1)).pvalue > 1e-3


def test_bounds_that_overlap_are_drawn_until_they_are_in_order() -> None:
    effect = {"effect": "state_bounds", "min_conductance_s": 1e-6, "max_conductance_s": 2e-6}
    effect |= {"min_sigma": 2.0, "max_sigma": 2.0}
    low, high = (showing(np.full((50, 50), at), effect) for at in (0.0, 1.0))
    assert (low < high).all()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(-50, 50), min_size=1, max_size=8),
    st.just(0.0) | st.floats(1e-9, 1),
    st.just(0.0) | st.floats(1e-9, 1),
    st.integers(0, 1000),
)
def test_states_stay_within_their_bounds_for_any_pulses(
    volts: list[float], sigma: float, spread: float, seed: int
) -> None:
    effects = (
        {"effect": "cycle_to_cycle", "sigma": sigma},
        {"effect": "relaxation", "sigma": 0.3, "tau_s": 1.0},
        {"effect": "drift", "nu": 0.3},
        BOUNDS | {"min_sigma": spread, "max_sigma": spread},
    )
    cells = non_ideal(*effects, shape=(5, 6), seed=seed)
    low_conductance_s = showing(np.zeros((5, 6)), *effects[3:], seed=seed)
    high_conductance_s = showing(np.ones((5, 6)), *effects[3:], seed=seed)
    for amplitude_v in volts:
        cells.pulse(everywhere(cells, amplitude_v))
        cells.wait(3.0)
        assert (cells.conductance_s >= low_conductance_s).all()
        assert (cells.conductance_s <= high_conductance_s).all()


@pytest.mark.parametrize(("spacing", "low_conductance_s"), [("linear", 0.0), ("logarithmic", 1e-6)])
@pytest.mark.parametrize("states", [2, 8, 64])
def test_a_cell_shows_the_nearest_of_its_levels(
    spacing: str, low_conductance_s: float, states: int
) -> None:
    conductance_s = random_matrix()
    effect = {
        "effect": "finite_states",
        "states": states,
        "min_conductance_s": low_conductance_s,
        "max_conductance_s": 1e-4,
    }
    shown_conductance_s = showing(conductance_s, effect | {"spacing": spacing})
    linear = spacing == "linear"
    levels_conductance_s = (
        np.linspace(low_conductance_s, 1e-4, states)
        if linear
        else np.geomspace(low_conductance_s, 1e-4, states)
    )
    measure = (lambda x: x) if linear else np.log
    nearest = np.abs(measure(conductance_s)[..., None] - measure(levels_conductance_s)).argmin(
        axis=-1
    )
    np.testing.assert_allclose(
        shown_conductance_s, levels_conductance_s[nearest], rtol=1e-12, atol=1e-20
    )


def test_pulses_smaller_than_a_level_add_up() -> None:
    effect = {
        "effect": "finite_states",
        "states": 11,
        "min_conductance_s": 0.0,
        "max_conductance_s": 1e-4,
    }
    cells = non_ideal(effect, start_conductance_s=5e-5, shape=(2, 2))
    shown = []
    for _ in range(12):
        cells.pulse(everywhere(cells, 1.0))
        shown.append(round(cells.conductance_s[0, 0] * 1e6))
    assert shown == [50] * 4 + [60] * 8 or shown == [50] * 5 + [60] * 7


def test_the_fractions_asked_for_are_stuck_where_asked() -> None:
    effect = {"effect": "stuck", "high_fraction": 0.0904, "high_conductance_s": 1e-3}
    shown_conductance_s = showing(
        random_matrix(shape=(200, 200)), effect | {"low_fraction": 0.0175, "low_conductance_s": 0}
    )
    for level_conductance_s, part in ((1e-3, 0.0904), (0.0, 0.0175)):
        count = int((shown_conductance_s == level_conductance_s).sum())
        assert stats.binomtest(count, 40_000, part).pvalue > 1e-3


def test_a_stuck_cell_stays_whatever_is_done_to_it_and_others_do_not_notice() -> None:
    effect = {"effect": "stuck", "high_fraction": 0.3, "high_conductance_s": 1e-3}
    cells, free = non_ideal(effect, shape=(20, 20)), non_ideal(shape=(20, 20))
    stuck = cells.conductance_s == 1e-3
    for device in (cells, free):
        device.pulse(everywhere(device, 3.0))
        device.wait(1e5)
    assert (cells.conductance_s[stuck] == 1e-3).all()
    assert (cells.conductance_s[~stuck] == free.conductance_s[~stuck]).all()


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (
            {
                "effect": "finite_states",
                "states": 1,
                "min_conductance_s": 0,
                "max_conductance_s": 1,
            },
            "greater than or",
        ),
        (
            {
                "effect": "finite_states",
                "states": 4,
                "min_conductance_s": 2,
                "max_conductance_s": 1,
            },
            "must be below max_conductance_s",
        ),
        (
            {
                "effect": "finite_states",
                "states": 4,
                "min_conductance_s": 0,
                "max_conductance_s": 1,
                "spacing": "logarithmic",
            },
            "need min_conductance_s above 0",
        ),
        ({"effect": "stuck", "high_fraction": 0.1}, "high_fraction needs high_conductance_s"),
        ({"effect": "stuck", "low_fraction": 0.1}, "low_fraction needs low_conductance_s"),
        (
            {
                "effect": "stuck",
                "high_fraction": 0.6,
                "high_conductance_s": 1,
                "low_fraction": 0.6,
                "low_conductance_s": 0,
            },
            "together exceed 1",
        ),
        (
            {
                "effect": "stuck",
                "high_fraction": 0.1,
                "high_conductance_s": 1,
                "low_conductance_s": 2,
            },
            "must be above low_conductance_s",
        ),
        (
            {"effect": "state_bounds", "min_conductance_s": 2, "max_conductance_s": 1},
            "must be below max_conductance_s",
        ),
    ],
)
def test_a_parameter_outside_its_validity_is_refused(effect: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=r"^effects\.0") as refusal:
        SimSettings.parse({"device": DEVICE, "effects": [effect]})
    assert words in str(refusal.value)


def test_bounds_normal_in_resistance_are_those_of_memtorch() -> None:
    effect = BOUNDS | {"on_sigma_ohm": 5e3, "off_sigma_ohm": 1e4}
    low = showing(np.zeros((100, 100)), effect).ravel()
    high = showing(np.ones((100, 100)), effect).ravel()
    # R_off ~ N(1 MΩ, 10 kΩ), R_on ~ N(10 kΩ, 5 kΩ) held at 1 ohm or more.
    assert stats.kstest(1 / low, "norm", (1e6, 1e4)).pvalue > 1e-3
    free = 1 / high > 1.0
    assert stats.binomtest(int((~free).sum()), 10_000, stats.norm.cdf(-2)).pvalue > 1e-3
    assert stats.kstest(1 / high[free], stats.truncnorm(-2, np.inf, 1e4, 5e3).cdf).pvalue > 1e-3


def test_a_cell_whose_normal_bounds_cross_is_at_the_bound_of_its_high_resistance() -> None:
    effect = {"effect": "state_bounds", "min_conductance_s": 1e-4, "max_conductance_s": 2e-4}
    effect |= {"on_sigma_ohm": 1e4, "off_sigma_ohm": 0.0}
    shown = showing(np.full((50, 50), 1.9e-4), effect)
    # max(min(G, 1/R_on), 1/R_off), as MemTorch writes conductances.
    assert (shown >= 1e-4 * (1 - 1e-12)).all()
    assert 0.2 < (shown < 1.001e-4).mean() < 0.8


@pytest.mark.parametrize("states", [2, 5])
def test_states_are_nearest_between_the_bounds_of_each_cell(states: int) -> None:
    effect = BOUNDS | {"min_sigma": 0.3, "max_sigma": 0.3}
    conductance_s = random_matrix(shape=(20, 30))
    low, high = (showing(np.full(conductance_s.shape, at), effect) for at in (0.0, 1.0))
    levels = low[..., None] + np.linspace(0, 1, states) * (high - low)[..., None]
    nearest = np.abs(conductance_s[..., None] - levels).argmin(axis=-1)
    expected = np.take_along_axis(levels, nearest[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(showing(conductance_s, effect | {"states": states}), expected)


def test_faults_drawn_low_then_high_overlap_as_independent_ones_do() -> None:
    effect = {"effect": "stuck", "high_fraction": 0.3, "high_conductance_s": 1e-3}
    effect |= {"low_fraction": 0.8, "low_conductance_s": 0.0, "drawn": "low_then_high"}
    shown = showing(random_matrix(shape=(200, 200)), effect)
    for level, part in ((1e-3, 0.3), (0.0, 0.7 * 0.8)):
        assert stats.binomtest(int((shown == level).sum()), 40_000, part).pvalue > 1e-3


FAILURE = {"effect": "metal_oxide_failure", "cycles": 1e4, "on_ohm": 50.0, "off_ohm": 1000.0}
TUTORIAL = {"low": {"p": [1, 0, 0, 0], "stable_ohm": 100.0}} | {
    "high": {"p": [1, 0, 0, 0], "stable_ohm": 1000.0}
}


@pytest.mark.parametrize(("middle", "at_540_ohm"), [("mean", 1000.0), ("memtorch", 100.0)])
def test_sudden_failure_parts_the_states_at_the_middle_or_at_memtorchs_slip(
    middle: str, at_540_ohm: float
) -> None:
    # (50 + 1000)/2 = 525 ohm, and 50 + 1000/2 = 550 ohm.
    effect = FAILURE | TUTORIAL | {"mode": "sudden", "middle": middle, "temperature_k": 350.0}
    shown = 1 / showing(np.array([[1 / 60, 1 / 540, 1 / 900]]), effect)
    np.testing.assert_allclose(shown, [[100.0, at_540_ohm, 1000.0]])


def test_gradual_failure_is_the_power_law_written_out() -> None:
    state = {"p": [2.0, 0.1, 0.2, 0.5], "stable_ohm": 1.0}
    effect = FAILURE | {"mode": "gradual", "low": state, "temperature_k": 596.0}
    # T_c = 298/596, p₁c + p₂T_c = 0.1 × 10 + 0.2 × 0.5 = 1.1; n₀ = 2 exp 1.1.
    grown = 100.0 * (1e4 / (2 * np.exp(1.1))) ** (0.5 * 1.1)
    shown = 1 / showing(np.array([[1e-2, 1e-3]]), effect)
    np.testing.assert_allclose(shown, [[grown, 1000.0]], rtol=1e-12)


def test_states_do_not_fail_before_their_threshold() -> None:
    state = {"p": [1e5, 0.0, 0.0, 1.0], "stable_ohm": 1.0}
    effect = FAILURE | {"mode": "sudden", "low": state, "high": state}
    conductance_s = np.array([[1e-2, 1e-3, 0.0]])
    np.testing.assert_allclose(showing(conductance_s, effect), conductance_s)


def test_bounds_alone_leave_cells_that_time_and_reads_do_not_change() -> None:
    alone = non_ideal(BOUNDS, shape=(2, 2))
    assert not alone.changed_by_reads
    assert not alone.volatile
    beside = non_ideal(BOUNDS, {"effect": "read_disturb", "rate": 1e-3, "reference_v": 0.1})
    assert beside.changed_by_reads
    drifting = non_ideal(BOUNDS, {"effect": "drift", "nu": 0.5}, start_conductance_s=2e-6)
    drifting.wait(1e6)
    assert (drifting.conductance_s == 1e-6).all()
