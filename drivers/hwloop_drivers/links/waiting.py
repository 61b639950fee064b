"""Waits in short slices, so that a run notices meanwhile that it must not go on."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Protocol

POLL_S = 0.25


def sleep(duration_s: float, check: Callable[[], None]) -> None:
    """Sleep for ``duration_s`` seconds, or until ``check``, called every :data:`POLL_S`, raises."""
    end_s = time.monotonic() + duration_s
    while (left_s := end_s - time.monotonic()) > 0:
        time.sleep(min(left_s, POLL_S))
        check()


class Readable(Protocol):
    """A socket, or a serial port that is a file."""

    def fileno(self) -> int:
        """Return the number of the file."""


def await_readable(source: Readable, bound_s: float, check: Callable[[], None]) -> bool:
    """Return whether a source has something to read, or has ended, within ``bound_s`` seconds.

    ``check`` is called every :data:`POLL_S`, and what it raises ends the wait.
    """
    end_s = time.monotonic() + bound_s
    while True:
        left_s = max(end_s - time.monotonic(), 0.0)
        if select.select([source], [], [], min(left_s, POLL_S))[0]:
            return True
        if left_s <= POLL_S:
            return False
        check()
