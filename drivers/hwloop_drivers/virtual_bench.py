"""Virtual benches: find or start the one of a station, and let time pass on it."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from typing_extensions import override

from hwloop.errors import BackendError, ConnectionLost
from hwloop.station.rendezvous import read_rendezvous, rendezvous_file
from hwloop_drivers.child_process import PYTHON, end, first_line
from hwloop_drivers.links.waiting import await_readable, sleep

START_S, STOP_S = 30.0, 10.0
ANSWER_S, WHO_S = 60.0, 2.0
ANSWER_BYTES = 1 << 28  # the history of a long run


class BenchTime(ABC):
    """The time of a bench, real or virtual."""

    @abstractmethod
    def now_s(self) -> float:
        """Return the time in seconds since some fixed moment; never goes back."""

    @abstractmethod
    def sleep(self, duration_s: float, check: Callable[[], None] = lambda: None) -> None:
        """Let ``duration_s`` seconds pass on the bench's clock.

        ``check``: called several times a second; an exception that it raises ends the wait.
        """


class HostTime(BenchTime):
    """The time of a real bench: the host's monotonic clock."""

    @override
    def now_s(self) -> float:
        return time.monotonic()

    @override
    def sleep(self, duration_s: float, check: Callable[[], None] = lambda: None) -> None:
        sleep(duration_s, check)


class VirtualBenchLink(BenchTime):
    """The control link of a virtual bench, and the addresses of its instruments.

    ``control``: host:port. ``process``: of a bench that was started here, ended by :meth:`close`;
    None for one that was found running.
    """

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
        self._socket = self._connected()
        self._received = bytearray()
        self._asking = False  # between a question and the end of its answer
        self._unmodelled_before: int | None = None

    def ask(
        self,
        ask: str,
        *,
        timeout_s: float = ANSWER_S,
        check: Callable[[], None] = lambda: None,
        **arguments: object,
    ) -> dict[str, Any]:
        """Ask the bench itself, and return its answer; ``check`` as for :meth:`BenchTime.sleep`.

        Raises :class:`hwloop.errors.ConnectionLost` where none comes within ``timeout_s``, and
        :class:`hwloop.errors.BackendError` with the error that the bench answers.
        """
        try:
            if self._asking:
                self._reconnect()
            self._asking = True
            self._socket.settimeout(timeout_s)
            self._socket.sendall(json.dumps({"ask": ask, **arguments}).encode() + b"\n")
            line = self._line(timeout_s, check)
            self._asking = False
            answer: dict[str, Any] = json.loads(line)
        except (OSError, ValueError) as exc:
            raise ConnectionLost(f"virtual bench at {self.control}: gone ({exc})") from exc
        if "error" in answer:
            raise BackendError(f"virtual bench at {self.control}: {answer['error']}")
        return answer

    def _connected(self) -> socket.socket:
        host, _, number = self.control.rpartition(":")
        return socket.create_connection((host, int(number)), timeout=WHO_S)

    def _reconnect(self) -> None:
        """Drop what may still be answered to a question that was given up, wherever that was.

        The new connection comes first: a bench may end when the last one goes.
        """
        anew = self._connected()
        self._socket.close()
        self._socket, self._received = anew, bytearray()

    def _line(self, timeout_s: float, check: Callable[[], None]) -> bytes:
        """Return the next line; bounded in time and bytes, since the port may be another's."""
        end_s = time.monotonic() + timeout_s
        while (place := self._received.find(b"\n")) < 0:
            if len(self._received) > ANSWER_BYTES:
                raise ValueError(f"more than {ANSWER_BYTES} bytes came without the end of a line")
            if not await_readable(self._socket, end_s - time.monotonic(), check):
                raise TimeoutError(f"no answer within {timeout_s:g} s")
            part = self._socket.recv(1 << 20)
            if not part:
                raise ConnectionError("closed by the bench")
            self._received += part
        line, self._received = bytes(self._received[:place]), self._received[place + 1 :]
        return line

    @override
    def now_s(self) -> float:
        return float(self.ask("now")["now_s"])

    @override
    def sleep(self, duration_s: float, check: Callable[[], None] = lambda: None) -> None:
        self.ask("advance", check=check, duration_s=duration_s)

    def close(self, *, safe: bool = True) -> str | None:  # noqa: ARG002 - software ends either way
        """End a bench that was started here; leave one that was found.

        Returns a message about pulses that changed no cell because the device model does not
        cover them; None where there were none.
        """
        message = self._unmodelled_message()
        if self._process is not None:
            self._stop(self._process)
        self._socket.close()
        return message

    def _stop(self, process: subprocess.Popen[str]) -> None:
        """Ask the bench to end; kill it where it does not."""
        try:
            self.ask("stop", timeout_s=WHO_S)
        except BackendError:
            process.terminate()
        try:
            process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            end(process)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()

    def begin_run(self) -> str | None:
        """Count events from now on as this run's; return a warning about a bench found running.

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

    def _unmodelled_message(self) -> str | None:
        if self._unmodelled_before is None:
            return None
        try:
            said = self.ask("status", timeout_s=WHO_S)["unmodelled"][self._unmodelled_before :]
        except BackendError:
            return None  # gone: the operation that lost it reports it
        if not said:
            return None
        return (
            f"virtual bench: {len(said)} times something happened that its models do not cover,"
            f" and that changed no cell; first {said[0]}"
        )


def find(station_file: Path) -> VirtualBenchLink | None:
    """Return a link to the running virtual bench of this station; None if there is none."""
    return connect(rendezvous_file(station_file))


def connect(rendezvous: Path) -> VirtualBenchLink | None:
    """Return a link to the virtual bench that left a rendezvous file; None if it has ended.

    A file that is a link, or that another user owns or can write, is not believed. Its port may be
    another program's by now, or another bench's: so it is asked who it is.
    """
    try:
        said = read_rendezvous(rendezvous)
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
    """Start a virtual bench of a station for one run, with the array of ``procedure``.

    ``dummy``: with the self-test's resistors in the array's place. The bench ends when it is told
    to, or when its run and everyone who speaks to it have gone: so that a watchdog still finds it
    after its run was killed. Raises :class:`hwloop.errors.BackendError` with what the child said
    if it does not give its addresses within :data:`START_S`; the child is ended then.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False, encoding="utf-8") as file:
        json.dump(procedure, file)  # JSON is YAML
    command = [
        *(*PYTHON, "-m", "hwloop.cli", "virtual", str(station_file)),
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
        line = first_line(process, within_s=START_S)
    finally:
        Path(file.name).unlink(missing_ok=True)
    return _started(process, line)


def _started(process: subprocess.Popen[str], line: str | None) -> VirtualBenchLink:
    """Return the link to a child by its first line; end the child where that says no address."""
    why = f"no answer within {START_S:g} s" if line is None else "no reason given"
    try:
        said = json.loads(line or "null")
        link = VirtualBenchLink(said["addresses"], said["control"], process)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        if line:
            why = f"its first line is {line.strip()!r} ({exc})"
        message = end(process)
        raise BackendError(f"the virtual bench did not start: {message or why}") from exc
    if process.stderr is not None:
        process.stderr.close()
    return link
