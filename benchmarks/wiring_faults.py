"""Let a wire or a relay go wrong in mid-training, and count the operations until the run notices.

``python -m benchmarks.wiring_faults`` does so on every virtual station that ships; exit code 1
where a fault is not noticed within :data:`MOST` operations, or another line is named.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import typer

from hwloop.array.operations import Operation, PulseMap, ReadMap
from hwloop.backend.kind import OpenRequest
from hwloop.errors import InstrumentFault
from hwloop.procedure.procedure import Procedure, load_procedure
from hwloop.station.rendezvous import rendezvous_file
from hwloop.station.station import Station, load_station
from hwloop_drivers.bench.backend import Bench
from hwloop_drivers.bench.open import BenchSettings, open_bench
from hwloop_sim.emulator.backend import SIM
from hwloop_sim.virtual.bench.bench import VirtualBench
from hwloop_sim.virtual.bench.control import serve_control
from hwloop_sim.virtual.bench.faults import Fault

ROOT = Path(__file__).parents[1]
PROCEDURE = ROOT / "procedures" / "manhattan_4x4.yaml"
STATIONS = sorted((ROOT / "stations").glob("virtual_*.yaml"))
BEFORE = 7  # operations before the fault: the first map, and three updates
MOST = 40


@dataclass(frozen=True)
class Incident:
    """A fault of the wiring, and the lines of which one has to be named."""

    words: str
    fault: Fault
    named: tuple[str, ...]


def main(only: str = "") -> None:
    """Print for each station and fault when it was noticed; ``only``: stations with this name."""
    missed = 0
    for path in STATIONS:
        if only not in path.stem:
            continue
        print(f"\n{path.stem}")
        for incident in incidents(load_station(path)):
            operations, message = until_noticed(path, incident)
            right = operations <= MOST and any(line in message for line in incident.named)
            missed += not right
            print(f"  {incident.words:34} after {operations:2} operations: {message or 'NOT SEEN'}")
    sys.exit(1 if missed else 0)


def incidents(station: Station) -> Iterator[Incident]:
    """Yield every kind of fault, of a row and of a column."""
    drive = station.wiring.drive
    for line, output in (("row2", drive.rows), ("col1", drive.columns or "gnd")):
        yield Incident(f"lead of {line} breaks", Fault(kind="break", line=line), (line,))
        for end, where in ((output, "output"), ("gnd", "ground")):
            wires = [w for w in station.wires() if w.line == line and w.output == end]
            for kind in ("stick_open", "stick_closed"):
                fault = Fault.parse(
                    {"kind": kind, "instrument": wires[0].matrix, "channel": wires[0].channel}
                )
                words = f"{line}, {where}: relay {kind.replace('stick_', 'sticks ')}"
                yield Incident(words, fault, (line,))
    for one, other in (("row1", "row3"), ("col0", "col2"), ("row1", "col2")):
        fault = Fault(kind="exchange", line=one, other=other)
        yield Incident(f"leads of {one} and {other} exchanged", fault, (one, other))


def until_noticed(station: Path, incident: Incident) -> tuple[int, str]:
    """Return after how many operations a training was ended, and by what message."""
    procedure = load_procedure(PROCEDURE)
    with _benches(station, procedure) as (bench, virtual):
        for number, operation in enumerate(_training(procedure)):
            if number == BEFORE:
                virtual.add_fault(incident.fault)
            try:
                bench.perform(operation)
            except InstrumentFault as exc:
                return number - BEFORE + 1, str(exc)
            if number > BEFORE + MOST:
                break
    return MOST + 1, ""


def _training(procedure: Procedure) -> Iterator[Operation]:
    """Yield a map, then pulses of every cell and a map in turn."""
    array = procedure.array
    read = ReadMap.every_cell(
        array.geometry.shape, read_v=array.read.read_v, both_polarities=array.read.both_polarities
    )
    rng = np.random.default_rng(1)
    while True:
        yield read
        signs = rng.choice([-1.0, 1.0], array.geometry.shape)
        yield PulseMap(0.8 * signs, 10e-3)


@contextmanager
def _benches(station: Path, procedure: Procedure) -> Iterator[tuple[Bench, VirtualBench]]:
    """Serve a virtual bench in this process, and open the bench that finds it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "station.yaml"
        text = station.read_text(encoding="utf-8")
        path.write_text(text.replace("../procedures", PROCEDURE.parent.as_posix()), "utf-8")
        settings = procedure.backend_settings(SIM)
        virtual = VirtualBench(load_station(path), procedure.array, settings, seed=procedure.seed)
        virtual.start()
        control, stop = serve_control(virtual, threading.Event())
        found = {"station": str(path), "addresses": virtual.addresses, "control": control}
        rendezvous_file(path).write_text(json.dumps(found), encoding="utf-8")
        request = OpenRequest(
            procedure.array, None, np.random.default_rng(0), procedure=procedure.resolved
        )
        try:
            with open_bench(BenchSettings(station=path), request) as bench:
                yield bench, virtual
        finally:
            rendezvous_file(path).unlink()
            virtual.stop()
            stop()


if __name__ == "__main__":
    typer.run(main)
