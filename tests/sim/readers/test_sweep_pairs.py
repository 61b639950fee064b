"""Sweeps side by side, as a Keithley 4200 exports the runs of a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.importing import Extract, import_measurement
from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.options import TableOptions
from hwloop_sim.readers.sweep_pairs import SWEEP_PAIRS


def source(folder: Path, text: str) -> DataFile:
    (folder / "runs.csv").write_text(text, encoding="utf-8")
    return DataFile(folder / "runs.csv")


def sweeps(extract: Extract) -> list[tuple[list[float], list[float]]]:
    columns = extract.columns
    return [
        tuple(
            columns[name][columns["sweep"] == number].tolist()
            for name in ("voltage_v", "current_a")
        )  # type: ignore[misc]
        for number in np.unique(columns["sweep"])
    ]


@pytest.mark.parametrize(
    "header",
    [
        "AV(1),AI(1),AV(2),AI(2)",
        "AV,AI,AV,AI",
        "AnodeV(3),AnodeI(3),AnodeV(4),AnodeI(4)",
        "V1 (V),I1 (A),V2 (V),I2 (A)",
    ],
)
def test_runs_side_by_side_are_sweeps_and_a_shorter_one_ends_at_its_gap(
    tmp_path: Path, header: str
) -> None:
    text = (
        f"{header}\n0.1,1e-6,0.1,2e-6\n0.2,2e-6,0.2,4e-6\n0.3,3e-6,0.3,6e-6\n0.4,4e-6,#REF,#REF\n"
    )
    file = source(tmp_path, text)
    assert SWEEP_PAIRS.objection(file) == ""
    extract = SWEEP_PAIRS.read(file, {})
    assert sweeps(extract) == [
        ([0.1, 0.2, 0.3, 0.4], [1e-6, 2e-6, 3e-6, 4e-6]),
        ([0.1, 0.2, 0.3], [2e-6, 4e-6, 6e-6]),
    ]
    assert extract.messages[-1] == "no value of these sweeps was dropped"


def test_currents_are_those_of_the_run_in_their_name_in_any_order(tmp_path: Path) -> None:
    text = "Time,AV(1),AV(2),AI(2),AI(1)\n0,1,2,20e-6,10e-6\n1,2,4,40e-6,20e-6\n2,3,6,60e-6,30e-6\n"
    extract = SWEEP_PAIRS.read(source(tmp_path, text), {})
    assert sweeps(extract) == [
        ([1, 2, 3], [10e-6, 20e-6, 30e-6]),
        ([2, 4, 6], [20e-6, 40e-6, 60e-6]),
    ]
    np.testing.assert_array_equal(extract.columns["time_s"], [0, 1, 2, 0, 1, 2])


def test_a_row_without_a_current_is_left_out_and_told(tmp_path: Path) -> None:
    text = "AV(1),AI(1),AV(2),AI(2)\n1,1e-6,1,1e-6\n2,,2,2e-6\n3,3e-6,3,3e-6\n4,4e-6,4,4e-6\n"
    extract = SWEEP_PAIRS.read(source(tmp_path, text), {})
    assert sweeps(extract)[0] == ([1, 3, 4], [1e-6, 3e-6, 4e-6])
    assert extract.messages[-1] == "1 rows without voltage or current in a sweep left out"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("AV(1),AI(1),AV(2),AI(3)", "the runs of its voltages and currents differ"),
        ("AV(1),AI(1),AV(2),Time", "2 columns of voltage and 1 of current"),
        ("DrainV,GateV,DrainI,SourceV", "columns of voltage"),
    ],
)
def test_columns_that_are_no_pairs_are_refused(tmp_path: Path, header: str, reason: str) -> None:
    text = f"{header}\n1,1e-6,1,1e-6\n2,2e-6,2,2e-6\n3,3e-6,3,3e-6\n"
    assert reason in SWEEP_PAIRS.objection(source(tmp_path, text))


def test_pairs_without_names_are_sweeps_in_their_order_where_the_user_names_them(
    tmp_path: Path,
) -> None:
    text = "0.1,1e-6,-0.1,-2e-6\n0.2,2e-6,-0.2,-4e-6\n0.3,3e-6,-0.3,-6e-6\n0.4,4e-6,,\n"
    (tmp_path / "runs.csv").write_text(text, encoding="utf-8")
    chosen = (("voltage_v", "1"), ("current_a", "2"), ("voltage_v", "3"), ("current_a", "4"))
    file = DataFile(tmp_path / "runs.csv", TableOptions(columns=chosen))
    assert SWEEP_PAIRS.objection(file) == ""
    assert sweeps(SWEEP_PAIRS.read(file, {})) == [
        ([0.1, 0.2, 0.3, 0.4], [1e-6, 2e-6, 3e-6, 4e-6]),
        ([-0.1, -0.2, -0.3], [-2e-6, -4e-6, -6e-6]),
    ]


def test_a_last_voltage_without_its_current_is_no_point_and_said(tmp_path: Path) -> None:
    text = "AV,AI,AV,AI\n0.1,1e-6,1,1e-3\n0.2,2e-6,2,2e-3\n0.3,3e-6,3,3e-3\n,,4,\n"
    extract = SWEEP_PAIRS.read(source(tmp_path, text), {})
    assert [len(volts) for volts, _ in sweeps(extract)] == [3, 3]
    assert extract.messages[-1].startswith("1 rows without voltage or current")


def test_runs_named_in_a_row_above_are_sweeps_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    rows = "0,0,0,0\n1,1e-6,1,2e-6\n2,2e-6,2,4e-6\n"
    path.write_text("Run1,,Append1,\nAnodeV,AnodeI,AnodeV,AnodeI\n" + rows)
    found = import_measurement(path, reader=None, given={"source": "lab book"}).measurement
    assert found.columns["sweep"].tolist() == [0, 0, 0, 1, 1, 1]
    assert found.columns["current_a"].tolist() == [0, 1e-6, 2e-6, 0, 2e-6, 4e-6]
