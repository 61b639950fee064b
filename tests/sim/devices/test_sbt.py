"""SBT against equation 3 of the review, by hand and by an independent integrator."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from hwloop_sim.devices.common.state_device import StateDevice
from tests.sim.devices.models import make, pulses


def moved(volts: float, width_s: float, **settings: object) -> float:
    device = make("sbt", **settings)
    device.pulse(pulses(device, volts, width_s))
    assert isinstance(device, StateDevice)
    return float(device.state[0, 0])


def test_the_first_moment_is_equation_3_by_hand() -> None:
    # R = 0.1 · 100 + 0.9 · 16000 = 14410 ohm; f = 1 − (0.2 − 1)^4 = 0.5904;
    # μ R_on/D² = 1e-17 · 100 / 1e-16 = 10 per second.
    upwards = 10 * (1e-4 / (1 / 14410)) * 0.5904
    downwards = 10 * (-1 / 14410) / 1e-4 * 0.5904
    assert upwards == pytest.approx(8.507664, rel=1e-6)
    assert downwards == pytest.approx(-4.097155, rel=1e-6)
    assert (moved(1.0, 1e-8) - 0.1) / 1e-8 == pytest.approx(upwards, rel=1e-6)
    assert (moved(-1.0, 1e-8) - 0.1) / 1e-8 == pytest.approx(downwards, rel=1e-6)


@pytest.mark.parametrize(
    ("volts", "width_s"), [(0.5, 0.02), (1.0, 0.05), (2.0, 1.0), (-0.5, 0.1), (-1.0, 0.5)]
)
def test_it_agrees_with_an_independent_integrator(volts: float, width_s: float) -> None:
    settings = {
        "r_off_ohm": 5e3,
        "i_off_a": 3e-4,
        "i_on_a": 2e-4,
        "i_0_a": 2e-5,
        "window": {"name": "joglekar", "p": 3},
    }

    def slope(_: float, x: np.ndarray) -> list[float]:
        current = volts / (100 * x[0] + 5e3 * (1 - x[0]))
        drive = 3e-4 / (current - 2e-5) if volts > 0 else current / 2e-4
        return [10 * drive * (1 - (2 * x[0] - 1) ** 6)]

    solution = solve_ivp(slope, (0, width_s), [0.1], method="DOP853", rtol=1e-12, atol=1e-15)
    assert moved(volts, width_s, **settings) == pytest.approx(solution.y[0, -1], rel=1e-9)


def test_exactly_at_the_threshold_nothing_moves() -> None:
    assert moved(0.3, 1e3) == 0.1
    assert moved(-0.3, 1e3) == 0.1
    assert moved(np.nextafter(0.3, 1), 1e-3) > 0.1
    assert moved(np.nextafter(-0.3, -1), 1e-3) < 0.1


def test_upwards_a_higher_voltage_moves_it_more_slowly_as_the_equation_says() -> None:
    assert 0.1 < moved(2.0, 1e-3) < moved(1.0, 1e-3)
