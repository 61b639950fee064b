"""Kill runs at random moments, and judge what they leave.

``python -m benchmarks.kills [--runs 300] [--seed 1] [--first 0]``: emulated runs and runs on
virtual benches are killed, stopped, interrupted or lose their watchdog at a moment drawn over their
whole length. The record has to be readable and a prefix, bit by bit, of the undisturbed run's;
every output off and every line grounded within a bound, as the virtual bench itself says. Every
finding is printed with its number; ``--first N --runs 1`` repeats it. The exit code is 1 if there
is any. Linux only.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.campaigns.hosted_bench import (
    ROOT,
    HostedBench,
    end_run,
    hosted,
    start_run,
    watchdog_of,
)
from benchmarks.campaigns.records import Judged, judge

EMULATED = ("manhattan_4x4", "manhattan_4x4_noisy", "program_verify_8x8", "retention_8x8")
STATIONS = (
    "virtual_4x4",
    "virtual_2602b_707b",
    "virtual_2450_33500b_3706a",
    "virtual_serial_board",
)
UPDATES = "steps.0.settings.max_updates=3"
TIMEOUT_S = 2.0
SAFE_S = 10.0
"""Bound within which the watchdog has to make the bench safe after a run was killed."""
STANDSTILL_S = 2 * TIMEOUT_S + 10.0 + SAFE_S
"""Bound within which no level stands any more after a run was stopped: the time it announced for
the message under way, the watchdog's margin, and making safe."""
HANG_S = 120.0
STOPS = {"SIGSTOP", "SIGTSTP"}


@dataclass(frozen=True)
class Way:
    """One way in which a run is ended.

    ``watchdog``: whether it is done to the run's watchdog instead. ``twice``: the signal comes a
    second time. ``ends``: the statuses that a record may have after it; a run that had come to its
    end before is "completed" after any.
    """

    name: str
    signal: signal.Signals
    ends: tuple[str, ...]
    watchdog: bool = False
    twice: bool = False

    @property
    def kills(self) -> bool:
        """Whether the run can do nothing after it."""
        return self.signal in {signal.SIGKILL, signal.SIGQUIT} and not self.watchdog


KILLED, STOPPED = ("interrupted",), ("stopped", "interrupted")
WAYS = (
    *[Way("SIGKILL", signal.SIGKILL, KILLED)] * 4,
    *[Way("SIGTERM", signal.SIGTERM, STOPPED)] * 2,
    Way("SIGTERM twice", signal.SIGTERM, STOPPED, twice=True),
    *[Way("SIGINT", signal.SIGINT, STOPPED)] * 2,
    Way("SIGINT twice", signal.SIGINT, STOPPED, twice=True),
    *[Way("SIGHUP", signal.SIGHUP, STOPPED)] * 2,
    Way("SIGQUIT", signal.SIGQUIT, KILLED),
    Way("SIGSTOP", signal.SIGSTOP, ("failed",)),
    Way("SIGTSTP", signal.SIGTSTP, ("failed",)),
    Way("watchdog SIGKILL", signal.SIGKILL, ("failed",), watchdog=True),
    Way("watchdog SIGSTOP", signal.SIGSTOP, ("failed",), watchdog=True),
)
"""Each as often as it is drawn."""


@dataclass(frozen=True)
class Attempt:
    """One run that is ended: ``place`` is an emulated procedure or a station.

    ``at``: 0 where the record is begun, 1 where the run ends by itself; below 0 while it starts.
    """

    number: int
    place: str
    way: Way
    at: float

    @property
    def on_bench(self) -> bool:
        """Whether it runs on a virtual bench."""
        return self.place in STATIONS

    def __str__(self) -> str:
        return f"{self.number}: {self.place}, {self.way.name} at {self.at:.3f} of the run"


def attempt_of(number: int, seed: int) -> Attempt:
    """Draw the attempt of a number: two of three on a bench, the start and the end included."""
    draw = random.Random(f"{seed}-{number}")  # noqa: S311 - no secret
    place = draw.choice(STATIONS if draw.random() < 2 / 3 else EMULATED)
    ways = [way for way in WAYS if not way.watchdog or place in STATIONS]
    return Attempt(number, place, draw.choice(ways), draw.uniform(-0.1, 1.05))


@dataclass(frozen=True)
class Usual:
    """The undisturbed run: its record, when that was begun, and how long the run took."""

    record: Path
    begun_s: float
    duration_s: float


@dataclass
class Left:
    """What an ended run has left.

    ``safe_s``: from the end of the run until the bench was safe, seconds; None where it was safe by
    then.
    """

    exit_code: int | None
    judged: Judged
    errors: str
    safe_s: float | None = None
    alarms: list[str] = field(default_factory=list)

    def findings(self, attempt: Attempt) -> list[str]:
        """Return everything that is not as it must be."""
        status, ends = self.judged.status, ("none", "completed", *attempt.way.ends)
        checks = {
            f"still running after {HANG_S:g} s": self.exit_code is not None,
            f"record cannot be read: {self.judged.unreadable}": not self.judged.unreadable,
            f"record departs at {self.judged.departs}": not self.judged.departs,
            f"record is {status}": status in ends or bool(self.judged.unreadable),
            f"left {', '.join(self.alarms)}": not self.alarms,
            "traceback": "Traceback" not in self.errors,
        }
        return [words for words, holds in checks.items() if not holds]


def undisturbed(place: str, folder: Path) -> Usual:
    """Run to the end once; raises :class:`SystemExit` if the bench is not safe after it."""
    inside = folder / f"usual-{place}"
    inside.mkdir()
    record, errors = inside / "run.h5", inside / "errors.txt"
    with _bench(place, inside) as host:
        began_s = time.monotonic()
        run = _start(place, host, record, errors)
        _await_record(run, record)
        begun_s = time.monotonic() - began_s
        code = end_run(run, HANG_S)
        duration_s = time.monotonic() - began_s
        alarms = host.alarms() if host is not None else []
    if code not in {0, 6} or alarms:
        raise SystemExit(f"{place}, undisturbed: exit {code}, {alarms}\n{errors.read_text()}")
    return Usual(record, begun_s, duration_s)


def end_one(attempt: Attempt, usual: Usual, folder: Path) -> Left:
    """Start the run, end it at its moment, and look at what is left."""
    inside = folder / str(attempt.number)
    inside.mkdir()
    record, errors = inside / "run.h5", inside / "errors.txt"
    with _bench(attempt.place, inside) as host:
        run = _start(attempt.place, host, record, errors)
        _await_moment(run, record, attempt.at, usual)
        struck = _strike(attempt, run)
        safe_s, alarms = _after(attempt, run, host, struck)
        code = end_run(run, HANG_S)
        _release(struck)
        if host is not None and not alarms and host.await_safe(SAFE_S) == float("inf"):
            alarms = host.alarms()
        told = errors.read_text(encoding="utf-8", errors="replace")
        return Left(code, judge(record, usual.record), told, safe_s, alarms)


@contextlib.contextmanager
def _bench(place: str, inside: Path) -> Iterator[HostedBench | None]:
    if place not in STATIONS:
        yield None
        return
    station = ROOT / "stations" / f"{place}.yaml"
    with hosted(station, inside, timeout_s=TIMEOUT_S) as host:
        yield host


def _start(
    place: str, host: HostedBench | None, record: Path, errors: Path
) -> subprocess.Popen[bytes]:
    if host is None:
        return start_run(ROOT / "procedures" / f"{place}.yaml", record, errors)
    procedure = ROOT / "procedures" / "manhattan_4x4.yaml"
    return start_run(procedure, record, errors, "--set", UPDATES, station=host.station_file)


def _await_moment(run: subprocess.Popen[bytes], record: Path, at: float, usual: Usual) -> None:
    """Wait for a moment of the start, or for one after the record is there."""
    wait_s = 10 * (0.1 + at) * usual.begun_s
    if at >= 0:
        wait_s = at * (usual.duration_s - usual.begun_s)
        _await_record(run, record)
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(timeout=wait_s)


def _await_record(run: subprocess.Popen[bytes], record: Path) -> None:
    while not record.exists() and run.poll() is None:
        time.sleep(0.01)


def _strike(attempt: Attempt, run: subprocess.Popen[bytes]) -> int | None:
    """Send the signal; return the process that got it, None where it had ended or not begun."""
    target = watchdog_of(run) if attempt.way.watchdog else run.pid
    if target is None or run.poll() is not None:
        return None
    with contextlib.suppress(ProcessLookupError):
        os.kill(target, attempt.way.signal)
        if attempt.way.twice:
            time.sleep(0.05)
            os.kill(target, attempt.way.signal)
    return target


def _after(
    attempt: Attempt, run: subprocess.Popen[bytes], host: HostedBench | None, struck: int | None
) -> tuple[float | None, list[str]]:
    """Watch the bench after the signal; return when it was safe, and what was not in time."""
    if struck is None:
        return None, []
    if attempt.way.signal.name in STOPS and not attempt.way.watchdog:
        alarms = _while_stopped(host)
        _release(struck)
        return None, alarms
    if host is None or not attempt.way.kills:
        return None, []
    run.wait()
    had_been_on = bool(host.alarms())
    safe_s = host.await_safe(SAFE_S)
    alarms = host.alarms() if safe_s == float("inf") else []
    return (safe_s if had_been_on else None), alarms


def _while_stopped(host: HostedBench | None) -> list[str]:
    """Wait until no level stands while the run is stopped; outputs may stay on at 0 V."""
    time.sleep(1.0)
    end_s = time.monotonic() + STANDSTILL_S
    while host is not None and (volts := host.standing_v()) > 0:
        if time.monotonic() > end_s:
            return [f"{volts:.3g} V standing {STANDSTILL_S:g} s after the run was stopped"]
        time.sleep(0.1)
    return []


def _release(process: int | None) -> None:
    if process is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)


def campaign(
    attempts: list[Attempt], folder: Path, *, at_once: int, most_s: float = math.inf
) -> Iterator[tuple[Attempt, Left]]:
    """Yield attempts with what they left, in order; none is begun after ``most_s`` seconds.

    ``at_once``: how many run side by side.
    """
    end_s = time.monotonic() + most_s
    usual = {place: undisturbed(place, folder) for place in {one.place for one in attempts}}

    def in_time(one: Attempt) -> Left | None:
        return end_one(one, usual[one.place], folder) if time.monotonic() <= end_s else None

    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(in_time, one) for one in attempts]
        for one, future in zip(attempts, futures, strict=True):
            left = future.result()
            if left is None:
                return
            yield one, left


def main(
    runs: Annotated[int, typer.Option(help="How many runs are ended.")] = 300,
    seed: Annotated[int, typer.Option(help="Of places, ways and moments.")] = 1,
    first: Annotated[int, typer.Option(help="Number of the first; each number is its own.")] = 0,
    at_once: Annotated[int, typer.Option(help="How many run side by side.")] = 2,
    minutes: Annotated[float, typer.Option(help="Begin none after these.")] = math.inf,
) -> None:
    """End runs in every way, print what is not as it must be, and count."""
    attempts = [attempt_of(number, seed) for number in range(first, first + runs)]
    ends: Counter[tuple[str, str]] = Counter()
    safe_s: list[float] = []
    done = wrong = readable = 0
    with tempfile.TemporaryDirectory() as folder:
        for attempt, left in campaign(attempts, Path(folder), at_once=at_once, most_s=60 * minutes):
            done += 1
            ends[attempt.way.name, left.judged.status] += 1
            readable += left.judged.status not in {"none", "unreadable"}
            if left.safe_s is not None:
                safe_s.append(left.safe_s)
            findings = left.findings(attempt)
            wrong += bool(findings)
            for finding in findings:
                print(f"{attempt}: {finding}\n{left.errors[-600:]}", flush=True)
    for (way, status), count in sorted(ends.items()):
        print(f"{way:18} record {status:12} {count:4}")
    slowest = f", at most {max(safe_s):.1f} s" if safe_s else ""
    print(
        f"{done} runs from {first}, seed {seed}: {wrong} with findings; {readable} records, all"
        f" readable prefixes but for the findings; {len(safe_s)} benches made safe by the"
        f" watchdog{slowest}"
    )
    raise typer.Exit(1 if wrong else 0)


if __name__ == "__main__":
    typer.run(main)
