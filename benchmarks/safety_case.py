"""Let one thing happen to a bench run, at its moment."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from benchmarks.campaigns.records import judge
from benchmarks.safety_seen import Files, Incident, Seen, grounds_of, look_at
from benchmarks.safety_start import HWLOOP, Started, start_bench, start_run
from benchmarks.small_disk import fill, small_disk
from hwloop.errors import BackendError
from hwloop.procedure.procedure import load_procedure
from hwloop.station.rendezvous import rendezvous_file
from hwloop.station.station import Station, load_station
from hwloop_drivers.virtual_bench import VirtualBenchLink, connect, find

RUN_S, CALM_S, START_S = 240.0, 90.0, 30.0
LATE_S = 3.0


def run_incident(
    station: Path, incident: Incident, folder: Path, *, usual: Seen | None, updates: int
) -> Seen:
    """Let it happen to a run on a virtual bench of its own; ``usual``: an undisturbed run."""
    with small_disk(folder / "disk") if incident.full_disk else nullcontext(folder) as disk:
        return _run_incident(station, incident, folder, disk / "run.h5", usual, updates)


def _run_incident(
    station: Path,
    incident: Incident,
    folder: Path,
    record: Path,
    usual: Seen | None,
    updates: int,
) -> Seen:
    errors = folder / "stderr.txt"
    loaded = load_station(station)
    procedure = Path(json.loads(station.read_text(encoding="utf-8"))["virtual"]["procedure"])
    read_v = load_procedure(procedure).array.read.read_v
    server = None if incident.private else start_bench(station)
    link: VirtualBenchLink | None = None
    try:
        if server is not None:
            link = _meet(lambda: find(station))
            if incident.fault:
                _arm(link, incident, usual)
        run = start_run(
            _command(incident, procedure, station, record, updates),
            errors,
            terminal=incident.terminal,
            traps=record.parent / "traps" if incident.traps else None,
        )
        link = link or _meet(lambda: _find_private(station))
        began_s = _strike(link, incident, run, station, record, usual=usual, read_v=read_v)
        second = _refused(procedure, station, folder, updates) if incident.second else ""
        exit_code = run.process.wait(timeout=RUN_S)
        if incident.kills:
            _await_calm(link, loaded)
        seen = look_at(link, loaded, incident, Files(record, errors, exit_code, began_s), read_v)
        if incident.second and not second:
            second = judge(record, folder.parent / "0" / "run.h5").departs
        return replace(seen, second=second)
    finally:
        if link is not None:
            link.close()
        if server is not None:
            server.terminate()
            server.communicate()


def _command(
    incident: Incident, procedure: Path, station: Path, record: Path, updates: int
) -> list[str]:
    """Return the command of a run, shortened to so many updates."""
    if incident.raises:
        return [
            *(sys.executable, "-m", "benchmarks.failing_run", str(procedure), str(station)),
            *(str(record), "--updates", str(updates), "--rows", str(updates // 2)),
        ]
    return [
        *(*HWLOOP, "run", str(procedure), "--backend", "bench", "--station", str(station)),
        *("--out", str(record), "--set", f"steps.0.settings.max_updates={updates}"),
    ]


def _refused(procedure: Path, station: Path, folder: Path, updates: int) -> str:
    """Start a second run on a station in use; return what is wrong with it, "" if it is refused."""
    record, errors = folder / "second.h5", folder / "second.txt"
    command = _command(Incident("a second run"), procedure, station, record, updates)
    run = start_run(command, errors)
    exit_code, said = run.process.wait(timeout=RUN_S), errors.read_text(encoding="utf-8")
    if exit_code == BackendError.exit_code and "in use" in said and "Traceback" not in said:
        return ""
    return f"the second run was not refused: exit {exit_code}"


def _find_private(station: Path) -> VirtualBenchLink | None:
    point = rendezvous_file(station)
    links = (connect(path) for path in point.parent.glob(f"{point.stem}-*.json"))
    return next((link for link in links if link is not None), None)


def _meet(look: Callable[[], VirtualBenchLink | None]) -> VirtualBenchLink:
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s:
        link = look()
        if link is not None:
            return link
        time.sleep(0.02)
    raise BackendError(f"no virtual bench within {START_S:g} s")


def _arm(link: VirtualBenchLink, incident: Incident, usual: Seen | None) -> None:
    if usual is None or incident.at is None:
        raise BackendError(f"{incident.words}: needs an undisturbed run and a moment")
    after = int(incident.at * usual.messages[incident.instrument])
    _fault(link, incident.instrument, incident.fault, after=after)


def _fault(link: VirtualBenchLink, instrument: str, kind: str, *, after: int = 0) -> None:
    fault: dict[str, object] = {"instrument": instrument, "kind": kind, "after": after}
    if kind != "ignore":
        fault["count"] = 1
    if kind == "late":
        fault["delay_s"] = LATE_S
    link.ask("fault", fault=fault)


def _strike(
    link: VirtualBenchLink,
    incident: Incident,
    run: Started,
    station: Path,
    record: Path,
    *,
    usual: Seen | None,
    read_v: float,
) -> float:
    """Send the signal, or the second fault, at its moment; the computer's time then."""
    if not incident.comes_later:
        return 0.0

    def pulsed() -> bool:
        levels_v = link.ask("now")["outputs_v"].values()
        return any(abs(v) > 2 * read_v for v in levels_v if v is not None)

    def due() -> bool:
        if incident.then:  # a pulse of the bench's own time takes none of ours: this one stands
            return pulsed() and not time.sleep(0.3) and pulsed()
        if incident.at is None or usual is None:
            return pulsed()
        return bool(link.ask("now")["now_s"] >= incident.at * usual.total_s)

    end_s = time.monotonic() + RUN_S
    while not due():
        if run.process.poll() is not None or time.monotonic() > end_s:
            raise BackendError(f"{incident.words}: the run ended before its moment came")
        time.sleep(0.002)
    _do(link, incident, run, station, record)
    struck_s = time.time()
    if incident.pause_s:
        time.sleep(incident.pause_s)
        os.kill(run.process.pid, signal.SIGCONT)
    return struck_s


def _do(
    link: VirtualBenchLink, incident: Incident, run: Started, station: Path, record: Path
) -> None:
    if incident.station is not None:
        station.unlink()
        if incident.station:
            station.write_text(incident.station, encoding="utf-8")
    if incident.second:
        return
    if incident.full_disk:
        fill(record.parent)
    elif incident.terminal:
        run.vanish()
    elif incident.number is None:
        _fault(link, incident.instrument, incident.then)
    elif incident.unwatched:
        os.kill(_watchdog_of(run), incident.number)
    else:
        for n in range(1 + incident.twice):
            time.sleep(0.05 * n)
            os.kill(run.process.pid, incident.number)


def _watchdog_of(run: Started) -> int:
    """Return the process of a run's watchdog (Linux)."""
    for number in (
        Path(f"/proc/{run.process.pid}/task/{run.process.pid}/children").read_text("ascii").split()
    ):
        if b"watchdog" in Path(f"/proc/{number}/cmdline").read_bytes():
            return int(number)
    raise BackendError("the run has no watchdog")


def _await_calm(link: VirtualBenchLink, station: Station) -> None:
    """Until the watchdog is done, or has had the time for it."""
    grounds = grounds_of(station)
    end_s = time.monotonic() + CALM_S
    while time.monotonic() < end_s:
        status = link.ask("status")
        if not any(status["outputs_on"].values()) and set(status["closed"]) == grounds:
            return
        time.sleep(0.05)
