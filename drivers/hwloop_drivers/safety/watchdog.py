"""Handle of a run on its watchdog, the process that makes the bench safe in its stead."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event, Lock, Thread

from hwloop.errors import BackendError
from hwloop.station.station import Station
from hwloop_drivers.child_process import PYTHON, end, first_line
from hwloop_drivers.links.instrument_locks import InstrumentLocks
from hwloop_drivers.safety.watchdog_process import DONE, EXPECT, IDLE, SHUTDOWN_S, WATCHING, now_s

START_S, END_S = 30.0, 5.0
MARGIN_S = 10.0  # beyond the bound of the message under way, for the run's own work


class Watchdog:
    """The handle of a run on its watchdog process.

    ``addresses``: by instrument, instead of the station's virtual ones. ``record``: the run's,
    beside which the watchdog reports. ``control``: host:port of a virtual bench, which the watchdog
    keeps alive until it has finished. ``locks``: of the run on its instruments; the watchdog has
    its own beside them, so that they stay in use until it has ended. Raises
    :class:`hwloop.errors.BackendError` if it does not say within :data:`START_S` that it watches;
    the process is ended then.
    """

    def __init__(
        self,
        station: Station,
        addresses: Mapping[str, str],
        *,
        record: Path | None = None,
        control: str = "",
        locks: InstrumentLocks | None = None,
    ) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [*PYTHON, "-m", "hwloop_drivers.safety.watchdog_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            creationflags=_apart(),
        )
        told = {
            "station": station.model_dump(mode="json"),
            "addresses": dict(addresses),
            "report": "" if record is None else str(report_path(record).resolve()),
            "control": control,
            "locked": [] if locks is None else [str(path) for path in locks.paths],
            "record": "" if record is None else str(record.resolve()),
        }
        self._locks = locks
        self._said: list[str] = []
        self._ended, self._released = Event(), Event()
        self._on_end: Callable[[], None] = lambda: None
        self._due_s = float("inf")
        self._stuck = self._operating = False
        self._lock = Lock()
        self._say(json.dumps(told))
        line = first_line(self._process, within_s=START_S)
        if line is None or line.strip() != WATCHING:
            end(self._process)
            why = f" within {START_S:g} s" if line is None else ""
            raise BackendError(
                f"the watchdog did not start{why}; without it nothing is switched on"
            )
        if self._process.stdin is not None and sys.platform != "win32":
            # One that is stopped reads nothing: the run must not wait for it in a full pipe.
            os.set_blocking(self._process.stdin.fileno(), False)
        self._follower = Thread(target=self._follow, daemon=True, name="watchdog")
        self._follower.start()

    def on_end(self, call: Callable[[], None]) -> None:
        """Have ``call`` called, in a thread, as soon as the watchdog ends before its release."""
        self._on_end = call
        if self._ended.is_set():
            call()

    def check(self) -> None:
        """Raise :class:`hwloop.errors.BackendError` unless the watchdog watches, and has not acted.

        A run that was stopped and continues finds here that the time it had announced is over. So
        does one whose bench has been made safe by hand.
        """
        if self._locks is not None:
            self._locks.refuse_stopped()
        if self._said:
            raise BackendError(f"the watchdog has acted: {self._said[0]}")
        if now_s() > self._due_s:
            raise BackendError(
                "the run stood still for longer than the watchdog waits; the bench has been made"
                " safe, or is being made so"
            )
        if self._stuck or self._ended.is_set():
            raise BackendError(
                "the watchdog does not watch any more; without it nothing stays switched on"
            )

    def expect(self, within_s: float) -> None:
        """Announce that levels may stand, and progress within ``within_s`` and a margin.

        The watchdog is told anew only where half the margin has gone, so that a message costs next
        to nothing. Raises as :meth:`check` does.
        """
        with self._lock:
            self.check()
            now = now_s()
            if not self._operating:  # a keep-alive between two operations, when nothing stands
                return
            if now + within_s + MARGIN_S / 2 <= self._due_s < float("inf"):
                return
            self._due_s = now + within_s + MARGIN_S
            self._say(f"{EXPECT} {within_s + MARGIN_S!r}")

    def begin(self) -> None:
        """Note that an operation begins: levels may stand. Raises as :meth:`check` does."""
        with self._lock:
            self.check()
            self._operating = True

    def idle(self) -> None:
        """Tell the watchdog that every level is at 0 V. Raises as :meth:`check` does."""
        with self._lock:
            self.check()
            self._operating = False
            if self._due_s < float("inf"):
                self._say(IDLE)
                self._due_s = float("inf")

    def making_safe(self) -> None:
        """Give the run the time that making safe may take; never raises."""
        with self._lock:
            self._operating, self._due_s = False, float("inf")
            self._say(f"{EXPECT} {SHUTDOWN_S!r}")

    def safe(self) -> None:
        """Tell the watchdog that every output is off; never raises."""
        with self._lock:
            self._say(IDLE)

    def release(self, *, safe: bool) -> str | None:
        """Stop the watchdog. If the bench is not ``safe``, let it run its shutdown first.

        Returns what the watchdog did, or that it had ended before; None where all is in order.
        """
        self._released.set()
        had_ended = self._ended.is_set() or self._process.poll() is not None
        if safe:
            self._say(DONE)
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(timeout=SHUTDOWN_S)
        except subprocess.TimeoutExpired:
            return f"the watchdog, process {self._process.pid}, is still at work"
        self._follower.join(timeout=END_S)
        if self._process.stdout is not None and not self._follower.is_alive():
            self._process.stdout.close()
        if self._said:
            return "watchdog: " + "\n".join(self._said)
        if had_ended or not safe:
            return f"the watchdog had ended with {self._process.returncode} before the run did"
        return None

    def _follow(self) -> None:
        """Collect what the watchdog says until it ends."""
        assert self._process.stdout is not None  # noqa: S101 - tells the type checker
        for line in self._process.stdout:
            self._said.append(line.strip())
        self._ended.set()
        if not self._released.is_set():
            self._on_end()

    def _say(self, line: str) -> None:
        if self._process.stdin is None or self._process.stdin.closed:
            return
        message = f"{line}\n".encode()
        try:  # to the pipe itself: a buffer would keep what did not fit
            while message:
                message = message[os.write(self._process.stdin.fileno(), message) :]
        except BlockingIOError:
            self._stuck = True
        except OSError:  # a dead one is found out when it is read or polled
            pass


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
