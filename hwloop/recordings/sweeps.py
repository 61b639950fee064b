"""I-V sweeps of a measurement, and the figures that describe a device by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwloop.datasets.measurement import Measurement
from hwloop.steps.common.summaries import crossing_v
from hwloop.steps.common.windows import chance_and_level, stands_out
from hwloop.types import BoolArray, FloatArray

_GRID = 60
_LEAST_POINTS = 3
_MOST_POINTS = 2000
"""Of a sweep, in which a window is looked for: the search grows with their square."""

BRANCHES: Mapping[str, tuple[int, int]] = {
    "0 to +V": (1, 1),
    "+V to 0": (1, -1),
    "0 to −V": (-1, 1),
    "−V to 0": (-1, -1),
}
"""Name → sign of the voltage, and of the change of its magnitude."""


@dataclass(frozen=True)
class SweepSet:
    """Sweeps of one recording: voltages, volts, and currents, amperes, of each, in order."""

    voltage_v: Sequence[FloatArray]
    current_a: Sequence[FloatArray]
    cells: int
    set_v: FloatArray
    reset_v: FloatArray

    def figures(self) -> Mapping[str, tuple[float, str]]:
        """Return name → (value, unit) of the figures that describe a device; NaN: not defined.

        The window is the largest ratio of the median currents of both branches of one sign.
        """
        return {
            "sweeps": (len(self.voltage_v), ""),
            "cells": (self.cells, ""),
            "highest voltage": (max(float(one.max()) for one in self.voltage_v), "V"),
            "lowest voltage": (min(float(one.min()) for one in self.voltage_v), "V"),
            "largest current": (
                float(np.median([np.abs(one).max() for one in self.current_a])),
                "A",
            ),
            "window at +V": (self.window(1), ""),
            "window at −V": (self.window(-1), ""),
            "set voltage": (_median(self.set_v), "V"),
            "reset voltage": (_median(self.reset_v), "V"),
        }

    def window(self, sign: int) -> float:
        """Return the largest ratio of the currents of the two branches of a sign of the voltage."""
        ends = [self.reach(sign, way) for way in (1, -1)]
        low_v, high_v = max(end[0] for end in ends), min(end[1] for end in ends)
        if not low_v < high_v:
            return np.nan
        grid_v = np.linspace(low_v, high_v, _GRID)
        out, back = (self.branch(sign, way, grid_v) for way in (1, -1))
        return float(10 ** np.abs(out - back).max())

    def reach(self, sign: int, way: int) -> tuple[float, float]:
        """Return the magnitudes, volts, that every sweep covers on a branch; (inf, 0): none."""
        spans = [(float(volts.min()), float(volts.max())) for volts, _ in self._points(sign, way)]
        if not spans:
            return np.inf, 0.0
        return max(low for low, _ in spans), min(high for _, high in spans)

    def branch(self, sign: int, way: int, grid_v: FloatArray) -> FloatArray:
        """Return the median of log10 |I/A| over the sweeps at magnitudes of the voltage."""
        lines = [np.interp(grid_v, volts, log) for volts, log in self._points(sign, way)]
        median: FloatArray = np.median(lines, axis=0)
        return median

    def _points(self, sign: int, way: int) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield magnitudes, volts, ascending, and log10 |I/A| of each sweep on a branch."""
        for volts, current_a in zip(self.voltage_v, self.current_a, strict=True):
            chosen = _on_branch(volts, sign, way) & (current_a != 0)
            if chosen.sum() < _LEAST_POINTS:
                continue
            magnitude_v, place = np.unique(np.abs(volts[chosen]), return_inverse=True)
            sums = np.bincount(place.ravel(), np.log10(np.abs(current_a[chosen])))
            yield magnitude_v, sums / np.bincount(place.ravel())


def sweeps_of(measurement: Measurement) -> SweepSet:
    """Return the sweeps of a measurement of kind ``iv``, in order."""
    columns = measurement.columns
    keys = np.stack([columns["cell"], columns["sweep"]], axis=1)
    _, member = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(member.ravel(), kind="stable")
    chosen = np.split(order, np.flatnonzero(np.diff(member.ravel()[order])) + 1)
    volts = [columns["voltage_v"][rows] for rows in chosen]
    current_a = [columns["current_a"][rows] for rows in chosen]
    switching = [_switching(v, i) for v, i in zip(volts, current_a, strict=True)]
    return SweepSet(
        volts,
        current_a,
        np.unique(columns["cell"]).size,
        np.array([set_v for set_v, _ in switching]),
        np.array([reset_v for _, reset_v in switching]),
    )


def distance_decades(a: SweepSet, b: SweepSet) -> Iterator[tuple[str, float, float, float]]:
    """Yield name, ends, volts, and rms distance, decades, of the branches that both cover."""
    for name, (sign, way) in BRANCHES.items():
        ends = [one.reach(sign, way) for one in (a, b)]
        low_v, high_v = max(end[0] for end in ends), min(end[1] for end in ends)
        if low_v < high_v:
            grid_v = np.linspace(low_v, high_v, _GRID)
            apart = a.branch(sign, way, grid_v) - b.branch(sign, way, grid_v)
            yield name, sign * low_v, sign * high_v, float(np.sqrt(np.mean(apart**2)))


def _on_branch(volts: FloatArray, sign: int, way: int) -> BoolArray:
    """Return which points are on a branch; a point at its turn is on both."""
    magnitude_v = np.abs(volts)
    change_v = np.diff(magnitude_v)
    before = np.concatenate([change_v[:1], change_v])
    after = np.concatenate([change_v, change_v[-1:]])
    moves = (np.sign(before) == way) | (np.sign(after) == way)
    chosen: BoolArray = (np.sign(volts) == sign) & moves
    return chosen


def _switching(volts: FloatArray, current_a: FloatArray) -> tuple[float, float]:
    """Return the voltages of set and reset of one sweep as the step ``iv_sweep`` finds them."""
    used = np.flatnonzero(volts)
    used = used[:: max(1, -(-used.size // _MOST_POINTS))]
    if used.size < _LEAST_POINTS:
        return np.nan, np.nan
    seen_conductance_s = (current_a[used] / volts[used])[:, None]
    chance, ln = chance_and_level(volts[used], seen_conductance_s, direct=True)
    if not stands_out(chance).any():
        return np.nan, np.nan
    return float(crossing_v(volts[used], ln)[0]), float(crossing_v(volts[used], -ln)[0])


def _median(values: FloatArray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else np.nan
