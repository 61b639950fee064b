"""What can happen to a bench run, and what the virtual bench and the record say afterwards."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench_history import ZERO_V, floated, hot_moves, off_after_s
from benchmarks.traps import sprung
from hwloop.errors import RecordError
from hwloop.record.reader import Record
from hwloop.station.station import Station
from hwloop_drivers.safety.make_safe import ground_channels
from hwloop_drivers.safety.watchdog import report_path
from hwloop_drivers.virtual_bench import VirtualBenchLink

LOUD = "NOT EVERYTHING IS SAFE"


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


def grounds_of(station: Station) -> set[str]:
    """Return the channels of every matrix that ground lines."""
    return {f"{m}:{c}" for m in station.matrices for c in ground_channels(station, m)}


def look_at(
    link: VirtualBenchLink, station: Station, incident: Incident, files: Files, read_v: float
) -> Seen:
    """Return what is left of a run: on the bench, in its record and in what the user was told."""
    most_read_v = read_v * (1 + 1e-3)  # a generator rounds its levels to four digits
    status = link.ask("status")
    changes = link.ask("history")["changes"]
    grounds = grounds_of(station)
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
