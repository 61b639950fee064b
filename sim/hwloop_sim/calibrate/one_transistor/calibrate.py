"""Calibration of 1T1R cells from sweeps of gate and source line: fit, held-out cells, file.

Sweeps of several days or chips are fitted together; an array of the twin is like one of them. A
cycling test, if given besides, counts as one more day for the level of a strong RESET, its spread
and its scatter within a cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from typing_extensions import override

from hwloop.errors import ConfigError
from hwloop.plotting.style import NamedFigure
from hwloop.types import FloatArray
from hwloop_sim.calibrate.method import CalibrationMethod, FittedCalibration, HeldOut, Task
from hwloop_sim.calibrate.one_transistor.cycling import Cycled, cycling_spread, is_cycling
from hwloop_sim.calibrate.one_transistor.emulation import MODEL
from hwloop_sim.calibrate.one_transistor.growth_fit import (
    FOLLOWER_V,
    GrowthFit,
    fit_growth,
    fit_median,
    parameters,
)
from hwloop_sim.calibrate.one_transistor.growth_fit import OF_DAY as SET_OF_DAY
from hwloop_sim.calibrate.one_transistor.prediction import SweepPrediction, predict
from hwloop_sim.calibrate.one_transistor.read_noise import SweepNoise, read_noise
from hwloop_sim.calibrate.one_transistor.redraw_fit import DIVIDER, RedrawFit, fit_redraw
from hwloop_sim.calibrate.one_transistor.redraw_fit import OF_DAY as RESET_OF_DAY
from hwloop_sim.calibrate.one_transistor.sweeps import Sweeps, load_sweeps
from hwloop_sim.calibrate.one_transistor.unknowns import of_day, over_days
from hwloop_sim.calibration.file import flat


@dataclass(frozen=True, eq=False)
class SweepCalibration(FittedCalibration):
    """The model ``one_transistor`` fitted to sweeps of the gate and of the source line.

    ``gates``, ``lines``: sweeps of each day. ``growth``, ``redraw``: fits to all cells.
    ``predictions``: of each day, by a fit to every second cell. ``noise``: of each read.
    """

    gates: Sequence[Sweeps]
    lines: Sequence[Sweeps]
    growth: GrowthFit
    redraw: RedrawFit
    cycled: Cycled | None
    noise: SweepNoise
    predictions: Sequence[SweepPrediction]
    model: str = MODEL

    @property
    def parameters(self) -> dict[str, Any]:
        """Return the settings of the device."""
        return settings(self.growth, self.redraw, self.gates[0].width_s, self._days, self.cycled)

    @property
    def _days(self) -> int:
        return len(self.gates)

    @property
    def uncertainty(self) -> dict[str, float]:
        """Return one standard deviation by name of the setting, dots inside mappings.

        That of a parameter that differs from day to day includes the error of its mean over them,
        which of two days is half of their difference.
        """
        errors = self.growth.match.errors | self.redraw.match.errors
        mean, spread = over_days(
            {**self.growth.known, **self.growth.match.values, **self.redraw.values}, self._days
        )
        found = {name: float(one) for name, one in errors.items() if name in mean}
        if self.cycled is not None:
            pooled = self.cycled.pooled(mean, self._days)
            found |= {name: found[name] * one / mean[name] for name, one in pooled.items()}
        for name, sigma in spread.items():
            of_mean = mean[name] * sigma / np.sqrt(self._days)
            found[name] = float(np.hypot(found[name], of_mean))
        return found

    @property
    def effects(self) -> list[dict[str, Any]]:
        """Return the effect ``white_noise`` with the read noise of the sweeps."""
        return [self.noise.effect(self.growth.r_series_ohm)]

    @property
    def held_out_error(self) -> float:
        """Compute the rms of mean emulated less held-out conductance, over the range measured."""
        off_conductance_s = [
            np.nanmean(one.emulated_conductance_s, axis=(1, 2)) - one.sweeps.after_conductance_s
            for one in self.predictions
        ]
        every_conductance_s = np.concatenate(
            [one.after_conductance_s.ravel() for one in (*self.gates, *self.lines)]
        )
        left_conductance_s = np.concatenate([one[np.isfinite(one)] for one in off_conductance_s])
        span_conductance_s = np.nanmax(every_conductance_s) - np.nanmin(every_conductance_s)
        return float(np.sqrt(np.mean(np.square(left_conductance_s))) / span_conductance_s)

    @property
    def goodness(self) -> dict[str, float]:
        """Return counts, the rms of the median gate sweep, and of all moments over their errors."""
        return {
            "days": float(self._days),
            "cells": float(sum(len(one.cells) for one in self.gates)),
            "gate_sweeps": float(sum(len(one.cell) for one in self.gates)),
            "line_sweeps": float(sum(len(one.cell) for one in self.lines)),
            "median_path_deviation": self.growth.median.path.deviation,
            "gate_moments_off": _rms(self.growth.match.off),
            "line_moments_off": _rms(self.redraw.match.off),
        }

    def remarks(self) -> list[str]:
        """Return what the fit assumed, and what it left out."""
        gates_v = self.growth.median.volts
        known = ", ".join(f"{name} {value:.3g}" for name, value in self.growth.known.items())
        given = f"given are {known}"
        found = [
            f"SET is fitted from {gates_v[0]:g} to {gates_v[-1]:g} V at the gate;"
            f" {given}:"
            " these sweeps do not tell the power of the overdrive from the exponent",
            "one width and one bit-line voltage: the width acts through the law of growth alone,"
            " the drive not at all; v_set_v and tau_s are chosen",
            f"v_follower_v is {FOLLOWER_V:g} V, not fitted: these RESETs work beyond the gate less"
            " v_transistor_v",
        ]
        found += self.redraw.left_out
        if self._days > 1:
            found += self._of_days()
        else:
            found.append(
                f"divider_share is {DIVIDER:g}, not fitted: sweeps of one day, all"
                " of which begin alike, determine neither it nor how much days differ"
            )
        if self.cycled is not None:
            found.append(
                "reset_floor_conductance_s, its spread and its scatter within a cell are means over"
                " the days of the sweeps and the cycling test; the ratio of redraw.cycle_sigma to"
                " pulse_sigma is of the sweeps"
            )
        return found

    def _of_days(self) -> Iterator[str]:
        """Yield the values of each day; a twin of one has its entry of ``days`` alone."""
        values = {**self.growth.known, **self.growth.match.values, **self.redraw.values}
        for day in range(self._days):
            own = of_day(values, day)
            each = ", ".join(f"{name} {own[name]:.4g}" for name in (*SET_OF_DAY, *RESET_OF_DAY))
            yield f"day {day + 1} of {self._days}: {each}"

    @override
    def predict(self) -> HeldOut:
        return HeldOut(self.held_out_error, [one.figures() for one in self.predictions])

    @override
    def summary(self) -> Iterator[str]:
        yield (
            "; ".join(
                f"{len(gate.cell)} gate sweeps of {len(gate.cells)} cells,"
                f" {len(line.cell)} source-line sweeps of {len(line.cells)} cells"
                for gate, line in zip(self.gates, self.lines, strict=True)
            )
        )
        values = dict(flat(self.parameters))
        for name, error in self.uncertainty.items():
            value = values.get(name, values.get(f"{name}.sigma"))
            yield f"  {name:34} {value:.5g} ± {error:.2g}"
        for name, figure in self.goodness.items():
            yield f"  {name:34} {figure:.4g}"
        noise = self.noise
        yield (
            f"effect white_noise: {noise.fraction:.4g} ± {noise.fraction_error:.2g} of G, times"
            f" (1 - G R_s)^{noise.series_exponent:.3g} ± {noise.exponent_error:.2g}"
        )
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
        every = (*self.gates, *self.lines)
        every_conductance_s = np.concatenate([one.after_conductance_s.ravel() for one in every])
        return {
            "validity": {
                "low_conductance_s": float(np.nanmin(every_conductance_s)),
                "high_conductance_s": float(np.nanmax(every_conductance_s)),
                "low_v": float(-max(line.volts[-1] for line in self.lines)),
                "high_v": max(gate.held_v for gate in self.gates),
                "pulses": [
                    *(
                        {
                            "amplitude_v": gate.held_v,
                            "width_s": gate.width_s,
                            "gate_v": [float(gate.volts[0]), float(gate.volts[-1])],
                        }
                        for gate in self.gates
                    ),
                    *(
                        {
                            "amplitude_v": [float(-line.volts[-1]), float(0.0 - line.volts[0])],
                            "width_s": line.width_s,
                            "gate_v": line.held_v,
                        }
                        for line in self.lines
                    ),
                ],
            },
            "parameters": self.parameters,
            "effects": self.effects,
            "uncertainty": {**self.uncertainty, "effects": [dict(self.noise.errors())]},
            "goodness": self.goodness,
            "remarks": self.remarks(),
        }

    @override
    def figures(self) -> Iterator[NamedFigure]:
        from hwloop_sim.calibrate.one_transistor.figures import draw

        return draw(self.predictions)


def settings(
    growth: GrowthFit, redraw: RedrawFit, width_s: float, days: int, cycled: Cycled | None
) -> dict[str, Any]:
    """Return the settings of the device; ``cycled``: result of :func:`cycling_spread`.

    Few days hardly determine a variance: an array of the twin is like one of them.
    """
    fitted = {**growth.known, **growth.match.values, **redraw.values}
    values, spread = over_days(fitted, days)
    each = [of_day(fitted, day) for day in range(days)]
    factors = [{name: one[name] / values[name] for name in spread} for one in each]
    if cycled is not None:
        values |= cycled.pooled(values, days)
    found = parameters(values, width_s)
    if spread:
        found["days"] = factors
    return found


def settings_of_day(found: Mapping[str, Any], day: int) -> dict[str, Any]:
    """Return the settings of the device on one of the days that were fitted."""
    return {**found, "days": found["days"][day : day + 1]} if "days" in found else dict(found)


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def calibrate_sweeps(task: Task, known: Mapping[str, float] | None = None) -> SweepCalibration:
    """Fit every second cell, predict the others, and fit all cells.

    The files are a sweep of the gate and one of the source line for each day, the first of the gate
    from HRS, and perhaps a cycling test. ``known``: as of :func:`fit_sweeps`. Raises as
    :func:`load_sweeps`, :func:`fit_growth` and :func:`fit_redraw` do.
    """
    cycling = [path for path in task.paths if is_cycling(path)]
    if len(cycling) > 1:
        raise ConfigError("is a second cycling test: give one", file=str(cycling[1]))
    cycled = cycling_spread(cycling[0]) if cycling else None
    gates, lines = load_sweeps([path for path in task.paths if path not in cycling])
    rng = np.random.default_rng(task.seed)
    halves = [[one.half(0) for one in of] for of in (gates, lines)]
    growth, redraw, noise = fit_sweeps(halves[0], halves[1], known)
    found = settings(growth, redraw, gates[0].width_s, len(gates), cycled)
    predictions = [
        predict(
            settings_of_day(found, day),
            sweeps.half(0),
            sweeps.half(1),
            rng,
            of_gate=of_gate,
            noise=noise,
        )
        for day, both in enumerate(zip(gates, lines, strict=True))
        for sweeps, of_gate in zip(both, (True, False), strict=True)
    ]
    growth, redraw, noise = fit_sweeps(gates, lines, known)
    return SweepCalibration(gates, lines, growth, redraw, cycled, noise, predictions)


def fit_sweeps(
    gates: Sequence[Sweeps], lines: Sequence[Sweeps], known: Mapping[str, float] | None = None
) -> tuple[GrowthFit, RedrawFit, SweepNoise]:
    """Fit growth and redraw to the sweeps of each day, and estimate the read noise.

    ``known``: settings of growth, by name, that another measurement determined.
    """
    of_median = fit_median(gates[0], known)
    noise = read_noise((*gates, *lines), of_median.path.r_series_ohm)
    growth = fit_growth(gates, of_median, noise)
    return growth, fit_redraw(lines, growth, noise), noise


SWEEPS = CalibrationMethod(
    models=lambda: [MODEL],
    of_records=True,
    options=frozenset(),
    fit=calibrate_sweeps,
)
