"""Files of the ArC TWO control panel, written as its h5utils.py writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hwloop.datasets.tables.data_file import DataFile
from hwloop.errors import ConfigError
from hwloop_sim.readers.pulse_logs.arc_store import ARC_STORE

HISTORY = [
    ("current", "<f4"),
    ("voltage", "<f4"),
    ("pulse_width", "<f4"),
    ("read_voltage", "<f4"),
    ("op_type", "<u4"),
]
READ, PULSE, PULSEREAD = 1, 2, 3


def store(path: Path, histories: dict[str, list[tuple[float, ...]]], *, major: int = 0) -> Any:
    """A store of 4 words and 8 bits; each history has room for 1000 rows, as the panel makes it."""
    file = h5py.File(path, "w")
    file.attrs.update({"H5DS_VERSION_MAJOR": major, "H5DS_VERSION_MINOR": 2})
    for name in ("crossbar", "crosspoints", "synthetics"):
        file.create_group(name)
    file["crossbar"].attrs.update({"words": 4, "bits": 8})
    for place, rows in histories.items():
        table = file.create_dataset(f"crosspoints/{place}/timeseries", (1000,), dtype=HISTORY)
        table[: len(rows)] = np.array(rows, dtype=HISTORY)
        table.attrs["NROWS"] = len(rows)
    return file


def test_histories_become_trains_of_their_crosspoints_and_unfilled_rows_are_none(
    tmp_path: Path,
) -> None:
    rows = [
        (-1e-6, 0.2, 0, 0.2, READ),
        (-2e-6, 1.5, 1e-4, 0.2, PULSEREAD),
        (0, 1.5, 1e-4, 0, PULSE),
        (-3e-6, 0.2, 0, 0.2, READ),
    ]
    with store(tmp_path / "a.h5", {"W00B02": rows[:2], "W01B03": rows}) as file:
        file["crosspoints/W00B02/timeseries"][2:4] = np.array(rows[2:], dtype=HISTORY)
    source = DataFile(tmp_path / "a.h5")
    assert ARC_STORE.objection(source) == ""
    columns = ARC_STORE.read(source, {}).columns
    np.testing.assert_array_equal(columns["cell"], [2, 2, 11, 11, 11])
    np.testing.assert_allclose(columns["conductance_s"] * 1e6, [5, 10, 5, 10, 15], rtol=1e-6)
    np.testing.assert_allclose(columns["amplitude_v"], 1.5)
    np.testing.assert_allclose(columns["width_s"], 1e-4)


def test_curves_read_at_their_bias_are_sweeps_and_retention_has_its_times(tmp_path: Path) -> None:
    with store(tmp_path / "a.h5", {"W00B01": [(1e-6, 0.2, 0, 0.2, READ)]}) as file:
        curve = [("voltage", "<f4"), ("current", "<f4"), ("read_voltage", "<f4")]
        volts = np.array([0.1, 0.2, 0.1], np.float32)
        at_bias = np.array(list(zip(volts, 1e-6 * volts, volts, strict=True)), dtype=curve)
        later = np.array(list(zip(volts, 1e-6 * volts, [0.5] * 3, strict=True)), dtype=curve)
        file["crosspoints/W00B01/experiments/CT_1"] = at_bias
        file["crosspoints/W00B01/experiments/CT_2"] = later
        kept = [
            ("read_voltage", "<f4"),
            ("current", "<f4"),
            ("tstamp_s", "<u8"),
            ("tstamp_us", "<u8"),
        ]
        rows = [(0.5, 1e-6, 1700000000, 250000), (0.5, 2e-6, 1700000002, 750000)]
        file["crosspoints/W00B01/experiments/RET_1"] = np.array(rows, dtype=kept)
    source = DataFile(tmp_path / "a.h5")
    swept = ARC_STORE.read(source, {"experiment": "CT"})
    np.testing.assert_allclose(swept.columns["voltage_v"], volts)
    assert "1 curves that were read at another voltage left out" in swept.messages
    kept_reads = ARC_STORE.read(source, {"experiment": "RET"}).columns
    np.testing.assert_allclose(kept_reads["time_s"], [0, 2.5], atol=1e-6)
    np.testing.assert_allclose(kept_reads["conductance_s"], [2e-6, 4e-6], rtol=1e-6)
    with pytest.raises(ConfigError, match="reads alone, without times; give --set experiment="):
        ARC_STORE.read(source, {})


def test_other_files_and_later_versions_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n")
    assert "no HDF5" in ARC_STORE.objection(DataFile(tmp_path / "a.csv"))
    with h5py.File(tmp_path / "b.h5", "w"):
        pass
    assert "no store of arc2control" in ARC_STORE.objection(DataFile(tmp_path / "b.h5"))
    with store(tmp_path / "c.h5", {}, major=3):
        pass
    assert "H5DS_VERSION_MAJOR 3: expected 0" in ARC_STORE.objection(DataFile(tmp_path / "c.h5"))


def test_a_count_of_rows_that_the_table_does_not_have_is_refused(tmp_path: Path) -> None:
    with store(tmp_path / "a.h5", {"W00B02": [(1e-6, 1, 1e-4, 0.2, PULSEREAD)]}) as file:
        file["crosspoints/W00B02/timeseries"].attrs["NROWS"] = 5000
    with pytest.raises(ConfigError, match=r"W00B02/timeseries: NROWS 5000: the table has 1000"):
        ARC_STORE.read(DataFile(tmp_path / "a.h5"), {})
