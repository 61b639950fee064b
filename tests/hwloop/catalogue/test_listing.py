"""Records and imports listed by ``hwloop runs``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hwloop.catalogue import listing
from hwloop.catalogue.index import index_path
from hwloop.datasets.measurement import Measurement, write_measurement
from hwloop.errors import ConfigError, RecordError
from tests.command_line import hwloop

Copy = Callable[..., Path]


def listed(folder: Path, *arguments: object) -> list[dict[str, Any]]:
    """Return what `hwloop runs --json` says of a folder."""
    done = hwloop("runs", folder, "--json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def names(folder: Path, *arguments: object) -> list[str]:
    """Return the names of the files that are listed, in order."""
    return [Path(one["path"]).name for one in listed(folder, *arguments)]


def test_runs_are_found_by_procedure_seed_status_setting_and_result(
    copy_of: Copy, tmp_path: Path
) -> None:
    for name, seed in (("a.h5", 3), ("b.h5", 12), ("sub/c.h5", 7)):
        copy_of(name, seed=seed)
    copy_of("d.h5", seed=1, status="failed")
    where = "procedure=manhattan_4x4 seed<10 status=completed converged=true"
    assert names(tmp_path / "runs", "--where", where, "--sort", "seed") == ["a.h5", "c.h5"]
    assert names(tmp_path / "runs", "--where", "seed>1", "--sort", "-seed", "--limit", 2) == [
        "b.h5",
        "c.h5",
    ]
    for condition in ("epoch=23", "train_manhattan.pulses=176", "steps.0.settings.bit_1_v=0.1"):
        assert len(names(tmp_path / "runs", "--where", condition)) == 4, condition
    for condition in ("epoch>23", "pulses!=176", "bit_1_v>0.1", "array.rows=3"):
        assert names(tmp_path / "runs", "--where", condition) == [], condition


def test_columns_compare_runs_by_settings_and_results(copy_of: Copy, tmp_path: Path) -> None:
    copy_of("a.h5", seed=3)
    done = hwloop("runs", tmp_path / "runs", "--columns", "seed,epoch,array.limits.read_v,reached")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["run", "seed", "epoch", "array.limits.read_v", "reached"]
    assert lines[1][1:] == ["3", "23", "0.15", "true"]


def test_damaged_foreign_and_imported_files_are_listed_beside_runs(
    copy_of: Copy, tmp_path: Path
) -> None:
    whole, folder = copy_of("whole.h5"), tmp_path / "runs"
    (folder / "cut.h5").write_bytes(whole.read_bytes()[:3000])
    (folder / "text.h5").write_text("not HDF5")
    (folder / "empty.h5").write_bytes(b"")
    with h5py.File(folder / "other.h5", "w") as file:
        file["x"] = 1
    with h5py.File(folder / "headless.h5", "w") as file:
        file.attrs["format"] = "hwloop-record"
    shutil.copyfile(whole, folder / "linked.h5")
    with h5py.File(folder / "linked.h5", "r+") as file:
        del file["outcomes"]
        file["outcomes"] = h5py.ExternalLink(str(whole), "outcomes")
    columns = {name: np.array([1.0, 2.0]) for name in ("cell", "time_s", "conductance_s")}
    imported = Measurement(kind="reads", title="Retention", source="bench", columns=columns)
    write_measurement(imported, folder / "import.h5")
    found = {Path(one["path"]).name: one for one in listed(folder)}
    assert {name: one["status"] for name, one in found.items()} == {
        "whole.h5": "completed",
        "cut.h5": "damaged",
        "text.h5": "damaged",
        "empty.h5": "damaged",
        "headless.h5": "damaged",
        "linked.h5": "damaged",
        "other.h5": "foreign",
        "import.h5": "imported",
    }
    assert found["linked.h5"]["outcome"] == "outcomes: is a link; a record has its data in itself"
    assert (found["import.h5"]["procedure"], found["import.h5"]["outcome"]) == (
        "Retention",
        "reads, 2 rows",
    )


def test_index_is_never_trusted_over_a_changed_file(copy_of: Copy, tmp_path: Path) -> None:
    path, folder = copy_of("a.h5", seed=3), tmp_path / "runs"
    os.utime(path, ns=(10**18, 10**18))
    assert listed(folder, "--columns", "seed") == [{"path": str(path), "seed": 3}]
    # Another file of the same size and time; then the same file with another time.
    other = copy_of("b.h5", seed=4)
    other.replace(path)
    os.utime(path, ns=(10**18, 10**18))
    assert listed(folder, "--columns", "seed")[0]["seed"] == 4
    with h5py.File(path, "r+") as file:
        file.attrs.modify("seed", 5)
    assert listed(folder, "--columns", "seed")[0]["seed"] == 5
    path.unlink()
    assert listed(folder) == []


def test_unchanged_files_are_not_read_again(
    copy_of: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read = copy_of("a.h5"), []
    os.utime(path, ns=(10**18, 10**18))
    real = listing.read_facts
    monkeypatch.setattr(listing, "read_facts", lambda files: read.append(len(files)) or real(files))
    for arguments in ((), (), ("--rebuild",)):
        assert names(tmp_path / "runs", *arguments) == ["a.h5"]
    assert read == [1, 1]


@pytest.mark.parametrize("damage", ["garbage", "empty table", "folder"])
def test_index_that_is_damaged_or_cannot_be_used_costs_time_only(
    copy_of: Copy, tmp_path: Path, damage: str
) -> None:
    copy_of("a.h5")
    index = index_path()
    index.parent.mkdir(parents=True)
    if damage == "garbage":
        index.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40)
    elif damage == "folder":
        index.mkdir()
    else:
        import sqlite3

        with sqlite3.connect(index) as connection:
            connection.execute("CREATE TABLE file(id)")
        connection.close()
    done = hwloop("runs", tmp_path / "runs")
    assert done.returncode == 0
    assert "a.h5" in done.stdout
    assert ("the index cannot be used" in done.stderr) is (damage == "folder")


def test_two_processes_make_one_index_at_the_same_time(copy_of: Copy, tmp_path: Path) -> None:
    for number in range(12):
        copy_of(f"{number}.h5", seed=number)
    command = [sys.executable, "-m", "hwloop.cli", "runs", str(tmp_path / "runs"), "--json"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate()[0].splitlines() for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert said[0] == said[1]
    assert len(said[0]) == 12


def test_unknown_name_and_missing_folder_are_each_one_line(copy_of: Copy, tmp_path: Path) -> None:
    copy_of("a.h5")
    done = hwloop("runs", tmp_path / "runs", "--where", "epok=3")
    assert done.returncode == ConfigError.exit_code
    assert (
        done.stderr
        == "hwloop: epok: no record here has a value of that name; did you mean 'epoch'?\n"
    )
    done = hwloop("runs", tmp_path / "none")
    assert done.returncode == RecordError.exit_code
    assert done.stderr.endswith("none: there is no such folder or file\n")
    (tmp_path / "void").mkdir()
    done = hwloop("runs", tmp_path / "void")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("no records in ")
