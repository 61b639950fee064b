"""Time the list of 10,000 records: the index made anew, then whole commands that use it."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import typer

PROCEDURE = Path(__file__).parents[1] / "procedures" / "manhattan_4x4.yaml"
FOLDERS = 10
WHERE = "procedure=manhattan_4x4 seed<10 status=completed converged=true"


def main(records: int = 10_000, repeats: int = 5) -> None:
    """Print what the first list of so many records takes, and what the next ones take."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "runs"
        _make(folder, records)
        time.sleep(3)  # what has just been written is read again
        print(f"{records} records, {FOLDERS} folders, {os.cpu_count()} processors; whole commands")
        cache = Path(scratch)
        _print("hwloop runs, the index made", [_command_s(cache, folder)])
        size = sum(one.stat().st_size for one in (cache / "hwloop").iterdir())
        print(f"{'size of the index':44s} {size / 2**20:8.1f} MiB")
        options = {
            "hwloop runs": (),
            f"--where '{WHERE}' --sort epoch": ("--where", WHERE, "--sort", "epoch"),
            "--columns with a setting and a result": (
                "--columns",
                "epoch,steps.0.settings.bit_0_v",
            ),
        }
        for name, arguments in options.items():
            _print(name, [_command_s(cache, folder, *arguments) for _ in range(repeats)])


def _print(name: str, taken_s: list[tuple[float, float]]) -> None:
    wall_s, processor_s = (statistics.median(one) for one in zip(*taken_s, strict=True))
    print(f"{name:84s} {wall_s:8.2f} s, processor {processor_s:.2f} s")


def _make(folder: Path, records: int) -> None:
    """Write copies of one record with other seeds."""
    command = [sys.executable, "-m", "hwloop.cli", "run", str(PROCEDURE)]
    first = folder / "0" / "run-0.h5"
    subprocess.run([*command, "--out", str(first)], check=True, stdout=subprocess.DEVNULL)
    for number in range(1, records):
        path = folder / str(number % FOLDERS) / f"run-{number}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(first, path)
        with h5py.File(path, "r+") as file:
            file.attrs.modify("seed", number)


def _command_s(cache: Path, folder: Path, *arguments: str) -> tuple[float, float]:
    """Return the wall time and the processor time of a command and its processes, seconds."""
    began, before = time.perf_counter(), sum(os.times()[2:4])
    subprocess.run(
        [sys.executable, "-m", "hwloop.cli", "runs", str(folder), *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"XDG_CACHE_HOME": str(cache)},
    )
    return time.perf_counter() - began, sum(os.times()[2:4]) - before


if __name__ == "__main__":
    typer.run(main)
