"""Handle of a run on its watchdog, the process that makes the bench safe in its stead."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event, Lock, Thread

from hwloop.errors import BackendError
from hwloop.station.station import Station
from hwloop_drivers.child_process import PYTHON, end, first_line
from hwloop_drivers.links.instrument_locks import InstrumentLocks
from hwloop_drivers.process_state import is_stopped
from hwloop_drivers.safety.watchdog_process import (
    DONE,
    EXPECT,
    IDLE,
    PING,
    PONG,
    SHUTDOWN_S,
    WATCHING,
    now_s,
)

START_S, END_S = 30.0, 5.0
MARGIN_S = 10.0  # beyond the bound of the message under way, for the run's own work
# The watchdog is asked for an answer this often. One without an answer twice is looked at, whether
# it is stopped; one that is not may have to wait for a processor, and is given the longer time.
PING_S, ANSWER_S = 0.25, 3.0


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
        self._on_end: Callable[[str], None] = lambda _: None
        self._due_s = float("inf")
        self._operating = False
        self._silent = ""  # why it does not watch, although it has not ended
        self._answered = Event()
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
        Thread(target=self._ask_for_answers, daemon=True, name="watchdog answers").start()

    def on_end(self, call: Callable[[str], None]) -> None:
        """Have ``call`` called, in a thread, as soon as the watchdog ends or does not answer.

        It is given the reason. Not called once the watchdog has been released.
        """
        self._on_end = call
        if reason := self._why_unwatched():
            call(reason)

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
        if reason := self._why_unwatched():
            raise BackendError(f"{reason}; without it nothing stays switched on")

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

        One that is stopped goes on for that; one that does not answer is ended where the bench is
        safe. Returns what the watchdog did, that it had ended before, or that it did not answer;
        None where all is in order.
        """
        with self._lock:
            self._released.set()
        had_ended = self._ended.is_set() or self._process.poll() is not None
        had_acted, silent = bool(self._said), self._silent
        if safe:
            self._say(DONE)
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        if silent and not had_acted and safe:
            self._process.kill()  # nothing is left for it to do, and it would keep the instruments
        elif is_stopped(self._process.pid):
            self._process.send_signal(signal.SIGCONT)
        if not self._has_ended():
            return f"the watchdog, process {self._process.pid}, still runs after {SHUTDOWN_S:g} s"
        if self._said:
            return "watchdog: " + "\n".join(self._said)
        if silent:
            return f"{silent}; it was ended when the bench was safe" if safe else silent
        if had_ended or not safe:
            return f"the watchdog had ended with {self._process.returncode} before the run did"
        return None

    def _has_ended(self) -> bool:
        """Wait until the process has ended and all that it said is here; False if it does not."""
        try:
            self._process.wait(timeout=SHUTDOWN_S)
        except subprocess.TimeoutExpired:
            return False
        self._follower.join(timeout=END_S)
        if self._process.stdout is not None and not self._follower.is_alive():
            self._process.stdout.close()
        return True

    def _why_unwatched(self) -> str:
        """Return why nothing is watched any more, "" while all is in order."""
        if self._ended.is_set():
            return "the watchdog has ended before the run did: it does not watch any more"
        return self._silent

    def _follow(self) -> None:
        """Collect what the watchdog says until it ends."""
        assert self._process.stdout is not None  # noqa: S101 - tells the type checker
        for line in self._process.stdout:
            if line.strip() == PONG:
                self._answered.set()
            else:
                self._said.append(line.strip())
        self._ended.set()
        if not self._released.is_set():
            self._on_end(self._why_unwatched())

    def _ask_for_answers(self) -> None:
        """Ask the watchdog for an answer again and again, until it gives none.

        Its silence is counted in turns of this thread: where this process, or the computer, stood
        still, the watchdog is not to blame.
        """
        turns = 0
        self._answered.set()
        while not self._released.wait(PING_S):
            if self._ended.is_set() or self._said:  # making safe, it answers nothing
                return
            if self._answered.is_set():
                turns = 0
                self._answered.clear()
                self._ping()
                continue
            turns += 1
            if turns >= 2 and is_stopped(self._process.pid):
                self._lose("is stopped")
            elif turns * PING_S >= ANSWER_S:
                self._lose(f"has not answered for {ANSWER_S:g} s")
            if self._silent:
                self._on_end(self._silent)
                return

    def _ping(self) -> None:
        with self._lock:
            if not self._released.is_set():
                self._say(PING)

    def _lose(self, state: str) -> None:
        self._silent = (
            f"the watchdog, process {self._process.pid}, {state}: it does not watch any more"
        )

    def _say(self, line: str) -> None:
        if self._process.stdin is None or self._process.stdin.closed:
            return
        message = f"{line}\n".encode()
        try:  # to the pipe itself: a buffer would keep what did not fit
            while message:
                message = message[os.write(self._process.stdin.fileno(), message) :]
        except BlockingIOError:
            self._lose("reads nothing")
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
