"""What the characterisation steps share: cells by groups, reads that are numbers, pulses."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from pydantic import model_validator

from hwloop.array.operations import BoolArray, Flag, FloatArray, PulseMap, Reading, ReadMap
from hwloop.array.settings import Array, ArraySettings
from hwloop.errors import ConfigError, StepError
from hwloop.messages import cell_names
from hwloop.settings.model import Settings
from hwloop.settings.units import PositiveSecond, PositiveVolt, Volt
from hwloop.statistics import sample_deviation
from hwloop.steps.contract import PlannedOperation

Cells = tuple[tuple[int, int], ...]
"""Cells as (row, column), counted from 0."""


class Pulse(Settings):
    """One rectangular pulse; ``gate_v``: on the gates of a 1T1R array."""

    amplitude_v: Volt
    width_s: PositiveSecond
    gate_v: PositiveVolt | None = None

    @model_validator(mode="after")
    def _not_zero(self) -> Pulse:
        if self.amplitude_v == 0:
            raise ValueError("amplitude_v is 0 V: that is no pulse")
        return self


class Ramp(Settings):
    """Levels from ``start_v`` to ``stop_v`` by steps of the magnitude ``step_v``."""

    start_v: Volt
    stop_v: Volt
    step_v: PositiveVolt

    @model_validator(mode="after")
    def _outwards(self) -> Ramp:
        if self.start_v * self.stop_v <= 0:
            raise ValueError("start_v and stop_v must be of one sign and not 0 V")
        if abs(self.stop_v) < abs(self.start_v):
            raise ValueError(f"stop_v {self.stop_v:g} is smaller than start_v {self.start_v:g}")
        return self

    def levels_v(self) -> list[float]:
        """Every level; ``stop_v`` is the last one."""
        sign = np.sign(self.stop_v)
        count = int(np.floor(abs(self.stop_v - self.start_v) / self.step_v * (1 + 1e-12)))
        levels = [round(self.start_v + sign * n * self.step_v, 9) for n in range(count + 1)]
        return levels if np.isclose(levels[-1], self.stop_v) else [*levels, self.stop_v]


def chosen(cells: Cells | None, shape: tuple[int, int]) -> BoolArray:
    """The mask (rows, cols) of ``cells``, all if None; refuses one that the array has not."""
    if cells is None:
        return np.ones(shape, dtype=np.bool_)
    mask = np.zeros(shape, dtype=np.bool_)
    for row, col in cells:
        if not (0 <= row < shape[0] and 0 <= col < shape[1]):
            raise ConfigError(
                f"cell ({row}, {col}) is not in the array of {shape[0]} × {shape[1]}", key="cells"
            )
        mask[row, col] = True
    if not mask.any():
        raise ConfigError("no cell is given; leave the key out for all", key="cells")
    return mask


def groups(array: Array, cells: Cells | None) -> Iterator[BoolArray]:
    """The chosen cells, group by group of the backend: one is finished before the next."""
    mask = chosen(cells, array.geometry.shape)
    for group in array.backend.groups():
        if (group & mask).any():
            yield group & mask


def read_of(array: ArraySettings, mask: BoolArray) -> ReadMap:
    """The array's read of the cells of ``mask``."""
    return ReadMap(mask, array.read.read_v, array.read.both_polarities)


def conductance_s(array: Array, mask: BoolArray, *, step: str) -> FloatArray:
    """Conductance of the cells of ``mask``, (..., rows, cols); NaN for the others.

    Raises :class:`StepError` where a cell of ``mask`` could not be measured.
    """
    reading = array.backend.read(read_of(array.settings, mask))
    return measured_a(reading, step=step) / array.settings.read.read_v


def measured_a(reading: Reading, *, step: str) -> FloatArray:
    """The currents of a reading, if every addressed one was measured."""
    failed = unmeasured(reading)
    if failed.any():
        raise StepError(
            f"{step}: {', '.join(cell_names(failed))}: could not be measured (over-range or"
            " compliance): raise limits.current_a or lower the read voltage"
        )
    return reading.current_a


def unmeasured(reading: Reading) -> BoolArray:
    """Where a cell was addressed and gave no number, or one at compliance; (..., rows, cols)."""
    failed: BoolArray = (reading.flags & Flag.NOT_ADDRESSED == 0) & (
        np.isnan(reading.current_a) | (reading.flags != 0)
    )
    return failed


def pulse_of(
    mask: BoolArray, amplitude_v: float, width_s: float, *, gate_v: float | None, count: int = 1
) -> PulseMap:
    """The same pulses for every cell of ``mask``."""
    return PulseMap(np.where(mask, amplitude_v, 0.0), width_s, count, gate_v)


def planned_read(array: ArraySettings, cells: Cells | None, at_most: int) -> PlannedOperation:
    """The array's read of the chosen cells, as planned."""
    return PlannedOperation(read_of(array, chosen(cells, array.geometry.shape)), at_most)


def planned_pulse(
    array: ArraySettings, cells: Cells | None, pulse: Pulse, at_most: int, *, count: int = 1
) -> PlannedOperation:
    """A pulse for each of the chosen cells, as planned."""
    mask = chosen(cells, array.geometry.shape)
    operation = pulse_of(mask, pulse.amplitude_v, pulse.width_s, gate_v=pulse.gate_v, count=count)
    return PlannedOperation(operation, at_most)


def filled(into: FloatArray | None, values: FloatArray, mask: BoolArray) -> FloatArray:
    """``into`` with the cells of ``mask`` taken from ``values``, both (..., rows, cols)."""
    return np.where(mask, values, np.nan if into is None else into)


def median_words(values: FloatArray, unit: str) -> str:
    """``"median 32 nS (5 to 95 %: 20 nS to 44 nS)"`` of the finite values; one as it is."""
    from hwloop.settings.units import format_quantity

    finite = values[np.isfinite(values)]
    if not finite.size:
        return "no value"
    low, middle, high = (
        format_quantity(float(v), unit, digits=3) if unit else f"{v:.3g}"
        for v in np.percentile(finite, (5, 50, 95))
    )
    if finite.size == 1:
        return middle
    return f"median {middle} (5 to 95 %: {low} to {high})"


def crossing_v(levels_v: FloatArray, ln: FloatArray) -> FloatArray:
    """Level at which ``ln`` first goes from below 0 to above, linear between levels of one sign."""
    rising = (ln[:-1] < 0) & (ln[1:] >= 0)
    first = rising.argmax(axis=0)[None]
    below = np.take_along_axis(ln, first, axis=0)[0]
    above = np.take_along_axis(ln, first + 1, axis=0)[0]
    start_v, end_v = levels_v[first[0]], levels_v[first[0] + 1]
    # Through 0 V the polarity changes, and the first level of the new one did it.
    start_v = np.where(start_v * end_v < 0, end_v, start_v)
    found = rising.any(axis=0)
    part = np.divide(-below, above - below, out=np.zeros_like(below), where=found)
    return np.where(found, start_v + part * (end_v - start_v), np.nan)


def over_cells(of: Callable[[FloatArray], float], values: FloatArray) -> FloatArray:
    """``of`` the finite values along the last axis; NaN where there is none."""
    lines = values.reshape(-1, values.shape[-1])
    out = [of(line[np.isfinite(line)]) if np.isfinite(line).any() else np.nan for line in lines]
    return np.array(out, dtype=np.float64).reshape(values.shape[:-1])


def cycle_and_device_spread(
    mean: FloatArray, sigma: FloatArray, cycles: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Spread over the cycles of a cell, and over the cells less what the cycles add to it; (...).

    ``mean``, ``sigma``: of each cell over its ``cycles``, (..., rows, cols), NaN where there is
    none: the variance of a mean over n cycles holds 1/n of theirs. The second is 0 where cells are
    equal within what can be told.
    """
    lines = (*mean.shape[:-2], -1)
    within, added = (
        over_cells(lambda v: float(np.mean(v)), values.reshape(lines))
        for values in (sigma**2, sigma**2 / np.maximum(cycles, 1))
    )
    between = over_cells(sample_deviation, mean.reshape(lines)) ** 2
    # One cycle tells nothing of the others.
    return np.sqrt(within), np.sqrt(np.maximum(between - np.nan_to_num(added), 0.0))
