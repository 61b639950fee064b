"""``hwloop sweep``: a table of every point, resumed, on processes and on a cluster."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from hwloop.errors import BackendError, ConfigError, NotConverged
from hwloop.sweep.command import sweep

PROCEDURE = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"
BETA = "steps.0.settings.beta_per_a"
QUICK = ("--set", "steps.0.settings.max_updates=3")


def _sweep(folder: Path, *words: str) -> Result:
    app = typer.Typer()
    app.command()(sweep)
    return CliRunner().invoke(app, [str(PROCEDURE), "-o", str(folder), *words])


def _table(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_every_combination_is_run_and_stands_in_the_table(tmp_path: Path) -> None:
    words = ("--over", f"{BETA}=4e6,6e6", "--over", "seed=22:24", "--workers", "1")
    shown = _sweep(tmp_path, *words)
    assert shown.exit_code == 0, shown.output
    rows = _table(tmp_path)
    assert [(float(row[BETA]), row["seed"]) for row in rows] == [
        (4e6, "22"), (4e6, "23"), (6e6, "22"), (6e6, "23"),
    ]  # fmt: skip
    # Seed 22 converges at epoch 23 with the published settings.
    assert (rows[2]["reached"], rows[2]["train_manhattan.summary.epoch"]) == ("1.0", "23.0")
    assert {(tmp_path / row["record"]).is_file() for row in rows} == {True}
    assert (tmp_path / "against_steps_0_settings_beta_per_a.png").is_file()


def test_finished_points_are_not_run_again(tmp_path: Path) -> None:
    _sweep(tmp_path, "--over", "seed=1,2", "--workers", "1", *QUICK)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.h5")}
    shown = _sweep(tmp_path, "--over", "seed=1,2,3", "--workers", "1", *QUICK)
    assert "2 of 3 points stand in" in shown.output
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.h5")}
    assert before.items() <= after.items()
    assert len(after) == len(_table(tmp_path)) == 3


def test_a_point_that_fails_is_reported_and_the_others_finish(tmp_path: Path) -> None:
    # A compliance of 1 pA makes every read of that point fail.
    words = ("--over", "array.limits.current_a=1e-12,3e-3", "--workers", "1", *QUICK)
    shown = _sweep(tmp_path, *words)
    assert isinstance(shown.exception, NotConverged)
    assert "1 of 2 points failed, the first array.limits.current_a=1e-12" in str(shown.exception)
    assert [row["status"] for row in _table(tmp_path)] == ["failed", "completed"]


def test_a_point_beyond_a_limit_is_refused_before_anything_runs(tmp_path: Path) -> None:
    shown = _sweep(tmp_path / "new", "--over", f"{BETA}=6e6,-1", "--workers", "1")
    assert isinstance(shown.exception, ConfigError)
    assert "point 1 (steps.0.settings.beta_per_a=-1" in str(shown.exception)
    assert not (tmp_path / "new").exists()


def test_a_cluster_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwloop.sweep.runner.CONNECT_S", 0.2)
    shown = _sweep(tmp_path, "--over", "seed=1,2", "--scheduler", "tcp://127.0.0.1:9", *QUICK)
    assert isinstance(shown.exception, BackendError)
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in str(shown.exception)


@contextmanager
def _cluster(folder: Path) -> Iterator[str]:
    """``dask scheduler`` and two workers, as the page on sweeps starts them."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    scheduler = subprocess.Popen(
        [*dask, "--host", "127.0.0.1", "--port", "0", "--no-dashboard"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    workers = []
    try:
        assert scheduler.stderr is not None
        for line in scheduler.stderr:
            if found := re.search(r"(tcp://127\.0\.0\.1:\d+)", line):
                break
        else:
            raise RuntimeError("the scheduler did not start")
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", found[1], "--no-dashboard"]
        one = ["--nthreads", "1", "--no-nanny", "--local-directory", str(folder)]
        workers = [subprocess.Popen([*worker, *one], **quiet) for _ in range(2)]  # type: ignore[call-overload]
        yield found[1]
    finally:
        for process in (*workers, scheduler):
            process.terminate()
            process.wait()
        if scheduler.stderr is not None:
            scheduler.stderr.close()


@pytest.mark.skipif(os.name == "nt", reason="processes are ended by signals")
def test_an_existing_cluster_gives_the_same_table(tmp_path: Path) -> None:
    over = ("--over", "seed=1:5", *QUICK)
    _sweep(tmp_path / "here", *over, "--workers", "1")
    with _cluster(tmp_path) as address:
        shown = _sweep(tmp_path / "there", *over, "--scheduler", address)
    assert shown.exit_code == 0, shown.output
    here, there = (_table(tmp_path / name) for name in ("here", "there"))
    for one, other in zip(here, there, strict=True):
        assert {k: v for k, v in one.items() if k != "wall_s"} == {
            k: v for k, v in other.items() if k != "wall_s"
        }
