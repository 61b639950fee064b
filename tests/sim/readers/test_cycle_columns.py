"""Endurance as columns of SET and RESET, whatever they are called and measured in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.importing import Extract, import_measurement
from hwloop.datasets.tables.data_file import DataFile
from hwloop.errors import ConfigError
from hwloop_sim.readers.cycle_columns import CYCLE_COLUMNS


def read(folder: Path, text: str, **options: str) -> Extract:
    (folder / "cycles.csv").write_text(text, encoding="utf-8")
    source = DataFile(folder / "cycles.csv")
    assert CYCLE_COLUMNS.objection(source) == ""
    return CYCLE_COLUMNS.read(source, options)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("Cycle,LRS (ohm),HRS (ohm)\n1,1e4,1e6\n10,2e4,5e5\n", {}),
        ("cycle,set resistance (kOhm),reset resistance (kOhm)\n1,10,1000\n10,20,500\n", {}),
        ("# read\nCycle Number\tR_off\tR_on\n1\t1000\t10\n10\t500\t20\n", {"unit": "kOhm"}),
        ("Cycle,LRS (uS),HRS (uS),On/Off,LRS std (uS)\n1,100,1,100,9\n10,50,2,25,9\n", {}),
        ("Cycle,LRS (uA),HRS (uA)\n1,20,0.2\n10,10,0.4\n", {"read_v": "0.2 V"}),
        ("Cycle;G_on (µS);G_off (µS)\n1;100;1\n10;50;2\n", {}),
        ("cycle,I_set (uA),I_reset (uA)\n1,20,0.2\n10,10,0.4\n", {"read_v": "0.2 V"}),
        ("cycle,I_set (uA),I_reset (uA)\n1,-20,-0.2\n10,-10,-0.4\n", {"read_v": "-0.2 V"}),
    ],
)
def test_both_states_come_out_in_siemens(
    tmp_path: Path, text: str, options: dict[str, str]
) -> None:
    extract = read(tmp_path, text, **options)
    assert extract.kind == "cycling"
    np.testing.assert_array_equal(extract.columns["cycle"], [1, 10])
    np.testing.assert_allclose(extract.columns["set_conductance_s"], [1e-4, 5e-5])
    np.testing.assert_allclose(extract.columns["reset_conductance_s"], [1e-6, 2e-6])


def test_states_that_are_exchanged_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"conducts less than HRS .* are the two exchanged"):
        read(tmp_path, "Cycle,LRS (ohm),HRS (ohm)\n1,1e6,1e4\n2,1e6,1e4\n")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("Cycle,LRS,HRS\n1,1e4,1e6\n2,1e4,1e6\n", {}, "--set unit="),
        ("Cycle,LRS (ohm),HRS (ohm)\n1,1e4,1e6\n2,,1e6\n", {}, r"line 3: no value of LRS"),
        ("cycle,I_on (uA),I_off (uA)\n1,20,0.2\n2,20,0.2\n", {}, "--set read_v="),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, text: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, text, **options)


@pytest.mark.parametrize(
    "header", ["Cycle,R1 (ohm),R2 (ohm)", "Cycle,Set voltage (V),Reset voltage (V)", "t (s),on,off"]
)
def test_other_columns_are_no_states(tmp_path: Path, header: str) -> None:
    (tmp_path / "a.csv").write_text(f"{header}\n1,1,2\n2,1,2\n", encoding="utf-8")
    assert CYCLE_COLUMNS.objection(DataFile(tmp_path / "a.csv"))


@pytest.mark.parametrize("name", ["I_{} (A)", "I {} (A)", "I{} (A)"])
def test_the_current_of_a_state_is_a_current(name: str, tmp_path: Path) -> None:
    path = tmp_path / "cycles.csv"
    names = f"cycle,{name.format('HRS')},{name.format('LRS')}"
    path.write_text(names + "\n1,1e-7,1e-5\n2,2e-7,2e-5\n")
    given = {"source": "lab book", "read_v": "0.1 V"}
    found = import_measurement(path, reader=None, given=given).measurement
    np.testing.assert_allclose(found.columns["set_conductance_s"], [1e-4, 2e-4])
    np.testing.assert_allclose(found.columns["reset_conductance_s"], [1e-6, 2e-6])
