"""Forming against thresholds that are given, and what it does when a read fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwloop.backend.guard import Guard
from hwloop.errors import ConfigError
from hwloop.steps.array import Array
from hwloop.steps.characterise.form import FORM, FormSettings
from hwloop.steps.common.pulses import LevelSweep
from tests.characterised import emulated, results

# So strong above its threshold that the first pulse beyond it forms the cell.
DEVICE: dict[str, Any] = {
    "model": "vteam",
    "flipped": True,
    "v_on_v": -0.2,
    "k_on_m_per_s": -1e6,
    "alpha_on": 1,
    "initial": 1.01e-3,
}
SETTINGS: dict[str, Any] = {
    "amplitude": {"start_v": 0.1, "stop_v": 0.4, "step_v": 0.02},
    "width_s": 1e-3,
    "target_ohm": 200,
    "pulses_per_cell": 30,
}


def test_cells_form_at_the_first_level_beyond_their_threshold_and_get_no_pulse_more() -> None:
    spread = DEVICE | {"spread": {"v_on_v": {"distribution": "lognormal", "sigma": 0.15}}}
    array = emulated(spread, population=2)
    found = results(FORM, SETTINGS, array)
    figures = found["figures"][0]
    assert np.all(figures.status == 1)
    levels = np.round(np.arange(0.1, 0.41, 0.02), 9)
    np.testing.assert_allclose(figures.form_v, levels[figures.pulses - 1])
    assert np.unique(figures.form_v).size > 3
    given = sum(row.pulsed.astype(int) for row in found[""])
    np.testing.assert_array_equal(given, figures.pulses)
    formed = sum(row.formed_cells().astype(int) for row in found[""])
    np.testing.assert_array_equal(formed, np.ones_like(given))  # each once, by its last pulse
    # The median of a lognormal spread is the given threshold; 32 cells, steps of 20 mV.
    assert np.median(figures.form_v) == pytest.approx(0.21, abs=0.03)
    assert found["outcome"][0].reached


def test_the_ramp_stops_at_cells_that_cannot_be_measured() -> None:
    # A formed cell of 20 mS at 0.1 V carries 2 mA: at a compliance of 1 mA it is no number.
    found = results(FORM, SETTINGS, emulated(DEVICE, current_a=1e-3))
    figures, outcome = found["figures"][0], found["outcome"][0]
    assert np.all(figures.status == -1)
    assert np.all(figures.pulses == 7)  # 0.10 to 0.22 V, the first beyond the threshold
    assert np.isnan(figures.form_v).all()
    assert len(found[""]) == 8
    assert not outcome.reached
    assert (
        "16 could not be measured (over range or compliance) and got no further" in outcome.message
    )


def test_a_cell_that_fails_before_the_first_pulse_gets_none() -> None:
    # Begun at 3 mS they are beyond what the compliance lets through at the read voltage, 2 mS.
    settings = SETTINGS | {"target_ohm": 600}
    found = results(FORM, settings, emulated(DEVICE | {"initial": 3e-3}, current_a=2e-4))
    assert len(found[""]) == 1
    assert np.all(found["figures"][0].pulses == 0)
    assert not found["outcome"][0].reached


def test_the_budget_of_a_cell_ends_the_ramp() -> None:
    found = results(FORM, SETTINGS | {"pulses_per_cell": 4}, emulated(DEVICE))
    assert np.all(found["figures"][0].pulses == 4)
    assert np.all(found["figures"][0].status == 0)
    assert "0 of 16 cells formed; 16 not: cell (0, 0)" in found["outcome"][0].message


def test_a_formed_cell_is_left_alone() -> None:
    found = results(FORM, SETTINGS, emulated(DEVICE | {"initial": 6e-3}))
    assert found["figures"][0].already.all()
    assert np.all(found["figures"][0].pulses == 0)
    assert not any(row.formed_cells().any() for row in found[""])  # not by a pulse
    assert found["outcome"][0].message == "16 of 16 cells formed (16 before the first pulse)"


def test_a_gate_ramp_goes_outside_of_the_amplitudes() -> None:
    settings = SETTINGS | {
        "amplitude": {"start_v": 0.5, "stop_v": 1.5, "step_v": 1},
        "gate": {"start_v": 2.0, "stop_v": 2.8, "step_v": 0.2},
        "target_ohm": 5500,
    }
    array = emulated({"model": "one_transistor", "set_sigma": 0.0}, biasing="1T1R")
    found = results(FORM, settings, array)
    # 1/(R_s + 1/(k (V_g - V_t)^2)): 38 uS at 2.0 V, 169 uS at 2.2 V, 215 uS at 2.4 V; 5.5 kohm is 182 uS.
    assert np.all(found["figures"][0].form_gate_v == 2.4)
    assert [(r.gate_v, r.amplitude_v) for r in found[""][1:4]] == [(2, 0.5), (2, 1.5), (2.2, 0.5)]


def test_what_is_planned_covers_what_the_guard_counts() -> None:
    bare = emulated(DEVICE)
    guard = Guard(bare.backend, bare.settings)
    found = results(FORM, SETTINGS, Array(guard, bare.settings, bare.rng))
    np.testing.assert_array_equal(guard.pulses, found["figures"][0].pulses)
    assert guard.pulses.max() <= 16


@pytest.mark.parametrize(
    ("ramp", "words"),
    [
        ({"start_v": 0.0, "stop_v": 1.0, "step_v": 0.1}, "of one sign"),
        ({"start_v": 1.0, "stop_v": 0.5, "step_v": 0.1}, "smaller than start_v"),
        ({"start_v": 1.0, "stop_v": 2.0, "step_v": 1e-6}, "1e.06 levels by steps of 1e-06 V"),
        ({"start_v": 1.0, "stop_v": 2.0, "step_v": 1e-99}, "at most 100000"),
    ],
)
def test_a_ramp_that_is_none_is_refused(ramp: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        LevelSweep.parse(ramp)


def test_a_budget_of_more_pulses_than_a_cell_can_have_is_refused_before_they_are_listed() -> None:
    ramp = {"start_v": 1.0, "stop_v": 2.0, "step_v": 1e-4}
    forming = {"amplitude": ramp, "width_s": 1e-3, "target_ohm": 1e4, "pulses_per_level": 2**52}
    with pytest.raises(ConfigError, match=r"pulses of each cell; at most 100000"):
        FormSettings.parse(forming | {"pulses_per_cell": 2**52})
    levels = FormSettings.parse(forming | {"pulses_per_cell": 5}).levels()
    assert levels == [(None, 1.0)] * 5


def test_a_ramp_ends_exactly_at_its_stop() -> None:
    assert LevelSweep.parse({"start_v": -0.1, "stop_v": -0.35, "step_v": 0.1}).levels_v() == [
        -0.1,
        -0.2,
        -0.3,
        -0.35,
    ]
