"""``hwloop accept`` writes a record and a page, and ends as the bench deserves."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from hwloop.errors import ConfigError
from hwloop.station.evidence import read_evidence
from hwloop.station.station import load_station
from hwloop_drivers.acceptance.hosting import resistors_of, station_on_trial
from hwloop_drivers.child_process import PYTHON
from tests.drivers.running_bench import ROOT

STATION = ROOT / "stations" / "virtual_4x4.yaml"


def accept(*options: str) -> subprocess.CompletedProcess[str]:
    command = [*PYTHON, "-m", "hwloop.cli", "accept", str(STATION), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_record_and_page_say_which_boxes_were_met_and_that_they_are_virtual(
    tmp_path: Path,
) -> None:
    done = accept("--only", "resistors", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (record,) = tmp_path.glob("*.json")
    (page,) = tmp_path.glob("*.html")
    said = json.loads(record.read_text(encoding="utf-8"))
    assert said["format"] == "hwloop acceptance 1"
    assert said["virtual"] is True
    assert said["accepted"] is True
    assert "MODEL 2400" in said["instruments"]["row_smu"]["id"]
    assert "DSO-X" in said["oscilloscope"]
    assert said["resistor_ohm"][3][3] == 180e3
    resistors = [f for f in said["findings"] if f["test"] == "resistor"]
    assert len(resistors) == 16
    (row, *_) = read_evidence(record)
    assert (row.driver, row.virtual, row.accepted) == ("keithley_2400", True, True)
    shown = page.read_text(encoding="utf-8")
    assert "evidence about no box" in shown
    assert "driver keithley_2400 has met KEITHLEY INSTRUMENTS INC.,MODEL 2400" in shown
    assert "http" not in shown.replace("http-equiv", "")


def test_unknown_test_is_named_before_anything_is_opened(tmp_path: Path) -> None:
    done = accept("--only", "sorcery", "--out", str(tmp_path))
    assert done.returncode == ConfigError.exit_code
    assert "sorcery" in done.stderr
    assert "Traceback" not in done.stderr


def test_resistors_are_those_of_the_station_or_one_value_or_a_file(tmp_path: Path) -> None:
    station = load_station(STATION)
    assert resistors_of(station, None)[0].tolist() == [10e3, 12e3, 15e3, 18e3]
    assert resistors_of(station, "47 kohm").tolist() == [[47e3] * 4] * 4
    file = tmp_path / "resistors.yaml"
    file.write_text("resistor_ohm: [[1 kohm, 2 kohm], [3 kohm, 4 Mohm]]", encoding="utf-8")
    assert resistors_of(station, str(file)).tolist() == [[1e3, 2e3], [3e3, 4e6]]


def test_resistors_that_are_no_resistance_are_refused_with_the_value() -> None:
    with pytest.raises(ConfigError, match="resistor_ohm"):
        resistors_of(load_station(STATION), "ten")


def test_virtual_oscilloscope_beside_real_instruments_is_refused(tmp_path: Path) -> None:
    text = STATION.read_text(encoding="utf-8")
    for number in (1, 2, 3):
        text = text.replace("virtual:socket", f"TCPIP::10.0.0.{number}::5025::SOCKET", 1)
    file = tmp_path / "station.yaml"
    file.write_text(text, encoding="utf-8")
    with (
        pytest.raises(ConfigError, match=r"witness\.address.*cannot be mixed"),
        station_on_trial(file, resistors=None, witness=None),
    ):
        pass
