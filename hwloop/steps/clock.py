"""Time of a step: the array's, not the computer's."""

from __future__ import annotations

from dataclasses import dataclass

from hwloop.array.operations import Wait
from hwloop.backend.base import CrossbarBackend


@dataclass(frozen=True)
class Clock:
    """Clock of a backend: real on hardware, simulated in emulation, recorded in a replay."""

    backend: CrossbarBackend

    def now_s(self) -> float:
        """Return the seconds since the backend was opened, at the end of its latest operation."""
        return self.backend.now_s()

    def sleep(self, duration_s: float) -> None:
        """Let ``duration_s`` pass on the array."""
        self.backend.wait(Wait(duration_s))
