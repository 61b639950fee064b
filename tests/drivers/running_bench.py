"""A virtual bench in the test's own process, found by runs as one that was started by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from hwloop.execution.open_run import RunResult
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import Procedure
from hwloop.station.rendezvous import leave_rendezvous, rendezvous_file
from hwloop.station.station import load_station
from hwloop_sim.emulator.backend import SIM
from hwloop_sim.virtual.bench.bench import VirtualBench
from hwloop_sim.virtual.bench.control import serve_control

ROOT = Path(__file__).parents[2]
PROCEDURE = ROOT / "procedures" / "manhattan_4x4.yaml"
STATIONS = sorted((ROOT / "stations").glob("virtual_*.yaml"))


def copy_station(station: Path, folder: Path, **replaced: str) -> Path:
    """A station file of the test's own: no other run meets it."""
    text = station.read_text(encoding="utf-8").replace("../procedures", PROCEDURE.parent.as_posix())
    for old, new in replaced.items():
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "station.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def run_hosted(
    procedure: Procedure, station_file: Path, backend: str, out: Path, **options: Any
) -> RunResult:
    """Run a procedure; on the bench, with that of the station in this process."""
    with running_bench(station_file, procedure) if backend == "bench" else nullcontext():
        return run_procedure(procedure, RunOptions(backend, out, **options))


@contextmanager
def running_bench(
    station_file: Path, procedure: Procedure, *, dummy: bool = False
) -> Iterator[VirtualBench]:
    """The bench of a station, serving, with the array of a procedure or its dummy."""
    settings = procedure.backend_settings(SIM)
    bench = VirtualBench(
        load_station(station_file), procedure.array, settings, seed=procedure.seed, dummy=dummy
    )
    bench.start()
    control, stop_control = serve_control(bench, threading.Event())
    said = {"station": str(station_file), "addresses": bench.addresses, "control": control}
    leave_rendezvous(rendezvous_file(station_file), said)
    try:
        yield bench
    finally:
        rendezvous_file(station_file).unlink()
        bench.stop()
        stop_control()


class NoWatchdog:
    """In the place of the process that watches a bench, where the bench ends with its test."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def on_end(self, call: Callable[[], None]) -> None: ...

    def check(self) -> None: ...

    def expect(self, within_s: float) -> None: ...

    def begin(self) -> None: ...

    def idle(self) -> None: ...

    def making_safe(self) -> None: ...

    def safe(self) -> None: ...

    def release(self, *, safe: bool) -> None:
        assert safe
