"""Retention against the drift that was put in."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.errors import ConfigError, StepError
from hwloop.steps.characterise.retention import RETENTION, retention_figures
from tests.characterised import emulated, results

DEVICE = {"model": "soft_bounds"}
PULSE = {"amplitude_v": 3.2, "width_s": 3e-4}
SETTINGS = {"first_s": 100, "last_s": 1e5, "per_decade": 4, "program": PULSE, "count": 50}


def drifting(nu: float) -> dict[str, object]:
    return {"effects": [{"effect": "drift", "nu": nu, "t0_s": 0.01}]}


def test_the_drift_exponent_is_the_one_that_was_put_in() -> None:
    found = results(RETENTION, SETTINGS, emulated(DEVICE, population=2, sim=drifting(0.05)))
    figures = found["figures"][0]
    assert figures.drift_exponent.shape == (2, 4, 4)
    np.testing.assert_allclose(figures.drift_exponent, 0.05, rtol=1e-3)
    assert np.all(figures.drift_error < 1e-4)
    programmed_conductance_s = 38.5e-9 - (38.5e-9 - 3.08e-9) * np.exp(-50 / 30)
    # G = G0 (1 + t/t0)^-nu: at 1 s of the power law, G0 t0^nu.
    np.testing.assert_allclose(
        figures.one_second_conductance_s, programmed_conductance_s * 0.01**0.05, rtol=2e-3
    )


def test_reads_are_equally_spaced_in_the_logarithm_of_the_arrays_time() -> None:
    rows = results(RETENTION, SETTINGS, emulated(DEVICE))[""]
    times = np.array([row.time_s for row in rows])
    np.testing.assert_allclose(times, np.geomspace(100, 1e5, 13), rtol=1e-3)


def test_cells_that_lose_too_much_are_counted() -> None:
    found = results(
        RETENTION, SETTINGS | {"largest_loss": 0.1}, emulated(DEVICE, sim=drifting(0.05))
    )
    assert not found["outcome"][0].reached
    assert found["outcome"][0].message.startswith("0 of 16 cells within 10%")


def test_the_standard_error_is_that_of_a_straight_line() -> None:
    times = np.array([1.0, np.e, np.e**2])
    ln_g = np.array([0.0, -1.0, -1.4])
    found = retention_figures(times, np.exp(ln_g).reshape(3, 1, 1))
    # By hand: slope -0.7, rests 0.1, -0.2, 0.1; error sqrt(0.06 / 1 / 2).
    assert found.drift_exponent[0, 0] == pytest.approx(0.7)
    assert found.drift_error[0, 0] == pytest.approx(np.sqrt(0.03))


def test_a_failed_read_is_an_error_and_wrong_times_are_refused() -> None:
    with pytest.raises(StepError, match="retention: "):
        results(RETENTION, SETTINGS, emulated(DEVICE, current_a=1e-12))
    with pytest.raises(ConfigError, match="last_s 10 must be above first_s 100"):
        RETENTION.settings.parse(SETTINGS | {"last_s": 10})
