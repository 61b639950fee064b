"""The terminals of a source-measure unit, independent of its command language.

A channel sources volts up to a limit of its current, or amperes up to a limit of its voltage, and
measures both at its terminals. Without noise the source is exact; with noise it also has the steps
of its converter. Readings have the steps of their range, which are coarser, as is the noise, where
the integration is shorter than a power line cycle. A level settles exponentially: a reading that
ends soon after a change still contains part of the previous level. Switched off, a channel holds 0
V in the off modes NORMAL and ZERO; in the others its relay is open.

In some models the measurement range in use limits the output too: it gives no more than that range
can show. An automatic range then changes with a reading, and only then (:mod:`.measure_ranges`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwloop_sim.virtual.circuit.circuit import Circuit
from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.circuit.measure_ranges import searched

VOLT, CURR = "VOLT", "CURR"
OTHER = {VOLT: CURR, CURR: VOLT}
OVERFLOW = 9.9e37
HELD = {"NORM", "ZERO"}  # off modes in which an output that is off is at 0 V
NEVER_A = 1e-21  # a source of 0 A, for the solver
SETTLED = 1e-3  # of the step, after the settling time of the data sheet
NEGLIGIBLE = 1e-9
SAME = 1e-12  # relative difference below which numbers are equal


class SmuError(Exception):
    """A value that the channel refuses; each command language has its own error for it."""


@dataclass(frozen=True)
class SmuModel:
    """The data sheet of one channel.

    ``ranges_v``, ``ranges_a``: nominal, ascending. ``over``: largest value of a range, as a
    multiple. ``envelope``: (volts, amperes) pairs, ascending volts: up to so many volts it gives so
    many amperes. ``noise_a``: RMS at one power line cycle, one a current range. ``noise_of_v``: the
    same as a fraction of the voltage range. ``reading_steps``, ``source_steps``: steps a range.
    ``settle_s``: until a level is within 0.1 % of its step. ``least_limit_a``: the smallest current
    limit; ``least_limit_of_range``: its smallest fraction of a fixed measurement range.
    """

    ranges_v: tuple[float, ...]
    ranges_a: tuple[float, ...]
    over: float
    envelope: tuple[tuple[float, float], ...]
    noise_a: tuple[float, ...]
    noise_of_v: float
    reading_steps: float
    source_steps: float
    settle_s: float
    least_limit_a: float
    least_limit_v: float
    least_limit_of_range: float = 0.0
    off_share: float = 5e-3
    """Limit of an output that is off in mode NORMAL, as a fraction of the current range."""
    range_limits: bool = False
    """Whether the output is limited to what the measurement range in use can show."""
    settle_of_range_s: tuple[float, ...] = ()
    """As ``settle_s``, one a current range that measures; empty where it is the same in all."""

    def ranges(self, function: str) -> tuple[float, ...]:
        """Return the ranges of volts or amperes."""
        return self.ranges_v if function == VOLT else self.ranges_a

    def most(self, function: str) -> float:
        """Return the largest volts or amperes."""
        return self.envelope[-1][0] if function == VOLT else max(a for _, a in self.envelope)

    def range_for(self, function: str, value: float) -> float:
        """Return the smallest range that holds a value; SmuError beyond the largest."""
        for full in self.ranges(function):
            if abs(value) <= full * self.over * (1 + SAME):
                return full
        raise SmuError(f"{value:g} is beyond the largest range")

    def most_amperes(self, range_v: float) -> float:
        """Return the largest current limit in a voltage range."""
        return next(a for v, a in self.envelope if range_v <= v)

    def noise(self, function: str, full: float) -> float:
        """Return the RMS noise of a reading in a range at one power line cycle."""
        if function == VOLT:
            return self.noise_of_v * full
        return self.noise_a[self.ranges_a.index(full)]


@dataclass(frozen=True)
class SmuReading:
    """Both quantities at the end of one integration."""

    volts: float
    amperes: float
    time_s: float
    limited: bool
    over: frozenset[str]
    """The quantities, of VOLT and CURR, beyond their measurement range."""
    range_limited: bool = False
    """Whether the source was limited by the measurement range, below the limit that was set."""

    def value(self, function: str) -> float:
        """Return the volts or the amperes."""
        return self.volts if function == VOLT else self.amperes


def ranges_from(ranges: Sequence[float], value: float, *, over: float) -> list[float]:
    """Return the ranges that an automatic range tries for a value, each if the last is exceeded.

    ``ranges``: nominal, ascending; each holds up to ``over`` times as much. A range that holds the
    value, but not the value with its noise, is left for the next.
    """
    return [full for full in ranges if abs(value) <= full * over] or [ranges[-1]]


class Smu:
    """One channel between its command language and the circuit."""

    def __init__(
        self,
        output: str,
        model: SmuModel,
        circuit: Circuit,
        clock: BenchClock,
        noise: np.random.Generator | None,
    ) -> None:
        self.model = model
        self._output = output
        self._circuit, self._clock, self._noise = circuit, clock, noise
        self.reset(range_v=model.ranges_v[0], range_a=model.ranges_a[0])

    def reset(
        self, *, range_v: float, range_a: float, limit_a: float = 1.05e-4, limit_v: float = 21.0
    ) -> None:
        """Reset to a voltage source at 0 V, off, with automatic ranges; the rest as given."""
        self.function = VOLT
        self.on, self.off_mode = False, "NORM"
        self.levels = {VOLT: 0.0, CURR: 0.0}
        self.source_range = {VOLT: range_v, CURR: range_a}
        self.source_auto = {VOLT: True, CURR: True}
        self.limits = {VOLT: limit_a, CURR: limit_v}
        self.measure_range = {VOLT: range_v, CURR: range_a}
        self.measure_auto = {VOLT: True, CURR: True}
        self.least_auto_range = {VOLT: 0.0, CURR: 0.0}
        self.rebound = False
        self._before = (0.0, 0.0)
        self._changed_s = -math.inf
        self.drive()

    def check_level(self, function: str, value: float) -> None:
        """Raise SmuError unless the locked range, or an automatic one, can hold this level."""
        if self.source_auto[function]:
            full = self.model.range_for(function, value)
            if function == VOLT:
                self._check_envelope(full)
        elif abs(value) > self.source_range[function] * self.model.over * (1 + SAME):
            raise SmuError(f"{value:g} is beyond the locked range {self.source_range[function]:g}")

    def set_level(self, function: str, value: float) -> None:
        """Set the level; a locked range must hold it, an automatic one follows it."""
        self.check_level(function, value)
        if self.source_auto[function]:
            self.source_range[function] = self.model.range_for(function, value)
        self.levels[function] = value
        self.drive()

    def set_source_range(self, function: str, value: float) -> None:
        """Lock the smallest range that holds a value; a level beyond it goes to 0."""
        full = self.model.range_for(function, value)
        if function == VOLT:
            self._check_envelope(full)
        self.source_range[function] = full
        self.source_auto[function] = False
        if abs(self.levels[function]) > full * self.model.over:
            self.levels[function] = 0.0
            self.drive()

    def set_limit(self, function: str, value: float) -> None:
        """Set the limit of the other quantity while this one is sourced."""
        other = OTHER[function]
        least = self.model.least_limit_a if other == CURR else self.model.least_limit_v
        if not self.measure_auto[other]:
            least = max(least, self.model.least_limit_of_range * self.measure_range[other])
        most = self.model.most(other)
        if other == CURR:
            most = self.model.most_amperes(self.source_range[VOLT])
        if not least * (1 - SAME) <= abs(value) <= most * (1 + SAME):
            raise SmuError(f"a limit of {value:g} is outside {least:g} to {most:g}")
        self.limits[function] = abs(value)
        self.drive()

    def set_measure_range(self, function: str, value: float) -> None:
        """Measure in the smallest range that holds a value, and no other."""
        full = self.model.range_for(function, value)
        self.measure_auto[function] = False
        self._use_range(function, full)

    def set_function(self, function: str) -> None:
        """Source volts or amperes from now on."""
        self.function = function
        self.drive()

    def switch(self, *, on: bool) -> None:
        """Switch the output relay on or off."""
        self.on = on
        self.drive()

    def drive(self) -> None:
        """Apply the settings to the circuit."""
        sensed = self._circuit.sense(self._output)
        before = (sensed.volts, sensed.amperes)
        level = self._converted(self.levels[self.function])
        if not self.on:
            self._drive_off()
        elif self.function == VOLT:
            self._circuit.drive(self._output, volts=level, limit_a=self.limit_in_force)
        else:
            volts = math.copysign(self.limit_in_force, level)
            self._circuit.drive(self._output, volts=volts, limit_a=max(abs(level), NEVER_A))
        self._before, self._changed_s = before, self._clock.now_s

    def _drive_off(self) -> None:
        limit_a = self.limits[VOLT]
        if self.off_mode == "NORM":
            limit_a = min(limit_a, self.measure_range[CURR] * self.model.off_share)
        held_v = 0.0 if self.off_mode in HELD else None
        self._circuit.drive(self._output, volts=held_v, limit_a=limit_a, on=False)

    def set_off_mode(self, mode: str) -> None:
        """Set the off mode: NORM, ZERO, HIMP or GUAR."""
        self.off_mode = mode
        self.drive()

    @property
    def changed_s(self) -> float:
        """Return when the output was last driven anew, seconds on the bench's clock."""
        return self._changed_s

    @property
    def limited(self) -> bool:
        """Return whether the source is at its limit now."""
        if not self.on:
            return False
        sensed = self._circuit.sense(self._output)
        return sensed.limited if self.function == VOLT else not sensed.limited

    @property
    def limit_in_force(self) -> float:
        """Return the limit of the output now: the one set, or less by the measurement range."""
        limit = self.limits[self.function]
        if not self.model.range_limits:
            return limit
        return min(limit, self.measure_range[OTHER[self.function]] * self.model.over)

    @property
    def range_limited(self) -> bool:
        """Return whether the source is limited now, and by the measurement range."""
        return self.limited and self.limit_in_force < self.limits[self.function] * (1 - SAME)

    def limit_range(self, function: str) -> float:
        """Return the measurement range that carries the limit while ``function`` is sourced."""
        return self.model.range_for(OTHER[function], self.limits[function])

    def measure(
        self,
        aperture_s: float,
        *,
        line_hz: float,
        cycles: float = 0.0,
        searching: bool = True,
        delay_s: float = 0.0,
    ) -> SmuReading:
        """Integrate for ``aperture_s`` and return the reading.

        ``cycles``: power line cycles of the noise, in place of the aperture's. ``searching``:
        whether the quantity with the limit is measured, so that its automatic range changes;
        ``delay_s``: waited for after each change of it.
        """
        other = OTHER[self.function]

        def read() -> SmuReading:
            return self._read(aperture_s, cycles or aperture_s * line_hz)

        if not (searching and self._range_changes(other)):
            return read()

        def read_in(full: float) -> SmuReading:
            self._use_range(other, full)
            self._clock.advance(delay_s)
            return read()

        reading = searched(
            read(),
            read_in,
            ranges=self.searched_ranges(other),
            present=self.measure_range[other],
            top=self.limit_range(self.function),
            value=lambda r: math.inf if other in r.over or r.range_limited else r.value(other),
        )
        if self.rebound:
            self._use_range(other, self.limit_range(self.function))
        return reading

    def searched_ranges(self, function: str) -> tuple[float, ...]:
        """Return the ranges among which an automatic one is searched, ascending."""
        return self.model.ranges(function)

    def _range_changes(self, function: str) -> bool:
        """Return whether an automatic range is kept from one reading to the next."""
        limits = self.model.range_limits and self.on
        return limits and self.measure_auto[function] and function == OTHER[self.function]

    def _use_range(self, function: str, full: float) -> None:
        """Measure in a range from now on; drive again where it changes the limit in force."""
        before = self.limit_in_force
        self.measure_range[function] = full
        if self.limit_in_force != before:
            self.drive()

    def _read(self, aperture_s: float, nplc: float) -> SmuReading:
        self._clock.advance(aperture_s)
        sensed = self._circuit.read(self._output)
        lag = self._lag()
        volts = sensed.volts + (self._before[0] - sensed.volts) * lag
        amperes = sensed.amperes + (self._before[1] - sensed.amperes) * lag
        shown_v, over_v = self._shown(VOLT, volts, nplc)
        shown_a, over_a = self._shown(CURR, amperes, nplc)
        over = frozenset(f for f, is_over in ((VOLT, over_v), (CURR, over_a)) if is_over)
        return SmuReading(
            shown_v, shown_a, self._clock.now_s, self.limited, over, self.range_limited
        )

    def _lag(self) -> float:
        """Return the fraction of the latest step that has not yet settled."""
        elapsed = (self._clock.now_s - self._changed_s) / self.settling_s
        lag = SETTLED ** min(elapsed, 1e3)
        return lag if lag > NEGLIGIBLE else 0.0

    @property
    def settling_s(self) -> float:
        """Return the time in which a step settles to 0.1 % in the current range in use, seconds."""
        model = self.model
        if not model.settle_of_range_s:
            return model.settle_s
        full = self.measure_range[CURR]
        if self.measure_auto[CURR] and not model.range_limits:
            present_a = self._circuit.sense(self._output).amperes
            full = self._measuring_ranges(CURR, present_a)[0]
        return model.settle_of_range_s[model.ranges_a.index(full)]

    @property
    def unsettled_s(self) -> float:
        """Return the time until the latest step has settled to 0.1 %, seconds."""
        return max(self._changed_s + self.settling_s - self._clock.now_s, 0.0)

    def _converted(self, level: float) -> float:
        if self._noise is None:
            return level
        step = self.source_range[self.function] / self.model.source_steps
        return round(level / step) * step

    def _shown(self, function: str, value: float, nplc: float) -> tuple[float, bool]:
        """Return a value in the steps of its range, and whether it is beyond the range."""
        for full in self._measuring_ranges(function, value):
            seen = value
            if self._noise is not None:
                spread = self.model.noise(function, full) / math.sqrt(nplc)
                seen += float(self._noise.normal()) * spread
            if abs(seen) <= full * self.model.over * (1 + NEGLIGIBLE):
                step = full / self.model.reading_steps / math.sqrt(min(nplc, 1.0))
                return round(seen / step) * step, False
        return OVERFLOW, True

    def _measuring_ranges(self, function: str, value: float) -> list[float]:
        """Return the ranges in which a value is measured: the locked one, or see ranges_from."""
        if not self.measure_auto[function] or self._range_changes(function):
            return [self.measure_range[function]]
        least = self.least_auto_range[function] * (1 - SAME)
        ranges = [full for full in self.model.ranges(function) if full >= least]
        return ranges_from(ranges, value, over=self.model.over)

    def _check_envelope(self, range_v: float) -> None:
        if self.limits[VOLT] > self.model.most_amperes(range_v) * (1 + SAME):
            raise SmuError(
                f"the {range_v:g} V range cannot give {self.limits[VOLT]:g} A;"
                " lower the limit first"
            )
