"""Trains of a measurement, by their pulses, and the figures that describe a device by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwloop.datasets.measurement import Measurement
from hwloop.settings.units import format_quantity
from hwloop.steps.common.summaries import nonlinearity
from hwloop.types import FloatArray

_ALIKE = 1e-9
"""Relative difference of volts and seconds that is rounding, of files written as text."""


@dataclass(frozen=True)
class PulseTrains:
    """Trains that were given the same pulses.

    ``amplitude_v``, ``width_s``: of each pulse, (pulses,). ``conductance_s``: (pulses + 1, trains),
    siemens, before the first pulse and after each, NaN after the end of a train. ``cells``: number
    of the cell of each train, (trains,).
    """

    amplitude_v: FloatArray
    width_s: FloatArray
    conductance_s: FloatArray
    cells: FloatArray

    @property
    def name(self) -> str:
        """Return the pulses in words, such as "1 V, 1 ms"."""
        volts, seconds = self.amplitude_v, self.width_s
        if volts.size == 0:
            return "no pulse"
        first_v, first_s = format_quantity(volts[0], "V"), format_quantity(seconds[0], "s")
        width = first_s if np.ptp(seconds) <= _ALIKE * seconds[0] else f"{first_s} and others"
        if np.ptp(volts) <= _ALIKE * abs(volts[0]):
            return f"{first_v}, {width}"
        return f"{first_v} … {format_quantity(volts[-1], 'V')} ({volts.size} pulses), {width}"

    @property
    def mean_conductance_s(self) -> FloatArray:
        """Return the mean train, siemens, as far as at least half of the trains go."""
        seen = self.conductance_s[self.going >= self.conductance_s.shape[1] / 2]
        mean: FloatArray = np.nanmean(seen, axis=1)
        return mean

    @property
    def going(self) -> FloatArray:
        """Return how many trains have each pulse, (pulses + 1,)."""
        going: FloatArray = np.isfinite(self.conductance_s).sum(axis=1).astype(np.float64)
        return going

    @property
    def ends_conductance_s(self) -> FloatArray:
        """Return the conductance after the last pulse of each train, (trains,), siemens."""
        last = np.isfinite(self.conductance_s).sum(axis=0) - 1
        return np.asarray(self.conductance_s[last, np.arange(last.size)])

    @property
    def steps_conductance_s(self) -> FloatArray:
        """Return the change with every pulse of every train, siemens."""
        steps = np.diff(self.conductance_s, axis=0)
        return np.asarray(steps[np.isfinite(steps)])

    def figures(self) -> Mapping[str, tuple[float, str]]:
        """Return name → (value, unit) of the figures that describe a device; NaN: not defined.

        The on/off ratio is the median over trains of the highest over the lowest conductance. The
        nonlinearity is the largest signed distance of the mean train from the straight line between
        its ends, over its range.
        """
        seen, ends, steps = self.conductance_s, self.ends_conductance_s, self.steps_conductance_s
        mean = self.mean_conductance_s
        ratio = np.nanmax(seen, axis=0) / np.nanmin(seen, axis=0)
        several = ends.size > 1
        return {
            "trains": (ends.size, ""),
            "cells": (np.unique(self.cells).size, ""),
            "pulses, longest train": (len(seen) - 1, ""),
            "before the first pulse": (float(np.median(seen[0])), "S"),
            "after the last pulse": (float(np.median(ends)), "S"),
            "range of the mean train": (float(np.ptp(mean)), "S"),
            "on/off ratio": (float(np.median(ratio)), ""),
            "mean step": (float(steps.mean()), "S"),
            "deviation of the steps": (float(steps.std(ddof=1)) if steps.size > 1 else np.nan, "S"),
            "spread of the ends": (
                100 * float(ends.std(ddof=1) / ends.mean()) if several else np.nan,
                "%",
            ),
            "nonlinearity": (float(nonlinearity(mean[:, None])[0]), ""),
        }


def trains_of(measurement: Measurement) -> list[PulseTrains]:
    """Return the trains of a measurement of kind ``trains``, grouped by their pulses, in order.

    Trains that differ in length alone are one group where all their pulses are equal.
    """
    columns = measurement.columns
    keys = np.stack([columns["cell"], columns["train"]], axis=1)
    _, member = np.unique(keys, axis=0, return_inverse=True)
    rows = np.argsort(member.ravel(), kind="stable")
    bounds = np.flatnonzero(np.diff(member.ravel()[rows])) + 1
    groups: dict[bytes, list[NDArray[np.int64]]] = {}
    for chosen in sorted(np.split(rows.astype(np.int64), bounds), key=lambda one: int(one.min())):
        groups.setdefault(_key(columns, chosen), []).append(chosen)
    return [_group(columns, members) for members in groups.values()]


def _key(columns: Mapping[str, FloatArray], rows: NDArray[np.int64]) -> bytes:
    """Return what is equal for trains of the same pulses."""
    pulses = np.stack([columns[name][rows][1:] for name in ("amplitude_v", "width_s")])
    if not pulses.size:
        return b""
    equal = np.ptp(pulses, axis=1) <= _ALIKE * np.abs(pulses[:, 0])
    shown = pulses[:, :1] if equal.all() else pulses
    return " ".join(f"{value:.9g}" for value in shown.ravel()).encode()


def _group(columns: Mapping[str, FloatArray], members: list[NDArray[np.int64]]) -> PulseTrains:
    longest = max(members, key=len)
    padded = np.full((len(longest), len(members)), np.nan)
    for column, rows in enumerate(members):
        padded[: len(rows), column] = columns["conductance_s"][rows]
    return PulseTrains(
        amplitude_v=columns["amplitude_v"][longest][1:],
        width_s=columns["width_s"][longest][1:],
        conductance_s=padded,
        cells=np.array([columns["cell"][rows[0]] for rows in members]),
    )
