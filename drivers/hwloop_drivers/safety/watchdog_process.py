"""Process that makes a bench safe when its run is killed, or stands still under voltage.

Run as ``python -P -m hwloop_drivers.safety.watchdog_process``. The first line of its input is what
it needs, as JSON: the parsed station, the addresses, where to report, the run's locks on its
instruments. It locks the same instruments beside the run: another run is refused until both have
ended. It reads no file later. Then come lines of the run:

- ``expect <seconds>``: levels may stand, and the next line comes within that time;
- ``idle``: every level is at 0 V again, and the run may take its time;
- ``ping``: answered by ``pong``, by which the run knows that this process is not stopped;
- ``done``: the run has made the bench safe; the process ends.

If the input ends without ``done``, the run has died; if a line is overdue, it stands still. In both
cases every instrument is opened over a link of the watchdog's own and made safe. What was done is
reported on its output, on the standard error, which is the user's terminal, and in a file beside
the record.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TextIO

from hwloop.errors import HwloopError
from hwloop.station.station import Station
from hwloop_drivers.links.instrument_locks import hold_for_watchdog
from hwloop_drivers.safety.make_safe import ROUND_S
from hwloop_drivers.station.configured import configured_instruments

EXPECT, IDLE, DONE, WATCHING = "expect", "idle", "done", "watching"
PING, PONG = "ping", "pong"
SHUTDOWN_S = 2 * ROUND_S + 15.0
LATE_S = 1.0  # allowed beyond what was announced: the run itself goes no further than that
POLL_S = 0.5  # the clock of a queue stands still while a computer is suspended; this one does not


def now_s() -> float:
    """Return seconds since some fixed moment, those in which the computer slept among them."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)  # Linux
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


def main() -> int:
    """Watch until the input ends; return 0 if all was in order or could be made safe, else 1."""
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # sent to the run, which makes the bench safe itself
        signal.signal(number, signal.SIG_IGN)
    told: dict[str, Any] = json.loads(sys.stdin.readline())
    try:
        station = Station.parse(told["station"])
        _import_all(station, told["addresses"])
        locks = hold_for_watchdog(map(Path, told["locked"]), station.name, told["record"])
    except HwloopError as exc:
        _print(f"hwloop watchdog: {exc}", sys.stderr)
        return 1
    with locks, _held(told["control"]):
        print(WATCHING, flush=True)
        why = _watch()
        if not why:
            return 0
        return _shut_down(station, told["addresses"], why, _reporter(told["report"]))


def _import_all(station: Station, addresses: Mapping[str, str]) -> None:
    """Import what making safe needs, now: later the files may be gone, and every moment counts.

    Raises :class:`hwloop.errors.ConfigError` where the station names what does not exist.
    """
    for library in ("pyvisa", "pyvisa_py", "serial"):
        import_module(library)
    for one in configured_instruments(station, addresses):
        one.dry_run()


def _watch() -> str:
    """Follow the run's lines; return why the bench must be made safe, "" if the run is done."""
    lines: SimpleQueue[str] = SimpleQueue()
    # In a thread, since a pipe has no read with a timeout on Windows.
    Thread(target=_read_lines, args=(lines,), daemon=True).start()
    due_s, within_s = float("inf"), 0.0
    while True:
        if lines.empty() and now_s() > due_s:  # pings do not count: the run itself has to move
            return (
                f"the run did not move for {within_s:.3g} s while levels could stand;"
                " making the bench safe"
            )
        try:
            line = lines.get(timeout=POLL_S)
        except Empty:
            continue
        word, _, value = line.strip().partition(" ")
        if word == DONE:
            return ""
        if not line:
            return "the run has ended without making the bench safe; doing it now"
        if word == EXPECT:
            within_s = float(value) + LATE_S
            due_s = now_s() + within_s
        elif word == IDLE:
            due_s = float("inf")
        elif word == PING:
            _print(PONG, sys.stdout)


def _read_lines(lines: SimpleQueue[str]) -> None:
    """Hand over every line of the input, then "" at its end, however it ended."""
    try:
        for line in sys.stdin:
            lines.put(line)
    finally:
        lines.put("")


def _shut_down(
    station: Station, addresses: Mapping[str, str], why: str, say: Callable[[str], None]
) -> int:
    from hwloop_drivers.safety.make_safe import make_station_safe

    say(why)
    try:
        for line in make_station_safe(station, addresses, note=say):
            say(line)
    except BaseException as exc:  # noqa: BLE001 - whatever it is, it is the last report
        say(str(exc) or type(exc).__name__)
        return 1
    say("every output is off and every line grounded")
    return 0


def _reporter(path: str) -> Callable[[str], None]:
    """Return a function that reports a message in the file, on standard error and on output."""

    def say(message: str) -> None:
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        if path:
            with contextlib.suppress(OSError), Path(path).open("a", encoding="utf-8") as file:
                file.write(f"{stamp} {message}\n")
        _print(f"hwloop watchdog: {message}", sys.stderr)
        _print(message, sys.stdout)

    return say


def _print(message: str, stream: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError):  # the terminal, or the run, has gone
        print(message, file=stream, flush=True)


def _held(control: str) -> contextlib.AbstractContextManager[object]:
    """Hold a connection to a virtual bench, which keeps it alive; nothing for a real one."""
    if not control:
        return contextlib.nullcontext()
    host, _, number = control.rpartition(":")
    return socket.create_connection((host, int(number)), timeout=SHUTDOWN_S)


if __name__ == "__main__":
    sys.exit(main())
