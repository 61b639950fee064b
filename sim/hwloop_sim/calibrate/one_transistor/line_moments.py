"""Moments of source-line sweeps: voltage at which half of G is lost, and levels beyond it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwloop.types import BoolArray, FloatArray
from hwloop_sim.calibrate.one_transistor.quantiles import median, spread
from hwloop_sim.calibrate.one_transistor.sweeps import held_logs

Places = NDArray[np.intp]

HALF = 0.5
_LAGS = (1, 3)
_LEVELS = 4


@dataclass(frozen=True, eq=False)
class LineMoments:
    """Definition of the moments of source-line sweeps.

    ``volts``: swept voltages. ``first_conductance_s``: conductance at which each sweep begins,
    siemens. ``cells``: indices of the sweeps of each cell. ``beyond``: number of pulses used after
    the loss of half. ``at``: indices of voltages at which the median path counts.
    """

    volts: FloatArray
    first_conductance_s: FloatArray
    cells: Sequence[Places]
    beyond: int
    at: Places

    def of(self, after_conductance_s: FloatArray) -> FloatArray:
        """Compute the moments, (draws, moments), of conductances, (draws, sweeps, volts).

        Conductances are in siemens, NaN after the end of a sweep.
        """
        held = held_logs(after_conductance_s)
        half_v, place, lost = self._half(held)
        volts = self._parts(half_v)
        beyond = self._aligned(held, place, lost)
        at = np.linspace(1, self.beyond, _LEVELS).round().astype(int)
        levels = median(np.swapaxes(beyond[:, :, at], 1, 2))
        lags = [
            spread((beyond[:, :, 1 + lag :] - beyond[:, :, 1:-lag]).reshape(len(held), -1))
            for lag in _LAGS
        ]
        mean = beyond[:, :, 1 : self.beyond // 2 + 1].mean(axis=2)
        path = median(np.swapaxes(held[:, :, self.at], 1, 2))
        return np.column_stack([*volts, levels, *lags, *self._parts(mean)[1:], path])

    def _half(self, logs: FloatArray) -> tuple[FloatArray, Places, BoolArray]:
        """Return the voltage of the loss of half of G, the index of the next pulse, and a mask.

        The voltage is interpolated between pulses. Sweeps without the loss, which the mask
        excludes, get a value beyond the last voltage.
        """
        target = np.log(HALF * self.first_conductance_s)[None, :, None]
        less = logs < target
        place = np.argmax(less, axis=2)
        ahead = np.maximum(place - 1, 0)
        high, low = (
            np.take_along_axis(logs, one[:, :, None], 2)[:, :, 0] for one in (ahead, place)
        )
        part = np.clip((high - target[:, :, 0]) / np.maximum(high - low, 1e-9), 0.0, 1.0)
        half_v = self.volts[ahead] + part * (self.volts[place] - self.volts[ahead])
        lost = np.asarray(less.any(axis=2))
        return np.where(lost, half_v, 2 * self.volts[-1] - self.volts[-2]), place, lost

    def _aligned(self, held: FloatArray, place: Places, lost: BoolArray) -> FloatArray:
        """Return ln G of the pulses from the loss of half on; the last value is held to the end."""
        at = place[:, :, None] + np.arange(self.beyond + 1)
        inside = (at < held.shape[2]) & lost[:, :, None]
        return np.where(inside, np.take_along_axis(held, np.where(inside, at, 0), 2), np.nan)

    def _parts(self, values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Compute the median, the spread of the medians of cells, and the spread within cells."""
        groups = [values[:, rows] for rows in self.cells]
        middle = [median(one) for one in groups]
        within = [one - of[:, None] for one, of in zip(groups, middle, strict=True)]
        between = spread(np.stack(middle, axis=1))
        return median(values), between, spread(np.concatenate(within, axis=1))
