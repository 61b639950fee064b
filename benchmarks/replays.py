"""Replays beside the runs that they replay: processor time of both, and their ratio."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hwloop.execution.reproduce import reproduce
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure

_PROCEDURES = Path(__file__).parents[1] / "procedures"
_CASES = (("manhattan_4x4", None), ("manhattan_4x4", 1000), ("program_verify_8x8", None))


def print_replays(repeats: int) -> None:
    """Print for each case the shortest run and replay of ``repeats``, and their ratio."""
    for name, population in _CASES:
        with tempfile.TemporaryDirectory() as folder:
            runs, replays = zip(
                *(_both(name, population, Path(folder) / f"{n}.h5") for n in range(repeats)),
                strict=True,
            )
        arrays = f", {population} arrays" if population else ""
        print(f"{f'ratio replay / run, {name}{arrays}':58s} {min(replays) / min(runs):9.2f} ×")


def _both(name: str, population: int | None, path: Path) -> tuple[float, float]:
    procedure = load_procedure(_PROCEDURES / f"{name}.yaml")
    options = RunOptions("sim", path, population=population)
    return _seconds(lambda: run_procedure(procedure, options)), _seconds(lambda: reproduce(path))


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
