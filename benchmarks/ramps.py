"""Time a ramp of one cell on a virtual bench: inside the instrument against pulses and reads.

The bench of a station answers in a process of its own, over sockets; the drivers are the real ones.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import typer

from hwloop.array.operations import Ramp, Reading
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.kind import OpenRequest
from hwloop.procedure.procedure import load_procedure
from hwloop_drivers.bench.backend import Bench
from hwloop_drivers.bench.open import BenchSettings, open_bench

ROOT = Path(__file__).parents[1]
PROCEDURE = ROOT / "procedures" / "manhattan_4x4.yaml"
STATION = ROOT / "stations" / "virtual_2602b_707b.yaml"
LATENCIES_S = (0.0, 1e-3, 20e-3)
PULSES = 50


def main() -> None:
    """Print round trips and times for every latency."""
    for latency_s in LATENCIES_S:
        with _bench(latency_s) as bench:
            bench.ramp(_ramp())  # routed once: both meet the same relays
            host_s, host_trips, one = _timed(bench, CrossbarBackend.ramp)
            box_s, box_trips, other = _timed(bench, Bench.ramp)
        if not (one.complete and other.complete):
            raise RuntimeError("a read of the ramp was over range or at compliance")
        name = f"2602B bench, ramp of {PULSES} pulses, {latency_s * 1e3:g} ms latency"
        print(f"{name + ', pulses and reads':64s} {host_s:9.3f} s {host_trips:5d} round trips")
        print(f"{name + ', in the box':64s} {box_s:9.3f} s {box_trips:5d} round trips")
        print(
            f"{'ratio':64s} {host_s / box_s:9.1f} × {host_trips / box_trips:5.0f} ×"
            " (aim: 10 × round trips)"
        )


def _ramp() -> Ramp:
    """From 0.6 V in steps of 10 mV, towards a current that is not reached."""
    cell = np.zeros((4, 4))
    cell[1, 2] = 1.0
    return Ramp(
        start_v=0.6 * cell,
        step_v=0.01 * cell,
        width_s=2e-3,
        steps=PULSES,
        read_v=0.05,
        low_a=np.full((4, 4), 1.0),
        high_a=np.full((4, 4), np.inf),
        both_polarities=True,
    )


def _timed(bench: Bench, work: Callable[[Bench, Ramp], Reading]) -> tuple[float, int, Reading]:
    ramp = _ramp()
    began_s, before = time.perf_counter(), bench.round_trips
    reading = work(bench, ramp)
    return time.perf_counter() - began_s, bench.round_trips - before, reading


@contextmanager
def _bench(latency_s: float) -> Iterator[Bench]:
    overrides = ["backends.sim.device={model: linear_ion_drift}", "array.limits.current_a=0.1"]
    procedure = load_procedure(PROCEDURE, overrides)
    request = OpenRequest(
        procedure.array, None, np.random.default_rng(0), procedure=procedure.resolved
    )
    with tempfile.TemporaryDirectory() as folder:
        station = Path(folder) / "station.yaml"
        text = STATION.read_text("utf-8").replace("../procedures", PROCEDURE.parent.as_posix())
        text = text.replace(
            "virtual:\n  procedure", f"virtual:\n  latency_s: {latency_s}\n  procedure"
        )
        station.write_text(text, encoding="utf-8")
        with open_bench(BenchSettings(station=station), request) as bench:
            yield bench


if __name__ == "__main__":
    typer.run(main)
