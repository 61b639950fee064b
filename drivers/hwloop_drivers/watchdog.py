"""Make the bench safe when its run is killed: a process of its own, at the end of a pipe.

Run as ``python -m hwloop_drivers.watchdog``. The first line of its input says which station; the
line ``done`` lets it go. If the input ends without it, the run has died, and the watchdog opens
every instrument with a link of its own and makes it safe.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from hwloop.errors import BackendError

DONE = "done"
TURN_S = 60.0


class Watchdog:
    """The watching process, as a run holds it."""

    def __init__(self, station_file: Path, addresses: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hwloop_drivers.watchdog"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._say(json.dumps({"station": str(station_file), "addresses": dict(addresses)}))
        if self._process.stdout is None or self._process.stdout.readline().strip() != "watching":
            raise BackendError("the watchdog did not start; without it nothing is switched on")

    def release(self, *, safe: bool) -> None:
        """Let the watchdog go; if the bench is not ``safe``, only after it has had its turn."""
        if self._process.poll() is None:
            if safe:
                self._say(DONE)
            elif self._process.stdin is not None:
                self._process.stdin.close()
            self._process.wait(timeout=TURN_S)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                stream.close()

    def _say(self, line: str) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()


def main() -> int:
    """Watch until the input ends; 0 if all was in order or could be made safe."""
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the run
        signal.signal(number, signal.SIG_IGN)
    from hwloop.station import load_station
    from hwloop_drivers.safe import make_station_safe

    told = json.loads(sys.stdin.readline())
    station = load_station(Path(told["station"]))
    print("watching", flush=True)
    for line in sys.stdin:
        if line.strip() == DONE:
            return 0
    try:
        make_station_safe(station, told["addresses"])
    except BackendError as exc:
        print(f"hwloop watchdog: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
