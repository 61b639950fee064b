"""Statistics against the spreads that were put in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwloop.errors import ConfigError, StepError
from hwloop.steps.characterise.device_statistics import DEVICE_STATISTICS, state_figures
from tests.characterised import emulated, results

SETTINGS: dict[str, Any] = {
    "up": {"amplitude_v": 1.6, "width_s": 1e-6, "gate_v": 2.5},
    "down": {"amplitude_v": -2.0, "width_s": 1e-6, "gate_v": 4.0},
    "cycles": 20,
}


def test_the_scatter_within_a_cell_is_that_of_the_device() -> None:
    device = {"model": "one_transistor", "set_sigma": 0.03, "r_series_ohm": 2000}
    array = emulated(device, biasing="1T1R", population=20)
    high, low = results(DEVICE_STATISTICS, SETTINGS, array)["figures"]
    assert (high.state, low.state) == (1, -1)
    # 320 cells of 20 cycles: known to 1 %.
    assert np.sqrt((high.cycle_to_cycle**2).mean()) == pytest.approx(0.03, rel=0.04)
    assert high.device_to_device.max() < 0.01


def test_both_spreads_are_told_apart() -> None:
    rng = np.random.default_rng(5)
    cells = rng.normal(scale=0.3, size=(1, 300, 300))
    seen_conductance_s = 1e-6 * np.exp(cells + rng.normal(scale=0.5, size=(4, 300, 300)))
    row = state_figures(1, seen_conductance_s)
    # Without the correction the means of 4 cycles would show sqrt(0.09 + 0.25 / 4) = 0.39.
    assert row.device_to_device == pytest.approx(0.3, rel=0.02)
    assert row.cycle_to_cycle == pytest.approx(0.5, rel=0.02)


def test_what_has_no_logarithm_a_failed_read_and_wrong_settings_are_errors() -> None:
    with pytest.raises(StepError, match="has no logarithm"):
        state_figures(1, np.zeros((2, 2, 2)))
    array = emulated({"model": "one_transistor"}, biasing="1T1R", current_a=1e-9)
    with pytest.raises(StepError, match="device_statistics: "):
        results(DEVICE_STATISTICS, SETTINGS, array)
    with pytest.raises(ConfigError, match="cycles"):
        DEVICE_STATISTICS.settings.parse(SETTINGS | {"cycles": 1})
