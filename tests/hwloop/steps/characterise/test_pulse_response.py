"""The pulse response against the equation of the device that is emulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.errors import ConfigError, LimitError, StepError
from hwloop.execution.preview import refuse_beyond_limits
from hwloop.procedure.procedure import from_data
from hwloop.steps.characterise.pulse_response import PULSE_RESPONSE, e_folding_pulses
from hwloop.steps.common.summaries import nonlinearity
from tests.characterised import LIMITS, emulated, results

DEVICE = {"model": "soft_bounds", "up_pulses": 8, "down_pulses": 14}
SETTINGS: dict[str, Any] = {
    "up": {"amplitudes_v": [3.2], "widths_s": [3e-4]},
    "down": {"amplitudes_v": [-2.8], "widths_s": [3e-4]},
    "pulses": 20,
    "cycles": 2,
}


def test_it_finds_the_constants_of_soft_bounds() -> None:
    up, down = results(PULSE_RESPONSE, SETTINGS, emulated(DEVICE, population=3))["figures"]
    assert up.e_folding_pulses.shape == (3, 4, 4)
    np.testing.assert_allclose(up.e_folding_pulses, 8, rtol=1e-3)
    np.testing.assert_allclose(down.e_folding_pulses, 14, rtol=1e-3)
    # G_max - (G_max - G_0) exp(-n/8) from 3.08 nS in the first cycle.
    reached = 38.5e-9 - (38.5e-9 - 3.08e-9) * np.exp(-20 / 8)
    down_to = 3.08e-9 + (reached - 3.08e-9) * np.exp(-20 / 14)
    first = (3.08e-9 + down_to) / 2  # mean of the two cycles
    np.testing.assert_allclose(up.first_conductance_s, first, rtol=1e-9)
    assert np.all(up.step_sigma_conductance_s > 0)  # the second cycle begins elsewhere


def test_rows_follow_the_equation_pulse_by_pulse() -> None:
    rows = results(PULSE_RESPONSE, SETTINGS, emulated(DEVICE))[""]
    path = [row.conductance_s[0, 0] for row in rows[:21]]
    expected = 38.5e-9 - (38.5e-9 - 3.08e-9) * np.exp(-np.arange(21) / 8)
    np.testing.assert_allclose(path, expected, rtol=1e-9)
    assert [row.pulse for row in rows[:21]] == list(range(21))
    assert {row.direction for row in rows[21:42]} == {-1}


def test_nonlinearity_and_asymmetry_of_paths_written_out() -> None:
    line = np.linspace(1.0, 3.0, 5)
    bent = np.array([1.0, 2.5, 2.75, 2.9, 3.0])
    np.testing.assert_allclose(nonlinearity(np.stack([line, bent], axis=1)), [0, 0.5], atol=1e-15)


def test_a_straight_line_and_a_constant_have_no_constant() -> None:
    assert np.isnan(e_folding_pulses(np.linspace(0, 1, 20)))
    assert np.isnan(e_folding_pulses(np.ones(20)))


def test_growing_pulses_go_over_the_grid() -> None:
    device = {"model": "vteam", "flipped": True}
    settings = {
        "up": {"amplitudes_v": [0.21, 0.22], "widths_s": [1e-8, 2e-8], "increment_v": 0.002},
        "down": {"amplitudes_v": [-0.03, -0.04], "widths_s": [1e-7, 2e-7]},
        "pulses": 3,
    }
    rows = results(PULSE_RESPONSE, settings, emulated(device))[""]
    given = [(r.amplitude_v, r.width_s) for r in rows if r.direction > 0 and r.pulse]
    assert given[:3] == [(0.21, 1e-8), (pytest.approx(0.212), 1e-8), (pytest.approx(0.214), 1e-8)]
    assert given[-1] == (pytest.approx(0.224), 2e-8)
    assert max(row.condition for row in rows) == 3


def test_a_failed_read_is_an_error_that_names_the_cell() -> None:
    array = emulated(DEVICE, current_a=2e-9)  # reached at 20 nS
    with pytest.raises(StepError, match=r"pulse_response: cell \(0, 0\).*could not be measured"):
        results(PULSE_RESPONSE, SETTINGS, array)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"amplitudes_v": [3.2, -1]}, "one sign"),
        ({"amplitudes_v": [3.2, 3.3]}, "up has 2 combinations"),
        ({"increment_v": -0.1}, "sign of amplitudes_v"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        PULSE_RESPONSE.settings.parse(SETTINGS | {"up": SETTINGS["up"] | change})


def test_growth_beyond_the_limits_is_refused_before_anything_is_opened() -> None:
    up = SETTINGS["up"] | {"increment_v": 0.1}  # 20th pulse: 3.2 + 19 · 0.1 = 5.1 V
    array = {"rows": 2, "cols": 2, "limits": LIMITS, "read": {"read_v": 0.1}}
    step = {"step": "pulse_response", "settings": SETTINGS | {"up": up}}
    procedure = from_data({"name": "x", "seed": 1, "array": array, "steps": [step]}, folder=Path())
    with pytest.raises(LimitError, match=r"amplitude_v 4\.1 exceeds limits\.positive_v 4"):
        refuse_beyond_limits(procedure)
