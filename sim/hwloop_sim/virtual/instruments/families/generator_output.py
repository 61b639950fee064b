"""One output of a virtual waveform generator: its levels, its burst, its terminal in the circuit.

Of the 33500B, 33600A and 81160A: levels in four digits, scaled by the load that is set, a window
and an amplitude; pulses and arbitrary waveforms in triggered bursts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from hwloop_sim.virtual.circuit.circuit import Circuit
from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.languages.scpi import ScpiError

SERIES_OHM = 50.0
NO_LOAD = 9.9e37
DIGITS, STEP_V, NEAR_V = 4, 1e-4, 1e-9
CONFLICT = -221
FREE = frozenset({"IMM", "TIM", "INT2"})  # trigger sources that wait for nobody
MOST_SAMPLES = 100_000  # of a burst that is modelled sample by sample


@dataclass(frozen=True)
class OutputModel:
    """The data sheet of an output; volts into an open circuit.

    ``most_v``: the window of its levels. ``least_vpp``, ``most_vpp``: the peak-to-peak amplitude;
    ``start_vpp``: that after a reset. ``width_step_s``: steps of a pulse's width. ``edges``: edges
    that a period must leave beside its width. ``no_burst``: functions of which there is no burst.
    """

    least_width_s: float
    least_edge_s: float
    least_period_s: float
    most_v: float = 10.0
    least_vpp: float = 2e-3
    most_vpp: float = 20.0
    start_vpp: float = 0.2  # 100 mV peak to peak into 50 Ω
    width_step_s: float = 1e-10
    edges: float = 0.0
    no_burst: frozenset[str] = frozenset({"DC", "NOIS", "PRBS"})


class Output:
    """One output; levels are kept for an open circuit, and scaled by the load that is set."""

    def __init__(
        self,
        name: str,
        circuit: Circuit,
        clock: BenchClock,
        model: OutputModel,
    ) -> None:
        self._name, self._circuit, self._clock = name, circuit, clock
        self.model = model
        self._burst_number = 0
        self.reset()

    def reset(self) -> None:
        """Reset the output to its state after *RST."""
        start_v, most_v = self.model.start_vpp / 2, self.model.most_v
        self._high_v, self._low_v = start_v, -start_v
        self.load_ohm, self.unit, self.function, self.polarity = 50.0, "VPP", "SIN", "NORM"
        self._limit_high_v, self._limit_low_v = most_v, -most_v
        self.limited, self.on, self.ranging = False, False, True
        self.period_s, self.width_s, self.edge_s, self.hold = 1e-3, 1e-4, 1e-8, "DCYC"
        self.samples: tuple[float, ...] = ()
        self.sample_hz, self.advance, self.filter = 4e4, "SRAT", "STEP"
        self.square_percent, self.symmetry_percent, self.phase_deg, self.mode = (
            50.0,
            100.0,
            0.0,
            "CW",
        )
        self.burst, self.burst_mode, self.cycles, self.burst_phase_deg = False, "TRIG", 1.0, 0.0
        self.burst_period_s, self.gate_polarity = 1e-2, "NORM"
        self.source, self.slope, self.trigger_count = "IMM", "POS", 1.0
        self.trigger_delay_s, self.timer_s = 0.0, 1.0
        self._end_burst()

    @property
    def _scale(self) -> float:
        return 1.0 if self.load_ohm >= NO_LOAD else self.load_ohm / (self.load_ohm + SERIES_OHM)

    @property
    def high_v(self) -> float:
        """Return the high level into the load that is set, volts."""
        return self._high_v * self._scale

    @property
    def low_v(self) -> float:
        """Return the low level into the load that is set, volts."""
        return self._low_v * self._scale

    @property
    def amplitude_v(self) -> float:
        """Return the peak-to-peak amplitude into the load that is set, volts."""
        return self.high_v - self.low_v

    @property
    def offset_v(self) -> float:
        """Return the middle between high and low into the load that is set, volts."""
        return (self.high_v + self.low_v) / 2

    @property
    def limit_high_v(self) -> float:
        """Return the upper voltage limit into the load that is set, volts."""
        return self._limit_high_v * self._scale

    @property
    def limit_low_v(self) -> float:
        """Return the lower voltage limit into the load that is set, volts."""
        return self._limit_low_v * self._scale

    def set_amplitude(self, amplitude_v: float) -> None:
        """Set the peak-to-peak amplitude around the offset."""
        middle_v, (bottom_v, top_v) = (self._high_v + self._low_v) / 2, self._bounds_v
        most_v = min(2 * min(top_v - middle_v, middle_v - bottom_v), self.model.most_vpp)
        half_v = self._entered(amplitude_v, self.model.least_vpp, most_v) / 2
        self._become(middle_v + half_v, middle_v - half_v, "high")

    def set_offset(self, offset_v: float) -> None:
        """Set the offset and keep the amplitude; for a constant level it is the level."""
        half_v, (bottom_v, top_v) = (self._high_v - self._low_v) / 2, self._bounds_v
        middle_v = self._entered(offset_v, bottom_v + half_v, top_v - half_v)
        self._become(middle_v + half_v, middle_v - half_v, "high")

    def set_high(self, high_v: float) -> None:
        """Set the high level; the low one stays, unless it is above."""
        least_v = self._bounds_v[0] + self.model.least_vpp
        wanted_v = self._entered(high_v, self._low_v + self.model.least_vpp, self._bounds_v[1])
        short = wanted_v < least_v - NEAR_V
        self._become(least_v if short else wanted_v, self._low_v, "high", short=short)

    def set_low(self, low_v: float) -> None:
        """Set the low level; the high one stays, unless it is below."""
        most_v = self._bounds_v[1] - self.model.least_vpp
        wanted_v = self._entered(low_v, self._bounds_v[0], self._high_v - self.model.least_vpp)
        short = wanted_v > most_v + NEAR_V
        self._become(self._high_v, most_v if short else wanted_v, "low", short=short)

    def set_limit_high(self, limit_v: float) -> None:
        """Set the upper voltage limit, not below the present high level."""
        wanted_v = limit_v / self._scale
        self._limit_high_v = max(min(wanted_v, self.model.most_v), self._high_v)
        if self._limit_high_v != wanted_v < math.inf:
            raise ScpiError(CONFLICT, "Settings conflict; limit changed due to high level")

    def set_limit_low(self, limit_v: float) -> None:
        """Set the lower voltage limit, not above the present low level."""
        wanted_v = limit_v / self._scale
        self._limit_low_v = min(max(wanted_v, -self.model.most_v), self._low_v)
        if self._limit_low_v != wanted_v > -math.inf:
            raise ScpiError(CONFLICT, "Settings conflict; limit changed due to low level")

    def set_limited(self, *, on: bool) -> None:
        """Switch the voltage limits, on only if the present levels are within them."""
        fits = self._limit_low_v <= self._low_v and self._high_v <= self._limit_high_v
        self.limited = on and fits
        if on and not fits:
            raise ScpiError(CONFLICT, "Settings conflict; levels are outside of voltage limits")

    def set_load(self, load_ohm: float) -> None:
        """Set the load, which scales the levels reported; refused while voltage limits are on."""
        if self.limited:
            raise ScpiError(CONFLICT, "Settings conflict; not able to modify load with limits on")
        self.load_ohm = load_ohm

    def set_polarity(self, polarity: str) -> None:
        """Set the polarity; inverted around the offset."""
        self.polarity = polarity
        self._drive()

    def set_function(self, function: str) -> None:
        """Set the waveform and keep the levels; a burst ends where the function has none."""
        self.function = function
        had_burst, self.burst = self.burst, self.burst and function not in self.model.no_burst
        self._end_burst()
        if had_burst and not self.burst:
            raise ScpiError(
                CONFLICT, "Settings conflict; burst turned off by selection of function"
            )

    def set_period(self, period_s: float) -> None:
        """Set the period; a width that is too long for it is shortened."""
        self.period_s = period_s
        most_s = period_s - self._beside_width_s
        if self.width_s > most_s * (1 + 1e-9):
            self.width_s = max(most_s, self.model.least_width_s)
            if self.function == "PULS":
                raise ScpiError(CONFLICT, "Settings conflict; pulse width decreased due to period")

    @property
    def _beside_width_s(self) -> float:
        """Return the time that a period must leave beside the width of its pulse, seconds."""
        if self.model.edges:
            return self.model.edges * self.edge_s
        return self.model.least_width_s

    def set_width(self, width_s: float) -> None:
        """Set the pulse width, at most the period less what must be left beside it."""
        most_s = self.period_s - self._beside_width_s
        steps = round(min(width_s, most_s) / self.model.width_step_s)
        self.width_s = steps * self.model.width_step_s
        if width_s > most_s * (1 + 1e-9):
            raise ScpiError(CONFLICT, "Settings conflict; pulse width decreased due to period")

    def set_burst(self, *, on: bool) -> None:
        """Switch the burst mode; refused for a constant level and for noise."""
        if on and self.function in self.model.no_burst:
            raise ScpiError(CONFLICT, "Settings conflict; burst not allowed with this function")
        self.burst = on
        self._end_burst()

    def set_source(self, source: str) -> None:
        """Set the trigger source of a burst."""
        self.source = source
        self._end_burst()

    def switch(self, *, on: bool) -> None:
        """Switch the relay of the output."""
        self.on = on
        self._drive()

    @property
    def left_s(self) -> float:
        """Return how long the burst that is running still takes, seconds."""
        return max(self.ends_s - self._clock.now_s, 0.0)

    @property
    def armed(self) -> bool:
        """Return whether a trigger over the bus begins a burst now."""
        waits = self.source in {"BUS", "MAN"}
        return self.burst and self.burst_mode == "TRIG" and waits and not self.busy

    def fire(self) -> None:
        """Begin a burst, if the waveform is a pulse or an arbitrary one."""
        if self._plays_samples:
            self._play()
            return
        if self.function != "PULS":
            self._note(f"a burst of {self.function}")
            return
        self._burst_number += 1
        self.busy = True
        self.ends_s = self._clock.now_s + self.period_s * self.cycles
        self._begin_cycle(self._burst_number, self._clock.now_s, 0)

    @property
    def _plays_samples(self) -> bool:
        return self.function in {"ARB", "USER"} and bool(self.samples)

    def _play(self) -> None:
        """Play the samples of an arbitrary waveform, as often as the burst has cycles."""
        count = len(self.samples) * self.cycles
        if count > MOST_SAMPLES:
            self._note(f"a burst of {count:g} samples")
            return
        self._burst_number += 1
        self.busy = True
        burst, start_s = self._burst_number, self._clock.now_s
        self.ends_s = start_s + count / self.sample_hz
        for n in range(int(count)):
            sample = self.samples[n % len(self.samples)]
            self._clock.at(start_s + n / self.sample_hz, partial(self._show, burst, sample))
        self._clock.at(self.ends_s, lambda: self._end_of(burst))
        self._show(burst, self.samples[0])

    def _show(self, burst: int, sample: float) -> None:
        if burst == self._burst_number and self.busy:
            self._sample = sample
            self._drive()

    def _end_of(self, burst: int) -> None:
        if burst == self._burst_number:
            self._end_burst()

    def abort(self) -> None:
        """End the burst that is running."""
        self._end_burst()

    def _begin_cycle(self, burst: int, start_s: float, cycle: int) -> None:
        if burst != self._burst_number or not self.busy:
            return
        if cycle == self.cycles:
            self._end_burst()
            return
        self._pulsing = True
        self._drive()
        self._clock.at(start_s + cycle * self.period_s + self.width_s, lambda: self._fall(burst))
        next_s = start_s + (cycle + 1) * self.period_s
        self._clock.at(next_s, lambda: self._begin_cycle(burst, start_s, cycle + 1))

    def _fall(self, burst: int) -> None:
        if burst == self._burst_number:
            self._pulsing = False
            self._drive()

    def _end_burst(self) -> None:
        self.busy = self._pulsing = False
        self.ends_s = 0.0
        self._sample = self.samples[0] if self.samples else 0.0  # where a burst rests: unconfirmed
        self._drive()

    def _entered(self, value_v: float, lowest_v: float, highest_v: float) -> float:
        """Round a level to four digits, as the instrument does, and convert to an open circuit.

        MINimum and MAXimum, which a level takes as a parameter (33500 guide, page 216: levels of at
        most half the largest amplitude), are infinite here. Unconfirmed: they are the bounds with
        the other settings as they are.
        """
        if math.isinf(value_v):
            return lowest_v if value_v < 0 else highest_v
        step_v = STEP_V
        if value_v:
            step_v = max(10.0 ** (math.floor(math.log10(abs(value_v))) + 1 - DIGITS), STEP_V)
        return round(round(value_v / step_v) * step_v, 10) / self._scale

    @property
    def _bounds_v(self) -> tuple[float, float]:
        """Return the lowest and the highest level: the voltage limits, or the window."""
        if self.limited:
            return self._limit_low_v, self._limit_high_v
        return -self.model.most_v, self.model.most_v

    def _become(self, high_v: float, low_v: float, entered: str, *, short: bool = False) -> None:
        """Set new levels within amplitude, window and limits; clip and raise ScpiError beyond.

        ``short``: the level was too near to the opposite bound to leave room for the least
        amplitude, and has been moved (33500 guide, VOLTage subsystem).
        """
        bottom_v, top_v = self._bounds_v
        error = _clipped("lower" if entered == "high" else "upper", self.limited) if short else None
        if high_v > top_v + NEAR_V:
            high_v, error = top_v, _clipped("upper", self.limited)
        if low_v < bottom_v - NEAR_V:
            low_v, error = bottom_v, _clipped("lower", self.limited)
        amplitude_v = min(max(high_v - low_v, self.model.least_vpp), self.model.most_vpp)
        if abs(amplitude_v - (high_v - low_v)) > amplitude_v * 1e-6:
            error = error or (CONFLICT, f"Settings conflict; level changed due to {entered} level")
            if entered == "high":
                low_v = high_v - amplitude_v
            else:
                high_v = low_v + amplitude_v
        self._high_v, self._low_v = high_v, low_v
        self._drive()
        if error is not None:
            raise ScpiError(*error)

    def _drive(self) -> None:
        if not self.on:
            self._circuit.drive(self._name, volts=None)
            return
        self._circuit.drive(self._name, volts=self._emf_v(), series_ohm=SERIES_OHM)

    def _emf_v(self) -> float:
        middle_v = (self._high_v + self._low_v) / 2
        if self.function == "DC":
            return middle_v
        waits = self.burst and self.source not in FREE
        if waits and self._plays_samples:
            return middle_v + self._sample * (self._high_v - self._low_v) / 2
        if self.function != "PULS" or not waits:
            self._note(f"{self.function} running freely; the output stays at its offset")
            return middle_v
        rises = self._pulsing != (self.polarity == "INV")
        return self._high_v if rises else self._low_v

    def _note(self, what: str) -> None:
        said = f"{self._name}: {what}"
        if said not in self._circuit.unmodelled:
            self._circuit.unmodelled.append(said)


def _clipped(side: str, limited: bool) -> tuple[int, str]:
    """Return the error of a clipped level: beyond a voltage limit, a conflict of settings."""
    if limited:
        return CONFLICT, f"Settings conflict; level clipped to {side} voltage limit"
    return -222, f"Data out of range; value clipped to {side} limit"
