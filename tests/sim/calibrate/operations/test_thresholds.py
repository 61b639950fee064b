"""Between which amplitudes pulses begin to move a cell."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop_sim.calibrate.operations.history import History, Read, Stimulus
from hwloop_sim.calibrate.operations.thresholds import moving_step_v


def history(threshold_v: float, *, noise: float = 0.002, step: float = 0.02) -> History:
    """Ten pulses at each amplitude of both signs; beyond the threshold each moves ln G."""
    rng = np.random.default_rng(1)
    log_g = np.log(1e-4)
    events: list[Stimulus | Read] = []

    def read() -> Read:
        return Read(0.1, True, np.array([0.1 * np.exp(log_g) * (1 + noise * rng.normal())]))

    events.append(read())
    for amplitude_v in (0.2, 0.4, 0.6, 0.8):
        for volts in (amplitude_v, -amplitude_v):
            for _ in range(10):
                events.append(Stimulus(np.array([volts]), 1e-3))
                log_g += step * np.sign(volts) * (abs(volts) > threshold_v)
                events.append(read())
    return History("a.h5", ["cell (0, 0)"], events)


@pytest.mark.parametrize(
    ("threshold_v", "step_v"), [(0.1, (0.0, 0.2)), (0.3, (0.2, 0.4)), (0.75, (0.6, 0.8))]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_first_amplitude_that_moves_is_told_from_read_noise(
    threshold_v: float, step_v: tuple[float, float], sign: int
) -> None:
    assert moving_step_v([history(threshold_v)], sign) == step_v


def test_cells_that_never_move_show_no_threshold() -> None:
    assert moving_step_v([history(2.0)], 1) is None
    assert moving_step_v([history(2.0, noise=0.0)], -1) is None
