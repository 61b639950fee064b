"""Prediction of trains that were not fitted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwloop import plugins
from hwloop.array.operations import PulseMap
from hwloop.types import FloatArray
from hwloop_sim.calibrate.distribution import REPEATS, Distribution
from hwloop_sim.calibrate.result import Fit
from hwloop_sim.calibrate.trains.data import Direction
from hwloop_sim.devices.step_response import StepResponse


@dataclass(frozen=True)
class Prediction:
    """Comparison of emulated and held-out trains of one direction.

    ``emulated_conductance_s``: (values, repeats, trains), siemens, NaN after the end of the
    held-out train. ``final`` and ``step``: conductances after, and steps up to, the last pulse of
    the shortest train.
    """

    direction: Direction
    emulated_conductance_s: FloatArray
    final: Distribution
    step: Distribution

    @property
    def mean_conductance_s(self) -> FloatArray:
        """Compute the mean emulated path, (values,), siemens."""
        return np.asarray(np.nanmean(self.emulated_conductance_s, axis=(1, 2)))

    @property
    def mean_within_spread(self) -> float:
        """Compute the share of pulses at which the mean path is within the measured spread.

        The spread is one standard deviation of the held-out trains around their mean.
        """
        held_conductance_s = self.direction.padded_conductance_s
        several = (~np.isnan(held_conductance_s)).sum(axis=0) > 1
        held_conductance_s = held_conductance_s[:, several]
        off_conductance_s = np.abs(
            self.mean_conductance_s[several] - np.nanmean(held_conductance_s, axis=0)
        )
        return (
            float(np.mean(off_conductance_s <= np.nanstd(held_conductance_s, axis=0, ddof=1)))
            if several.any()
            else 0.0
        )

    def _rms(self) -> float:
        """Compute how far the mean emulated path is from the trains, siemens."""
        off = self.direction.padded_conductance_s - self.mean_conductance_s
        return float(np.sqrt(np.nanmean(np.square(off))))

    def figures(self) -> dict[str, Any]:
        """Return the entry of ``held_out`` in the calibration file."""
        if self.direction.lone:  # no distribution
            return {**self.direction.pulse, "trains": 1, "mean_error_conductance_s": self._rms()}
        return {
            **self.direction.pulse,
            "trains": len(self.direction.trains),
            "mean_within_spread": self.mean_within_spread,
            "final_conductance": self.final.figures(),
            "step": self.step.figures(),
        }

    def summary(self) -> Iterator[str]:
        """Yield the lines that ``hwloop calibrate`` prints of this direction."""
        if self.direction.lone:
            yield (
                f"held out, {self.direction.amplitude_v:g} V: {len(self.direction.trains[0])}"
                f" pulses of one train, {self._rms():.3g} S off"
            )
            return
        yield (
            f"held out, {self.direction.amplitude_v:g} V: mean path within the measured spread at"
            f" {self.mean_within_spread:.0%} of the pulses"
        )
        for name, of in (("final conductance", self.final), ("step", self.step)):
            figures = of.figures()
            yield (
                f"  {name:18} KS {figures['ks_model']:.3f}; the other half"
                f" {figures['ks_other_half']:.3f}; equal distributions"
                f" {figures['ks_expected']:.3f}, 95 % below {figures['ks_95']:.3f}"
            )


def predict(
    model: str, fit: Fit, fitted: Direction, held_out: Direction, rng: np.random.Generator
) -> Prediction:
    """Emulate the held-out trains from their first values, with the fitted read noise.

    ``fit``: of ``model`` to the trains ``fitted``.
    """
    emulated_conductance_s = _emulated(model, fit.settings, held_out, rng)
    if fit.read_noise_conductance_s:
        emulated_conductance_s = emulated_conductance_s + fit.read_noise_conductance_s * rng.normal(
            size=emulated_conductance_s.shape
        )
    if fit.read_noise:
        emulated_conductance_s = emulated_conductance_s * (
            1 + fit.read_noise * rng.normal(size=emulated_conductance_s.shape)
        )
    held_conductance_s = held_out.padded_conductance_s
    emulated_conductance_s = np.where(
        np.isnan(held_conductance_s.T)[:, np.newaxis, :], np.nan, emulated_conductance_s
    )
    # Trains that were stopped at a conductance differ in length and end alike.
    last = min(len(train) for one in (held_out, fitted) for train in one.trains) - 1
    final = Distribution(
        emulated_conductance_s[last].ravel(),
        held_conductance_s[:, last],
        fitted.padded_conductance_s[:, last],
    )
    step = Distribution(
        _steps(emulated_conductance_s[: last + 1].reshape(last + 1, -1).T),
        _steps(held_conductance_s[:, : last + 1]),
        _steps(fitted.padded_conductance_s[:, : last + 1]),
    )
    return Prediction(held_out, emulated_conductance_s, final, step)


def _emulated(
    model: str, settings: Mapping[str, Any], direction: Direction, rng: np.random.Generator
) -> FloatArray:
    kind = plugins.load(plugins.DEVICES, model)
    shape = (REPEATS, 1, len(direction.trains))
    device = kind.make(kind.settings.parse(dict(settings)), shape, rng)
    first_conductance_s = np.array([train[0] for train in direction.trains])
    if isinstance(device, StepResponse):
        device.have_had(direction.cycles.astype(np.float64))
    device.set_conductance(np.broadcast_to(first_conductance_s, shape))
    pulse = PulseMap(np.full(shape[1:], direction.amplitude_v), direction.width_s)
    path = [device.conductance_s[:, 0, :]]
    for _ in range(max(map(len, direction.trains)) - 1):
        device.pulse(pulse)
        path.append(device.conductance_s[:, 0, :])
    return np.array(path)


def _steps(trains_conductance_s: FloatArray) -> FloatArray:
    change_conductance_s = np.diff(trains_conductance_s, axis=1)
    return np.asarray(change_conductance_s[~np.isnan(change_conductance_s)])
