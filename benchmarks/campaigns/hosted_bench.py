"""A virtual bench in the campaign's own process, which runs take for a real one.

The station file that a run is given names the addresses of the servers, not virtual ones, so that
hwloop knows nothing of the bench behind them; its state is asked from the bench object itself.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from hwloop.procedure.procedure import load_procedure
from hwloop.station.station import Station, load_station
from hwloop_drivers.child_process import PYTHON
from hwloop_drivers.safety.make_safe import ground_channels
from hwloop_sim.emulator.backend import SIM
from hwloop_sim.virtual.bench.bench import VirtualBench

ROOT = Path(__file__).parents[2]
PROCEDURE = ROOT / "procedures" / "manhattan_4x4.yaml"
ZERO_V = 1e-9
POLL_S = 0.02


@dataclass(frozen=True)
class HostedBench:
    """A bench that is served here; ``station_file`` leads a run to it."""

    bench: VirtualBench
    station: Station
    station_file: Path

    def alarms(self) -> list[str]:
        """Return what is not off, not at 0 V or not grounded now; empty where all is safe.

        The grounds count once an output has been on: before that nobody has closed them.
        """
        status = self.bench.status()
        found = [f"{name} on" for name, on in status["outputs_on"].items() if on]
        found += [
            f"{volts:.3g} V on {line}"
            for line, volts in status["lines_v"].items()
            if abs(volts) > ZERO_V
        ]
        grounds = {
            f"{m}:{c}" for m in self.station.matrices for c in ground_channels(self.station, m)
        }
        if self.was_on:
            found += [f"{one} not as it grounds" for one in grounds ^ set(status["closed"])]
        return found

    @property
    def was_on(self) -> bool:
        """Get whether any output has ever been on."""
        with self.bench.lock:
            changes = list(self.bench.circuit.changes)
        return any(v is not None for change in changes for v in change.outputs_v.values())

    def standing_v(self) -> float:
        """Return the largest voltage of any line now, volts."""
        volts = self.bench.status()["lines_v"].values()
        return max((abs(v) for v in volts), default=0.0)

    def await_safe(self, bound_s: float) -> float:
        """Wait until nothing alarms; return how long it took, or ``inf`` beyond ``bound_s``."""
        began_s = time.monotonic()
        while self.alarms():
            if time.monotonic() - began_s > bound_s:
                return float("inf")
            time.sleep(POLL_S)
        return time.monotonic() - began_s


@contextmanager
def hosted(
    station_file: Path,
    folder: Path,
    *,
    timeout_s: float,
    latency_s: float = 0.0,
    through: Callable[[str, str], str] = lambda _, address: address,
) -> Iterator[HostedBench]:
    """Serve the virtual bench of a station, and write the station file of a real one.

    ``timeout_s``: of the links. ``latency_s``: of every answer. ``through``: is given name and
    address of each instrument, and returns the address at which runs reach it.
    """
    data = yaml.safe_load(station_file.read_text(encoding="utf-8"))
    data["virtual"] |= {"procedure": str(PROCEDURE), "noise": False, "latency_s": latency_s}
    virtual_file = folder / "virtual.yaml"
    virtual_file.write_text(json.dumps(data), encoding="utf-8")  # JSON is YAML
    station, procedure = load_station(virtual_file), load_procedure(PROCEDURE)
    settings = procedure.backend_settings(SIM)
    bench = VirtualBench(station, procedure.array, settings, seed=procedure.seed)
    bench.start()
    try:
        for name, address in bench.addresses.items():
            entry = data["instruments"][name]
            entry["address"] = through(name, address)
            entry.setdefault("settings", {})["timeout_s"] = timeout_s
        if "witness" in data:
            data["witness"]["address"] = bench.witness_address
        del data["virtual"]
        path = folder / "station.yaml"
        path.write_text(json.dumps(data), encoding="utf-8")
        yield HostedBench(bench, station, path)
    finally:
        bench.stop()


def start_run(
    procedure: Path, record: Path, errors: Path, *options: str, station: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start ``hwloop run`` in a process of its own; its standard error goes to a file."""
    command = [*PYTHON, "-m", "hwloop.cli", "run", str(procedure), "--out", str(record), *options]
    if station is None:
        command += ["--backend", "sim"]
    else:
        command += ["--backend", "bench", "--station", str(station)]
    with errors.open("wb") as file:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file, cwd=ROOT
        )


def end_run(run: subprocess.Popen[bytes], bound_s: float) -> int | None:
    """Wait for the end of a run; kill it beyond ``bound_s`` and return None."""
    try:
        return run.wait(timeout=bound_s)
    except subprocess.TimeoutExpired:
        run.kill()
        run.wait()
        return None


def watchdog_of(run: subprocess.Popen[bytes]) -> int | None:
    """Return the process of a run's watchdog (Linux); None before it has one."""
    try:
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text("ascii").split()
        for number in children:
            if b"watchdog" in Path(f"/proc/{number}/cmdline").read_bytes():
                return int(number)
    except OSError:
        pass
    return None
