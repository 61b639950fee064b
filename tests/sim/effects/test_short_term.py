"""Short-term plasticity against its equations, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop_sim.cells.composed import NonIdealDevice
from tests.emulated import STEP_CONDUCTANCE_S, everywhere, non_ideal

START_S = 1e-4
STEP_S = STEP_CONDUCTANCE_S  # of a pulse of 1 V


def cells(**settings: float) -> NonIdealDevice:
    return non_ideal({"effect": "short_term", **settings}, shape=(2, 2))


def risen(device: NonIdealDevice) -> float:
    """The change of every cell, in steps."""
    change = (device.conductance_s - START_S) / STEP_S
    assert np.ptp(change) < 1e-9
    return float(change[0, 0])


@pytest.mark.parametrize("beta", [1.0, 0.6])
@pytest.mark.parametrize("time_s", [0.01, 0.05, 2.0])
def test_the_volatile_share_of_a_step_relaxes_as_a_stretched_exponential(
    beta: float, time_s: float
) -> None:
    device = cells(tau_s=0.05, beta=beta, volatile=0.8)
    device.pulse(everywhere(device, 1.0))
    assert risen(device) == pytest.approx(1.0)
    device.wait(time_s)
    assert risen(device) == pytest.approx(0.2 + 0.8 * np.exp(-((time_s / 0.05) ** beta)), rel=1e-9)


@given(st.lists(st.floats(1e-4, 0.1), min_size=1, max_size=8))
def test_the_time_does_not_depend_on_how_it_is_divided(waits_s: list[float]) -> None:
    whole, divided = (cells(tau_s=0.05, beta=0.5, consolidation=0.3) for _ in range(2))
    for device, waits in ((whole, [sum(waits_s)]), (divided, waits_s)):
        device.pulse(everywhere(device, 1.0))
        for wait_s in waits:
            device.wait(wait_s)
        device.pulse(everywhere(device, -0.4))
        device.wait(0.02)
    assert risen(whole) == pytest.approx(risen(divided), rel=1e-7, abs=1e-7)


def test_two_pulses_facilitate_by_what_is_left_of_the_first() -> None:
    device = cells(tau_s=0.05)
    device.pulse(everywhere(device, 1.0))
    device.wait(0.02)
    device.pulse(everywhere(device, 1.0))
    # All of a step is volatile: 1 + exp(-Δ/τ) of the single response.
    assert risen(device) == pytest.approx(1 + np.exp(-0.4), rel=1e-9)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_opposite_pair_leaves_a_window_with_the_sign_of_its_first_pulse(sign: float) -> None:
    device = cells(tau_s=0.05, volatile=0.8, consolidation=0.25)
    device.pulse(everywhere(device, sign))
    device.wait(0.03)
    device.pulse(everywhere(device, -sign))
    device.wait(1e3)
    # κ v exp(-Δ/τ); the permanent shares of both steps cancel.
    assert risen(device) == pytest.approx(sign * 0.25 * 0.8 * np.exp(-0.6), rel=1e-6)


def test_pulses_close_together_leave_more_than_pulses_far_apart() -> None:
    left = []
    for interval_s in (0.01, 0.1, 10.0):
        device = cells(tau_s=0.05, consolidation=0.2)
        for _ in range(10):
            device.pulse(everywhere(device, 1.0))
            device.wait(interval_s)
        device.wait(1e3)
        left.append(risen(device))
    assert left[0] > 3 * left[1] > 10 * abs(left[2])


def test_a_map_with_a_count_is_so_many_pulses_without_time_between() -> None:
    once, one_by_one = (cells(tau_s=0.05, volatile=0.7, consolidation=0.3) for _ in range(2))
    once.pulse(everywhere(once, 1.0, count=5))
    for _ in range(5):
        one_by_one.pulse(everywhere(one_by_one, 1.0))
    for device in (once, one_by_one):
        device.wait(0.04)
    assert risen(once) == pytest.approx(risen(one_by_one), rel=1e-9)


def test_a_cell_that_is_set_without_a_pulse_has_nothing_volatile() -> None:
    device = cells(tau_s=0.05)
    device.pulse(everywhere(device, 1.0))
    addressed = np.array([[True, False], [False, False]])
    device.hold(np.full((2, 2), 5e-5), addressed)
    device.wait(1e3)
    np.testing.assert_allclose(device.conductance_s, np.where(addressed, 5e-5, START_S))


@pytest.mark.parametrize("setting", [{"volatile": 1.1}, {"consolidation": 1.2}, {"beta": 2.0}])
def test_a_share_above_one_is_refused(setting: dict[str, float]) -> None:
    with pytest.raises(Exception, match="less than or equal to 1"):
        cells(tau_s=0.05, **setting)
