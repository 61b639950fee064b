"""Time a sweep of 100 points of about a second each in one process and in two."""

from __future__ import annotations

import os
import tempfile
import time
from multiprocessing import forkserver
from pathlib import Path

import typer

from hwloop.sweep.runner import SweepOptions, prepare, run_tasks

PROCEDURE = Path(__file__).parents[1] / "procedures" / "endurance_8x8.yaml"
OVERRIDES = ("steps.0.settings.cycles=1000",)
POINTS = 100


def print_sweeps(points: int = POINTS) -> None:
    """Print what each takes, the start of the processes included, and the ratio.

    And the processor time: on a machine that does other work the two differ, and the processor
    time alone says what two processes cost more than one.
    """
    taken_s = {workers: _swept_s(workers, points) for workers in (1, 2)}
    for workers, (seconds, processor_s) in taken_s.items():
        name = (
            f"{points} points of {PROCEDURE.stem}, {workers} process{'es' if workers > 1 else ''}"
        )
        print(
            f"{name:64s} {seconds:9.1f} s, {seconds / points * 1e3:.0f} ms a point;"
            f" processor {processor_s:.1f} s"
        )
    print(f"{'ratio one process / two':64s} {taken_s[1][0] / taken_s[2][0]:9.2f} ×")


def _swept_s(workers: int, points: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        options = SweepOptions(PROCEDURE, Path(folder), "sim", workers=workers)
        began, used = time.perf_counter(), _processor_s()
        prepared = prepare(options, [f"seed=0:{points}"], OVERRIDES)
        ended = list(run_tasks(prepared.tasks, options))
        # What its processes took is counted once the server that forked them has been waited for.
        forkserver._forkserver._stop()  # type: ignore[attr-defined]  # noqa: SLF001
        seconds, processor_s = time.perf_counter() - began, _processor_s() - used
    if len(ended) != points or any(one.status != "completed" for one in ended):
        raise SystemExit(f"a point did not end as it should: {ended[:3]}")
    return seconds, processor_s


def _processor_s() -> float:
    """Return the processor time of this process and of those that it has waited for, seconds."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    typer.run(print_sweeps)
