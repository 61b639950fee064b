"""Cells that move in proportion to voltage and time."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.array.operations import PulseMap
from tests.emulated import emulated, read_all
from tests.sim.devices.models import make, pulses


@pytest.mark.parametrize(("volts", "step"), [(0.7, 0.1), (0.8, 0.2), (-0.75, -0.15), (0.6, 0.0)])
def test_a_step_is_the_voltage_beyond_the_threshold_times_speed_and_time(
    volts: float, step: float
) -> None:
    device = make("proportional")
    device.pulse(pulses(device, volts, 0.5e-3, 2))
    # By hand: x = 0.5 + 1000/(V s) · (|v| − 0.6 V) · 1 ms; G = 1 µS + 99 µS x.
    np.testing.assert_allclose(device.conductance_s, 1e-6 + 99e-6 * (0.5 + step), rtol=1e-9)


def test_cells_stop_at_their_ends() -> None:
    device = make("proportional")
    device.pulse(pulses(device, 3.0, 1e-3))
    np.testing.assert_allclose(device.conductance_s, 1e-4, rtol=1e-12)


@pytest.mark.parametrize(("volts", "moved"), [(1.1, False), (1.3, True)])
def test_half_selected_cells_move_where_half_the_voltage_is_beyond_their_threshold(
    volts: float, moved: bool
) -> None:
    backend = emulated(2, 2, device={"model": "proportional"})
    backend.pulse(PulseMap(np.array([[volts, 0.0], [0.0, 0.0]]), 1e-3))
    others = read_all(backend).ravel()[1:3] / 0.1
    expected = 50.5e-6 + (99e-6 * 0.05 if moved else 0.0)  # 1000/(V s) · (0.65 − 0.6) V · 1 ms
    np.testing.assert_allclose(others, expected, rtol=1e-9)
