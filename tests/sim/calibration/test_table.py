"""A dataset of one train becomes the table that the device ``pulse_table`` plays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.datasets.measurement import Measurement, train_columns, write_measurement
from hwloop.errors import ConfigError
from hwloop_sim.calibration.table import read_table


def _written(path: Path, columns: dict[str, Any], **texts: Any) -> Path:
    given = {"kind": "trains", "title": "t", "source": "lab book", **texts}
    write_measurement(Measurement(columns=columns, **given), path)
    return path


def _trains(*trains: list[float]) -> dict[str, Any]:
    count = len(trains)
    return train_columns(
        trains, cells=[0] * count, amplitudes_v=[2.0] * count, widths_s=[1e-3] * count
    )


def test_the_pulse_comes_from_the_columns_and_the_rest_from_the_conditions(tmp_path: Path) -> None:
    conditions = {"read_v": "50 mV", "temperature_k": 300, "note": "dry air"}
    path = _written(
        tmp_path / "t.h5", _trains([1e-6, 2e-6, 4e-6]), conditions=conditions, device="cell 7"
    )
    table = read_table(path)
    assert table.conductance_s == (1e-6, 2e-6, 4e-6)
    assert table.conditions.amplitude_v == 2.0
    assert table.conditions.width_s == 1e-3
    assert table.conditions.read_v == 0.05
    assert table.conditions.temperature_k == 300
    assert table.conditions.note == "dry air"
    assert (table.title, table.source, table.device) == ("t", "lab book", "cell 7")


def _uneven(name: str, value: float) -> dict[str, Any]:
    columns = _trains([1e-6, 2e-6, 4e-6])
    columns[name][1] = value
    return columns


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (_trains([1e-6, 2e-6], [1e-6, 3e-6], [1e-6, 2e-6]), r"t\.h5: holds 3 trains: expected one"),
        (_uneven("amplitude_v", 1.5), r"t\.h5: amplitude_v differs from pulse to pulse"),
        (_uneven("width_s", 2e-3), r"t\.h5: width_s differs from pulse to pulse"),
        (_uneven("pulse", 7), r"t\.h5: has a gap"),
        (_trains([1e-6]), r"t\.h5: .*conductance_s.*at least 2"),
    ],
)
def test_anything_but_one_train_of_equal_pulses_is_refused(
    columns: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words):
        read_table(_written(tmp_path / "t.h5", columns))


def test_a_dataset_of_another_kind_is_refused(tmp_path: Path) -> None:
    columns = {
        "cell": np.zeros(2),
        "time_s": np.arange(2.0),
        "conductance_s": np.full(2, 1e-6),
    }
    path = _written(tmp_path / "t.h5", columns, kind="reads")
    with pytest.raises(ConfigError, match=r"t\.h5: holds reads: expected one train"):
        read_table(path)
