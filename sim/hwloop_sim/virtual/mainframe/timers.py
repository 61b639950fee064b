"""Trigger timers: after an event, events of their own at the end of one delay after the other.

Topics *trigger.timer[N]* of Keithley's help of the 2600B and the 2450.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.languages.tsp_tables import Cell, Node, TspError, as_number, within
from hwloop_sim.virtual.mainframe.events import Detector, Event, Events, EventStimulus

DEFAULT_S, MOST_S = 10e-6, 1e5
LEAST_MEAN_S = 50e-6  # of a list of more than one delay
MOST_COUNT = 1_048_575


class Timer:
    """One timer; each trigger starts ``count`` delays, 0 for delays without end."""

    def __init__(
        self, events: Events, clock: BenchClock, *, event: Event, none: Event, least_s: float
    ) -> None:
        self._events, self._clock = events, clock
        self.event, self._least_s = event, least_s
        self.count = Cell(1, lowest=0, highest=MOST_COUNT)
        self.stimulus = EventStimulus(events, self._start, none)
        self.detector = Detector(events, event, clock)
        self.overrun = False
        self._run = 0
        self.reset()

    def reset(self) -> None:
        """Reset the settings, and end the delay that is running."""
        self._run += 1
        self._delays_s, self._next = [DEFAULT_S], 0
        self.count.reset()
        self.stimulus.reset()
        self.passes = self._running = self.overrun = False
        self.enabled = True

    def clear(self) -> None:
        """Forget a detected event and an overrun."""
        self.overrun = False
        self.detector.clear()

    @property
    def delays_s(self) -> list[float]:
        """Return the delays that follow each other, seconds."""
        return self._delays_s

    @property
    def delay_s(self) -> float:
        """Return the delay that comes next, seconds."""
        return self._delays_s[self._next]

    def set_delays(self, delays: Any) -> None:
        """Set the delays that follow each other, one or a table of several, in seconds."""
        given = delays if isinstance(delays, list) else [delays]
        wanted = [within(as_number(delay), self._least_s, MOST_S) for delay in given]
        if not wanted:
            raise TspError(-104, "Data type error")
        if len(wanted) > 1 and sum(wanted) / len(wanted) < LEAST_MEAN_S:
            raise TspError(1102, "Parameter too small")
        self._delays_s, self._next = wanted, 0

    def set_passes(self, value: Any) -> None:
        """Set whether a trigger is an event at once as well."""
        self.passes = as_number(value) != 0

    def _start(self) -> None:
        if not self.enabled:
            return
        if self._running:
            self.overrun = True
            return
        self._running = True
        self._run += 1
        self._delay(self._run, self._clock.now_s, 0)
        if self.passes:
            self._events.emit(self.event)

    def _delay(self, run: int, begins_s: float, done: int) -> None:
        ends_s = begins_s + self.delay_s
        self._next = (self._next + 1) % len(self._delays_s)
        self._clock.at(ends_s, lambda: self._elapsed(run, ends_s, done + 1))

    def _elapsed(self, run: int, at_s: float, done: int) -> None:
        """End one delay, and begin the next from when it was due, so that no time is lost."""
        if run != self._run or not self.enabled:
            return
        if self.count.value and done >= self.count.value:
            self._running = False
        else:
            self._delay(run, at_s, done)
        self._events.emit(self.event)


def declare_timers(root: Node, timers: dict[int, Timer]) -> None:
    """Declare ``trigger.timer`` of a 2600B or 37xx."""
    for number, timer in timers.items():
        node = root.node(f"trigger.timer[{number}]")
        node.constant("EVENT_ID", timer.event)
        node.on("delay", get=partial(getattr, timer, "delay_s"), set=timer.set_delays)
        node.on("delaylist", get=partial(getattr, timer, "delays_s"), set=timer.set_delays)
        node.on("count", get=timer.count.get, set=timer.count.set)
        node.on("passthrough", get=partial(getattr, timer, "passes"), set=timer.set_passes)
        node.on("stimulus", get=timer.stimulus.get, set=timer.stimulus.set)
        node.on("overrun", get=partial(getattr, timer, "overrun"))
        node.function("clear", timer.clear)
        node.function("reset", timer.reset)
        node.function("wait", timer.detector.wait)
