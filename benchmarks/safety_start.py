"""Start what an incident happens to: a virtual bench, and a run on it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.traps import lay_traps
from hwloop.errors import BackendError

HWLOOP = [sys.executable, "-m", "hwloop.cli"]


@dataclass(frozen=True)
class Started:
    """A run, and our end of its terminal, if it has one."""

    process: subprocess.Popen[bytes]
    terminal: int | None = None

    def vanish(self) -> None:
        """Close the terminal: the run gets SIGHUP, and whatever it prints from now on fails."""
        if self.terminal is not None:
            os.close(self.terminal)


def prepare(station_file: Path, folder: Path, *, real_time: bool, timeout_s: float) -> Path:
    """A copy of a station with short time-outs, in ``folder``."""
    data = yaml.safe_load(station_file.read_text(encoding="utf-8"))
    for entry in data["instruments"].values():
        entry.setdefault("settings", {})["timeout_s"] = timeout_s
    virtual = data["virtual"]
    virtual["procedure"] = str((station_file.parent / virtual["procedure"]).resolve())
    virtual["real_time"] = real_time
    path = folder / station_file.name
    path.write_text(json.dumps(data), encoding="utf-8")  # JSON is YAML
    return path


def start_bench(station: Path) -> subprocess.Popen[str]:
    """Start a virtual bench, and wait until it has told its addresses."""
    server = subprocess.Popen(
        [*HWLOOP, "virtual", str(station), "--json"], stdout=subprocess.PIPE, text=True
    )
    if server.stdout is None or not server.stdout.readline():
        raise BackendError("the virtual bench did not start")
    return server


def start_run(
    command: list[str], errors: Path, *, terminal: bool = False, traps: Path | None = None
) -> Started:
    """Start a run whose errors go to a file, or to a terminal of its own.

    ``traps``: a folder that is filled with traps and becomes the working folder.
    """
    folder = Path(__file__).parents[1]
    if traps is not None:  # the installed command: `python -m` itself looks into the folder first
        folder = lay_traps(traps)
        command = [str(Path(sys.executable).with_name("hwloop")), *command[len(HWLOOP) :]]
    with errors.open("w", encoding="utf-8") as file:
        if not terminal:
            return Started(
                subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file, cwd=folder)
            )
    ours, its = pty.openpty()
    command = ["setsid", "--ctty", *command]  # in place: a child of ours leads no group
    try:
        run = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, cwd=folder)
    finally:
        os.close(its)
    return Started(run, ours)
