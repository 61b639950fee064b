"""Read noise in the trains of characterised arrays, within what is stated of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.importing import import_measurement
from hwloop.datasets.measurement import write_measurement
from hwloop.errors import ConfigError
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


def test_one_train_in_each_half_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    rows = "".join(f"{10 + n},{10.5 + n}\n" for n in range(8))
    path.write_text(f"rmp1,rmp2\n{rows}", encoding="utf-8")
    given = {"source": "test", "amplitude_v": "1 V", "width_s": "1 us", "unit": "uS"}
    found = import_measurement(path, reader=None, given=given)
    write_measurement(found.measurement, tmp_path / "two.h5")
    with pytest.raises(ConfigError, match=r"two\.h5: 1 train of the pulse of 1 V in one half"):
        calibrate([tmp_path / "two.h5"], model="pulse_response")


@pytest.mark.slow
def test_read_noise_of_fifty_random_truths_is_within_its_uncertainty(tmp_path: Path) -> None:
    found = together(deviations(seed, tmp_path) for seed in range(50))
    (off,) = found.values()
    for width, share in ((1, 0.683), (2, 0.954)):
        assert np.mean(np.abs(off) < width) >= least_share(share, 50), shares(found)
