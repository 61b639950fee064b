"""Disturb against what the biasing schemes put on the neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwloop.errors import ConfigError, StepError
from hwloop.steps.characterise.disturb import DISTURB
from tests.characterised import emulated, results

DEVICE = {"model": "linear_ion_drift"}
SETTINGS: dict[str, Any] = {
    "aggressors": [[1, 2]],
    "pulse": {"amplitude_v": 1.0, "width_s": 1e-3},
    "count": 2,
    "rounds": 3,
}


def drifted(volts: float) -> float:
    """Relative change of R in x = 0.1 of HP's model after 6 ms, dx/dt = mu R_on / D² · v / R(x)."""
    # R dx = k v dt: (R_on - R_off) (x² - x0²) / 2 + R_off (x - x0) = k v t.
    r_on, r_off, x0 = 100.0, 16000.0, 0.1
    kvt = 1e-14 * r_on / 1e-16 * volts * 6e-3
    a, b = (r_on - r_off) / 2, r_off
    c = -(a * x0**2 + b * x0 + kvt)
    x = (-b + np.sqrt(b * b - 4 * a * c)) / (2 * a)
    return (r_on * x0 + r_off * (1 - x0)) / (r_on * x + r_off * (1 - x)) - 1


def test_half_selected_neighbours_change_as_half_the_voltage_does() -> None:
    figures = results(DISTURB, SETTINGS, emulated(DEVICE, population=2))["figures"][0]
    assert figures.change.shape == (2, 4, 4)
    np.testing.assert_allclose(figures.change[:, 1, 2], drifted(1.0), rtol=1e-6)
    np.testing.assert_allclose(figures.same_row, drifted(0.5), rtol=1e-6)
    np.testing.assert_allclose(figures.same_col, drifted(0.5), rtol=1e-6)
    np.testing.assert_allclose(figures.elsewhere, 0, atol=1e-12)


def test_a_third_of_the_voltage_reaches_every_other_cell() -> None:
    found = results(DISTURB, SETTINGS, emulated(DEVICE, biasing="V/3"))
    figures = found["figures"][0]
    np.testing.assert_allclose(figures.same_row, drifted(1 / 3), rtol=1e-6)
    np.testing.assert_allclose(figures.elsewhere, abs(drifted(-1 / 3)), rtol=1e-6)
    assert figures.change[0, 0] < 0  # of the other sign, elsewhere
    assert found["outcome"][0].message.startswith("V/3, 6 pulses")


def test_too_large_a_change_is_not_the_aim_and_a_failed_read_is_an_error() -> None:
    strict = SETTINGS | {"largest_change": 1e-6}
    assert not results(DISTURB, strict, emulated(DEVICE))["outcome"][0].reached
    with pytest.raises(StepError, match="disturb: "):
        results(DISTURB, SETTINGS, emulated(DEVICE, current_a=1e-9))
    with pytest.raises(ConfigError, match=r"cell \(9, 0\)"):
        results(DISTURB, SETTINGS | {"aggressors": [[9, 0]]}, emulated(DEVICE))
