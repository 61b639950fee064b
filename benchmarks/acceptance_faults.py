"""Try ``hwloop accept`` on virtual benches with one rule broken or one relay stuck.

``python -m benchmarks.acceptance_faults [--only TEXT] [--station NAME] [--whole]`` breaks one rule
after the other on a bench that is served in this process, runs the tests that are to find it (with
``--whole`` all of them), and prints whether it was found and by what name. First the unbroken bench
has to pass. The exit code is 1 where a fault was not found, or another instrument or line named.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
import yaml

from benchmarks.broken_boxes.fault import BrokenBox
from benchmarks.broken_boxes.kinds import kinds
from hwloop.procedure.procedure import load_procedure
from hwloop.station.rendezvous import rendezvous_file
from hwloop.station.station import load_station
from hwloop_drivers.acceptance.checks.watchdog import HOLDER
from hwloop_drivers.acceptance.hosting import StationOnTrial, station_on_trial
from hwloop_drivers.acceptance.run import TESTS, run_acceptance
from hwloop_sim.emulator.backend import SIM
from hwloop_sim.virtual.bench.bench import VirtualBench
from hwloop_sim.virtual.bench.control import serve_control

ROOT = Path(__file__).parents[1]
PROCEDURE = ROOT / "procedures" / "manhattan_4x4.yaml"
UNWATCHED = (sys.executable, "-m", "benchmarks.broken_boxes.unwatched")
TIMEOUT_S = 1.0  # of the links
UNBROKEN = BrokenBox("nothing is broken", lambda _: None, (), TESTS)


def main(
    only: Annotated[str, typer.Option(help="Faults whose name has this text.")] = "",
    station: Annotated[str, typer.Option(help="A shipped virtual station.")] = "virtual_4x4",
    whole: Annotated[bool, typer.Option("--whole", help="Run every test on each.")] = False,
) -> None:
    """Print the table of faults, found or not."""
    file = ROOT / "stations" / f"{station}.yaml"
    missed = 0
    for broken in [UNBROKEN, *kinds(load_station(file))]:
        if only not in broken.name:
            continue
        began_s = time.monotonic()
        found, named = tried(file, broken, TESTS if whole else broken.checks)
        right = bool(named) if broken.named else not found
        missed += not right
        verdict = "as it must be" if right else "NOT FOUND" if not found else "OTHERWISE NAMED"
        first = (named or found or ["nothing out of tolerance"])[0]
        duration_s = time.monotonic() - began_s
        print(
            f"{broken.name:58} {len(found):3} {duration_s:4.0f} s  {verdict}: {first}", flush=True
        )
    sys.exit(1 if missed else 0)


def tried(file: Path, broken: BrokenBox, checks: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return everything that is out of tolerance, and what of it names the fault."""
    holder = UNWATCHED if broken.unwatched else HOLDER
    with broken_bench(file, broken) as on_trial:
        record = run_acceptance(on_trial, checks=checks, holder=holder)
    found = [str(finding) for finding in record.failed]
    return found, [text for text in found if any(name in text for name in broken.named)]


@contextmanager
def broken_bench(file: Path, broken: BrokenBox) -> Iterator[StationOnTrial]:
    """Serve a bench of a shipped station in this process, break it, and give it to the test."""
    procedure = load_procedure(PROCEDURE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "station.yaml"
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
        data["virtual"]["procedure"] = str(PROCEDURE)
        for entry in data["instruments"].values():
            entry.setdefault("settings", {})["timeout_s"] = TIMEOUT_S
        path.write_text(json.dumps(data), encoding="utf-8")  # JSON is YAML
        settings = procedure.backend_settings(SIM)
        bench = VirtualBench(
            load_station(path), procedure.array, settings, seed=procedure.seed, dummy=True
        )
        broken.apply(bench)
        bench.start()
        control, stop = serve_control(bench, threading.Event())
        said = {"station": str(path), "addresses": bench.addresses, "control": control}
        rendezvous_file(path).write_text(json.dumps(said), encoding="utf-8")
        try:
            with station_on_trial(path, resistors=None, witness=None) as on_trial:
                yield on_trial
        finally:
            rendezvous_file(path).unlink(missing_ok=True)
            bench.stop()
            stop()


if __name__ == "__main__":
    typer.run(main)
