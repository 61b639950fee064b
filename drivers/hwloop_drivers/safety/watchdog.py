"""Make the bench safe when its run is killed: a process of its own, at the end of a pipe.

Run as ``python -m hwloop_drivers.safety.watchdog``. The first line of its input says which station;
the line ``done`` ends it. If the input ends without that line, the run has died, and the watchdog
opens every instrument over a link of its own and makes it safe. It reports what it did on its
output, on the standard error, which is the user's terminal, and in a file beside the record.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from hwloop.errors import BackendError, HwloopError
from hwloop_drivers.child_process import end, first_line
from hwloop_drivers.safety.make_safe import ROUND_S

DONE = "done"
START_S = 30.0
SHUTDOWN_S = 2 * ROUND_S + 15.0


class Watchdog:
    """The handle of a run on its watchdog process.

    ``addresses``: by instrument, instead of the station's virtual ones. ``record``: the run's,
    beside which the watchdog reports. ``control``: host:port of a virtual bench, which the watchdog
    keeps alive until it has finished. Raises :class:`hwloop.errors.BackendError` if it does not
    say within :data:`START_S` that it watches; the process is ended then.
    """

    def __init__(
        self,
        station_file: Path,
        addresses: Mapping[str, str],
        *,
        record: Path | None = None,
        control: str = "",
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hwloop_drivers.safety.watchdog"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            creationflags=_apart(),
        )
        told = {
            "station": str(station_file.resolve()),
            "addresses": dict(addresses),
            "report": "" if record is None else str(report_path(record).resolve()),
            "control": control,
        }
        self._say(json.dumps(told))
        line = first_line(self._process, within_s=START_S)
        if line is None or line.strip() != "watching":
            end(self._process)
            why = f" within {START_S:g} s" if line is None else ""
            raise BackendError(
                f"the watchdog did not start{why}; without it nothing is switched on"
            )

    def release(self, *, safe: bool) -> str | None:
        """Stop the watchdog. If the bench is not ``safe``, let it run its shutdown first.

        Returns what the watchdog did, or that it had ended before; None where all is in order.
        """
        if self._process.poll() is not None:
            self._close_pipes()
            return f"the watchdog had ended with {self._process.returncode} before the run did"
        if safe:
            self._say(DONE)
        try:
            said, _ = self._process.communicate(timeout=SHUTDOWN_S)  # closes its input
        except subprocess.TimeoutExpired:
            return f"the watchdog, process {self._process.pid}, is still at work"
        return None if safe else f"watchdog: {said.strip()}"

    def _say(self, line: str) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # a dead one is found out when it is read or polled
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()

    def _close_pipes(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def report_path(record: Path) -> Path:
    """Return the file in which the watchdog reports what it did for the run of this record."""
    return record.with_suffix(".watchdog.txt")


def _apart() -> int:
    """Return the flags by which a Ctrl-C on Windows reaches the run alone, not the watchdog.

    Elsewhere its own session does that.
    """
    if sys.platform == "win32":
        return subprocess.CREATE_NEW_PROCESS_GROUP
    return 0


def main() -> int:
    """Watch until the input ends; return 0 if all was in order or could be made safe, else 1."""
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # sent to the run, which makes the bench safe itself
        signal.signal(number, signal.SIG_IGN)
    import pyvisa  # noqa: F401 - now, not when every moment counts

    from hwloop.station.station import load_station
    from hwloop_drivers.station.configured import configured_instruments

    told = json.loads(sys.stdin.readline())
    try:
        configured_instruments(load_station(Path(told["station"])), told["addresses"])
    except HwloopError as exc:
        _print(f"hwloop watchdog: {exc}", sys.stderr)
        return 1
    with _held(told["control"]):
        print("watching", flush=True)
        for line in sys.stdin:
            if line.strip() == DONE:
                return 0
        return _shut_down(told, _reporter(told["report"]))


def _shut_down(told: Mapping[str, str], say: Callable[[str], None]) -> int:
    from hwloop.station.station import load_station
    from hwloop_drivers.safety.make_safe import make_station_safe

    say("the run has ended without making the bench safe; doing it now")
    addresses: object = told["addresses"]
    try:
        station = load_station(Path(told["station"]))
        assert isinstance(addresses, dict)  # noqa: S101 - as it was told
        for line in make_station_safe(station, addresses, note=say):
            say(line)
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is the last report
        say(str(exc))
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
