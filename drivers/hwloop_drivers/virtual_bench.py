"""Find or start the virtual bench of a station, and let time pass on it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwloop.errors import BackendError, ConnectionLost
from hwloop.station.rendezvous import meeting_point

START_S = 30.0
ANSWER_S, WHO_S = 60.0, 2.0


class BenchTime(ABC):
    """The time of a bench."""

    @abstractmethod
    def now_s(self) -> float:
        """Seconds since some beginning."""

    @abstractmethod
    def sleep(self, duration_s: float) -> None:
        """Let time pass."""


class HostTime(BenchTime):
    """The time of a real bench: the host's monotonic clock."""

    def now_s(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def sleep(self, duration_s: float) -> None:
        """Sleep."""
        time.sleep(duration_s)


class VirtualBenchLink(BenchTime):
    """The control link of a virtual bench, and where its instruments are."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        control: str,
        process: subprocess.Popen[str] | None,
        station: str = "",
    ) -> None:
        self.addresses = dict(addresses)
        self.station = station
        self.control = control
        self._process = process
        host, _, number = control.rpartition(":")
        self._socket = socket.create_connection((host, int(number)), timeout=WHO_S)
        self._file = self._socket.makefile("rb")
        self._unmodelled_before: int | None = None

    def ask(self, ask: str, *, timeout_s: float = ANSWER_S, **arguments: object) -> dict[str, Any]:
        """One question to the bench itself."""
        try:
            self._socket.settimeout(timeout_s)
            self._socket.sendall(json.dumps({"ask": ask, **arguments}).encode() + b"\n")
            answer: dict[str, Any] = json.loads(self._file.readline())
        except (OSError, ValueError) as exc:
            raise ConnectionLost(f"virtual bench at {self.control}: gone ({exc})") from exc
        if "error" in answer:
            raise BackendError(f"virtual bench at {self.control}: {answer['error']}")
        return answer

    def now_s(self) -> float:
        """Seconds on the bench's own clock."""
        return float(self.ask("now")["now_s"])

    def sleep(self, duration_s: float) -> None:
        """Move the bench's clock."""
        self.ask("advance", duration_s=duration_s)

    def close(self, *, safe: bool = True) -> str | None:  # noqa: ARG002 - a bench of software ends either way
        """End a bench that was started here; leave one that was found.

        Returns words about pulses that changed nothing, for the device model does not cover them.
        """
        words = self._unmodelled_words()
        if self._process is not None:
            try:
                self.ask("stop")
            except BackendError:
                self._process.terminate()
            self._process.wait(timeout=10)
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
        self._file.close()
        self._socket.close()
        return words

    def begin_run(self) -> str | None:
        """What happens from now on is this run's; words about the array of a bench found running.

        Its cells are not those that the emulator would make of the run's procedure and seed.
        """
        self._unmodelled_before = len(self.ask("status")["unmodelled"])
        if self._process is not None:
            return None
        who = self.ask("who")
        return (
            f"virtual bench: one that was running is used, with its own array (drawn with seed"
            f" {who['seed']}, {who['pulses']} pulses so far), whatever the procedure says of"
            " backends.sim and seed"
        )

    def _unmodelled_words(self) -> str | None:
        if self._unmodelled_before is None:
            return None
        try:
            said = self.ask("status", timeout_s=WHO_S)["unmodelled"][self._unmodelled_before :]
        except BackendError:
            return None  # gone: whoever lost it says so
        if not said:
            return None
        return (
            f"virtual bench: {len(said)} times something happened that its models do not cover,"
            f" and that changed no cell; first {said[0]}"
        )


def find(station_file: Path) -> VirtualBenchLink | None:
    """The virtual bench of this station that someone has started; None if there is none."""
    return meet(meeting_point(station_file))


def meet(meeting: Path) -> VirtualBenchLink | None:
    """The virtual bench that a meeting point names; None if it has ended.

    Its port may be another program's by now, or another bench's: so it is asked who it is.
    """
    try:
        said = json.loads(meeting.read_text(encoding="utf-8"))
        link = VirtualBenchLink(said["addresses"], said["control"], None, said["station"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    try:
        if link.ask("who", timeout_s=WHO_S).get("addresses") == said["addresses"]:
            return link
    except BackendError:
        pass
    link.close()
    return None


def start(
    station_file: Path, procedure: Mapping[str, Any], *, seed: int, dummy: bool = False
) -> VirtualBenchLink:
    """Start a virtual bench of this station's for one run, with the array of ``procedure``.

    ``dummy``: with the self-test's resistors in its place.

    It ends when it is told to, or when its run and everyone who speaks to it have gone: so that a
    watchdog still finds it after its run was killed.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False, encoding="utf-8") as file:
        json.dump(procedure, file)  # JSON is YAML
    command = [
        *(sys.executable, "-m", "hwloop.cli", "virtual", str(station_file)),
        *("--procedure", file.name, "--seed", str(seed), "--json", "--until-unused"),
        *(["--dummy"] if dummy else []),
    ]
    try:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        line = process.stdout.readline() if process.stdout else ""
    finally:
        Path(file.name).unlink(missing_ok=True)
    if not line:
        _, words = process.communicate()
        raise BackendError(f"the virtual bench did not start: {words.strip() or 'no reason given'}")
    said = json.loads(line)
    if process.stderr is not None:
        process.stderr.close()
    return VirtualBenchLink(said["addresses"], said["control"], process)
