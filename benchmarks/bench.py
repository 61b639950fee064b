"""Time a pulse-and-verify train over the network: host loop against the instrument's own list.

A virtual instrument around one emulated cell answers in a process of its own; the drivers are
the real ones. Another instrument is one more line in :data:`BOXES`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyvisa
import typer

from hwloop import plugins
from hwloop.errors import BackendError
from hwloop.plugins import BACKENDS, INSTRUMENTS
from hwloop.procedure.procedure import load_procedure
from hwloop.station.station import Station
from hwloop_drivers.links.link import LinkSettings, WireLog
from hwloop_drivers.links.opening import open_link
from hwloop_drivers.roles import SourceMeter, SourceSetup, TrainPoint

PROCEDURE = Path(__file__).parents[1] / "procedures" / "manhattan_4x4.yaml"
PULSES = 50
LATENCIES_S = (0.0, 1e-3, 20e-3)
PULSE = TrainPoint(level_v=2.0, width_s=50e-3)
VERIFY = TrainPoint(level_v=0.05, width_s=50e-3, measure=True)
READS = 500


@dataclass(frozen=True)
class Box:
    """An instrument to time. ``output``: the channel that drives."""

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    output: str = ""


BOXES = (
    Box("keithley_2400"),
    Box("keithley_2450", settings={"language": "tsp"}),
    Box("keysight_b2900"),
    Box("keithley_2600b", output="a"),
)


def main(repeats: int = 5) -> None:
    """Print round trips and times for every box and latency, and the overhead of one read."""
    for box in BOXES:
        for latency_s in LATENCIES_S:
            with _served(box, latency_s) as source:
                host_s, host_trips = _timed(source, lambda: _host_loop(source))
                box_s, box_trips = _timed(source, lambda: source.apply_train(_train()))
            name = f"{box.kind}, {PULSES} pulses, {latency_s * 1e3:g} ms latency"
            print(f"{name + ', host loop':58s} {host_s:9.3f} s {host_trips:5d} round trips")
            print(f"{name + ', in the box':58s} {box_s:9.3f} s {box_trips:5d} round trips")
            print(
                f"{'ratio host loop / in the box':58s} {host_s / box_s:9.1f} ×"
                f" {host_trips / box_trips:5.0f} × (aim: 10 × round trips)"
            )
        _print_overhead(box, repeats)


def _train() -> list[TrainPoint]:
    return [PULSE, VERIFY] * PULSES


def _host_loop(source: SourceMeter) -> None:
    """What a program does that knows of no lists: pulse, go to the read voltage, read, go back."""
    for _ in range(PULSES):
        source.apply_train([PULSE])
        source.source_voltage = VERIFY.level_v
        source.measure_current()
        source.source_voltage = 0.0


def _timed(source: SourceMeter, work: Callable[[], object]) -> tuple[float, int]:
    link = source.link  # type: ignore[attr-defined]
    began_s, before = time.perf_counter(), link.round_trips
    work()
    return time.perf_counter() - began_s, link.round_trips - before


def _print_overhead(box: Box, repeats: int) -> None:
    said: list[str] = []
    with _served(
        box, 0.0, lambda _, way, text: said.append(text) if way == ">" else None
    ) as source:
        link = source.link  # type: ignore[attr-defined]
        bare = pyvisa.ResourceManager("@py").open_resource(
            link.address, read_termination="\n", write_termination="\n"
        )
        _no_delay(bare)
        said.clear()
        source.measure_current()
        question = said[0]  # the driver's own: the box has the same work with both
        bare_s, hwloop_s = [], []
        for _ in range(repeats * READS):  # one after the other: both meet the same disturbances
            began_s = time.perf_counter()
            bare.query(question)  # type: ignore[attr-defined]
            middle_s = time.perf_counter()
            source.measure_current()
            bare_s.append(middle_s - began_s)
            hwloop_s.append(time.perf_counter() - middle_s)
        bare.close()
    one, other = statistics.median(bare_s), statistics.median(hwloop_s)
    print(f"{box.kind + ', one read, bare pyvisa query':58s} {one * 1e6:9.0f} µs")
    print(f"{box.kind + ', one read, hwloop':58s} {other * 1e6:9.0f} µs")
    print(f"{'overhead of hwloop':58s} {(other / one - 1) * 100:9.0f} %   (aim: under 20 %)")


def _no_delay(session: Any) -> None:
    """As hwloop does; else the bare query would take 44 ms."""
    import socket

    beneath = session.visalib.sessions[session.session].interface
    beneath.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@contextmanager
def _served(box: Box, latency_s: float, wire_log: WireLog | None = None) -> Iterator[SourceMeter]:
    """The driver of a virtual instrument in a process of its own, set up and switched on."""
    command = [sys.executable, "-m", "benchmarks.bench", box.kind, str(latency_s)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        if server.stdin is None or server.stdout is None:
            raise BackendError("the virtual instrument did not start")
        kind = plugins.load(INSTRUMENTS, box.kind)
        settings: LinkSettings = kind.settings.parse({"timeout_s": 60, **box.settings})
        address = server.stdout.readline().strip()
        with kind.make(open_link(address, settings, wire_log=wire_log), settings) as made:
            made.verify_identity()
            made.reset()
            source = made.outputs()[box.output]
            source.set_up(SourceSetup(range_v=2.0, compliance_a=3e-3))
            source.source_enabled = True
            yield source
        server.stdin.close()


def _serve(kind: str, latency_s: float) -> None:
    """Around one cell, until the standard input ends."""
    from hwloop_sim.virtual.bench.bench import VirtualBench

    box = next(box for box in BOXES if box.kind == kind)
    procedure = load_procedure(PROCEDURE, ["backends.sim.device.shift=null"])  # one cell alone
    array = procedure.array.model_copy(update={"rows": 1, "cols": 1})
    output = f"box.{box.output}" if box.output else "box"
    station = Station.parse(
        {
            "name": "one_cell",
            "scheme": "floating",
            "instruments": {
                "box": {"kind": kind, "address": "virtual:socket", "settings": dict(box.settings)}
            },
            "wiring": {"drive": {"rows": output}, "lines": {"row0": output, "col0": "gnd"}},
            "virtual": {"noise": False, "latency_s": latency_s},
        }
    )
    settings: Any = procedure.backend_settings(plugins.load(BACKENDS, "sim"))
    bench = VirtualBench(station, array, settings, seed=procedure.seed)
    bench.start()
    print(bench.addresses["box"], flush=True)
    sys.stdin.read()
    bench.stop()


if __name__ == "__main__":
    typer.run(_serve)
