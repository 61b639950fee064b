"""Sweeps: currents of a waveform, from the equations that pulses obey."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop_sim.cells.voltage_sweep import iv_sweep
from tests.sim.devices.models import make


def swept(samples: int) -> np.ndarray:
    device = make("yakopcic", (2, 2))
    voltage_v = 0.4 * np.sin(np.linspace(0, np.pi / 2, samples))
    return iv_sweep(device, voltage_v, step_s=1e-3 / (samples - 1))


def test_currents_have_an_axis_of_samples_before_the_cells() -> None:
    assert swept(11).shape == (11, 2, 2)


def test_the_error_falls_with_the_square_of_the_step() -> None:
    end = [swept(samples)[-1, 0, 0] for samples in (51, 101, 201, 3201)]
    coarse, middle, fine = (abs(value - end[-1]) for value in end[:3])
    assert coarse / middle == pytest.approx(4, rel=0.5)
    assert middle / fine == pytest.approx(4, rel=0.5)


def test_a_read_below_threshold_leaves_the_device_as_it_was() -> None:
    device = make("vteam")
    current_a = iv_sweep(device, [0.0, 0.01, -0.1, 0.0], step_s=1.0)
    assert current_a[:, 0, 0].tolist() == pytest.approx([0.0, 0.01 / 525, -0.1 / 525, 0.0])


@pytest.mark.parametrize("voltage_v", [[], [[0.0, 1.0]], 1.0])
def test_a_waveform_that_is_no_row_of_samples_is_refused(voltage_v: object) -> None:
    with pytest.raises(ValueError, match=r"expected \(samples,\)"):
        iv_sweep(make("vteam"), voltage_v, step_s=1.0)  # type: ignore[arg-type]
