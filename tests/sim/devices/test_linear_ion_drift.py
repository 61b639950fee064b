"""Linear ion drift against its closed form, an independent integrator, and HP's figures."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from hwloop_sim.cells.voltage_sweep import iv_sweep
from hwloop_sim.devices.common.state_device import StateDevice
from tests.sim.devices.models import make, pulses

R_ON, R_OFF, D, MU = 100.0, 16e3, 10e-9, 1e-14
DRIFT = MU * R_ON / D**2  # per second and ampere


def window(name: str, x: float, current: float) -> float:
    """The windows as their papers print them."""
    if name == "joglekar":
        return 1 - (2 * x - 1) ** 4
    if name == "biolek":
        return 1 - (x - (1 if -current >= 0 else 0)) ** 6
    if name == "prodromakis":
        return 0.9 * (1 - ((x - 0.5) ** 2 + 0.75) ** 2.5)
    return 1.0


WINDOWS = {
    "none": {"name": "none"},
    "joglekar": {"name": "joglekar", "p": 2},
    "biolek": {"name": "biolek", "p": 3},
    "prodromakis": {"name": "prodromakis", "p": 2.5, "j": 0.9},
}


def drifted(volts: float, width_s: float, **settings: object) -> float:
    device = make("linear_ion_drift", **settings)
    device.pulse(pulses(device, volts, width_s))
    assert isinstance(device, StateDevice)
    return float(device.state[0, 0])


@pytest.mark.parametrize("volts", [0.01, 0.3, 1.0, -0.2])
def test_without_a_window_it_is_the_quadratic_of_the_charge(volts: float) -> None:
    # R dR = −(R_off − R_on) DRIFT v dt from dx/dt = DRIFT v/R.
    begin_ohm = R_ON * 0.1 + R_OFF * 0.9
    end_ohm = np.sqrt(begin_ohm**2 - 2 * (R_OFF - R_ON) * DRIFT * volts * 0.05)
    expected = (R_OFF - end_ohm) / (R_OFF - R_ON)
    assert drifted(volts, 0.05) == pytest.approx(expected, rel=1e-11)


def test_without_a_window_the_bound_is_reached_when_the_charge_has_passed() -> None:
    begin_ohm = R_ON * 0.1 + R_OFF * 0.9
    takes_s = (begin_ohm**2 - R_ON**2) / (2 * (R_OFF - R_ON) * DRIFT * 1.0)
    assert drifted(1.0, takes_s * 0.9999) < 1.0
    assert drifted(1.0, takes_s * 1.0001) == 1.0


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize(("volts", "width_s"), [(1.0, 0.02), (1.0, 0.6), (-1.0, 0.02), (-0.5, 0.3)])
def test_every_window_agrees_with_an_independent_integrator(
    name: str, volts: float, width_s: float
) -> None:
    def slope(_: float, x: np.ndarray) -> list[float]:
        current = volts / (R_ON * x[0] + R_OFF * (1 - x[0]))
        inside = 0 <= x[0] <= 1
        return [DRIFT * current * window(name, x[0], current) if inside else 0.0]

    solution = solve_ivp(slope, (0, width_s), [0.1], method="DOP853", rtol=1e-12, atol=1e-14)
    expected = min(max(solution.y[0, -1], 0.0), 1.0)
    # The integrator runs beyond the bound by its last step where there is no window.
    tolerance = 1e-9 if 1e-6 < expected < 1 - 1e-6 else 1e-5
    assert drifted(volts, width_s, window=WINDOWS[name]) == pytest.approx(
        expected, rel=tolerance, abs=1e-5 if name == "none" else 1e-12
    )


def test_a_cell_that_a_window_holds_near_its_bound_comes_back_as_slowly_as_it_went() -> None:
    there = make("linear_ion_drift", window={"name": "joglekar", "p": 1})
    assert isinstance(there, StateDevice)
    there.pulse(pulses(there, 1.0, 0.95))
    far = float(there.state[0, 0])
    assert 1 - far == pytest.approx(8.35e-6, rel=1e-2)
    there.pulse(pulses(there, -1.0, 0.95))
    # The motion is reversible: dt is odd in the voltage and the window is even in direction.
    assert there.state[0, 0] == pytest.approx(0.1, rel=1e-10)


def test_the_default_device_is_hps() -> None:
    device = make("linear_ion_drift")
    assert device.conductance_s[0, 0] == pytest.approx(1 / (0.1 * 100 + 0.9 * 16000))


def loop_area(frequency_hz: float) -> float:
    device = make("linear_ion_drift")
    samples = 2001
    voltage_v = np.sin(np.linspace(0, 2 * np.pi, samples))
    current_a = iv_sweep(device, voltage_v, step_s=1 / frequency_hz / (samples - 1))[:, 0, 0]
    half = samples // 2
    return abs(float(np.trapezoid(current_a[: half + 1], voltage_v[: half + 1])))


def test_the_area_of_the_loop_falls_with_frequency() -> None:
    areas = [loop_area(frequency_hz) for frequency_hz in (1, 2, 4, 8, 16, 100)]
    assert all(later < earlier for earlier, later in pairwise(areas))
    # Small changes of the state: the area falls as 1/f.
    assert areas[-1] / areas[-2] == pytest.approx(16 / 100, rel=0.1)


def test_the_loop_is_that_of_the_charge_in_closed_form() -> None:
    # For v = sin(ωt): R² = R_0² − 2 (R_off − R_on) DRIFT (1 − cos ωt)/ω.
    samples, period_s = 4001, 0.5
    phase = np.linspace(0, 2 * np.pi, samples)
    device = make("linear_ion_drift")
    current_a = iv_sweep(device, np.sin(phase), step_s=period_s / (samples - 1))[:, 0, 0]
    flux = (1 - np.cos(phase)) * period_s / (2 * np.pi)
    begin_ohm = R_ON * 0.1 + R_OFF * 0.9
    ohm = np.sqrt(begin_ohm**2 - 2 * (R_OFF - R_ON) * DRIFT * flux)
    np.testing.assert_allclose(current_a, np.sin(phase) / ohm, rtol=1e-6, atol=1e-12)
