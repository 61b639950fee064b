"""Make the bench safe when its run is killed: a process of its own, at the end of a pipe.

Run as ``python -m hwloop_drivers.safety.watchdog``. The first line of its input says which station;
the line ``done`` lets it go. If the input ends without it, the run has died, and the watchdog opens
every instrument with a link of its own and makes it safe. What it did it says on its output, on the
standard error, which is the user's terminal, and in a file beside the record.
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
from hwloop_drivers.safety.make_safe import ROUND_S

DONE = "done"
START_S = 30.0
TURN_S = 2 * ROUND_S + 15.0


class Watchdog:
    """The watching process, as a run holds it.

    ``record``: the run's, beside which the watchdog reports. ``control``: host:port of a virtual
    bench, which the watchdog keeps alive until it is done.
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
        if self._process.stdout is None or self._process.stdout.readline().strip() != "watching":
            self._let_go_of_pipes()
            self._process.kill()
            self._process.wait()
            raise BackendError("the watchdog did not start; without it nothing is switched on")

    def release(self, *, safe: bool) -> str | None:
        """Let the watchdog go; if the bench is not ``safe``, only after it has had its turn.

        What it did then, or that there was none any more.
        """
        if self._process.poll() is not None:
            self._let_go_of_pipes()
            return f"the watchdog had ended with {self._process.returncode} before the run did"
        if safe:
            self._say(DONE)
        try:
            said, _ = self._process.communicate(timeout=TURN_S)  # closes its input
        except subprocess.TimeoutExpired:
            return f"the watchdog, process {self._process.pid}, is still at work"
        return None if safe else f"watchdog: {said.strip()}"

    def _say(self, line: str) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # whether it lives is found out elsewhere
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()

    def _let_go_of_pipes(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def report_path(record: Path) -> Path:
    """Where the watchdog says what it did for the run of this record."""
    return record.with_suffix(".watchdog.txt")


def _apart() -> int:
    """On Windows a Ctrl-C is for the run alone, as elsewhere by its own session."""
    if sys.platform == "win32":
        return subprocess.CREATE_NEW_PROCESS_GROUP
    return 0


def main() -> int:
    """Watch until the input ends; 0 if all was in order or could be made safe."""
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the run
        signal.signal(number, signal.SIG_IGN)
    import pyvisa  # noqa: F401 - now, not when every moment counts

    from hwloop.station.station import load_station
    from hwloop_drivers.station.configured import slots

    told = json.loads(sys.stdin.readline())
    try:
        slots(load_station(Path(told["station"])), told["addresses"])
    except HwloopError as exc:
        _print(f"hwloop watchdog: {exc}", sys.stderr)
        return 1
    with _held(told["control"]):
        print("watching", flush=True)
        for line in sys.stdin:
            if line.strip() == DONE:
                return 0
        return _take_turn(told, _reporter(told["report"]))


def _take_turn(told: Mapping[str, str], say: Callable[[str], None]) -> int:
    from hwloop.station.station import load_station
    from hwloop_drivers.safety.make_safe import make_station_safe

    say("the run has ended without making the bench safe; doing it now")
    addresses: object = told["addresses"]
    try:
        station = load_station(Path(told["station"]))
        assert isinstance(addresses, dict)  # noqa: S101 - as it was told
        for words in make_station_safe(station, addresses, note=say):
            say(words)
    except Exception as exc:  # noqa: BLE001 - its last words, whatever it is
        say(str(exc))
        return 1
    say("every output is off and every line grounded")
    return 0


def _reporter(path: str) -> Callable[[str], None]:
    """Say it to whoever still listens."""

    def say(words: str) -> None:
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        if path:
            with contextlib.suppress(OSError), Path(path).open("a", encoding="utf-8") as file:
                file.write(f"{stamp} {words}\n")
        _print(f"hwloop watchdog: {words}", sys.stderr)
        _print(words, sys.stdout)

    return say


def _print(words: str, stream: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError):  # the terminal, or the run, has gone
        print(words, file=stream, flush=True)


def _held(control: str) -> contextlib.AbstractContextManager[object]:
    """Keep a virtual bench alive."""
    if not control:
        return contextlib.nullcontext()
    host, _, number = control.rpartition(":")
    return socket.create_connection((host, int(number)), timeout=TURN_S)


if __name__ == "__main__":
    sys.exit(main())
