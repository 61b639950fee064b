"""Calibration from reads without pulses: white, telegraph and 1/f noise, and drift, as effects.

Of each cell in turn: the power law of drift by least squares of ln G; two levels, if they are
clear; 1/f beside white noise by the likelihood of the spectrum of what is left. An effect is given
if it is more than three standard errors from none; blocks of time are the independent units of
drift.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from hwloop.datasets.measurement import read_measurement
from hwloop.errors import ConfigError
from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure
from hwloop.types import FloatArray
from hwloop_sim.calibrate.inputs import is_dataset
from hwloop_sim.calibrate.method import FittedCalibration, HeldOut, Task
from hwloop_sim.calibrate.operations.effects_found import exponents, flicker_variance
from hwloop_sim.calibrate.operations.found_effect import FoundEffect
from hwloop_sim.calibrate.reads.telegraph import Telegraph, telegraph

_LEAST_READS = 20
_LEAST_FOR_SPECTRUM = 256
_SEGMENTS = 8
_BLOCKS = 20
_SURE = 3.0
_EVEN = 0.25
"""Part of the median interval within which 98 % of the intervals lie in an even series."""


@dataclass(frozen=True, eq=False)
class AnalysedReads:
    """Reads of a cell, and what they show.

    ``time_s`` since the first read, ``conductance_s``: (reads,). ``nu``, ``nu_error``: exponent of
    drift. ``white``, ``flicker``, ``flicker_error``: variances of the conductance over its mean;
    the last two are None where the intervals are uneven or the reads are few. ``band_hz``: of the
    spectrum.
    """

    name: str
    time_s: FloatArray
    conductance_s: FloatArray
    nu: float
    nu_error: float
    levels: Telegraph | None
    white: float
    flicker: float | None
    flicker_error: float
    band_hz: tuple[float, float]

    @property
    def drifts(self) -> bool:
        """Return whether drift is clearly there."""
        return abs(self.nu) > _SURE * self.nu_error

    @property
    def flickers(self) -> bool:
        """Return whether 1/f noise is clearly there."""
        return self.flicker is not None and self.flicker > _SURE * self.flicker_error


@dataclass(frozen=True, eq=False)
class ReadsCalibration(FittedCalibration):
    """Effects that reads show; no device model."""

    series: Sequence[AnalysedReads]
    effects: Sequence[FoundEffect]
    remarks: Sequence[str]
    model: str = "effects"

    @override
    def predict(self) -> HeldOut:
        return HeldOut(None, [])

    @override
    def summary(self) -> Iterator[str]:
        for one in self.series[:8]:
            yield (
                f"{one.name}: {one.time_s.size} reads over {one.time_s[-1]:.4g} s, mean"
                f" {one.conductance_s.mean():.4g} S, deviation"
                f" {one.conductance_s.std() / one.conductance_s.mean():.2%}"
            )
        if len(self.series) > 8:
            yield f"… and {len(self.series) - 8} cells more"
        for effect in self.effects:
            yield effect.summary()
        yield from self.remarks
        yield "effects only, for any device model: nothing was pulsed, so nothing is known of steps"

    @override
    def findings(self) -> dict[str, Any]:
        every = np.concatenate([one.conductance_s for one in self.series])
        return {
            "validity": {
                "low_conductance_s": float(every.min()),
                "high_conductance_s": float(every.max()),
            },
            "effects": [dict(one.settings) for one in self.effects],
            "uncertainty": {"effects": [dict(one.uncertainty) for one in self.effects]},
            "remarks": list(self.remarks),
        }

    @override
    def as_data(self, paths: Sequence[Path], title: str) -> dict[str, Any]:
        data = super().as_data(paths, title)
        del data["model"]
        return data

    @override
    def figures(self) -> Iterator[NamedFigure]:
        with plot.style():
            figure = plot.new_figure(4.6, 3.0)
            axes = figure.subplots()
            scale = plot.AxisScale.of(self.series[0].conductance_s, "S")
            for one in self.series[:8]:
                axes.plot(one.time_s, one.conductance_s * scale.factor, linewidth=0.5)
                axes.plot(
                    one.time_s,
                    _drifted_conductance_s(one) * scale.factor,
                    color=plot.BLACK,
                    linewidth=1.0,
                )
            axes.set(xlabel="Time (s)", ylabel=scale.label("Conductance"))
            yield NamedFigure("paths", "Reads and their drift", "black: drift alone", figure)


def are_reads(paths: Sequence[Path]) -> bool:
    """Return whether all files are datasets of reads over time."""
    return bool(paths) and all(
        path.is_file() and is_dataset(path) and read_measurement(path).kind == "reads"
        for path in paths
    )


def calibrate_reads(task: Task) -> ReadsCalibration:
    """Find the noise and the drift of reads over time, as effects.

    Raises :class:`ConfigError` with the file if a cell has too few reads.
    """
    series = [one for path in task.paths for one in _series(path, task.cell)]
    remarks = ["time is counted from the first read: drift before it is not known"]
    if any(one.flicker is None for one in series):
        remarks.append(
            f"intervals are uneven, or fewer than {_LEAST_FOR_SPECTRUM} reads: all that is left"
            " counts as white noise"
        )
    effects = [*_drift(series), *_telegraph(series), *_flicker(series), *_white(series)]
    if not effects:
        raise ConfigError("shows neither noise nor drift: every read is the same", file=task.where)
    found = {one.settings["effect"] for one in effects}
    absent = [name for name in ("drift", "random_telegraph", "flicker_noise") if name not in found]
    if absent:
        remarks.append(f"not clearly there, so not given: {', '.join(absent)}")
    if "flicker_noise" in found:
        remarks.append("a trap whose levels are not resolved would look like 1/f noise here")
    return ReadsCalibration(series, effects, remarks)


def _series(path: Path, cell: int | None) -> Iterator[AnalysedReads]:
    columns = read_measurement(path).columns
    cells = np.unique(columns["cell"]) if cell is None else np.array([cell])
    for number in cells:
        rows = columns["cell"] == number
        if rows.sum() < _LEAST_READS:
            raise ConfigError(
                f"cell {number:g} has {rows.sum()} reads: expected {_LEAST_READS} or more",
                file=str(path),
            )
        time_s = columns["time_s"][rows]
        yield _analysed(f"cell {number:g}", time_s - time_s[0], columns["conductance_s"][rows])


def _analysed(name: str, time_s: FloatArray, conductance_s: FloatArray) -> AnalysedReads:
    (nu,), _ = exponents(time_s, conductance_s[:, np.newaxis])
    age = np.log1p(time_s)
    age = age - age.mean()
    left = np.log(conductance_s) + nu * age
    left = left - left.mean()
    blocks = np.array_split(age * left, _BLOCKS)
    error = float(np.sqrt(sum(one.sum() ** 2 for one in blocks)) / np.sum(np.square(age)))
    if abs(nu) <= _SURE * error:
        left = np.log(conductance_s) - np.log(conductance_s).mean()
    relative = np.exp(left)
    levels = telegraph(relative, time_s)
    if levels is not None:
        relative = relative / (1 - levels.amplitude * levels.low)
    relative = relative / relative.mean()
    flicker, flicker_error, band_hz = _spectral(relative, time_s)
    total = float(relative.var())
    clear = flicker is not None and flicker > _SURE * flicker_error
    white = max(total - (flicker if clear and flicker is not None else 0.0), 0.0)
    return AnalysedReads(
        name,
        time_s,
        conductance_s,
        float(nu),
        error,
        levels,
        white,
        flicker,
        flicker_error,
        band_hz,
    )


def _spectral(
    relative: FloatArray, time_s: FloatArray
) -> tuple[float | None, float, tuple[float, float]]:
    """Return the variance of 1/f noise with its error, and the band; None if it cannot be seen."""
    interval_s = np.diff(time_s)
    middle_s = float(np.median(interval_s))
    spread_s = float(np.ptp(np.quantile(interval_s, [0.01, 0.99])))
    if relative.size < _LEAST_FOR_SPECTRUM or spread_s > _EVEN * middle_s or not relative.std():
        return None, 0.0, (0.0, 0.0)
    length = relative.size // _SEGMENTS
    parts = relative[: length * _SEGMENTS].reshape(_SEGMENTS, length)
    parts = parts - parts.mean(axis=1, keepdims=True)
    frequency_hz = np.fft.rfftfreq(length, middle_s)[1:].astype(np.float64)
    power = np.square(np.abs(np.fft.rfft(parts, axis=1)[:, 1:])) * 2 * middle_s / length
    density_per_hz = np.asarray(power.mean(axis=0, keepdims=True), dtype=np.float64)
    variance, error = flicker_variance(frequency_hz[np.newaxis], density_per_hz, _SEGMENTS)
    return variance, error, (float(frequency_hz[0]), float(frequency_hz[-1]))


def _drifted_conductance_s(one: AnalysedReads) -> FloatArray:
    nu = one.nu if one.drifts else 0.0
    age = np.log1p(one.time_s)
    return np.asarray(np.exp(np.log(one.conductance_s).mean() - nu * (age - age.mean())))


def _drift(series: Sequence[AnalysedReads]) -> Iterator[FoundEffect]:
    nu = np.array([one.nu for one in series])
    errors = np.array([one.nu_error for one in series])
    own = float(np.mean(np.square(errors)))
    seen = float(nu.var(ddof=1)) if nu.size > 1 else 0.0
    mean_error = float(np.sqrt(max(seen, own) / nu.size))
    if not any(one.drifts for one in series) or abs(nu.mean()) < _SURE * mean_error:
        return
    settings = {"effect": "drift", "nu": float(nu.mean()), "t0_s": 1.0}
    uncertainty = {"nu": mean_error}
    if nu.size > 2 and seen > 2 * own:
        settings["nu_sigma"] = float(np.sqrt(seen - own))
        uncertainty["nu_sigma"] = float(
            seen * np.sqrt(2 / (nu.size - 1)) / (2 * np.sqrt(seen - own))
        )
    last_s = max(one.time_s[-1] for one in series)
    yield FoundEffect(settings, uncertainty, f"{_cells(nu.size)} over {last_s:.4g} s")


def _telegraph(series: Sequence[AnalysedReads]) -> Iterator[FoundEffect]:
    found = [one.levels for one in series if one.levels is not None]
    if not found:
        return
    settings: dict[str, Any] = {
        "effect": "random_telegraph",
        "amplitude": float(np.median([one.amplitude for one in found])),
        "capture_s": float(np.median([one.capture_s for one in found])),
        "emission_s": float(np.median([one.emission_s for one in found])),
    }
    if len(series) > 1:
        settings["trapped"] = len(found) / len(series)
    part = 1 / np.sqrt(sum(one.switches for one in found) / 2)
    uncertainty = {name: float(part * settings[name]) for name in ("capture_s", "emission_s")}
    switches = sum(one.switches for one in found)
    source = f"two levels in {len(found)} of {_cells(len(series))}, {switches} switches"
    yield FoundEffect(settings, uncertainty, source)


def _flicker(series: Sequence[AnalysedReads]) -> Iterator[FoundEffect]:
    clear = [one for one in series if one.flickers]
    if len(clear) * 2 <= len(series):
        return
    variance = float(np.mean([one.flicker or 0.0 for one in clear]))
    error = float(np.sqrt(np.mean([one.flicker_error**2 for one in clear]) / len(clear)))
    fraction = float(np.sqrt(variance))
    low_hz = min(one.band_hz[0] for one in clear)
    high_hz = max(one.band_hz[1] for one in clear)
    yield FoundEffect(
        {"effect": "flicker_noise", "fraction": fraction, "low_hz": low_hz, "high_hz": high_hz},
        {"fraction": error / (2 * fraction)},
        f"spectra of {len(clear)} of {_cells(len(series))}",
    )


def _white(series: Sequence[AnalysedReads]) -> Iterator[FoundEffect]:
    fraction = float(np.sqrt(np.mean([one.white for one in series])))
    reads = sum(one.time_s.size for one in series)
    if fraction > 1e-9:
        yield FoundEffect(
            {"effect": "white_noise", "fraction": min(fraction, 1.0)},
            {"fraction": fraction / float(np.sqrt(2 * reads))},
            f"what is left of {reads} reads",
        )


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"
