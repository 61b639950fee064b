"""Time a sweep of 100 points in one process and in two."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from hwloop.sweep.runner import SweepOptions, prepare, run_tasks

PROCEDURE = Path(__file__).parents[1] / "procedures" / "program_verify_8x8.yaml"
POINTS = 100


def print_sweeps() -> None:
    """Print what each takes, the start of the processes included, and the ratio."""
    taken_s = {workers: _swept_s(workers) for workers in (1, 2)}
    for workers, seconds in taken_s.items():
        name = (
            f"{POINTS} points of {PROCEDURE.stem}, {workers} process{'es' if workers > 1 else ''}"
        )
        print(f"{name:64s} {seconds:9.1f} s, {seconds / POINTS * 1e3:.0f} ms a point")
    print(f"{'ratio one process / two':64s} {taken_s[1] / taken_s[2]:9.2f} ×")


def _swept_s(workers: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        options = SweepOptions(PROCEDURE, Path(folder), "sim", workers=workers)
        began = time.perf_counter()
        prepared = prepare(options, [f"seed=0:{POINTS}"])
        ended = list(run_tasks(prepared.tasks, options))
        seconds = time.perf_counter() - began
    if len(ended) != POINTS or any(one.status != "completed" for one in ended):
        raise SystemExit(f"a point did not end as it should: {ended[:3]}")
    return seconds


if __name__ == "__main__":
    print_sweeps()
