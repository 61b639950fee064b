"""The judgement of records: a prefix passes, and whatever differs does not."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from benchmarks.campaigns.records import judge
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure

PROCEDURE = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"


def _run(path: Path, *overrides: str) -> Path:
    overrides = ("steps.0.settings.max_updates=2", *overrides)
    run_procedure(load_procedure(PROCEDURE, list(overrides)), RunOptions("sim", path))
    return path


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _run(tmp_path_factory.mktemp("usual") / "run.h5")


def test_the_same_run_again_is_its_own_prefix(usual: Path, tmp_path: Path) -> None:
    judged = judge(_run(tmp_path / "again.h5"), usual)
    assert (judged.departs, judged.unreadable) == ("", "")
    assert judged.status == "completed"
    assert judged.operations > 3


def test_fewer_operations_are_a_prefix_and_more_are_not(usual: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.h5"
    shutil.copy(usual, short)
    with h5py.File(short, "r+") as file:
        file.attrs["status"] = "running"
        file["recorder/operations"][0] -= 2
    judged = judge(short, usual)
    assert (judged.status, judged.departs) == ("interrupted", "")
    assert "operations of" in judge(usual, short).departs


def test_one_bit_of_one_reading_departs(usual: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.h5"
    shutil.copy(usual, changed)
    with h5py.File(changed, "r+") as file:
        current_a = file["operations/read/current_a"]
        values = current_a[1]
        values[2, 3] *= 1 + 3e-16
        current_a[1] = values
    assert judge(changed, usual).departs.endswith("(read)")


def test_another_pulse_and_another_row_depart(usual: Path, tmp_path: Path) -> None:
    for place, cell in (("operations/pulse/amplitude_v", (0, 0, 0)), ("results", (0,))):
        changed = tmp_path / "changed.h5"
        shutil.copy(usual, changed)
        with h5py.File(changed, "r+") as file:
            column = file[place]
            if place == "results":
                column = file["results/train_manhattan/total_error"]
            column[cell] += 1
        assert judge(changed, usual).departs


def test_missing_and_damaged_records_are_told_apart(usual: Path, tmp_path: Path) -> None:
    assert judge(tmp_path / "none.h5", usual).status == "none"
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(usual.read_bytes()[:1000])
    assert judge(damaged, usual).unreadable


def test_reading_that_is_flagged_is_no_wrong_number_but_no_prefix(
    usual: Path, tmp_path: Path
) -> None:
    flagged = tmp_path / "flagged.h5"
    shutil.copy(usual, flagged)
    with h5py.File(flagged, "r+") as file:
        for name, value in (("current_a", np.nan), ("flags", 1)):
            column = file[f"operations/read/{name}"]
            values = column[1]
            values[0, 0] = value
            column[1] = values
    assert judge(flagged, usual, up_to_flags=True).departs == ""
    assert judge(flagged, usual).departs.endswith("(read)")
