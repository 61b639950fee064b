"""Read noise: scatter and spectrum of many reads of each cell at several voltages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field
from typing_extensions import override

from hwloop.array.operations import ReadMap
from hwloop.array.settings import ArraySettings
from hwloop.settings.model import Settings
from hwloop.settings.units import EitherVolt
from hwloop.steps.array import Array
from hwloop.steps.common.cells import Cells, chosen, filled, groups, measured_a
from hwloop.steps.common.summaries import median_text, over_cells
from hwloop.steps.contract import Plan, PlannedOperation, Step
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import BoolArray, FloatArray

_BINS_PER_DECADE = 5


class ReadNoiseSettings(Settings):
    """Settings of read noise.

    ``reads`` of each cell at each of ``read_voltages_v``, of either sign, one after the other; no
    average over polarities.
    """

    read_voltages_v: tuple[EitherVolt, ...] = Field(min_length=1)
    reads: int = Field(strict=True, ge=8)
    cells: Cells | None = None


@dataclass(frozen=True, eq=False)
class NoiseRow(Row):
    """Currents of all reads of a group at one voltage."""

    group: int = column("1", "which group of cells, counted from 0")
    read_v: float = column("V", "of the reads")
    time_s: FloatArray = column("s", "end of each read on the array's clock; (reads,)")
    current_a: FloatArray = column("A", "NaN outside of the group; (reads, ..., rows, cols)")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"read": f"{self.read_v:g} V"}


@dataclass(frozen=True, eq=False)
class NoiseFigures(Row):
    """Scatter of the reads at one voltage; maps (..., rows, cols)."""

    table: ClassVar[str] = "figures"

    read_v: float = column("V", "of the reads")
    mean_a: FloatArray = column("A", "mean current of a cell")
    sigma_a: FloatArray = column("A", "standard deviation of its reads")
    relative_sigma: FloatArray = column("1", "that over the magnitude of the mean; NaN at 0 A")


@dataclass(frozen=True, eq=False)
class SpectrumRow(Row):
    """One-sided spectrum at one voltage, relative to the current, mean over the cells."""

    table: ClassVar[str] = "spectrum"

    read_v: float = column("V", "of the reads")
    frequency_hz: FloatArray = column("Hz", "(reads / 2,), without 0")
    density_per_hz: FloatArray = column("1/Hz", "S_I / I^2, mean over cells; (reads / 2,)")
    slope: float = column("1", "alpha of f^-alpha, least squares over ln f in equal bins")


def run(settings: ReadNoiseSettings, array: Array) -> Iterator[Yield]:
    """Read each group of cells ``reads`` times at each voltage.

    Raises :class:`hwloop.errors.StepError` where a read failed.
    """
    shape = (settings.reads, *array.population, *array.geometry.shape)
    seen = {read_v: np.full(shape, np.nan) for read_v in settings.read_voltages_v}
    spectra: dict[float, list[tuple[FloatArray, FloatArray]]] = {v: [] for v in seen}
    for group, mask in enumerate(groups(array, settings.cells)):
        for read_v in settings.read_voltages_v:
            time_s, current_a = _reads(settings, array, mask, read_v)
            seen[read_v] = filled(seen[read_v], current_a, mask)
            spectra[read_v].append(relative_spectrum(time_s, current_a[..., mask]))
            yield NoiseRow(group=group, read_v=read_v, time_s=time_s, current_a=current_a)
    rows = [_figures(read_v, current_a) for read_v, current_a in seen.items()]
    yield from rows
    for read_v, parts in spectra.items():
        frequency_hz = np.mean([f for f, _ in parts], axis=0)
        density = np.mean([s for _, s in parts], axis=0)
        yield SpectrumRow(
            read_v=read_v,
            frequency_hz=frequency_hz,
            density_per_hz=density,
            slope=_slope(frequency_hz, density),
        )
    summary = "; ".join(
        f"at {row.read_v:g} V sigma/I {median_text(row.relative_sigma, '')}" for row in rows
    )
    yield Outcome(True, summary)


def _reads(
    settings: ReadNoiseSettings, array: Array, mask: BoolArray, read_v: float
) -> tuple[FloatArray, FloatArray]:
    times_s, currents_a = [], []
    for _ in range(settings.reads):
        reading = array.backend.read(ReadMap(mask, read_v))
        currents_a.append(measured_a(reading, step="read_noise"))
        times_s.append(array.clock.now_s())
    return np.array(times_s), np.stack(currents_a)


def _figures(read_v: float, current_a: FloatArray) -> NoiseFigures:
    mean_a, sigma_a = current_a.mean(axis=0), current_a.std(axis=0, ddof=1)
    magnitude_a = np.where(mean_a != 0, np.abs(mean_a), np.nan)
    return NoiseFigures(
        read_v=read_v, mean_a=mean_a, sigma_a=sigma_a, relative_sigma=sigma_a / magnitude_a
    )


def relative_spectrum(time_s: FloatArray, current_a: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compute the one-sided periodogram S_I / I² of currents (reads, ...), mean over cells.

    Returns frequencies in hertz, without 0, and densities in 1/Hz. The reads are taken as equally
    spaced by their mean interval. The integral over frequency is the variance over I².
    """
    reads = len(time_s)
    interval_s = float(time_s[-1] - time_s[0]) / (reads - 1)
    lines = current_a.reshape(reads, -1)
    mean_a = lines.mean(axis=0)
    lines = lines[:, mean_a != 0] / mean_a[mean_a != 0] - 1
    power = np.abs(np.fft.rfft(lines, axis=0)) ** 2 * interval_s / reads
    power[1 : (reads + 1) // 2] *= 2  # the negative frequencies; that of Nyquist has none
    frequency_hz = np.asarray(np.fft.rfftfreq(reads, interval_s)[1:], dtype=np.float64)
    density = over_cells(lambda line: float(line.mean()), power[1:])
    return frequency_hz, density


def _slope(frequency_hz: FloatArray, density: FloatArray) -> float:
    """Fit alpha of f^-alpha to means in bins of equal width in ln f.

    Without the bins the many high frequencies would dominate the fit.
    """
    bins = np.floor(np.log10(frequency_hz) * _BINS_PER_DECADE).astype(np.int64)
    means = np.array(
        [(frequency_hz[bins == b].mean(), density[bins == b].mean()) for b in np.unique(bins)]
    )
    good = means[means[:, 1] > 0]
    if len(good) < 3:
        return float("nan")
    return -float(np.polyfit(np.log(good[:, 0]), np.log(good[:, 1]), 1)[0])


def plan(settings: ReadNoiseSettings, array: ArraySettings) -> Plan:
    """Return the plan: every read at every voltage."""
    mask = chosen(settings.cells, array.geometry.shape)
    operations = [
        PlannedOperation(ReadMap(mask, read_v), settings.reads)
        for read_v in settings.read_voltages_v
    ]
    return Plan(operations, rows=len(operations), by_group=True)


READ_NOISE = Step(
    name="read_noise",
    summary="Scatter and spectrum of many reads at several voltages",
    settings=ReadNoiseSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.read_noise:figures",
    measured="hwloop.recordings.of_steps:reads_of_noise",
)
