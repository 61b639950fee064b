"""Read noise in the trains of characterised arrays, within what is stated of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop_sim.calibrate.run import calibrate
from hwloop_sim.calibrate.trains.calibrate import TrainCalibration
from tests.sim.calibrate.trains.train_truths import (
    Deviations,
    least_share,
    shares,
    step_truth,
    together,
    trains_record,
)


def deviations(seed: int, folder: Path) -> Deviations:
    """Of the read noise of one cell of an array, with scatter, memory and trains that differ."""
    truth = step_truth(seed, logarithmic=False)
    path = trains_record(folder / f"{seed}.h5", truth, seed=seed)
    found = calibrate([path], model="pulse_response", cell=0)
    assert isinstance(found, TrainCalibration)
    off_conductance_s = found.fit.goodness["read_noise_conductance_s"] - truth.noise_conductance_s
    return {
        "read_noise_conductance_s": [
            off_conductance_s / found.fit.uncertainty["read_noise_conductance_s"]
        ]
    }


def test_read_noise_of_a_characterised_array_is_found_again(tmp_path: Path) -> None:
    assert np.abs(deviations(2, tmp_path)["read_noise_conductance_s"]).max() < 3


@pytest.mark.slow
def test_read_noise_of_fifty_random_truths_is_within_its_uncertainty(tmp_path: Path) -> None:
    found = together(deviations(seed, tmp_path) for seed in range(50))
    (off,) = found.values()
    for width, share in ((1, 0.683), (2, 0.954)):
        assert np.mean(np.abs(off) < width) >= least_share(share, 50), shares(found)
