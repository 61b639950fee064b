"""One train of each direction: its last third is held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.measurement import Measurement, train_columns, write_measurement
from hwloop.errors import ConfigError
from hwloop_sim.calibrate.run import calibrate
from hwloop_sim.calibrate.trains.data import Direction


def written(folder: Path, values: int) -> Path:
    """Write a train up and one down, of exponential approach within 60 values, with 20 nS noise."""
    rng = np.random.default_rng(5)
    path = 2e-6 * np.exp(-np.arange(values) / 20)
    trains = [one + 2e-8 * rng.normal(size=values) for one in (4e-6 - path, 1e-6 + path)]
    columns = train_columns(trains, cells=[0, 0], amplitudes_v=[1.0, -1.0], widths_s=[1e-3] * 2)
    data = Measurement(kind="trains", title="t", source="drawn", columns=columns)
    write_measurement(data, folder / "lone.h5")
    return folder / "lone.h5"


def test_a_lone_train_is_cut_after_two_thirds() -> None:
    whole = Direction(1.0, 1e-3, [np.arange(30.0)], rises=True)
    assert whole.half(0).trains[0].tolist() == list(range(20))
    assert whole.half(1).trains[0].tolist() == list(range(20, 30))


def test_the_last_third_of_lone_trains_is_predicted_and_called_a_weaker_proof(
    tmp_path: Path,
) -> None:
    found = calibrate([written(tmp_path, 60)], model="soft_bounds")
    seen = found.predict()
    assert seen.error is not None
    assert seen.error_of_mean is not None
    assert seen.error < 0.05 < seen.error_of_mean
    assert seen.scatter is None
    assert any("weaker proof" in line for line in seen.warnings())
    assert any("20 pulses of one train" in line for line in found.summary())


def test_a_lone_train_of_few_values_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"shortest of 11 values: expected 2 trains .* one of 12"):
        calibrate([written(tmp_path, 11)], model="soft_bounds")
