"""How runs end: each procedure that ships on each virtual station that ships, again and again.

``python -m benchmarks.outcomes`` runs each procedure that a station can do (``hwloop check`` says
so) with the seeds 1 to ``--times``, each over real drivers on a virtual bench of its own that is as
noisy as real instruments, and prints a table. A run that ends with an error has failed; one that
comes to its end without its aim has not converged, which is a result. The exit code is 1 if any has
failed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.safety import ROOT, stations_with_bench
from hwloop.errors import NotConverged
from hwloop.station.station import load_station

HWLOOP = (sys.executable, "-P", "-m", "hwloop.cli")
COMPLETED, NOT_CONVERGED, FAILED = "completed", "not converged", "failed"
HEAD = (
    "| procedure | station | runs | completed | not converged | failed | median | first error |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |"
)


@dataclass
class Outcomes:
    """How the runs of one procedure on one station have ended."""

    procedure: Path
    station: Path
    ends: Counter[str] = field(default_factory=Counter)
    times_s: list[float] = field(default_factory=list)
    error: str = ""

    def row(self) -> str:
        """Return the row of the table."""
        counts = [str(self.ends[end]) for end in (COMPLETED, NOT_CONVERGED, FAILED)]
        median_s = sorted(self.times_s)[len(self.times_s) // 2]
        cells = [self.procedure.stem, self.station.stem, str(self.ends.total()), *counts]
        return f"| {' | '.join([*cells, f'{median_s:.0f} s', self.error or '–'])} |"


def procedures() -> list[Path]:
    """Every procedure that ships, but for those of networks, which are larger than any station."""
    return sorted((ROOT / "procedures").glob("*.yaml"))


def possible(procedure: Path, station: Path) -> bool:
    """Return whether a station can do a procedure, as ``hwloop check`` says."""
    done = _hwloop("check", procedure, station, 120.0)
    return done is not None and done.returncode == 0


def try_once(
    procedure: Path, station: Path, *, seed: int, bound_s: float, outcomes: Outcomes
) -> None:
    """Run once, and count how it has ended; one that lasts longer than ``bound_s`` has failed."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        more = ("--out", f"{folder}/run.h5", "--set", f"seed={seed}")
        done = _hwloop("run", procedure, station, bound_s, *more)
    outcomes.times_s.append(time.monotonic() - began_s)
    if done is None:
        end, said = FAILED, f"not ended after {bound_s:g} s"
    elif done.returncode in {0, NotConverged.exit_code}:
        end, said = (NOT_CONVERGED if done.returncode else COMPLETED), ""
    else:
        end, said = FAILED, (done.stderr.strip().splitlines() or [""])[-1]
    outcomes.ends[end] += 1
    if said and not outcomes.error:
        outcomes.error = f"seed {seed}, exit {'–' if done is None else done.returncode}: {said}"


def _hwloop(
    command: str, procedure: Path, station: Path, bound_s: float, *more: str
) -> subprocess.CompletedProcess[str] | None:
    where = ("--backend", "bench", "--station", str(station))
    try:
        return subprocess.run(
            [*HWLOOP, command, str(procedure), *where, *more],
            capture_output=True,
            text=True,
            timeout=bound_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None


def try_all(
    pairs: list[tuple[Path, Path]], *, times: int, bound_s: float, at_once: int
) -> Iterator[Outcomes]:
    """Yield the outcomes of each pair of procedure and station when its runs have ended."""
    with ThreadPoolExecutor(at_once) as pool:
        for procedure, station in pairs:
            if not possible(procedure, station):
                continue
            outcomes = Outcomes(procedure, station)
            runs = [
                pool.submit(
                    try_once, procedure, station, seed=seed, bound_s=bound_s, outcomes=outcomes
                )
                for seed in range(1, times + 1)
            ]
            for run in runs:
                run.result()
            yield outcomes


def main(
    times: Annotated[int, typer.Option(min=1, help="Runs of each, with seeds from 1.")] = 20,
    only: Annotated[str, typer.Option(help="Procedures with this in their name.")] = "",
    on: Annotated[str, typer.Option(help="Stations with this in their name.")] = "",
    bound_s: Annotated[float, typer.Option(help="The longest that a run may take.")] = 600.0,
    at_once: Annotated[int, typer.Option(min=1, help="Runs at the same time.")] = 1,
) -> None:
    """Run every procedure on every station and print how the runs have ended."""
    pairs = [
        (procedure, station)
        for procedure in procedures()
        for station in stations_with_bench()
        if only in procedure.stem and on in load_station(station).name
    ]
    print(HEAD, flush=True)
    failed = 0
    for outcomes in try_all(pairs, times=times, bound_s=bound_s, at_once=at_once):
        print(outcomes.row(), flush=True)
        failed += outcomes.ends[FAILED]
    raise typer.Exit(1 if failed else 0)


if __name__ == "__main__":
    typer.run(main)
