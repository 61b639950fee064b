"""Local processes of a sweep: one that dies costs its own point; all end with the sweep."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hwloop.sweep import processes
from hwloop.sweep.grid import points
from hwloop.sweep.point import Ended, SweepTask
from hwloop.sweep.processes import run_in_processes

THREADS = ("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def tasks(count: int) -> list[SweepTask]:
    return [
        SweepTask(point, "p.yaml", "sim", None, ".", str(point.index))
        for point in points([f"seed=0:{count}"])
    ]


def dies_at_one(task: SweepTask) -> Ended:
    if task.point.index == 1:
        os._exit(9)
    return told(task)


def told(task: SweepTask) -> Ended:
    """Return a point whose error tells of the process: its number, and its variables."""
    words = [str(os.getpid()), *(os.environ[name] for name in THREADS)]
    return Ended(task.point.index, task.name, "completed", " ".join(words), 0.0)


def waits_after_the_first(task: SweepTask) -> Ended:
    if task.point.index:
        time.sleep(600)
    return told(task)


def test_a_process_that_dies_costs_its_own_point_and_another_takes_its_place() -> None:
    ended = sorted(run_in_processes(tasks(5), 2, dies_at_one), key=lambda one: one.index)
    assert [one.index for one in ended] == [0, 1, 2, 3, 4]
    assert [one.status == "completed" for one in ended] == [True, False, True, True, True]
    assert (ended[1].status, ended[1].error) == ("failed", "its process ended with exit code 9")


def test_a_process_that_dies_between_two_points_costs_none() -> None:
    ours, theirs = multiprocessing.Pipe()
    worker = processes._Worker(multiprocessing.current_process(), ours, tasks(1)[0])
    assert worker.take(tasks(2)[1]) is not None
    theirs.close()
    assert worker.take(tasks(2)[1]) is None


def test_points_share_as_many_processes_as_asked_and_each_has_one_thread_of_algebra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    ended = [one.error.split() for one in run_in_processes(tasks(6), 2, told)]
    assert len({pid for pid, *_ in ended} - {str(os.getpid())}) <= 2
    assert {tuple(threads) for _, *threads in ended} == {("1", "1", "1")}
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_processes_end_when_the_sweep_is_left_early() -> None:
    running = run_in_processes(tasks(4), 2, waits_after_the_first)
    assert next(running).index == 0
    assert multiprocessing.active_children() != []
    running.close()  # type: ignore[attr-defined]
    assert multiprocessing.active_children() == []


INTERRUPTED = """
import time
from hwloop.sweep import processes

processes._PRELOADED = ()
processes.start_server("slow")
try:
    time.sleep(30)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(not processes.FORKED, reason="there is no server of processes here")
def test_ctrl_c_while_the_server_imports_prints_no_traceback(tmp_path: Path) -> None:
    importing = tmp_path / "importing"
    (tmp_path / "slow.py").write_text(
        f"import pathlib, time\npathlib.Path({str(importing)!r}).touch()\ntime.sleep(0.3)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as run:
        give_up = time.monotonic() + 30
        while not importing.exists() and time.monotonic() < give_up:
            time.sleep(0.01)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to every process of the group
        printed, errors = run.communicate(timeout=30)
    assert importing.exists()
    assert (printed, errors) == ("interrupted\n", "")
