"""The trigger events of an instrument, and the detectors that wait for them.

After the topics on triggering of Keithley's help of the 2600B and the 2450. An event is a number
or a constant of its own name; 0 and ``trigger.EVENT_NONE`` are none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.languages.tsp_tables import TspError, as_number, within

Event = float | str
NONE: tuple[Event, ...] = (0.0, "trigger.EVENT_NONE")
MOST_TIMEOUT_S = 1e5


class Events:
    """Every event of one instrument, told to all that listen, in the order of their making."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Event], None]] = []

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call ``listener`` with every event from now on."""
        self._listeners.append(listener)

    def emit(self, event: Event) -> None:
        """Tell all listeners of an event."""
        for listener in self._listeners:
            listener(event)


class EventStimulus:
    """The attribute ``stimulus`` of an object: the event at which it acts."""

    def __init__(self, events: Events, act: Callable[[], None], default: Event) -> None:
        self._default = self.event = default
        self._act = act
        events.listen(self._heard)

    def get(self) -> Event:
        """Return the event that is set."""
        return self.event

    def set(self, event: Any) -> None:
        """Set the event, one of the constants for events, or none."""
        if not isinstance(event, str):
            event = within(as_number(event), 0, 1e6)
        elif not event.startswith("trigger.EVENT_"):
            raise TspError(1130, "Parameter, expected one of its constants")
        self.event = event

    def reset(self) -> None:
        """Reset the stimulus to no event."""
        self.event = self._default

    def _heard(self, event: Event) -> None:
        if event == self.event and event not in NONE:
            self._act()


class Detector:
    """Remembers an event until it is asked for or cleared, and whether there was more than one."""

    def __init__(self, events: Events, event: Event, clock: BenchClock) -> None:
        self._event, self._clock = event, clock
        self.detected = self.overrun = False
        events.listen(self._heard)

    def clear(self) -> None:
        """Forget the event and its overrun."""
        self.detected = self.overrun = False

    def take(self) -> bool:
        """Return whether the event has been, and be ready for the next."""
        detected, self.detected = self.detected, False
        return detected

    def wait(self, timeout_s: Any) -> bool:
        """Wait for the event, or for the time-out; return whether it has been."""
        left_s = within(as_number(timeout_s), 0, MOST_TIMEOUT_S)
        self._clock.advance_until(lambda: self.detected, left_s)
        return self.take()

    def _heard(self, event: Event) -> None:
        if event == self._event:
            self.overrun |= self.detected
            self.detected = True
