"""A list sweep, and how long its levels last: user's manual 2400S-900-01, A-6 and A-7.

A level lasts as long as it takes to set the source, the source delay, the reading if
there is one, and the firmware: cases III and IV, autozero off. The source delay that is sent is the
width less all of that. The time between two levels, up to 225 µs (trigger latency), is not known
and is not subtracted: it is the tolerance of a width.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwloop_drivers.instruments.families.common import number
from hwloop_drivers.instruments.families.trains import SweepLimits

SET_SOURCE_S = 50e-6
FIRMWARE_S, FIRMWARE_READING_S = 310e-6, 300e-6  # cases IV and III, source V
CONVERSION_S = 185e-6  # of a reading, beside its integration time
LATENCY_S = 225e-6  # at most, between two levels
WIDTH_TOLERANCE = 0.25
"""Relative: how much longer than asked a width may be made; shorter widths are refused."""
LEAST_WIDTH_S = 1e-3
"""At 0.9 ms, the latency is a quarter of the width."""
MOST_DELAY_S = 999.9999  # 18-82
MOST_POINTS, LIST_LINE = 2500, 100  # 18-91


def sweep_limits(name: str, most_v: float) -> SweepLimits:
    """Return the limits of a list sweep of a model."""
    return SweepLimits(
        name=name,
        least_width_s=LEAST_WIDTH_S,
        most_width_s=MOST_DELAY_S,
        most_points=MOST_POINTS,
        most_v=most_v,
    )


def besides_delay_s(aperture_s: float | None) -> float:
    """Return how long a level lasts beside its source delay; ``aperture_s`` None: no reading."""
    if aperture_s is None:
        return SET_SOURCE_S + FIRMWARE_S
    return SET_SOURCE_S + aperture_s + CONVERSION_S + FIRMWARE_READING_S


@dataclass(frozen=True)
class ListSweep:
    """Levels of equal length, one after the other; ``aperture_s`` None: nothing is measured."""

    levels_v: tuple[float, ...]
    delay_s: float
    aperture_s: float | None

    @property
    def duration_s(self) -> float:
        """Get how long the sweep lasts at most."""
        each_s = self.delay_s + besides_delay_s(self.aperture_s) + LATENCY_S
        return len(self.levels_v) * each_s

    def messages(self) -> list[str]:
        """Return the settings to send before the sweep is started."""
        lines = [
            ",".join(number(v) for v in self.levels_v[start : start + LIST_LINE])
            for start in range(0, len(self.levels_v), LIST_LINE)
        ]
        zero = [":SYST:AZER OFF"]  # cases III and IV
        if self.aperture_s is None:
            zero.append(":SENS:FUNC:OFF:ALL")
        else:
            zero.append(":SYST:AZER ONCE")  # the zero of this integration time, not yet drifted
        return [
            *zero,
            f":SOUR:DEL {number(self.delay_s)}",
            f":SOUR:LIST:VOLT {lines[0]}",
            *(f":SOUR:LIST:VOLT:APP {line}" for line in lines[1:]),
            ":SOUR:VOLT 0",
            ":SOUR:SWE:RANG FIX",  # else it takes a range of its own: 18-83
            f":TRIG:COUN {len(self.levels_v)}",
            ":SOUR:VOLT:MODE LIST",
        ]


AFTER_SWEEP = (":SOUR:VOLT:MODE FIX", ":SOUR:VOLT 0", ":TRIG:COUN 1", ":SOUR:DEL:AUTO ON")
