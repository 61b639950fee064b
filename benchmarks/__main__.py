"""Time every piece beside its peers; prints medians and ratios, asserts nothing."""

from __future__ import annotations

import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import typer

from benchmarks import bare_numpy, bench, circuit, ramps
from benchmarks.emulator import print_emulator
from benchmarks.inference import print_inference
from benchmarks.plain_loop import draw_shifts_conductance_s, train
from benchmarks.programming import print_programming
from benchmarks.replays import print_replays
from benchmarks.sweeps import print_sweeps
from benchmarks.timing import empty_folder, median_s, medians_in_turns
from hwloop.array.geometry import Geometry
from hwloop.array.operations import PulseMap
from hwloop.backend.base import Description
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import Procedure, load_procedure
from hwloop.record.header import RunHeader
from hwloop.record.writer import RecordWriter
from hwloop.steps.manhattan.train_manhattan import ManhattanSettings

PROCEDURE = Path(__file__).parents[1] / "procedures" / "manhattan_4x4.yaml"
ARRAYS = 1000
RECORDED_ROWS = 2000


def main(repeats: int = 5) -> None:
    """Time every piece ``repeats`` times and print the medians."""
    print(
        f"hwloop {version('hwloop')}, Python {platform.python_version()}, numpy {np.__version__},"
        f" {platform.machine()}, {platform.system()}; medians of {repeats}"
    )
    procedure = load_procedure(PROCEDURE)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        _print("hwloop --help, whole process", _process(["--help"]), repeats, aim_s=0.4)
        job = lambda: _command(["run", str(PROCEDURE), "--out", str(_fresh(out))])  # noqa: E731
        _print("main job, whole process, no report", job, repeats, aim_s=2.0)
        plain_s = _print(
            f"{ARRAYS} trainings, plain Python loop", lambda: _plain_loop(procedure), repeats
        )
        _print_trainings(procedure, out, plain_s, repeats)
        recorded_s = median_s(lambda: _record_rows(procedure, out), repeats)
        print(f"{'recorder, row after row':58s} {RECORDED_ROWS / recorded_s:9.0f} rows/s")
    print_replays(repeats)
    bench.main(repeats)
    ramps.main()
    print_programming(repeats)
    print_inference(repeats)
    print_sweeps()
    print_emulator(4 * repeats + 1)
    circuit.run(repeats)


def _print_trainings(procedure: Procedure, out: Path, plain_s: float, repeats: int) -> None:
    works = (lambda: _bare_numpy(procedure), lambda: _population(procedure, out))
    bare, recorded = medians_in_turns(works, repeats, clear=lambda: empty_folder(out))
    for what, taken in (("bare batched NumPy", bare), ("guard and record", recorded)):
        print(f"{f'{ARRAYS} trainings, {what}':58s} {taken}")
    print(f"{'ratio plain loop / hwloop':58s} {plain_s / recorded.wall_s:9.1f} ×")
    print(f"{'ratio hwloop / bare NumPy':58s} {recorded.beside(bare)}")


def _print(
    name: str, work: Callable[[], object], repeats: int, aim_s: float | None = None
) -> float:
    seconds = median_s(work, repeats)
    aim = f"   (aim: under {aim_s:g} s)" if aim_s else ""
    print(f"{name:58s} {seconds:9.3f} s{aim}")
    return seconds


def _command(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "hwloop.cli", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _process(arguments: list[str]) -> Callable[[], None]:
    return lambda: _command(arguments)


def _fresh(folder: Path) -> Path:
    return folder / f"{time.perf_counter_ns()}.h5"


def _table_conductance_s(procedure: Procedure) -> list[float]:
    table: list[float] = procedure.resolved["backends"]["sim"]["device"]["calibration"][
        "conductance_s"
    ]
    return table


def _plain_loop(procedure: Procedure) -> int:
    table_conductance_s = _table_conductance_s(procedure)
    rng = random.Random(procedure.seed)  # noqa: S311 - no secret is drawn
    return sum(
        train(table_conductance_s, draw_shifts_conductance_s(rng)).converged for _ in range(ARRAYS)
    )


def _bare_numpy(procedure: Procedure) -> int:
    shift_conductance_s = bare_numpy.draw_shifts_conductance_s(
        ARRAYS, np.random.default_rng(procedure.seed)
    )
    return int(
        bare_numpy.train_all(np.array(_table_conductance_s(procedure)), shift_conductance_s).sum()
    )


def _population(procedure: Procedure, folder: Path) -> None:
    run_procedure(procedure, RunOptions("sim", _fresh(folder), population=ARRAYS))


def _record_rows(procedure: Procedure, folder: Path) -> None:
    path = _fresh(folder)
    description = Description("sim", Geometry(rows=4, cols=4))
    writer = RecordWriter(path, RunHeader(path.stem, procedure, 0, None, description, "emulated"))
    settings = procedure.steps[0].settings
    assert isinstance(settings, ManhattanSettings)  # noqa: S101 - tells the type checker
    pulse = PulseMap(np.full((4, 4), settings.pulse.amplitude_v), settings.pulse.width_s)
    for _ in range(RECORDED_ROWS):
        writer.operation(pulse, None, started_s=0.0, array_time_s=0.0)
    writer.finish("completed", pulses=np.zeros((4, 4), dtype=np.int64))
    path.unlink()


if __name__ == "__main__":
    typer.run(main)
