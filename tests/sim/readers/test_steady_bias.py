"""A constant bias over time makes reads; a delay is no time; points counted again make a sweep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.importing import Imported, import_measurement
from hwloop.errors import ConfigError


def imported(folder: Path, text: str, **given: str) -> Imported:
    path = folder / "file.csv"
    path.write_text(text, encoding="utf-8")
    return import_measurement(path, reader=None, given={"source": "lab book", **given})


@pytest.mark.parametrize("sign", [1, -1])
def test_a_measured_bias_within_one_percent_is_that_of_reads(sign: int, tmp_path: Path) -> None:
    volts = [0.1002, 0.0998, 0.1, 0.1001]
    rows = "".join(f"{n},{sign * v},{sign * 2e-5 * v:.6e}\n" for n, v in enumerate(volts))
    found = imported(tmp_path, "Time (s),Voltage (V),Current (A)\n" + rows).measurement
    assert found.kind == "reads"
    np.testing.assert_allclose(found.columns["conductance_s"], 2e-5, rtol=1e-6)
    assert found.conditions.read_v == pytest.approx(sign * 0.1, rel=1e-3)


def test_a_bias_beside_conductances_is_kept_as_read_voltage(tmp_path: Path) -> None:
    text = "Time (s),Bias (V),G (uS)\n0,0.2,5\n10,0.2,4\n100,0.2,3\n"
    found = imported(tmp_path, text).measurement
    assert (found.kind, found.conditions.read_v) == ("reads", 0.2)
    np.testing.assert_allclose(found.columns["conductance_s"], [5e-6, 4e-6, 3e-6])


def test_a_voltage_that_varies_by_more_is_a_sweep(tmp_path: Path) -> None:
    text = "Time (s),Voltage (V),Current (A)\n0,0.100,1e-6\n1,0.102,1e-6\n2,0.104,1e-6\n"
    assert imported(tmp_path, text).measurement.kind == "iv"


@pytest.mark.parametrize("name", ["Delay (s)", "Wait time (s)", "Interval (ms)", "Settling (s)"])
def test_a_delay_is_no_time_of_reads(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not recognised"):
        imported(tmp_path, f"{name},R (ohm)\n1,1e5\n2,1e5\n5,1e5\n")
    text = f"Time (s),{name},R (ohm)\n0,3,1e5\n1,2,1e5\n2,1,1e5\n"
    assert imported(tmp_path, text).measurement.columns["time_s"].tolist() == [0, 1, 2]


def test_one_time_in_all_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"line 3: Time .* is 7 s in every row"):
        imported(tmp_path, "Time (s),R (ohm)\n7,1e5\n7,1e5\n7,1e5\n")


@pytest.mark.parametrize("name", ["Point", "Index", "No."])
def test_points_that_are_counted_again_begin_a_sweep_of_any_length(
    name: str, tmp_path: Path
) -> None:
    rows = "1,0,0\n2,1,1e-6\n3,2,2e-6\n1,0,0\n2,1,2e-6\n1,0,0\n2,1,3e-6\n3,2,4e-6\n4,1,3e-6\n"
    found = imported(tmp_path, f"{name},V (V),I (A)\n" + rows).measurement
    assert found.columns["sweep"].tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]


def test_points_of_a_pulse_log_that_are_counted_again_begin_a_train(tmp_path: Path) -> None:
    rows = "1,1,9,5\n2,1,9,6\n3,1,9,7\n1,1,9,8\n2,1,9,9\n"
    text = "Point,Pulse V (V),Width (us),G (uS)\n" + rows
    columns = imported(tmp_path, text).measurement.columns
    assert columns["train"].tolist() == [0, 0, 0, 1, 1]
    np.testing.assert_allclose(columns["conductance_s"] * 1e6, [5, 6, 7, 8, 9])
