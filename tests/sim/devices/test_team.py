"""TEAM against an independent integrator, and its stop at the threshold current."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from hwloop_sim.devices.common.state_device import StateDevice
from tests.sim.devices.models import make, pulses

WINDOWS = {"none": {"name": "none"}, "biolek": {"name": "biolek", "p": 2}}


def moved(volts: float, width_s: float, **settings: object) -> float:
    device = make("team", **settings)
    device.pulse(pulses(device, volts, width_s))
    assert isinstance(device, StateDevice)
    return float(device.state[0, 0])


@pytest.mark.parametrize("law", ["linear", "exponential"])
@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize(
    ("volts", "width_s"), [(1.0, 1.0), (0.09, 1e3), (3.0, 0.01), (-0.05, 0.02), (-0.2, 1e-4)]
)
def test_it_agrees_with_an_independent_integrator(
    law: str, name: str, volts: float, width_s: float
) -> None:
    def ohm(x: float) -> float:
        return 50 * 20**x if law == "exponential" else 50 + 950 * x

    def slope(_: float, x: np.ndarray) -> list[float]:
        current = volts / ohm(x[0])
        window = 1 - (x[0] - (volts < 0)) ** 4 if name == "biolek" else 1.0
        if volts > 0:
            return [8e-13 * max(current / 115e-6 - 1, 0) ** 3 / 3e-9 * window]
        return [-8e-13 * (current / -8.9e-6 - 1) ** 3 / 3e-9 * window]

    settings = {"resistance": law, "window": WINDOWS[name]}
    solution = solve_ivp(slope, (0, width_s), [0.5], method="LSODA", rtol=1e-12, atol=1e-15)
    expected = min(max(solution.y[0, -1], 0.0), 1.0)
    assert moved(volts, width_s, **settings) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("law", ["linear", "exponential"])
def test_switching_off_ends_where_the_current_has_fallen_to_the_threshold(law: str) -> None:
    # 0.08 V drives 115 µA through 695.65 ohm.
    device = make("team", resistance=law, alpha_off=1.0, k_off_m_per_s=1e-3)
    device.pulse(pulses(device, 0.08, 1e4))
    assert 1 / device.conductance_s[0, 0] == pytest.approx(0.08 / 115e-6, rel=1e-9)


def test_switching_on_does_not_stop_before_the_bound() -> None:
    assert moved(-0.05, 1e4) == 0.0
