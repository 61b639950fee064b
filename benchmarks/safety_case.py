"""One thing that happens to a bench run, and what the virtual bench says of it afterwards."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench_history import ZERO_V, floated, hot_moves, off_after_s
from benchmarks.campaigns.records import judge
from benchmarks.safety_start import HWLOOP, Started, start_bench, start_run
from benchmarks.small_disk import fill, small_disk
from benchmarks.traps import sprung
from hwloop.errors import BackendError, RecordError
from hwloop.procedure.procedure import load_procedure
from hwloop.record.reader import Record
from hwloop.station.rendezvous import rendezvous_file
from hwloop.station.station import Station, load_station
from hwloop_drivers.safety.make_safe import ground_channels
from hwloop_drivers.safety.watchdog import report_path
from hwloop_drivers.virtual_bench import VirtualBenchLink, connect, find

RUN_S, CALM_S, START_S = 240.0, 90.0, 30.0
LOUD = "NOT EVERYTHING IS SAFE"
LATE_S = 3.0


@dataclass(frozen=True)
class Incident:
    """What happens to a run.

    ``at``: when, as a fraction of an undisturbed run (of its time for signals, of an instrument's
    messages for ``fault``); None with a signal is in the middle of a pulse. ``then``: a second
    fault of the same instrument, once the first has struck. ``dead``: it never comes back, so
    that only the others can be made safe. ``private``: the run starts its own virtual bench.
    ``twice``: the signal comes a second time, which stops a run at once. ``station``: what the
    station file is replaced by before, "" for deleted; None leaves it. ``unwatched``: the signal
    is sent to the watchdog instead of the run. ``pause_s``: after which a stopped run continues.
    ``traps``: the run's working folder has files named like the libraries that it imports.
    ``second``: a second run is started on the same station, which has to be refused.
    ``board_grounds``: a serial board grounds every line by itself while a source is still at its
    level. ``terminal``: the run has a terminal, which vanishes. ``full_disk``: the disk of its
    record has no room left.
    """

    words: str
    ends: str = "failed"
    at: float | None = None
    number: signal.Signals | None = None
    instrument: str = ""
    fault: str = ""
    then: str = ""
    dead: bool = False
    private: bool = False
    twice: bool = False
    raises: bool = False
    station: str | None = None
    unwatched: bool = False
    pause_s: float = 0.0
    traps: bool = False
    second: bool = False
    board_grounds: bool = False
    terminal: bool = False
    full_disk: bool = False

    @property
    def kills(self) -> bool:
        """Whether the run itself can do nothing any more."""
        return self.number == signal.SIGKILL and not self.unwatched

    @property
    def comes_later(self) -> bool:
        """Whether it is done to the run at its moment; else it is there, or armed, before."""
        later = (self.then, self.second, self.terminal, self.full_disk)
        return self.number is not None or any(later)

    @property
    def in_pulse(self) -> bool:
        """Whether it waits for a pulse; the bench then runs in real time."""
        return self.number is not None and self.at is None


@dataclass
class Seen:
    """What was found after the run; see :meth:`whole` for how it is judged."""

    exit_code: int
    left_on: list[str]
    line_v: float
    floating: list[str]
    floating_read: list[str]
    floating_cold: list[str]
    not_grounded: list[str]
    hot_moves: int
    off_after_s: float | None
    status: str
    operations: int
    lost_pulses: int
    said: bool
    total_s: float = 0.0
    messages: Mapping[str, int] = field(default_factory=dict)
    words: str = ""
    traps: list[str] = field(default_factory=list)
    second: str = ""
    """What is wrong with a second run; "" where it was refused and did nothing to the first."""

    def faults(self, incident: Incident) -> list[str]:
        """Everything that is not as it must be; empty if all is off and whole."""
        checks = {
            f"left on: {', '.join(self.left_on)}": not self.left_on or incident.dead,
            f"{self.line_v:g} V on a line": self.line_v <= ZERO_V,
            f"floated under voltage: {', '.join(self.floating)}": not self.floating,
            f"not grounded: {', '.join(self.not_grounded)}": not self.not_grounded or incident.dead,
            f"{self.hot_moves} relay movements under voltage": not self.hot_moves
            or incident.dead
            or incident.board_grounds,
            f"record {self.status}, not {incident.ends}": self.status == incident.ends,
            f"record has no operation of {self.operations}": self.operations > 0,
            f"{self.lost_pulses} pulses more than recorded": abs(self.lost_pulses) <= 1,
            f"ran {', '.join(self.traps)} of the working folder": not self.traps,
            "it was not said what may be left on": self.said or not incident.dead,
            self.second: not self.second,
        }
        return [words for words, holds in checks.items() if not holds]


@dataclass(frozen=True)
class Files:
    """What a run has left, and when the incident was."""

    record: Path
    errors: Path
    exit_code: int
    began_s: float

    def told(self) -> str:
        """What the user saw, and what stands beside the record."""
        report = report_path(self.record)
        beside = report.read_text(encoding="utf-8") if report.exists() else ""
        return self.errors.read_text(encoding="utf-8") + beside


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
        seen = _look(link, loaded, incident, Files(record, errors, exit_code, began_s), read_v)
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
    grounds = _grounds(station)
    end_s = time.monotonic() + CALM_S
    while time.monotonic() < end_s:
        status = link.ask("status")
        if not any(status["outputs_on"].values()) and set(status["closed"]) == grounds:
            return
        time.sleep(0.05)


def _grounds(station: Station) -> set[str]:
    return {f"{m}:{c}" for m in station.matrices for c in ground_channels(station, m)}


def _look(
    link: VirtualBenchLink, station: Station, incident: Incident, files: Files, read_v: float
) -> Seen:
    most_read_v = read_v * (1 + 1e-3)  # a generator rounds its levels to four digits
    status = link.ask("status")
    changes = link.ask("history")["changes"]
    grounds = _grounds(station)
    floats = station.scheme == "floating"
    recorded = _recorded(files.record)
    lost = np.array(status["pulses"]) - recorded.pulses
    told = files.told()
    return Seen(
        exit_code=files.exit_code,
        left_on=[name for name, on in status["outputs_on"].items() if on],
        line_v=max(abs(v) for v in status["lines_v"].values()),
        floating=[] if floats else floated(changes, above_v=most_read_v),
        floating_read=[] if floats else floated(changes, above_v=ZERO_V, up_to_v=most_read_v),
        floating_cold=status["floating"] if floats else floated(changes, up_to_v=ZERO_V),
        not_grounded=sorted(grounds ^ set(status["closed"])),
        hot_moves=hot_moves(changes),
        off_after_s=off_after_s(changes, files.began_s or status["struck_host_s"]),
        status=recorded.status,
        operations=recorded.operations,
        lost_pulses=int(lost.flat[np.abs(lost).argmax()]),
        said=LOUD in told and (not incident.dead or incident.instrument in told),
        total_s=float(status["now_s"]),
        messages=status["messages"],
        words=told,
        traps=sprung(files.record.parent / "traps"),
    )


@dataclass(frozen=True)
class Recorded:
    """What a record says of a run."""

    status: str
    operations: int
    pulses: Any


def _recorded(path: Path) -> Recorded:
    try:
        with Record(path) as record:
            for index in range(len(record)):
                record.operation(index)  # each is whole
            return Recorded(record.status, len(record), record.pulses_given())
    except RecordError as exc:
        return Recorded(f"lost: {exc}", 0, 0)
