"""One channel of a Keysight B2900: its settings, and the actions of its triggers.

Two actions run side by side: the transient one steps the source, or pulses it from its base level,
the acquire one measures; both start at ``INIT``. SCPI command reference B2910-90030, chapter 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.circuit.smu import CURR, SAME, VOLT, Smu, SmuReading

LEAST_APERTURE_S, MOST_APERTURE_S = 8e-6, 2.0
MOST_LIST = 2500
TRANSIENT, ACQUIRE = "TRAN", "ACQ"
READ_FIRST, STEP_AFTER = 0, 1  # at one instant a reading ends before the level changes
CURRENT_SOURCE, AT_COMPLIANCE, OVERFLOWED = 1, 2, 8192  # bits of a status: table 1-2


@dataclass
class Trigger:
    """The trigger of one action: AINT as soon as the one before is done, TIM by its timer."""

    source: str = "AINT"
    timer_s: float = 1e-5
    count: int = 1
    delay_s: float = 0.0


@dataclass(frozen=True)
class TriggerEvent:
    """An action at a time after ``INIT``, seconds."""

    at_s: float
    order: int
    do: Callable[[], None]


class TriggeredChannel:
    """One channel: its terminals, its levels to come, its readings."""

    def __init__(self, smu: Smu, clock: BenchClock, *, line_hz: float) -> None:
        self.smu = smu
        self.line_hz = line_hz
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Reset as ``*RST`` does: 0 V, 100 µA limit, off, but switched on by the first trigger."""
        self.smu.reset(range_v=2.0, range_a=1e-4, limit_a=1e-4, limit_v=2.0)
        self.triggers = {TRANSIENT: Trigger(), ACQUIRE: Trigger()}
        self.lists: dict[str, list[float]] = {VOLT: [], CURR: []}
        self.modes = {VOLT: "FIX", CURR: "FIX"}
        self.triggered: dict[str, float | None] = {VOLT: None, CURR: None}
        self.shape, self.pulse_delay_s, self.pulse_width_s = "DC", 0.0, 5e-5
        self.aperture_s = 0.1 / self.line_hz
        self.auto_on, self.four_wire = True, False
        self.senses = {CURR}
        self.readings: list[SmuReading] = []
        self.sourced: list[float] = []

    @property
    def nplc(self) -> float:
        """Return the integration time in power line cycles."""
        return self.aperture_s * self.line_hz

    def measure(self) -> SmuReading:
        """Measure once, which takes the integration time."""
        self._clock.advance(self.aperture_s)
        self._take()
        return self.readings[-1]

    def trigger_level(self, function: str) -> float:
        """Return the level of a trigger without a list: the base level, unless it was set."""
        level = self.triggered[function]
        return self.smu.levels[function] if level is None else level

    def refusal(self, actions: tuple[str, ...]) -> str:
        """Return why the triggers cannot run; "" if they can."""
        transient, acquire = self.triggers[TRANSIENT], self.triggers[ACQUIRE]
        pulse_s = self.pulse_delay_s + self.pulse_width_s
        if self.shape == "PULS" and transient.source == "TIM" and pulse_s > transient.timer_s:
            return "the pulse is longer than its period"
        crowded = acquire.count > 1 and self.aperture_s > acquire.timer_s * (1 + SAME)
        if ACQUIRE in actions and acquire.source == "TIM" and crowded:
            return "the aperture is longer than its period"
        for level in self._levels():
            self.smu.check_level(self.smu.function, level)
        return "" if self.smu.on or self.auto_on else "the output is off"

    def events(self, actions: tuple[str, ...]) -> list[TriggerEvent]:
        """Return the actions after ``INIT``, unordered."""
        self.readings, self.sourced = [], []
        if self.auto_on and not self.smu.on:
            self.smu.switch(on=True)
        steps = self._steps() if TRANSIENT in actions else []
        return [*steps, *(self._acquisitions() if ACQUIRE in actions else [])]

    def _levels(self) -> list[float]:
        """Return the level of each trigger of the source."""
        function, count = self.smu.function, self.triggers[TRANSIENT].count
        if self.modes[function] == "LIST" and self.lists[function]:
            values = self.lists[function]
            return [values[n % len(values)] for n in range(count)]
        return [self.trigger_level(function)] * count

    def _steps(self) -> list[TriggerEvent]:
        trigger, function = self.triggers[TRANSIENT], self.smu.function
        base = self.smu.levels[function]
        period_s = self._period()
        events = []
        for n, level in enumerate(self._levels()):
            at_s = n * period_s + trigger.delay_s
            if self.shape == "PULS":
                at_s += self.pulse_delay_s
                events.append(self._step(at_s + self.pulse_width_s, base))
            events.append(self._step(at_s, level))
        # Not continuous: the source returns to where it was.
        events.append(self._step(trigger.count * period_s + trigger.delay_s, base))
        return events

    def _step(self, at_s: float, level: float) -> TriggerEvent:
        return TriggerEvent(at_s, STEP_AFTER, lambda: self.smu.set_level(self.smu.function, level))

    def _acquisitions(self) -> list[TriggerEvent]:
        trigger = self.triggers[ACQUIRE]
        period_s = trigger.timer_s if trigger.source == "TIM" else self._period()
        first_s = trigger.delay_s + self.aperture_s
        return [
            TriggerEvent(n * period_s + first_s, READ_FIRST, self._take)
            for n in range(trigger.count)
        ]

    def _period(self) -> float:
        """Return the time between two triggers of the source, seconds."""
        transient, acquire = self.triggers[TRANSIENT], self.triggers[ACQUIRE]
        if transient.source == "TIM":
            return transient.timer_s
        pulse_s = self.pulse_delay_s + self.pulse_width_s if self.shape == "PULS" else 0.0
        return max(transient.delay_s + pulse_s, acquire.delay_s + self.aperture_s)

    def _take(self) -> None:
        self.readings.append(self.smu.measure(0.0, line_hz=self.line_hz, cycles=self.nplc))
        self.sourced.append(self.smu.levels[self.smu.function])

    def status(self, reading: SmuReading) -> float:
        """Return the status of a reading as a number."""
        bits = CURRENT_SOURCE if self.smu.function == CURR else 0
        bits |= AT_COMPLIANCE if reading.limited else 0
        return float(bits | (OVERFLOWED if reading.over & self.senses else 0))


def run(clock: BenchClock, channels: list[TriggeredChannel], actions: tuple[str, ...]) -> None:
    """Run the triggers of these channels, from now on, to their end."""
    begun_s = clock.now_s
    events = [event for channel in channels for event in channel.events(actions)]
    for event in sorted(events, key=lambda event: (round(event.at_s, 12), event.order)):
        clock.advance(max(begun_s + event.at_s - clock.now_s, 0.0))
        event.do()
