"""Pulses found in a trace of an oscilloscope."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwloop_drivers.acceptance.oscilloscope import LineTrace

LEAST = 0.1  # of the level that was asked: below it nothing counts as a pulse


@dataclass(frozen=True)
class TracePulse:
    """One pulse of a trace: its edges at half of the highest level, its median level."""

    begin_s: float
    end_s: float
    level_v: float

    @property
    def width_s(self) -> float:
        """Return the time between its edges, seconds."""
        return self.end_s - self.begin_s


def pulses_in(trace: LineTrace, level_v: float) -> list[TracePulse]:
    """Return the pulses on the side of ``level_v``, in order; what is below a tenth is none.

    Edges are at half of the highest level that is seen: a pulse that a limit keeps low is one too.
    """
    volts = trace.volts * np.sign(level_v)
    beyond = volts > max(float(volts.max()) / 2, LEAST * abs(level_v))
    edges = np.diff(beyond.astype(np.int8), prepend=0, append=0)
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [
        TracePulse(
            float(trace.time_s[begin]),
            float(trace.time_s[begin] + (end - begin) * trace.step_s),
            float(np.median(trace.volts[begin:end])),
        )
        for begin, end in zip(begins, ends, strict=True)
    ]


def level_during(trace: LineTrace, pulse: TracePulse) -> float:
    """Return the median voltage of another line while a pulse lasts, volts."""
    inside = (trace.time_s >= pulse.begin_s) & (trace.time_s < pulse.end_s)
    return float(np.median(trace.volts[inside])) if inside.any() else float("nan")


def level_after(trace: LineTrace, pulse: TracePulse) -> float:
    """Return the median voltage from the end of a pulse to the end of the trace; NaN for none."""
    after = trace.time_s > pulse.end_s + trace.step_s
    return float(np.median(trace.volts[after])) if after.any() else float("nan")
