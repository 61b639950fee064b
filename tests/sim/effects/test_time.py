"""Drift, relaxation, endurance, read disturb: closed forms, whatever the steps in time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hwloop.errors import ConfigError
from hwloop_sim.emulator.backend import SimSettings
from tests.emulated import DEVICE, STEP_CONDUCTANCE_S, everywhere, non_ideal

FEW = (3, 4)


def test_a_power_law_lowers_the_conductance_by_its_exponent() -> None:
    cells = non_ideal({"effect": "drift", "nu": 0.05, "t0_s": 2.0}, shape=FEW)
    cells.wait(1998.0)
    np.testing.assert_allclose(cells.conductance_s, 1e-4 * 1000**-0.05, rtol=1e-12)


def test_exponents_spread_over_the_cells() -> None:
    cells = non_ideal({"effect": "drift", "nu": 0.05, "nu_sigma": 0.02})
    cells.wait(np.e**10 - 1)
    nu = -np.log(cells.conductance_s.ravel() / 1e-4) / 10
    assert stats.kstest(nu, "norm", (0.05, 0.02)).pvalue > 1e-3


def test_an_exponential_decay_goes_to_its_rest() -> None:
    cells = non_ideal(
        {"effect": "drift", "tau_s": "1 ks", "rest_conductance_s": "20 uS"}, shape=FEW
    )
    cells.wait(1000.0)
    np.testing.assert_allclose(cells.conductance_s, 2e-5 + 8e-5 / np.e, rtol=1e-12)


def test_heat_is_time_by_arrhenius() -> None:
    cells = non_ideal(
        {
            "effect": "drift",
            "tau_s": 1e6,
            "rest_conductance_s": 0,
            "activation_ev": 1.1,
            "temperature_k": 400,
            "reference_k": 300,
        },
        shape=FEW,
    )
    # 1.1 eV / (8.617333262e-5 eV/K) · (1/300 − 1/400) = 10.6375: 41,669 times as fast.
    cells.wait(1e6 / 41669)
    np.testing.assert_allclose(cells.conductance_s, 1e-4 / np.e, rtol=1e-3)


def test_a_pulse_takes_a_drifted_cell_from_where_it_is_and_its_age_begins_anew() -> None:
    cells = non_ideal({"effect": "drift", "nu": 0.1}, shape=FEW)
    cells.wait(99.0)
    drifted_conductance_s = 1e-4 * 100**-0.1
    amplitude_v = np.zeros(FEW)
    amplitude_v[0, 0] = 1.0
    cells.pulse(everywhere(cells, 0.0))
    np.testing.assert_allclose(cells.conductance_s, drifted_conductance_s, rtol=1e-12)
    cells.pulse(type(everywhere(cells, 1.0))(amplitude_v, 1e-3))
    np.testing.assert_allclose(
        cells.conductance_s[0, 0], drifted_conductance_s + STEP_CONDUCTANCE_S, rtol=1e-12
    )
    cells.wait(99.0)
    np.testing.assert_allclose(
        cells.conductance_s[0, 0],
        (drifted_conductance_s + STEP_CONDUCTANCE_S) * 100**-0.1,
        rtol=1e-12,
    )
    np.testing.assert_allclose(cells.conductance_s[1, 1], 1e-4 * 199**-0.1, rtol=1e-12)


def test_relaxation_comes_to_its_spread_and_is_half_way_at_its_time() -> None:
    cells = non_ideal({"effect": "relaxation", "mean": -0.02, "sigma": 0.05, "tau_s": 10.0})
    cells.wait(1e4)
    assert (cells.conductance_s == 1e-4).all(), "a cell that was not pulsed does not relax"
    cells.pulse(everywhere(cells, 1.0))
    programmed_conductance_s = cells.conductance_s
    cells.wait(10.0 * np.log(2))
    half = cells.conductance_s / programmed_conductance_s - 1
    cells.wait(1e4)
    whole = cells.conductance_s / programmed_conductance_s - 1
    np.testing.assert_allclose(half, whole / 2, atol=1e-12)
    assert stats.kstest(whole.ravel(), "norm", (-0.02, 0.05)).pvalue > 1e-3


def test_a_relaxation_runs_faster_at_a_higher_temperature() -> None:
    # 1 eV from 300 to 350 K is 1/(8.617333e-5 eV/K) · (1/300 − 1/350) = 5.5259: 251.1 times as fast.
    hot = {"activation_ev": 1.0, "reference_k": 300.0, "temperature_k": 350.0}
    effect = {"effect": "relaxation", "mean": 0.5, "sigma": 0.0, "tau_s": 251.12, **hot}
    cells = non_ideal(effect, shape=FEW)
    cells.pulse(everywhere(cells, 1.0))
    start_conductance_s = cells.conductance_s[0, 0]
    cells.wait(1.0)
    done = (cells.conductance_s[0, 0] / start_conductance_s - 1) / 0.5
    assert done == pytest.approx(1 - np.exp(-1), rel=1e-3)


def test_a_relaxation_behind_a_resistance_shows_the_power_of_what_is_not_the_resistance() -> None:
    behind = {"series_ohm": 4000.0, "series_exponent": 2.0}
    effect = {"effect": "relaxation", "mean": 0.5, "sigma": 0.0, "tau_s": 1.0, **behind}
    cells = non_ideal(effect, shape=FEW)
    cells.pulse(everywhere(cells, 1.0))
    start_conductance_s = cells.conductance_s[0, 0]
    cells.wait(1e3)
    shown = (1 - start_conductance_s * 4000.0) ** 2
    assert cells.conductance_s[0, 0] == pytest.approx(start_conductance_s * (1 + 0.5 * shown))


def test_a_stretched_relaxation_is_faster_at_first_and_slower_later() -> None:
    done = {}
    for beta in (1.0, 0.5):
        effect = {"effect": "relaxation", "mean": 0.5, "sigma": 0.0, "tau_s": 1.0, "beta": beta}
        cells = non_ideal(effect, shape=FEW)
        cells.pulse(everywhere(cells, 1.0))
        start_conductance_s = cells.conductance_s[0, 0]
        done[beta] = []
        for duration_s in (0.04, 3.96):
            cells.wait(duration_s)
            done[beta].append((cells.conductance_s[0, 0] / start_conductance_s - 1) / 0.5)
    np.testing.assert_allclose(done[0.5], [1 - np.exp(-0.2), 1 - np.exp(-2)], rtol=1e-12)
    np.testing.assert_allclose(done[1.0], [1 - np.exp(-0.04), 1 - np.exp(-4)], rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(1e-3, 1e5), min_size=2, max_size=6),
    st.sampled_from(
        [
            {"effect": "relaxation", "sigma": 0.1, "tau_s": 10.0, "beta": 0.6},
            {"effect": "drift", "nu": 0.03, "nu_sigma": 0.01},
            {"effect": "drift", "tau_s": 1e4, "rest_conductance_s": 1e-5},
        ]
    ),
)
def test_however_time_is_divided_the_state_is_the_same(
    parts: list[float], effect: dict[str, object]
) -> None:
    whole, divided = (non_ideal(effect, shape=FEW) for _ in range(2))
    for cells, times in ((whole, [sum(parts)]), (divided, parts)):
        cells.pulse(everywhere(cells, 1.0))
        for duration_s in times:
            cells.wait(duration_s)
    np.testing.assert_allclose(divided.conductance_s, whole.conductance_s, rtol=1e-9)


def test_the_window_is_half_closed_after_half_its_cycles() -> None:
    window = {
        "min_conductance_s": 0.0,
        "max_conductance_s": 100e-6,
        "closes_at_conductance_s": 40e-6,
        "half_cycles": 5.0,
    }
    cells = non_ideal(
        {"effect": "endurance", **window, "beta": 2.0}, start_conductance_s=0.0, shape=FEW
    )
    extremes = []
    for _ in range(40):
        for volts in (200.0, -200.0):
            cells.pulse(everywhere(cells, volts))
            extremes.append(cells.conductance_s[0, 0])
    high_conductance_s, low_conductance_s = np.array(extremes[0::2]), np.array(extremes[1::2])
    moved_conductance_s = np.abs(np.diff([0.0, *extremes]))
    wear = np.cumsum(moved_conductance_s) / (2 * 100e-6)
    left = 1 / (1 + (wear / 5.0) ** 2)
    np.testing.assert_allclose(high_conductance_s, 40e-6 + left[0::2] * 60e-6, rtol=0.05)
    np.testing.assert_allclose(low_conductance_s, 40e-6 - left[1::2] * 40e-6, rtol=0.08, atol=1e-7)
    assert (np.diff(high_conductance_s) < 0).all()
    assert (np.diff(low_conductance_s) > 0).all()


def test_wear_before_the_run_has_closed_the_window_already() -> None:
    window = {
        "min_conductance_s": 0.0,
        "max_conductance_s": 100e-6,
        "closes_at_conductance_s": 0.0,
        "half_cycles": 1e3,
    }
    cells = non_ideal({"effect": "endurance", **window, "cycles_before": 1e3}, shape=FEW)
    np.testing.assert_allclose(cells.conductance_s, 50e-6)


def test_reads_of_one_polarity_disturb_and_of_both_do_not() -> None:
    effect = {"effect": "read_disturb", "rate": 1e-4, "reference_v": 0.1, "exponent": 3.0}
    cells = non_ideal(effect, shape=FEW)
    up_v = np.full((10, *FEW), 0.2)
    cells.note_read(lambda: up_v)
    np.testing.assert_allclose(cells.conductance_s, 1e-4 * np.exp(10 * 8e-4), rtol=1e-12)
    cells.note_read(lambda: -up_v)
    np.testing.assert_allclose(cells.conductance_s, 1e-4, rtol=1e-12)


def test_a_disturbance_without_polarity_adds_up_and_spares_cells_at_0_v() -> None:
    effect = {"effect": "read_disturb", "rate": -1e-3, "reference_v": 0.1, "exponent": 0.0}
    cells = non_ideal(effect | {"polar": False}, shape=FEW)
    voltage_v = np.zeros((2, *FEW))
    voltage_v[:, 0, 0] = 0.1, -0.1
    cells.note_read(lambda: voltage_v)
    np.testing.assert_allclose(cells.conductance_s[0, 0], 1e-4 * np.exp(-2e-3), rtol=1e-12)
    assert (cells.conductance_s.ravel()[1:] == 1e-4).all()


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        ({"effect": "drift"}, "give nu or nu_sigma"),
        ({"effect": "drift", "nu": 0.9}, "less than or equal to 0.5"),
        ({"effect": "drift", "nu": 0.1, "tau_s": 1}, "go together"),
        ({"effect": "drift", "nu": 0.1, "temperature_k": 0}, "greater than 0"),
        (
            {"effect": "drift", "nu": 0.1, "activation_ev": 5, "temperature_k": 900},
            "must not exceed 100",
        ),
        ({"effect": "relaxation", "sigma": 0.1, "tau_s": 1, "beta": 2}, "less than or equal to 1"),
        ({"effect": "relaxation", "sigma": 0.1}, "tau_s: this key is required"),
        (
            {
                "effect": "endurance",
                "min_conductance_s": 1,
                "max_conductance_s": 3,
                "closes_at_conductance_s": 4,
                "half_cycles": 1,
            },
            "must ascend",
        ),
        ({"effect": "read_disturb", "rate": 1, "reference_v": 1}, "less than or equal to 0.1"),
    ],
)
def test_a_parameter_outside_its_validity_is_refused(effect: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=r"^effects\.0") as refusal:
        SimSettings.parse({"device": DEVICE, "effects": [effect]})
    assert words in str(refusal.value)
