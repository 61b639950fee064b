"""Yakopcic against an independent integrator, and its published fit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from hwloop_sim.cells.voltage_sweep import iv_sweep
from hwloop_sim.devices.common.state_device import StateDevice
from tests.sim.devices.models import make, pulses


def motion(x: float, volts: float, eta: int = 1) -> float:
    """dx/dt as the source writes it, with its device's figures."""
    if volts > 0.16:
        g = 4000 * (np.exp(volts) - np.exp(0.16))
    elif volts < -0.15:
        g = -4000 * (np.exp(-volts) - np.exp(0.15))
    else:
        g = 0.0
    if eta * volts >= 0:
        f = np.exp(-(x - 0.3)) * ((0.3 - x) / (1 - 0.3) + 1) if x >= 0.3 else 1.0
    else:
        f = np.exp(5 * (x + 0.5 - 1)) * x / (1 - 0.5) if x <= 1 - 0.5 else 1.0
    return float(eta * g * f)


def moved(volts: float, width_s: float, begin: float = 0.11, **settings: object) -> float:
    device = make("yakopcic", initial=0.17 * 0.05 * begin, **settings)
    device.pulse(pulses(device, volts, width_s))
    assert isinstance(device, StateDevice)
    return float(device.state[0, 0])


@pytest.mark.parametrize("eta", [1, -1])
@pytest.mark.parametrize("begin", [0.11, 0.45, 0.9])
@pytest.mark.parametrize(
    ("volts", "width_s"), [(0.2, 1e-3), (0.4, 1e-3), (1.0, 2e-4), (-0.3, 1e-3), (-1.0, 1e-3)]
)
def test_it_agrees_with_an_independent_integrator(
    volts: float, width_s: float, begin: float, eta: int
) -> None:
    def slope(_: float, x: np.ndarray) -> list[float]:
        return [motion(x[0], volts, eta)]

    # Steps no longer than a hundredth: the integrator must not step over the knee.
    solution = solve_ivp(
        slope,
        (0, width_s),
        [begin],
        method="DOP853",
        rtol=1e-11,
        atol=1e-14,
        max_step=width_s / 1000,
    )
    assert moved(volts, width_s, begin, eta=eta) == pytest.approx(solution.y[0, -1], rel=1e-7)


def test_below_the_knee_it_moves_uniformly() -> None:
    pace = 4000 * (np.exp(0.4) - np.exp(0.16))
    assert moved(0.4, 1e-5) == pytest.approx(0.11 + pace * 1e-5, rel=1e-12)


def test_the_current_is_a_hyperbolic_sine() -> None:
    device = make("yakopcic", a_2_a=0.1)
    assert not device.linear
    assert device.current_a(np.full((1, 1), 2.0))[0, 0] == pytest.approx(0.17 * 0.11 * np.sinh(0.1))
    assert device.current_a(np.full((1, 1), -2.0))[0, 0] == pytest.approx(
        -0.1 * 0.11 * np.sinh(0.1)
    )
    small_v = np.full((1, 1), 1e-6)
    assert device.current_a(small_v)[0, 0] == pytest.approx(
        device.conductance_s[0, 0] * 1e-6, rel=1e-9
    )


def test_the_published_sweep_switches_between_its_thresholds() -> None:
    # Figure of the source: 100 Hz, 0.45 V; the device is on when the sweep comes back through 0.1 V.
    phase = np.linspace(0, 2 * np.pi, 2001)
    device = make("yakopcic")
    voltage_v = 0.45 * np.sin(phase)
    current_a = iv_sweep(device, voltage_v, step_s=0.01 / 2000)[:, 0, 0]
    rising, falling = (
        np.searchsorted(voltage_v[:501], 0.1),
        1000 - np.searchsorted(voltage_v[:501], 0.1),
    )
    assert current_a[rising] == pytest.approx(
        0.17 * 0.11 * np.sinh(0.05 * voltage_v[rising]), rel=1e-12
    )
    assert current_a[falling] > 5 * current_a[rising]
