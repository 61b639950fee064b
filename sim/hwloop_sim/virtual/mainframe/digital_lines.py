"""The digital lines of an instrument: levels, and edges that are trigger events.

Topics *digio* of Keithley's help of the 2600B, 37xx and 2450. A line that nothing drives is high.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.languages.tsp_tables import Cell, Node, TspError, as_number, within
from hwloop_sim.virtual.mainframe.events import Detector, Event, Events, EventStimulus

BYPASS, FALLING, RISING, EITHER = 0.0, 1.0, 2.0, 3.0
MODES = tuple(float(mode) for mode in range(9))
LOW_PULSES = (1.0, 3.0, 4.0, 5.0, 7.0)  # modes that assert by pulling the line low
DEFAULT_PULSE_S = 10e-6


class DigitalLine:
    """One line: what drives it from within and from outside, and the edges that it detects."""

    def __init__(self, events: Events, clock: BenchClock, *, event: Event, none: Event) -> None:
        self._events, self._clock, self.event = events, clock, event
        self.written = self.outside = True
        self.mode = Cell(BYPASS, choices=MODES)
        self.pulse_s = Cell(DEFAULT_PULSE_S, lowest=0, highest=1e5)
        self.stimulus = EventStimulus(events, self.assert_, none)
        self.detector = Detector(events, event, clock)
        self.detects: Callable[[bool], bool] = self._fits
        self._asserted = 0

    @property
    def level(self) -> bool:
        """Return whether the line is high; whoever pulls it low wins."""
        own = not self._pulls_low if self._asserted else self.written
        return self.outside and own

    @property
    def _pulls_low(self) -> bool:
        return self.mode.value in LOW_PULSES

    def reset(self) -> None:
        """Reset the trigger settings; the level stays, as the topic *digio.writeport()* says."""
        self._asserted = 0
        self.mode.reset()
        self.pulse_s.reset()
        self.stimulus.reset()
        self.detector.clear()

    def assert_(self) -> None:
        """Make an output pulse, without end where its width is 0."""
        self._asserted += 1
        number = self._asserted
        if self.pulse_s.value:
            ends_s = self._clock.now_s + self.pulse_s.value
            self._clock.at(ends_s, lambda: self._end(number))

    def _end(self, number: int) -> None:
        if number == self._asserted:
            self.release()

    def release(self) -> None:
        """End an output pulse that is under way."""
        self._asserted = 0

    def drive(self, *, high: bool) -> None:
        """Set the line from outside; an edge that its mode detects is an event."""
        was, self.outside = self.level, high
        if self.level != was and self.detects(self.level):
            self._events.emit(self.event)

    def pulse(self, at_s: float, width_s: float = 1e-4) -> None:
        """Pull the line low from outside at a time, for a while."""
        self._clock.at(at_s, lambda: self.drive(high=False))
        self._clock.at(at_s + width_s, lambda: self.drive(high=True))

    def _fits(self, rises: bool) -> bool:
        if self.mode.value in (BYPASS, EITHER):
            return self.mode.value == EITHER
        rising = self.mode.value in (RISING, 6.0, 8.0)
        return rises == rising


class DigitalPort:
    """All digital lines, line 1 in the lowest bit."""

    def __init__(self, lines: dict[int, DigitalLine]) -> None:
        self.lines = lines
        self.protected = Cell(0, lowest=0, highest=(1 << len(lines)) - 1)

    def line(self, number: object) -> DigitalLine:
        """Return a line by its number; TspError for one that is not there."""
        if as_number(number) not in self.lines:
            raise TspError(-224, "Illegal parameter value")
        return self.lines[int(as_number(number))]

    def read_bit(self, number: object) -> float:
        """Return the level of a line, 0 or 1."""
        return float(self.line(number).level)

    def read(self) -> float:
        """Return the levels of all lines."""
        return float(sum(line.level << (n - 1) for n, line in self.lines.items()))

    def write_bit(self, number: object, high: object) -> None:
        """Set a line, unless it is protected."""
        line = self.line(number)
        if not int(self.protected.value) >> (int(as_number(number)) - 1) & 1:
            line.written = as_number(high) != 0

    def write(self, data: object) -> None:
        """Set all lines that are not protected."""
        bits = int(within(as_number(data), 0, (1 << len(self.lines)) - 1))
        for n in self.lines:
            self.write_bit(n, bits >> (n - 1) & 1)

    def reset(self) -> None:
        """Reset the settings; the levels stay."""
        self.protected.reset()
        for line in self.lines.values():
            line.reset()


def declare_port(root: Node, port: DigitalPort) -> None:
    """Declare ``digio`` of a 2600B, 37xx or 70xB, with its trigger lines."""
    node = root.node("digio")
    node.function("readbit", port.read_bit)
    node.function("readport", port.read)
    node.function("writebit", port.write_bit)
    node.function("writeport", port.write)
    node.on("writeprotect", get=port.protected.get, set=port.protected.set)
    node.constants(TRIG_BYPASS=0, TRIG_FALLING=1, TRIG_RISING=2, TRIG_EITHER=3)
    node.constants(TRIG_SYNCHRONOUSA=4, TRIG_SYNCHRONOUS=5, TRIG_SYNCHRONOUSM=6)
    node.constants(TRIG_RISINGA=7, TRIG_RISINGM=8)
    for number, line in port.lines.items():
        trigger = node.node(f"trigger[{number}]")
        trigger.constant("EVENT_ID", line.event)
        trigger.on("mode", get=line.mode.get, set=line.mode.set)
        trigger.on("pulsewidth", get=line.pulse_s.get, set=line.pulse_s.set)
        trigger.on("stimulus", get=line.stimulus.get, set=line.stimulus.set)
        trigger.on("overrun", get=partial(getattr, line.detector, "overrun"))
        trigger.function("assert", line.assert_)
        trigger.function("release", line.release)
        trigger.function("reset", line.reset)
        trigger.function("clear", line.detector.clear)
        trigger.function("wait", line.detector.wait)
