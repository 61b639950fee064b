"""Commands in a folder full of files that are named like the libraries that they import."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.traps import lay_traps, sprung
from hwloop.procedure.procedure import load_procedure
from hwloop.station.station import load_station
from hwloop_drivers import virtual_bench
from hwloop_drivers.safety.watchdog import Watchdog
from tests.drivers.running_bench import PROCEDURE, ROOT, copy_station

STATION = ROOT / "stations" / "virtual_4x4.yaml"
HWLOOP = Path(sys.executable).with_name("hwloop")
SHORT = ("--set", "steps.0.settings.max_updates=1")

pytestmark = pytest.mark.skipif(not HWLOOP.exists(), reason="hwloop is not installed as a command")


@pytest.fixture
def traps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of traps, the working folder of the test."""
    folder = lay_traps(tmp_path / "traps")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    return folder


def _hwloop(
    *arguments: str | Path, command: Sequence[str | Path] = (HWLOOP,)
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False
    )


def test_trap_is_sprung_where_the_working_folder_is_on_the_path(traps: Path) -> None:
    done = subprocess.run([sys.executable, "-c", "import serial"], check=False)
    assert done.returncode == 1
    assert "serial" in sprung(traps)


@pytest.mark.parametrize("command", [(HWLOOP,), (sys.executable, "-m", "hwloop.cli")])
def test_run_on_a_bench_of_its_own_springs_no_trap(
    traps: Path, tmp_path: Path, command: Sequence[str | Path]
) -> None:
    if "-m" in command:  # the one that nothing can be done about: it would be the program itself
        (traps / "hwloop.py").unlink()
    station = copy_station(STATION, tmp_path)
    where = ("--backend", "bench", "--station", station, "--out", tmp_path / "run.h5")
    done = _hwloop("run", PROCEDURE, *where, *SHORT, command=command)
    assert sprung(traps) == []
    assert done.returncode in {0, 6}, done.stderr  # one update need not reach the targets
    assert (tmp_path / "run.h5").exists()


def test_module_runs_from_a_checkout_that_is_the_working_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hwloop.cli", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("hwloop "), done.stderr


def test_connectivity_check_springs_no_trap(traps: Path, tmp_path: Path) -> None:
    station = copy_station(STATION, tmp_path)
    done = _hwloop("check", PROCEDURE, "--backend", "bench", "--station", station, "--touch")
    assert sprung(traps) == []
    assert done.returncode == 0, done.stderr


def test_making_safe_beside_a_virtual_bench_springs_no_trap(traps: Path, tmp_path: Path) -> None:
    station = copy_station(STATION, tmp_path)
    command = [HWLOOP, "virtual", str(station), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as bench:
        try:
            assert bench.stdout is not None
            assert "addresses" in bench.stdout.readline()
            done = _hwloop("safe", "--station", station)
            assert done.returncode == 0, done.stderr
        finally:
            bench.terminate()
    assert sprung(traps) == []


def test_watchdog_that_acts_springs_no_trap(traps: Path) -> None:
    station = load_station(STATION)
    nowhere = dict.fromkeys(station.instruments, "TCPIP::127.0.0.1::1::SOCKET")
    said = Watchdog(station, nowhere).release(safe=False)
    assert "NOT EVERYTHING IS SAFE" in str(said)
    assert sprung(traps) == []


def test_virtual_bench_of_a_run_springs_no_trap(traps: Path) -> None:
    bench = virtual_bench.start(STATION, load_procedure(PROCEDURE).resolved, seed=0)
    try:
        assert bench.ask("status")["pulses"] is not None
    finally:
        bench.close()
    assert sprung(traps) == []


def test_workers_of_a_sweep_spring_no_trap(traps: Path, tmp_path: Path) -> None:
    over = ("--over", "seed=1:3", "--workers", "2")
    done = _hwloop("sweep", PROCEDURE, *over, *SHORT, "--out", tmp_path / "sweep")
    assert sprung(traps) == []
    assert len(list((tmp_path / "sweep").glob("**/*.h5"))) == 2, done.stderr
    assert "PYTHONSAFEPATH" not in os.environ
