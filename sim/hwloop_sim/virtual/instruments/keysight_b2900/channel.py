"""One channel of a Keysight B2900: its settings, and the actions of its triggers.

Two actions run side by side: the transient one steps the source, or pulses it from its base level,
the acquire one measures; both start at ``INIT``. Each has an arm layer and a trigger layer with a
source, a count and a delay (user's guide, 6-27); a source that is not internal is waited for. SCPI
command reference B2910-90030, chapter 4.
"""

from __future__ import annotations

from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.circuit.smu import CURR, SAME, VOLT, Smu, SmuReading
from hwloop_sim.virtual.instruments.keysight_b2900.triggers import (
    INTERNAL,
    StaircaseSweep,
    Trigger,
    TriggerEvent,
    later,
)

LEAST_APERTURE_S, MOST_APERTURE_S = 8e-6, 2.0
MOST_LIST = 2500
LEAST_AUTO_A, LEAST_AUTO_V = 1e-6, 0.2  # lowest automatic ranges after a reset: 2-17
TRANSIENT, ACQUIRE = "TRAN", "ACQ"
READ_FIRST, STEP_AFTER = 0, 1  # at one instant a reading ends before the level changes
CURRENT_SOURCE, AT_COMPLIANCE, OVERFLOWED = 1, 2, 8192  # bits of a status: table 1-2


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
        self.smu.least_auto_range = {VOLT: LEAST_AUTO_V, CURR: LEAST_AUTO_A}
        self.triggers = {TRANSIENT: Trigger(), ACQUIRE: Trigger()}
        self.lists: dict[str, list[float]] = {VOLT: [], CURR: []}
        self.modes = {VOLT: "FIX", CURR: "FIX"}
        self.triggered: dict[str, float | None] = {VOLT: None, CURR: None}
        self.shape, self.pulse_delay_s, self.pulse_width_s = "DC", 0.0, 5e-5
        self.aperture_s = 0.1 / self.line_hz
        self.auto_on, self.four_wire = True, False
        self.measure_wait = True
        self.sweeps = {VOLT: StaircaseSweep(), CURR: StaircaseSweep()}
        self.waiting: list[list[TriggerEvent]] = []
        self.senses = {CURR}
        self.readings: list[SmuReading] = []
        self.sourced: list[float] = []

    @property
    def nplc(self) -> float:
        """Return the integration time in power line cycles."""
        return self.aperture_s * self.line_hz

    def measure(self) -> SmuReading:
        """Measure once, which takes the integration time, after the measurement wait time."""
        if self.measure_wait:
            self._clock.advance(self.smu.unsettled_s)
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

    def initiate(self, actions: tuple[str, ...]) -> list[TriggerEvent]:
        """Return the actions after ``INIT``, unordered; those of other triggers wait for them."""
        self.readings, self.sourced = [], []
        if self.auto_on and not self.smu.on:
            self.smu.switch(on=True)
        self.waiting = []
        now = []
        for action in actions:
            made = self._cycles(action)
            if self.triggers[action].waits:
                missing = len(made) - len(self.waiting)
                self.waiting += [[] for _ in range(missing)]
                for waiting, events in zip(self.waiting, made, strict=False):
                    waiting += events
            else:
                now += [event for events in made for event in events]
        return self._after_waits(now)

    def _after_waits(self, events: list[TriggerEvent]) -> list[TriggerEvent]:
        """Return the events with readings later where the measurement wait time keeps them.

        It runs from the start of a level: SCPI reference, 4-91. The source does not wait for it.
        """
        if not self.measure_wait:
            return events
        steps_s = [event.at_s for event in events if event.order == STEP_AFTER]
        kept = []
        for event in events:
            begins_s = event.at_s - self.aperture_s
            before_s = [at_s for at_s in steps_s if at_s <= begins_s * (1 + SAME)]
            late_s = max(before_s) + self.smu.settling_s - begins_s if before_s else 0.0
            is_late = event.order == READ_FIRST and late_s > 0
            kept.append(later(event, late_s) if is_late else event)
        return kept

    def triggered_events(self) -> list[TriggerEvent]:
        """Return what the next trigger from outside begins."""
        return self.waiting.pop(0) if self.waiting else []

    def _cycles(self, action: str) -> list[list[TriggerEvent]]:
        """Return the events of an action by the trigger that begins them, times from there on."""
        trigger = self.triggers[action]
        arm = trigger.arm
        events = self._steps() if action == TRANSIENT else self._acquisitions()
        if trigger.source not in INTERNAL:
            return self._one_by_one(action) * arm.count
        cycle_s = max((event.at_s for event in events), default=0.0)
        period_s = arm.timer_s if arm.source == "TIM" else cycle_s
        if arm.source not in INTERNAL:
            return [[later(event, arm.delay_s) for event in events] for _ in range(arm.count)]
        return [
            [later(event, n * period_s + arm.delay_s) for event in events] for n in range(arm.count)
        ]

    def _one_by_one(self, action: str) -> list[list[TriggerEvent]]:
        """Return the events of each trigger of an action that waits for every one of them."""
        trigger = self.triggers[action]
        if action == ACQUIRE:
            at_s = trigger.delay_s + self.aperture_s
            return [[TriggerEvent(at_s, READ_FIRST, self._take)] for _ in range(trigger.count)]
        base = self.smu.levels[self.smu.function]
        made = []
        for level in self._levels():
            at_s = trigger.delay_s
            events = []
            if self.shape == "PULS":
                at_s += self.pulse_delay_s
                events.append(self._step(at_s + self.pulse_width_s, base))
            made.append([self._step(at_s, level), *events])
        made[-1].append(self._step(self._period(), base))
        return made

    def _levels(self) -> list[float]:
        """Return the level of each trigger of the source."""
        function, count = self.smu.function, self.triggers[TRANSIENT].count
        values: list[float] = []
        if self.modes[function] == "LIST":
            values = self.lists[function]
        elif self.modes[function] == "SWE":
            values = self.sweeps[function].levels()
        if values:
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
        wait_s = self.smu.settling_s if self.measure_wait else 0.0
        reading_s = max(acquire.delay_s, transient.delay_s + wait_s) + self.aperture_s
        return max(transient.delay_s + pulse_s, reading_s)

    def _take(self) -> None:
        self.readings.append(self.smu.measure(0.0, line_hz=self.line_hz, cycles=self.nplc))
        self.sourced.append(self.smu.levels[self.smu.function])

    def status(self, reading: SmuReading) -> float:
        """Return the status of a reading as a number."""
        bits = CURRENT_SOURCE if self.smu.function == CURR else 0
        bits |= AT_COMPLIANCE if reading.limited else 0
        return float(bits | (OVERFLOWED if reading.over & self.senses else 0))
