"""The virtual bench's own time, advanced by delays, integration and relay settling."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable

MOST_S = 1e9  # 31 years; the time is told to 0.1 µs there


class BenchClock:
    """Seconds since the bench was switched on; stands still unless something takes time.

    Listeners are called with every stretch of time before it is over: the circuit applies it to the
    devices. With ``real_time`` every stretch takes as long as it says.
    """

    def __init__(self, *, real_time: bool = False) -> None:
        self.now_s = 0.0
        self._real_time = real_time
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._listeners: list[Callable[[float], None]] = []

    def on_elapse(self, listener: Callable[[float], None]) -> None:
        """Call ``listener(duration_s)`` for every stretch during which nothing changes."""
        self._listeners.append(listener)

    def at(self, time_s: float, callback: Callable[[], None]) -> None:
        """Call back when the clock passes ``time_s``; a time in the past, at the next advance."""
        heapq.heappush(self._events, (max(time_s, self.now_s), next(self._order), callback))

    def advance(self, duration_s: float) -> None:
        """Advance the time, stopping at every event on the way.

        Raises :class:`ValueError` for a duration that is no number or negative, and for one that
        leads beyond :data:`MOST_S`: there a pulse would be lost in the last digit of the time.
        """
        end_s = self.now_s + duration_s
        if not (duration_s >= 0 and end_s <= MOST_S):  # NaN compares with nothing
            raise ValueError(f"duration_s {duration_s:g}: from 0 to {MOST_S - self.now_s:g}")
        while self._events and self._events[0][0] <= end_s:
            due_s, _, callback = heapq.heappop(self._events)
            self._pass(due_s)
            callback()
        self._pass(end_s)

    def advance_until(self, done: Callable[[], bool], most_s: float) -> None:
        """Advance from event to event until ``done`` holds, at most by ``most_s``."""
        end_s = self.now_s + most_s
        while not done() and self._events and self._events[0][0] <= end_s:
            self.advance(max(self._events[0][0] - self.now_s, 0.0))
        if not done():
            self.advance(max(end_s - self.now_s, 0.0))

    def advance_while_due(self, waiting: Callable[[], bool]) -> None:
        """Advance from event to event while ``waiting`` holds, at most until none is left."""
        while waiting() and self._events:
            self.advance(max(self._events[0][0] - self.now_s, 0.0))

    def _pass(self, until_s: float) -> None:
        duration_s = until_s - self.now_s
        if duration_s <= 0:
            return
        if self._real_time:
            time.sleep(duration_s)
        for listener in self._listeners:
            listener(duration_s)
        self.now_s = until_s
