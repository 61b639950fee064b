"""Schottky against Lambert's W, a root finder, an independent integrator, and measured sweeps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from scipy.special import lambertw

from hwloop_sim.devices.common.state_device import StateDevice
from tests.sim.devices.models import make, pulses

ON_A, OFF_A, OHM = 94e-9, 122e-12, 38.2
FORWARD_V, REVERSE_ON_V, REVERSE_OFF_V = 0.0515, 0.079, 0.111


def saturation_a(x: float) -> float:
    return float(ON_A**x * OFF_A ** (1 - x))


def at_state(x: float, **changed: object) -> StateDevice:
    i_0 = saturation_a(x)
    device = make("schottky", initial=1 / (FORWARD_V / i_0 + OHM), **changed)
    assert isinstance(device, StateDevice)
    assert device.state[0, 0] == pytest.approx(x, abs=1e-12)
    return device


def current_a(device: StateDevice, volts: float) -> float:
    return float(device.current_a(np.full((1, 1), volts))[0, 0])


@pytest.mark.parametrize("x", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("volts", [0.02, 0.3, 1.0, 2.0])
def test_forwards_it_is_the_diode_with_series_resistance_by_lamberts_w(
    x: float, volts: float
) -> None:
    i_0 = saturation_a(x)
    scale = i_0 * OHM / FORWARD_V
    # I + I_0 = E/R W(I_0 R/E e^((V + I_0 R)/E)): Banwell and Jayakumar.
    w = lambertw(scale * np.exp((volts + i_0 * OHM) / FORWARD_V)).real
    expected = FORWARD_V / OHM * w - i_0
    assert current_a(at_state(x), volts) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("x", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("volts", [-1e-9, -0.02, -0.7, -3.0])
def test_backwards_the_slope_is_between_those_of_the_bounds(x: float, volts: float) -> None:
    e_v = 1 / (x / REVERSE_ON_V + (1 - x) / REVERSE_OFF_V)

    def excess(i: float) -> float:
        return i - saturation_a(x) * np.expm1((-volts - i * OHM) / e_v)

    expected = -brentq(excess, 0, -volts / OHM, xtol=1e-30, rtol=1e-14)
    assert current_a(at_state(x), volts) == pytest.approx(expected, rel=1e-9)


def test_a_small_voltage_sees_the_conductance_and_a_large_one_the_resistance() -> None:
    device = at_state(0.7)
    assert current_a(device, 1e-9) == pytest.approx(float(device.conductance_s[0, 0]) * 1e-9)
    slope_conductance_s = (current_a(device, 101.0) - current_a(device, 100.0)) / 1.0
    assert slope_conductance_s == pytest.approx(1 / OHM, rel=1e-3)
    assert not device.linear


@given(x=st.floats(0.001, 0.999), volts=st.floats(-20, 20), more=st.floats(1e-6, 1))
@settings(max_examples=100, deadline=None)
def test_the_current_has_the_sign_of_the_voltage_and_rises_with_it(
    x: float, volts: float, more: float
) -> None:
    device = at_state(x)
    low, high = current_a(device, volts), current_a(device, volts + more)
    assert low < high
    assert low * volts >= 0
    assert abs(low) <= abs(volts) / OHM


@pytest.mark.parametrize("volts", [1e-300, 1.9e-50, 1e-20, 1e-12, 1e-8, 4e-8, 1e-6])
def test_the_smallest_voltages_see_the_conductance_and_nothing_of_rounding(volts: float) -> None:
    device = at_state(0.7)
    for sign in (1, -1):
        found = current_a(device, sign * volts)
        assert sign * found > 0
    expected = float(device.conductance_s[0, 0]) * volts
    assert current_a(device, volts) == pytest.approx(expected, rel=1e-4)


@given(low=st.floats(0.001, 0.9), volts=st.floats(-3, 3).filter(lambda v: abs(v) > 1e-3))
@settings(max_examples=50, deadline=None)
def test_a_higher_state_conducts_more_forwards(low: float, volts: float) -> None:
    # Backwards curves of different slopes may cross, as the measured ones do near compliance.
    volts = abs(volts)
    assert current_a(at_state(low), volts) < current_a(at_state(low + 0.09), volts)


@pytest.mark.parametrize(("volts", "width_s"), [(0.4, 1.0), (1.0, 0.5), (-0.8, 20.0), (-3.0, 2.0)])
@pytest.mark.parametrize("begin", [0.05, 0.6])
def test_it_agrees_with_an_independent_integrator(
    volts: float, width_s: float, begin: float
) -> None:
    def slope(_: float, x: np.ndarray) -> np.ndarray:
        if volts > 0:
            return np.asarray(0.194 * np.sinh(volts / 0.396) * (1 - x))
        return np.asarray(3.2e-3 * np.sinh(volts / 0.586) * x)

    device = at_state(begin)
    device.pulse(pulses(device, volts, width_s))
    solution = solve_ivp(slope, (0, width_s), [begin], method="DOP853", rtol=1e-11, atol=1e-14)
    assert device.state[0, 0] == pytest.approx(solution.y[0, -1], rel=1e-8)


def test_without_voltage_nothing_relaxes() -> None:
    device = at_state(0.6)
    device.pulse(pulses(device, 0.0, 1e6))
    assert device.state[0, 0] == pytest.approx(0.6, abs=1e-12)
