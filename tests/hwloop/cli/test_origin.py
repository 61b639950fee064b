"""Whatever a user reads about a run says whether its numbers were measured or emulated."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import h5py
import pytest

from hwloop import plugins
from hwloop.backend.kind import BackendKind
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.reader import Record
from hwloop.settings.model import Settings
from tests.command_line import hwloop
from tests.hwloop.cli.test_main import PROCEDURE, REPOSITORY
from tests.hwloop.spy import SpyBackend

STATION = REPOSITORY / "stations" / "virtual_4x4.yaml"
READS = REPOSITORY / "procedures" / "read_map_8x8.yaml"


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "emulated.h5"
    assert hwloop("run", READS, "--out", path).returncode == 0
    return path


@pytest.fixture(scope="module")
def measured(emulated: Path) -> Path:
    """The same record as if a station of real instruments had made it."""
    path = emulated.with_name("measured.h5")
    shutil.copy(emulated, path)
    with h5py.File(path, "r+") as file:
        file.attrs["origin"] = "measured"
    return path


def test_a_station_alone_is_enough_for_its_bench_and_a_virtual_one_is_emulated(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.h5"
    few = ("--set", "steps.0.settings.max_updates=1")
    done = hwloop("run", PROCEDURE, "--station", STATION, *few, "--out", path)
    assert done.returncode == 6
    assert "train_manhattan: did not converge in 1 updates" in done.stderr
    assert done.stderr.endswith("(emulated)\n")
    with Record(path) as record:
        assert (record.attrs["backend"], record.origin) == ("bench", "emulated")


def test_a_station_with_the_emulator_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    for command in ("run", "check"):
        words = (command, PROCEDURE, "--backend", "sim", "--station", STATION)
        done = hwloop(*words, "--out", tmp_path / "a.h5")
        assert (done.returncode, done.stdout) == (2, "")
        assert "--station is for backend 'bench', which --backend sim contradicts" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_run_on_hardware_is_recorded_as_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spy = SpyBackend((8, 8))
    known = plugins.load
    kind = BackendKind("spy", "", Settings, lambda _s, _r: spy, touches_hardware=True)
    monkeypatch.setattr(
        plugins, "load", lambda group, name: kind if name == "spy" else known(group, name)
    )
    path = tmp_path / "a.h5"
    result = run_procedure(load_procedure(READS), RunOptions("spy", path))
    with Record(path) as record:
        assert result.origin == record.origin == "measured"


def test_a_run_says_at_its_end_what_its_numbers_are(emulated: Path, tmp_path: Path) -> None:
    run = hwloop("run", READS, "--out", tmp_path / "a.h5")
    assert run.stdout.splitlines()[0].endswith("(emulated)")
    replay = hwloop("run", READS, "--recording", emulated, "--out", tmp_path / "b.h5")
    assert replay.returncode == 0
    assert replay.stdout.splitlines()[0].endswith("(replayed, emulated)")


@pytest.mark.parametrize("origin", ["emulated", "measured"])
def test_show_and_report_say_it_first(
    origin: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    record: Path = request.getfixturevalue(origin)
    shown = hwloop("show", record).stdout.splitlines()
    assert f"numbers      {origin}" in shown
    outcomes = [line for line in shown if line.startswith("outcome")]
    assert outcomes
    assert all(line.endswith(f"({origin})") for line in outcomes)
    page = tmp_path / "page.html"
    assert hwloop("report", record, "-o", page).returncode == 0
    assert f"<h1>read_map_8x8: {origin}</h1>" in page.read_text(encoding="utf-8")


def test_an_older_record_says_that_it_was_not_recorded(emulated: Path, tmp_path: Path) -> None:
    path = tmp_path / "old.h5"
    shutil.copy(emulated, path)
    with h5py.File(path, "r+") as file:
        del file.attrs["origin"]
    assert "numbers      not recorded" in hwloop("show", path).stdout
    again = hwloop("run", READS, "--recording", path, "--out", tmp_path / "b.h5")
    assert "(not recorded)" in again.stdout


def test_compare_says_which_record_was_measured(emulated: Path, measured: Path) -> None:
    lines = hwloop("compare", measured, emulated).stdout.splitlines()
    assert lines[:2] == [f"first: measured ({measured})", f"second: emulated ({emulated})"]


def test_a_sweep_says_it_of_every_point(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    done = hwloop("sweep", READS, "--over", "seed=1,2", "--workers", 1, "-o", folder, "--report")
    assert done.returncode == 0
    assert done.stdout.count("(emulated)") == 2
    with (folder / "sweep.csv").open(encoding="utf-8") as stream:
        assert [row["origin"] for row in csv.DictReader(stream)] == ["emulated", "emulated"]
    page = (folder / "sweep-report.html").read_text(encoding="utf-8")
    assert "<h1>read_map_8x8: a sweep, emulated</h1>" in page
