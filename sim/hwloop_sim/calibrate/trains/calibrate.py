"""Calibration from trains: fit half of them, predict the other half, fit all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from typing_extensions import override

from hwloop.errors import ConfigError
from hwloop.messages import nearest
from hwloop.plotting.style import NamedFigure
from hwloop_sim.calibrate.method import CalibrationMethod, FittedCalibration, HeldOut, Task
from hwloop_sim.calibrate.result import Fit
from hwloop_sim.calibrate.trains.data import TrainData, check_one_way, load_trains
from hwloop_sim.calibrate.trains.held_out import Prediction, predict
from hwloop_sim.calibrate.trains.pulse_response import fit_pulse_response
from hwloop_sim.calibrate.trains.soft_bounds import fit_soft_bounds
from hwloop_sim.calibrate.trains.step_response import fit_step_response

Fitter = Callable[[TrainData], Fit]
FITTERS: Mapping[str, Fitter] = {
    "pulse_response": fit_pulse_response,
    "soft_bounds": fit_soft_bounds,
    "step_response": fit_step_response,
}
"""Device model → function that fits it to trains."""
_POPULATIONS = frozenset({"soft_bounds", "step_response"})
"""Models that are fitted to cells that differ, with the spread between them."""
_ONE_WAY = frozenset({"soft_bounds", "step_response"})


@dataclass(frozen=True)
class TrainCalibration(FittedCalibration):
    """A device model fitted to trains.

    ``fit``: to all trains. ``predictions``: of the held-out half by a fit to the other half.
    """

    model: str
    data: TrainData
    fit: Fit
    predictions: Sequence[Prediction]

    @override
    def predict(self) -> HeldOut:
        low_conductance_s, high_conductance_s = self.data.span_conductance_s
        off_conductance_s = [
            one.direction.padded_conductance_s - one.mean_conductance_s for one in self.predictions
        ]
        squares = [np.square(one[np.isfinite(one)]) for one in off_conductance_s]
        figures = [one.figures() for one in self.predictions]
        if not squares:  # one train of each direction: nothing to hold out
            return HeldOut(None, figures)
        rms_conductance_s = np.sqrt(np.mean(np.concatenate(squares)))
        span_conductance_s = high_conductance_s - low_conductance_s
        error = float(rms_conductance_s / span_conductance_s)
        scatter_conductance_s = self._scatter_of_repeats_conductance_s()
        return HeldOut(
            error,
            figures,
            self._rms_of_mean_conductance_s() / span_conductance_s,
            scatter=None
            if scatter_conductance_s is None
            else scatter_conductance_s / span_conductance_s,
            weak=any(one.lone for one in self.data.directions),
        )

    def _scatter_of_repeats_conductance_s(self) -> float | None:
        """Compute how far the held-out trains are from the mean of those fitted, siemens."""
        off = []
        for fitted, held in zip(
            self.data.half(0).directions, self.data.half(1).directions, strict=True
        ):
            if held.lone or fitted.lone:  # parts of one train, or too few for a mean
                continue
            both = min(fitted.padded_conductance_s.shape[1], held.padded_conductance_s.shape[1])
            mean_conductance_s = np.nanmean(fitted.padded_conductance_s[:, :both], axis=0)
            off.append((held.padded_conductance_s[:, :both] - mean_conductance_s).ravel())
        every = np.concatenate(off) if off else np.empty(0)
        every = every[np.isfinite(every)]
        return float(np.sqrt(np.mean(np.square(every)))) if every.size else None

    def _rms_of_mean_conductance_s(self) -> float:
        """Compute how far the held-out half is from the mean of the fitted half, siemens."""
        fitted, held = (
            np.concatenate([train for one in half.directions for train in one.trains])
            for half in (self.data.half(0), self.data.half(1))
        )
        return float(np.sqrt(np.nanmean(np.square(held - np.nanmean(fitted)))))

    @property
    @override
    def undetermined(self) -> Sequence[str]:
        return () if self.fit.covariance is None else self.fit.covariance.undetermined

    @override
    def figures(self) -> Iterator[NamedFigure]:
        from hwloop_sim.calibrate.trains.figures import draw

        return draw(self.predictions)

    @override
    def findings(self) -> dict[str, Any]:
        low_conductance_s, high_conductance_s = self.data.span_conductance_s
        pulses = [
            {**one.pulse, "longest_train": max(map(len, one.trains)) - 1}
            for one in self.data.directions
        ]
        fit = self.fit
        return {
            "validity": {
                "low_conductance_s": low_conductance_s,
                "high_conductance_s": high_conductance_s,
                "pulses": pulses,
            },
            "parameters": dict(fit.settings),
            "uncertainty": dict(fit.uncertainty),
            **({} if fit.covariance is None else fit.covariance.as_data()),
            "read_noise_conductance_s": fit.read_noise_conductance_s,
            **({} if fit.read_noise is None else {"read_noise": fit.read_noise}),
            "goodness": dict(fit.goodness),
            "remarks": list(fit.messages),
        }

    @override
    def summary(self) -> Iterator[str]:
        low_conductance_s, high_conductance_s = self.data.span_conductance_s
        yield f"{self.model}, fitted to"
        for one in self.data.directions:
            yield (
                f"{len(one.trains)} trains of {one.amplitude_v:g} V, {one.width_s:g} s, which"
                f" {'raise' if one.rises else 'lower'} the conductance"
            )
        yield from self._values()
        ends = f"{low_conductance_s:.4g} to {high_conductance_s:.4g} S"
        yield f"valid from {ends}, for these pulses only"
        yield from self.fit.messages
        for seen in self.predictions:
            yield from seen.summary()

    def _values(self) -> Iterator[str]:
        fit = self.fit
        values = {k: v for k, v in fit.settings.items() if isinstance(v, int | float)}
        if fit.read_noise_conductance_s:
            values["read_noise_conductance_s"] = fit.read_noise_conductance_s
        for name, value in values.items():
            error = fit.uncertainty.get(name)
            yield f"  {name:34} {value:.5g}" + ("" if error is None else f" ± {error:.2g}")
        for name, figure in fit.goodness.items():
            yield f"  {name:34} {figure:.4g}"


def calibrate_trains(task: Task) -> TrainCalibration:
    """Fit a device model to the trains of the files.

    Raises :class:`ConfigError` with file and reason if the data do not suit the model, and
    :class:`hwloop.errors.NotConverged` with the parameter that they do not determine.
    """
    if task.model not in FITTERS:
        raise ConfigError(
            f"{task.model!r} cannot be fitted to trains{nearest(task.model, FITTERS)}; those that"
            f" can: {', '.join(FITTERS)}",
            key="model",
        )
    data = load_trains(task.paths, cell=task.cell, mixed=task.model in _POPULATIONS)
    if task.model in _ONE_WAY:
        check_one_way(data, task.model, task.where)
    return calibrate_data(data, FITTERS[task.model], model=task.model, seed=task.seed)


def calibrate_data(data: TrainData, fitter: Fitter, *, model: str, seed: int) -> TrainCalibration:
    """Fit half of the trains, predict the others, and fit all."""
    first, second = data.half(0), data.half(1)
    of_half = fitter(first)
    rng = np.random.default_rng(seed)
    predictions = [
        predict(model, of_half, fitted, held_out, rng)
        for fitted, held_out in zip(first.directions, second.directions, strict=True)
    ]
    return TrainCalibration(model, data, fitter(data), predictions)


TRAINS = CalibrationMethod(
    models=lambda: list(FITTERS),
    of_records=False,
    options=frozenset({"cell"}),
    fit=calibrate_trains,
)
