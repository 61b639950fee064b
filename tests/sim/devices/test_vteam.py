"""VTEAM against its closed forms and an independent integrator."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from hwloop_sim.devices.common.state_device import StateDevice
from tests.sim.devices.models import make, pulses

SPAN_M = 3e-9


def moved(volts: float, width_s: float, **settings: object) -> float:
    device = make("vteam", **settings)
    device.pulse(pulses(device, volts, width_s))
    assert isinstance(device, StateDevice)
    return float(device.state[0, 0])


def test_without_a_window_the_barrier_moves_uniformly() -> None:
    off = 5e-4 * (0.1 / 0.02 - 1)
    on = -10 * (0.5 / 0.2 - 1) ** 3
    assert moved(0.1, 1e-7) == pytest.approx(0.5 + off * 1e-7 / SPAN_M, rel=1e-12)
    assert moved(-0.5, 1e-11) == pytest.approx(0.5 + on * 1e-11 / SPAN_M, rel=1e-12)


def test_with_joglekars_window_of_one_it_is_a_logistic() -> None:
    # dx/dt = A · 4 x (1 − x)
    pace = 5e-4 * (0.1 / 0.02 - 1) / SPAN_M
    expected = 1 / (1 + np.exp(-4 * pace * 1e-6))
    assert moved(0.1, 1e-6, window={"name": "joglekar", "p": 1}) == pytest.approx(
        expected, rel=1e-12
    )


def test_with_bioleks_window_of_one_it_is_a_hyperbolic_tangent() -> None:
    # dx/dt = A (1 − x²)
    pace = 5e-4 * (0.1 / 0.02 - 1) / SPAN_M
    expected = np.tanh(pace * 1e-6 + np.arctanh(0.5))
    assert moved(0.1, 1e-6, window={"name": "biolek", "p": 1}) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("volts", "width_s"), [(0.1, 1e-6), (0.1, 1e-3), (1.0, 1e2), (-0.5, 1e-10), (-0.5, 1e-6)]
)
def test_with_kvatinskys_window_it_agrees_with_an_independent_integrator(
    volts: float, width_s: float
) -> None:
    low_m, high_m, w_c_m = 0.9e-9, 2.2e-9, 107e-12
    settings = {"window": {"name": "kvatinsky", "a_on_m": low_m, "a_off_m": high_m, "w_c_m": w_c_m}}

    def slope(_: float, w: np.ndarray) -> list[float]:
        if volts > 0:
            return [5e-4 * (volts / 0.02 - 1) * np.exp(-np.exp((w[0] - high_m) / w_c_m))]
        return [-10 * (volts / -0.2 - 1) ** 3 * np.exp(-np.exp(-(w[0] - low_m) / w_c_m))]

    solution = solve_ivp(slope, (0, width_s), [1.5e-9], method="LSODA", rtol=1e-12, atol=1e-22)
    assert moved(volts, width_s, **settings) * SPAN_M == pytest.approx(solution.y[0, -1], rel=1e-7)


def test_the_resistance_is_linear_or_exponential_in_the_barrier() -> None:
    assert 1 / make("vteam").conductance_s[0, 0] == pytest.approx(525)
    exponential = make("vteam", resistance="exponential")
    assert 1 / exponential.conductance_s[0, 0] == pytest.approx(np.sqrt(50 * 1000))


def test_positive_voltage_lowers_the_conductance_and_flipped_raises_it() -> None:
    assert moved(0.1, 1e-7) > 0.5  # towards R_off
    assert moved(0.3, 1e-11, flipped=True) < 0.5
