"""Calibration of 1T1R cells from sweeps of gate and source line: fit, held-out cells, file.

A cycling test, if given besides the sweeps, determines the level of a strong RESET, its spread and
its scatter within a cell: sweeps have few cycles and end where a resistance is reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from hwloop.datasets.measurement import read_measurement
from hwloop.errors import ConfigError
from hwloop.plotting.style import NamedFigure
from hwloop.types import FloatArray
from hwloop_sim.calibrate.inputs import is_dataset
from hwloop_sim.calibrate.method import CalibrationMethod, FittedCalibration, HeldOut, Task
from hwloop_sim.calibrate.one_transistor.emulation import MODEL
from hwloop_sim.calibrate.one_transistor.growth_fit import (
    FOLLOWER_V,
    GrowthFit,
    fit_growth,
    fit_median,
    parameters,
)
from hwloop_sim.calibrate.one_transistor.prediction import SweepPrediction, predict
from hwloop_sim.calibrate.one_transistor.redraw_fit import FLOOR, RedrawFit, fit_redraw
from hwloop_sim.calibrate.one_transistor.sweeps import Sweeps, load_sweeps
from hwloop_sim.calibration.file import flat

_WITHIN = ("redraw.cycle_sigma", "redraw.pulse_sigma")
_LEAST_SHOWN = 0.1
"""Least share of the filament's noise that a read must show to count."""


@dataclass(frozen=True)
class Cycled:
    """Spread of conductance after RESET in a cycling test.

    ``median_conductance_s``: conductance of the median cell, siemens. ``of_cells``: standard
    deviation of ln G over the cells, with ``of_cells_error``. ``within``: standard deviation of ln
    G within a cell.
    """

    median_conductance_s: float
    of_cells: float
    of_cells_error: float
    within: float

    @property
    def median_error_conductance_s(self) -> float:
        """Estimate the standard error of a median, siemens, for normal deviations of ln G."""
        count = 1 + (self.of_cells / self.of_cells_error) ** 2 / 2
        return self.median_conductance_s * float(np.sqrt(np.pi / 2 / count)) * self.of_cells

    def share(self, values: Mapping[str, float]) -> float:
        """Return the ratio of ``within`` to the scatter of cycle and pulse together."""
        cycle, pulse = (values[name] for name in _WITHIN)
        return self.within / float(np.hypot(cycle, pulse))


@dataclass(frozen=True, eq=False)
class SweepCalibration(FittedCalibration):
    """The model ``one_transistor`` fitted to sweeps of the gate and of the source line.

    ``growth``, ``redraw``: fits to all cells. ``predictions``: by a fit to every second cell.
    ``noise``: standard deviation of a read, as a fraction of the filament's conductance, and its
    uncertainty.
    """

    gate: Sweeps
    line: Sweeps
    growth: GrowthFit
    redraw: RedrawFit
    cycled: Cycled | None
    noise: tuple[float, float]
    predictions: Sequence[SweepPrediction]
    model: str = MODEL

    @property
    def parameters(self) -> dict[str, Any]:
        """Return the settings of the device."""
        return settings(self.growth, self.redraw, self.gate.width_s, self.cycled)

    @property
    def uncertainty(self) -> dict[str, float]:
        """Return one standard deviation by name of the setting, dots inside mappings."""
        found = self.growth.match.errors | self.redraw.match.errors
        if self.cycled is not None:
            share = self.cycled.share(self.redraw.values)
            found |= {name: share * found[name] for name in _WITHIN}
            found["spread.reset_floor_conductance_s"] = self.cycled.of_cells_error
            found[FLOOR] = self.cycled.median_error_conductance_s
        return {name: float(value) for name, value in found.items()}

    @property
    def effects(self) -> list[dict[str, Any]]:
        """Return the effect ``white_noise`` with the read noise of the sweeps."""
        series_ohm = self.growth.r_series_ohm
        return [{"effect": "white_noise", "fraction": self.noise[0], "series_ohm": series_ohm}]

    @property
    def held_out_error(self) -> float:
        """Compute the rms of mean emulated less held-out conductance, over the range measured."""
        off_conductance_s = [
            np.nanmean(one.emulated_conductance_s, axis=(1, 2)) - one.sweeps.after_conductance_s
            for one in self.predictions
        ]
        every_conductance_s = np.concatenate(
            [one.ravel() for one in (self.gate.after_conductance_s, self.line.after_conductance_s)]
        )
        left_conductance_s = np.concatenate([one[np.isfinite(one)] for one in off_conductance_s])
        span_conductance_s = np.nanmax(every_conductance_s) - np.nanmin(every_conductance_s)
        return float(np.sqrt(np.mean(np.square(left_conductance_s))) / span_conductance_s)

    @property
    def goodness(self) -> dict[str, float]:
        """Return counts, the rms of the median gate sweep, and of all moments over their errors."""
        return {
            "cells": float(len(self.gate.cells)),
            "gate_sweeps": float(len(self.gate.cell)),
            "line_sweeps": float(len(self.line.cell)),
            "median_path_deviation": self.growth.median.path.deviation,
            "gate_moments_off": _rms(self.growth.match.off),
            "line_moments_off": _rms(self.redraw.match.off),
        }

    def remarks(self) -> list[str]:
        """Return what the fit assumed, and what it left out."""
        gates_v = self.growth.median.volts
        found = [
            f"SET is fitted from {gates_v[0]:g} to {gates_v[-1]:g} V at the gate; its current is"
            " taken as linear in the overdrive: these sweeps do not tell that power from the"
            " exponent",
            "one width and one bit-line voltage: the width acts through the law of growth alone,"
            " the drive not at all; v_set_v and tau_s are chosen",
            f"v_follower_v is {FOLLOWER_V:g} V, not fitted: these RESETs work beyond the gate less"
            " v_transistor_v",
        ]
        if self.redraw.left_out:
            found.append(self.redraw.left_out)
        if self.cycled is not None:
            found.append(
                "reset_floor_conductance_s, its spread and its scatter within a cell are of the"
                " cycling test;"
                " the ratio of redraw.cycle_sigma to pulse_sigma is of the sweeps"
            )
        return found

    @override
    def predict(self) -> HeldOut:
        return HeldOut(self.held_out_error, [one.figures() for one in self.predictions])

    @override
    def summary(self) -> Iterator[str]:
        yield (
            f"{len(self.gate.cell)} gate sweeps of {len(self.gate.cells)} cells,"
            f" {len(self.line.cell)} source-line sweeps of {len(self.line.cells)} cells"
        )
        values = dict(flat(self.parameters))
        for name, error in self.uncertainty.items():
            value = values.get(name, values.get(f"{name}.sigma"))
            yield f"  {name:34} {value:.5g} ± {error:.2g}"
        for name, figure in self.goodness.items():
            yield f"  {name:34} {figure:.4g}"
        yield f"effect white_noise: {self.noise[0]:.4g} ± {self.noise[1]:.2g} of the filament"
        yield from self.remarks()
        for one in self.predictions:
            seen = one.figures()
            yield (
                f"held out, {seen['cells']} cells, {'gate' if one.of_gate else 'source line'}: mean"
                f" path within the measured spread at {seen['mean_within_spread']:.0%}"
            )
            for name in ("final_conductance", "step"):
                of = seen[name]
                yield (
                    f"  {name:18} KS {of['ks_model']:.3f}; the other half"
                    f" {of['ks_other_half']:.3f}; equal distributions, 95 % below"
                    f" {of['ks_95']:.3f}"
                )

    @override
    def findings(self) -> dict[str, Any]:
        gate, line = self.gate, self.line
        every_conductance_s = np.concatenate(
            [one.ravel() for one in (gate.after_conductance_s, line.after_conductance_s)]
        )
        return {
            "validity": {
                "low_conductance_s": float(np.nanmin(every_conductance_s)),
                "high_conductance_s": float(np.nanmax(every_conductance_s)),
                "low_v": float(-line.volts[-1]),
                "high_v": gate.held_v,
                "pulses": [
                    {
                        "amplitude_v": gate.held_v,
                        "width_s": gate.width_s,
                        "gate_v": [float(gate.volts[0]), float(gate.volts[-1])],
                    },
                    {
                        "amplitude_v": [float(-line.volts[-1]), float(0.0 - line.volts[0])],
                        "width_s": line.width_s,
                        "gate_v": line.held_v,
                    },
                ],
            },
            "parameters": self.parameters,
            "effects": self.effects,
            "uncertainty": {**self.uncertainty, "effects": [{"fraction": self.noise[1]}]},
            "goodness": self.goodness,
            "remarks": self.remarks(),
        }

    @override
    def figures(self) -> Iterator[NamedFigure]:
        from hwloop_sim.calibrate.one_transistor.figures import draw

        return draw(self.predictions)


def settings(
    growth: GrowthFit, redraw: RedrawFit, width_s: float, cycled: Cycled | None
) -> dict[str, Any]:
    """Return the settings of the device; ``cycled``: result of :func:`cycling_spread`."""
    values = growth.match.values | redraw.values
    if cycled is not None:
        share = cycled.share(values)
        values |= {name: share * values[name] for name in _WITHIN}
        values["spread.reset_floor_conductance_s"] = cycled.of_cells
    return parameters(values, width_s)


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def calibrate_sweeps(task: Task) -> SweepCalibration:
    """Fit every second cell, predict the others, and fit all cells.

    The files are a sweep of the gate, one of the source line and perhaps a cycling test. Raises as
    :func:`load_sweeps`, :func:`fit_growth` and :func:`fit_redraw` do.
    """
    cycling = [path for path in task.paths if _is_cycling(path)]
    if len(cycling) > 1:
        raise ConfigError("is a second cycling test: give one", file=str(cycling[1]))
    cycled = cycling_spread(cycling[0]) if cycling else None
    gate, line = load_sweeps([path for path in task.paths if path not in cycling])
    rng = np.random.default_rng(task.seed)
    half = gate.half(0), line.half(0)
    floor_conductance_s = None if cycled is None else cycled.median_conductance_s
    growth, redraw, noise = fit_sweeps(*half, floor_conductance_s)
    found = settings(growth, redraw, gate.width_s, cycled)
    predictions = [
        predict(found, sweeps.half(0), sweeps.half(1), rng, of_gate=of_gate, noise=noise[0])
        for sweeps, of_gate in ((gate, True), (line, False))
    ]
    growth, redraw, noise = fit_sweeps(gate, line, floor_conductance_s)
    return SweepCalibration(gate, line, growth, redraw, cycled, noise, predictions)


def read_noise(every: Sequence[Sweeps], r_series_ohm: float) -> tuple[float, float]:
    """Estimate the noise of one read as a fraction of the filament's conductance.

    Returns the fraction and its uncertainty, from pairs of reads without a pulse in between. A
    robust estimate, as some cells jump.
    """
    pairs = [one.read_pairs() for one in every]
    logs, off = (np.concatenate(one) for one in zip(*pairs, strict=True))
    shown = 1 - np.exp(logs) * r_series_ohm
    clear = shown > _LEAST_SHOWN
    relative = np.abs(off[clear] / shown[clear])
    fraction = 1.4826 * float(np.median(relative)) / float(np.sqrt(2))
    return fraction, fraction * 1.17 / float(np.sqrt(relative.size))


def fit_sweeps(
    gate: Sweeps, line: Sweeps, floor_conductance_s: float | None = None
) -> tuple[GrowthFit, RedrawFit, tuple[float, float]]:
    """Fit growth and redraw, and estimate the read noise with its uncertainty.

    ``floor_conductance_s``: conductance after a strong RESET, siemens, if it is known.
    """
    of_median = fit_median(gate)
    noise = read_noise((gate, line), of_median.path.r_series_ohm)
    growth = fit_growth(gate, of_median, noise[0])
    return growth, fit_redraw(line, growth, noise[0], floor_conductance_s), noise


def _is_cycling(path: Path) -> bool:
    return is_dataset(path) and read_measurement(path).kind == "cycling"


def cycling_spread(path: Path) -> Cycled:
    """Estimate the spread of the RESET level from a cycling test.

    Raises :class:`ConfigError` if fewer than three cells have several cycles.
    """
    columns = read_measurement(path).columns
    logs = [
        np.log(columns["reset_conductance_s"][columns["cell"] == one])
        for one in np.unique(columns["cell"])
    ]
    logs = [one for one in logs if one.size > 1]
    if len(logs) < 3:
        raise ConfigError(f"{len(logs)} cells with several cycles: expected 3", file=str(path))
    within = float(np.sqrt(np.mean([one.var(ddof=1) for one in logs])))
    means = np.array([one.mean() for one in logs])
    err = within**2 * float(np.mean([1 / one.size for one in logs]))
    of_cells = float(np.sqrt(max(means.var(ddof=1) - err, 0.0)))
    median_conductance_s = float(np.exp(np.median([np.median(one) for one in logs])))
    return Cycled(
        median_conductance_s, of_cells, of_cells / float(np.sqrt(2 * (len(logs) - 1))), within
    )


SWEEPS = CalibrationMethod(
    models=lambda: [MODEL],
    of_records=True,
    options=frozenset(),
    fit=calibrate_sweeps,
)
