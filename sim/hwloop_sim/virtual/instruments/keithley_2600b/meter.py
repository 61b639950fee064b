"""The meter of one channel of a virtual Keithley 2600B, and its reading buffers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from hwloop_sim.virtual.circuit.circuit import Sensed
from hwloop_sim.virtual.circuit.clock import BenchClock
from hwloop_sim.virtual.circuit.settling import LastStep
from hwloop_sim.virtual.circuit.smu import ranges_from
from hwloop_sim.virtual.instruments.keithley_2600b.models import ChannelModel
from hwloop_sim.virtual.languages.tsp_tables import (
    Cell,
    Node,
    ReadingBuffer,
    TspError,
    as_number,
    within,
)

OVER = 1.01  # of a range that is asked for
MEASURED_OVER = 1.02
COUNTS = 1e6  # a range has this many steps at 1 power line cycle; fewer below
NOISE_COUNTS = 5.0  # at 1 power line cycle; falls with the root of the time
OVERFLOW = 9.91e37
AUTOZERO_ONCE, AUTOZERO_AUTO = 1.0, 2.0
AUTOMATIC, FOLLOW_LIMIT = -1.0, 2.0
RESET_RANGE_A = 0.1
STATUS_AUTO, STATUS_4_WIRE, STATUS_COMPLIANCE = 0x04, 0x10, 0x40
BUFFER_ROWS = 60_000


@dataclass(frozen=True)
class Probe:
    """The channel as its meter sees it."""

    read: Callable[[], Sensed]
    complies: Callable[[], bool]
    sourced: Callable[[], float]
    step: LastStep
    limit_a: Callable[[], float]


class MeasureBuffer(ReadingBuffer):
    """A reading buffer such as smua.nvbuffer1 or one of smua.makebuffer()."""

    def __init__(self, rows: int) -> None:
        super().__init__("readings", "timestamps", "sourcevalues", "statuses", capacity=rows)
        self._append = Cell(0, choices=(0, 1))
        self.on("appendmode", get=self._append.get, set=self._set_append)
        for name in ("collecttimestamps", "collectsourcevalues"):
            cell = Cell(1, choices=(0, 1))
            self.on(name, get=cell.get, set=cell.set)

    def begin(self) -> None:
        """Begin a measurement command: clear the buffer unless it is in append mode."""
        if not self._append.value:
            self.clear()

    def _set_append(self, value: Any) -> None:
        if self.read() and as_number(value) != self._append.value:
            raise TspError(5050, "Buffer must be empty")
        self._append.set(value)


class Meter:
    """The meter of a channel; declares ``measure``, buffers, constants in the channel's table."""

    def __init__(
        self,
        node: Node,
        probe: Probe,
        model: ChannelModel,
        *,
        clock: BenchClock,
        noise: np.random.Generator | None,
        line_hz: float,
    ) -> None:
        ranges = {"v": model.ranges_v, "i": model.measure_ranges_a}
        self._probe, self._ranges, self._settle_s = probe, ranges, model.settle_s
        self._clock, self._noise, self._line_hz = clock, noise, line_hz
        self._cells = {
            "nplc": Cell(1, lowest=0.001, highest=25),
            "autozero": Cell(AUTOZERO_AUTO, choices=(0, AUTOZERO_ONCE, AUTOZERO_AUTO)),
            "autorangev": Cell(1, choices=(0, 1)),
            "autorangei": Cell(1, choices=(0, 1, 2)),
            "lowrangei": Cell(ranges["i"][0], lowest=0),
            "lowrangev": Cell(ranges["v"][0], lowest=0),
            "delay": Cell(AUTOMATIC if model.delays else 0, lowest=AUTOMATIC),
            "delayfactor": Cell(1, lowest=0),
            "count": Cell(1, lowest=1, highest=BUFFER_ROWS),
            "interval": Cell(0, lowest=0, highest=1),
            "filter.enable": Cell(0, choices=(0, 1)),
            "filter.count": Cell(1, lowest=1, highest=100),
            "filter.type": Cell(1, choices=(0, 1, 2)),
        }
        self._sense = Cell(0, choices=(0, 1, 3))
        self._buffers = {n: MeasureBuffer(BUFFER_ROWS) for n in ("nvbuffer1", "nvbuffer2")}
        self._range = {"v": ranges["v"][0], "i": fitting(RESET_RANGE_A, ranges["i"])}
        self._left = self._overlapped = 0
        self._declare(node)

    @property
    def measure_auto(self) -> bool:
        """Return whether the current range follows the current."""
        return bool(self._cells["autorangei"].value)

    @property
    def zeroes(self) -> bool:
        """Return whether every reading includes two of the references."""
        return self._cells["autozero"].value == AUTOZERO_AUTO

    @property
    def aperture_s(self) -> float:
        """Return the duration of a reading, seconds."""
        once_s = self._cells["nplc"].value / self._line_hz
        return 3 * once_s if self.zeroes else once_s

    def reset(self) -> None:
        """Reset the meter to its state at power-on."""
        self.abort()
        for cell in (*self._cells.values(), self._sense):
            cell.reset()
        ranges = self._ranges
        self._range = {"v": ranges["v"][0], "i": fitting(RESET_RANGE_A, ranges["i"])}

    def saved(self) -> dict[str, Any]:
        """Return the settings that ``setup.save()`` keeps."""
        cells = {name: cell.value for name, cell in self._cells.items()}
        return {"cells": cells, "sense": self._sense.value, "range": dict(self._range)}

    def recall(self, saved: dict[str, Any]) -> None:
        """Set the meter as it was saved."""
        for name, value in saved["cells"].items():
            self._cells[name].value = value
        self._sense.value, self._range = saved["sense"], dict(saved["range"])

    def measure(self, what: str, buffer: Any = None, second: Any = None) -> Any:
        """Measure ``v``, ``i``, ``iv``, ``r`` or ``p``; return the last, or both of ``iv``."""
        buffers = _buffers(buffer, second)
        values: list[float] = []
        for n in range(int(self._cells["count"].value)):
            self._clock.advance(self._wait_s(what, first=n == 0))
            values = self._take(what, buffers)
        return tuple(values)

    def overlapped(self, what: str, buffer: Any = None, second: Any = None) -> None:
        """Begin measurements that go on while the script does: *smuX.measure.overlappedY()*."""
        buffers = _buffers(buffer, second)
        if not buffers:
            raise TspError(-104, "Data type error")
        self._overlap(what, buffers, int(self._cells["count"].value), first=True)

    @property
    def is_busy(self) -> bool:
        """Return whether overlapped measurements are still to come."""
        return self._left > 0

    def abort(self) -> None:
        """End overlapped measurements; none is taken any more."""
        self._left = 0
        self._overlapped += 1

    def _overlap(self, what: str, buffers: list[MeasureBuffer], left: int, *, first: bool) -> None:
        self._overlapped += first
        number, self._left = self._overlapped, left

        def take() -> None:
            if number != self._overlapped:
                return
            self._take(what, buffers)
            self._left -= 1
            if self._left:
                self._overlap(what, buffers, self._left, first=False)

        self._clock.at(self._clock.now_s + self._wait_s(what, first=first), take)

    def _wait_s(self, what: str, *, first: bool) -> float:
        """Return the time to the end of the next reading: delay, interval or aperture; seconds."""
        expected = self._measuring_ranges("i", self._probe.step.sensed().amperes)[0]
        interval_s = 0.0 if first else self._cells["interval"].value
        return self._delay_s(what, expected) + max(self.aperture_s, interval_s)

    def _take(self, what: str, buffers: list[MeasureBuffer]) -> list[float]:
        """Take a reading now, and keep it."""
        values, status = self._reading(what)
        for each, value in zip(buffers, values, strict=False):
            each.append(
                readings=value,
                timestamps=self._clock.now_s,
                sourcevalues=self._probe.sourced(),
                statuses=status,
            )
        return values

    def _declare(self, node: Node) -> None:
        for name, cell in self._cells.items():
            node.on(f"measure.{name}", get=cell.get, set=cell.set)
        for axis in "vi":
            node.on(
                f"measure.range{axis}",
                get=partial(self._get_range, axis),
                set=partial(self._set_range, axis),
            )
        for what in ("v", "i", "r", "p"):
            node.function(f"measure.{what}", partial(self._measure_one, what))
            node.function(f"measure.overlapped{what}", partial(self.overlapped, what))
        node.function("measure.iv", partial(self.measure, "iv"))
        node.function("measure.overlappediv", partial(self.overlapped, "iv"))
        node.on("sense", get=self._sense.get, set=self._sense.set)
        node.function("makebuffer", lambda rows: MeasureBuffer(_rows(rows)))
        for name, buffer in self._buffers.items():
            node.attach(name, buffer)
        node.constants(AUTOZERO_OFF=0, AUTOZERO_ONCE=1, AUTOZERO_AUTO=2)
        node.constants(SENSE_LOCAL=0, SENSE_REMOTE=1, DELAY_OFF=0, DELAY_AUTO=-1)
        node.constants(FILTER_OFF=0, FILTER_ON=1)
        node.constants(FILTER_MOVING_AVG=0, FILTER_REPEAT_AVG=1, FILTER_MEDIAN=2)

    def _measure_one(self, what: str, buffer: Any = None) -> Any:
        return self.measure(what, buffer)

    def limit_range_a(self) -> float:
        """Return the current range that carries the source's limit, amperes."""
        return fitting(self._probe.limit_a(), self._ranges["i"])

    def _get_range(self, axis: str) -> float:
        if axis == "i" and self._cells["autorangei"].value == FOLLOW_LIMIT:
            return self.limit_range_a()
        return self._range[axis]

    def _set_range(self, axis: str, value: Any) -> None:
        self._range[axis] = fitting(abs(as_number(value)), self._ranges[axis])
        self._cells[f"autorange{axis}"].value = 0.0

    def _delay_s(self, what: str, range_a: float) -> float:
        """Return how long a reading waits before it begins, seconds: by current range, or as set.

        Topic *smuX.measure.delay*.
        """
        delay_s = self._cells["delay"].value
        if delay_s != AUTOMATIC:
            return delay_s
        return self._settle_s[range_a] * self._cells["delayfactor"].value * (what != "v")

    def _reading(self, what: str) -> tuple[list[float], float]:
        sensed = self._probe.read()
        status = STATUS_COMPLIANCE * self._probe.complies()
        automatic = self._cells["autorangei" if "i" in what else "autorangev"].value
        status |= STATUS_AUTO * bool(automatic)
        status |= STATUS_4_WIRE * (self._sense.value == 1)
        return self._values(what, sensed), float(status)

    def _values(self, what: str, sensed: Sensed) -> list[float]:
        if what == "v":
            return [self._displayed("v", sensed.volts)]
        current_a = self._displayed("i", sensed.amperes)
        if what == "i":
            return [current_a]
        volts = self._displayed("v", sensed.volts)
        if what == "iv":
            return [current_a, volts]
        if OVERFLOW in (current_a, volts) or (what == "r" and current_a == 0):
            return [OVERFLOW]
        return [volts / current_a if what == "r" else volts * current_a]

    def _displayed(self, axis: str, value: float) -> float:
        """Return a value in the steps of its range; beyond it, the overflow value.

        A current still contains what has not settled in its range since the last step.
        """
        nplc = self._cells["nplc"].value
        for span in self._measuring_ranges(axis, value):
            self._range[axis] = span
            seen = value
            if axis == "i":
                seen += self._probe.step.unsettled_a(value, self._settle_s[span])
            if self._noise is not None:
                spread = NOISE_COUNTS * span / COUNTS / math.sqrt(nplc)
                seen += float(self._noise.normal()) * spread
            if abs(seen) <= span * MEASURED_OVER:
                step = span / COUNTS / math.sqrt(min(nplc, 1.0))
                return round(seen / step) * step
        return OVERFLOW

    def _measuring_ranges(self, axis: str, value: float) -> list[float]:
        """Return the ranges in which a value is measured: the locked one, or see ranges_from."""
        automatic = self._cells[f"autorange{axis}"].value
        if axis == "i" and automatic == FOLLOW_LIMIT:
            return [self.limit_range_a()]
        if not automatic:
            return [self._range[axis]]
        ranges, lowest = self._ranges[axis], self._cells[f"lowrange{axis}"].value
        usable = [r for r in ranges if r >= lowest] or [ranges[-1]]
        return ranges_from(usable, value, over=MEASURED_OVER)


def fitting(value: float, ranges: tuple[float, ...]) -> float:
    """Return the smallest range that holds a value; TspError beyond the largest."""
    wanted = next((r for r in ranges if value <= r * OVER), None)
    if wanted is None:
        raise TspError(1101, "Parameter too big")
    return wanted


def _rows(value: Any) -> int:
    return int(within(as_number(value), 1, BUFFER_ROWS))


def _buffers(*given: Any) -> list[MeasureBuffer]:
    """Return the buffers that were given, begun; TspError for what is none."""
    buffers = [b for b in given if b is not None]
    if not all(isinstance(b, MeasureBuffer) for b in buffers):
        raise TspError(-104, "Data type error")
    for each in buffers:
        each.begin()
    return buffers
