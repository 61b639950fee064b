"""Endurance against states and a wear that are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwloop.errors import ConfigError, StepError
from hwloop.steps.characterise.endurance import ENDURANCE, EnduranceSettings
from tests.characterised import emulated, results

DEVICE = {
    "model": "soft_bounds",
    "min_conductance_s": 1e-8,
    "max_conductance_s": 1e-7,
    "up_pulses": 0.1,
    "down_pulses": 0.1,
}
SETTINGS: dict[str, Any] = {
    "up": {"amplitude_v": 3.2, "width_s": 3e-4},
    "down": {"amplitude_v": -2.8, "width_s": 3e-4},
    "cycles": 100,
    "per_decade": 3,
}
WEAR = {
    "effect": "endurance",
    "min_conductance_s": 1e-8,
    "max_conductance_s": 1e-7,
    "closes_at_conductance_s": 5e-8,
    "half_cycles": 10,
}


def test_cells_without_wear_keep_their_window() -> None:
    found = results(ENDURANCE, SETTINGS, emulated(DEVICE, population=2))
    figures = found["figures"][0]
    assert figures.last_window.shape == (2, 4, 4)
    np.testing.assert_allclose(figures.last_window, 10, rtol=1e-3)
    assert np.isnan(figures.failed_at).all()
    assert found["outcome"][0].reached


def test_the_window_closes_as_the_wear_says() -> None:
    found = results(ENDURANCE, SETTINGS, emulated(DEVICE, sim={"effects": [WEAR]}))
    figures = found["figures"][0]
    # w = 1 / (1 + n / 10), held in 5e-8 - 4e-8 w to 5e-8 + 5e-8 w: 2 at w = 1 / 2.6, so n = 16.
    # The window narrows with it, so that n full cycles take more than n cycles.
    assert np.all(figures.failed_at > 16)
    assert np.all(figures.failed_at < 50)
    assert np.all(figures.last_window < 2)
    assert not found["outcome"][0].reached


def test_reads_are_spaced_in_the_logarithm_of_the_cycles() -> None:
    assert EnduranceSettings.parse(SETTINGS).read_at() == [1, 2, 5, 10, 22, 46, 100]
    assert EnduranceSettings.parse(SETTINGS | {"cycles": 1}).read_at() == [1]


def test_one_pulse_for_both_ways_is_refused_and_a_failed_read_is_an_error() -> None:
    with pytest.raises(ConfigError, match="up and down are the same pulse"):
        EnduranceSettings.parse(SETTINGS | {"down": SETTINGS["up"]})
    with pytest.raises(StepError, match="endurance: "):
        results(ENDURANCE, SETTINGS, emulated(DEVICE, current_a=1e-12))
