"""The terminals of a 2450: limits that follow its ranges, and the time that its actions take.

Keithley's help of the 2450, by topic. *smu.measure.autorangerebound*: the output gives no more than
105 % of the measurement range in use. *smu.source.xlimit.level*: a limit that a fixed measurement
range does not allow is changed by the instrument, with a warning and without an error. *Source
delay*: waited for at the first output and after each change of the level's magnitude.
*smu.source.offmode*: switched off in mode ZERO, automatic ranges stay where they are.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from hwloop_sim.virtual.circuit.smu import CURR, OTHER, VOLT, Smu, SmuModel, SmuReading

AUTO_DELAY_S = (0.05, 0.05, 3e-3, 2e-3, *(1e-3,) * 5)
"""One a current range, from the topic *Source delay*; each is taken for the settling time too."""
MODEL = SmuModel(
    ranges_v=(0.02, 0.2, 2.0, 20.0, 200.0),
    ranges_a=(1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    over=1.05,
    envelope=((21.0, 1.05), (210.0, 0.105)),
    noise_a=(5e-13, 5e-13, 5e-12, 4e-11, 4e-10, 5e-9, 4e-8, 1e-7, 3e-6),
    noise_of_v=5e-6,
    reading_steps=1e6,
    source_steps=4e4,
    settle_s=2e-4,
    least_limit_a=1e-9,
    least_limit_v=0.02,
    off_share=0.1,
    range_limits=True,
    settle_of_range_s=AUTO_DELAY_S,
)
LEAST_LIMIT_OF_RANGE = 0.106
RESET_RANGE = {VOLT: 0.02, CURR: 1e-4}
# Keithley's example PulseTrain_SVMI.tsp: the fastest pulse is about 750 us, and about 4 ms with a
# reading of 0.01 cycles of 60 Hz. SimplePulse_SVMI.tsp: on and off again, about 1.2 ms.
STEP_S, SWITCH_S = 7.5e-4, 1.2e-3
READ_S = 4e-3 - STEP_S - 0.01 / 60


@dataclass(frozen=True)
class LogEvent:
    """One entry of the event log that is no error."""

    code: float
    text: str


LIMIT_CHANGED = LogEvent(0.0, "Source limit changed to fit the measure range")  # its code: unknown


class Terminals2450(Smu):
    """A source meter whose settings change each other as those of a 2450 do."""

    @override
    def reset(self, **given: Any) -> None:
        self.warnings: deque[LogEvent] = deque(maxlen=1000)
        self.lowest = {VOLT: self.model.ranges_v[0], CURR: self.model.ranges_a[0]}
        self._stepped = False
        super().reset(**given)
        self.measure_range = dict(RESET_RANGE)
        self.drive()

    @override
    def set_level(self, function: str, value: float) -> None:
        before = self.levels[function]
        super().set_level(function, value)
        if abs(value) != abs(before):
            self._stepped = True
        if self.on and function == self.function:
            self._clock.advance(STEP_S)

    def recall_source(self, function: str, kept: dict[str, Any], off_mode: str) -> None:
        """Set what a configuration list keeps of the source, at once.

        ``kept``: the values of ``function`` by the name of the attribute that has them.
        """
        before = self.levels[function] if function == self.function else None
        for name, value in kept.items():
            getattr(self, name)[function] = value
        self.function, self.off_mode = function, off_mode
        self.drive()
        if before is None or abs(self.levels[function]) != abs(before):
            self._stepped = True
        if self.on:
            self._clock.advance(STEP_S)

    @override
    def switch(self, *, on: bool) -> None:
        was_on = self.on
        if was_on and not on and self.off_mode == "ZERO":
            self.source_auto[self.function] = False
            self.measure_auto[OTHER[self.function]] = False
        super().switch(on=on)
        if on and not was_on:
            self._stepped = True
            self._clock.advance(SWITCH_S)

    @override
    def set_limit(self, function: str, value: float) -> None:
        super().set_limit(function, value)
        self._raise_limit()

    @override
    def set_measure_range(self, function: str, value: float) -> None:
        super().set_measure_range(function, value)
        if function == OTHER[self.function]:
            highest = self.measure_range[function] * self.model.over
            if self.limits[self.function] > highest:
                self._change_limit(highest)
            self._raise_limit()

    def _raise_limit(self) -> None:
        other = OTHER[self.function]
        if self.measure_auto[other]:
            return
        lowest = LEAST_LIMIT_OF_RANGE * self.measure_range[other]
        if self.limits[self.function] < lowest * (1 - 1e-9):
            self._change_limit(lowest)

    def _change_limit(self, limit: float) -> None:
        self.limits[self.function] = limit
        self.warnings.append(LIMIT_CHANGED)
        self.drive()

    def set_lowest(self, function: str, value: float) -> None:
        """Set the lowest range that an automatic range goes to."""
        self.lowest[function] = self.model.range_for(function, value / self.model.over)

    def take_step(self) -> bool:
        """Return whether the level's magnitude has changed since the last call."""
        stepped, self._stepped = self._stepped, False
        return stepped

    def auto_delay_s(self) -> float:
        """Return the automatic source delay in the present current range, seconds."""
        return AUTO_DELAY_S[self.model.ranges_a.index(self.measure_range[CURR])]

    @override
    def searched_ranges(self, function: str) -> tuple[float, ...]:
        # The range in use is among them, though it may be below the lowest.
        lowest = min(self.lowest[function], self.measure_range[function])
        return tuple(full for full in self.model.ranges(function) if full >= lowest)

    @override
    def measure(self, aperture_s: float, **given: Any) -> SmuReading:
        self._clock.advance(READ_S)
        return super().measure(aperture_s, **given)
