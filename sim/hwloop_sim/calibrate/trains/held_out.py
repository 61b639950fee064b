"""How well a fitted model predicts trains that it was not fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwloop import plugins
from hwloop.array.operations import FloatArray, PulseMap
from hwloop.statistics import ks_distance, ks_expected
from hwloop_sim.calibrate.trains.data import Direction
from hwloop_sim.calibrate.trains.fit import Fit

REPEATS = 50
"""Emulated trains from the beginning of each held-out one."""


@dataclass(frozen=True)
class Distribution:
    """One figure of every train or step: emulated, held out, and of the half that was fitted."""

    emulated_s: FloatArray
    held_out_s: FloatArray
    fitted_s: FloatArray

    def figures(self) -> dict[str, float]:
        """Distances to the held-out half, and what equal distributions of that size show."""
        expected, most = ks_expected(self.emulated_s.size, self.held_out_s.size)
        return {
            "ks_model": ks_distance(self.emulated_s, self.held_out_s),
            "ks_other_half": ks_distance(self.fitted_s, self.held_out_s),
            "ks_expected": expected,
            "ks_95": most,
        }


@dataclass(frozen=True)
class Prediction:
    """Emulated against held-out trains of one direction.

    ``final``, ``step``: after, and up to, as many pulses as the shortest train has.
    ``emulated_s``: (values, repeats, trains), NaN after the end of the held-out train.
    """

    direction: Direction
    emulated_s: FloatArray
    final: Distribution
    step: Distribution

    @property
    def mean_s(self) -> FloatArray:
        """Mean emulated path."""
        return np.asarray(np.nanmean(self.emulated_s, axis=(1, 2)))

    @property
    def mean_within_spread(self) -> float:
        """Of the pulses, where the mean path is within one deviation of the held-out trains."""
        held_s = self.direction.padded_s
        several = (~np.isnan(held_s)).sum(axis=0) > 1
        held_s = held_s[:, several]
        off_s = np.abs(self.mean_s[several] - np.nanmean(held_s, axis=0))
        return float(np.mean(off_s <= np.nanstd(held_s, axis=0, ddof=1))) if several.any() else 0.0


def predict(
    model: str, fit: Fit, fitted: Direction, held_out: Direction, rng: np.random.Generator
) -> Prediction:
    """Emulate the held-out trains from their first values, with the fitted read noise."""
    emulated_s = _emulated(model, fit.settings, held_out, rng)
    if fit.read_noise_s:
        emulated_s = emulated_s + fit.read_noise_s * rng.normal(size=emulated_s.shape)
    if fit.read_noise:
        emulated_s = emulated_s * (1 + fit.read_noise * rng.normal(size=emulated_s.shape))
    held_s = held_out.padded_s
    emulated_s = np.where(np.isnan(held_s.T)[:, np.newaxis, :], np.nan, emulated_s)
    # Trains that were measured until something was reached differ in length, and end alike.
    last = min(len(train) for one in (held_out, fitted) for train in one.trains) - 1
    final = Distribution(emulated_s[last].ravel(), held_s[:, last], fitted.padded_s[:, last])
    step = Distribution(
        _steps(emulated_s[: last + 1].reshape(last + 1, -1).T),
        _steps(held_s[:, : last + 1]),
        _steps(fitted.padded_s[:, : last + 1]),
    )
    return Prediction(held_out, emulated_s, final, step)


def _emulated(
    model: str, settings: Mapping[str, Any], direction: Direction, rng: np.random.Generator
) -> FloatArray:
    kind = plugins.load(plugins.DEVICES, model)
    shape = (REPEATS, 1, len(direction.trains))
    device = kind.make(kind.settings.parse(dict(settings)), shape, rng)
    first_s = np.array([train[0] for train in direction.trains])
    device.set_conductance(np.broadcast_to(first_s, shape))
    pulse = PulseMap(np.full(shape[1:], direction.amplitude_v), direction.width_s)
    path = [device.conductance_s[:, 0, :]]
    for _ in range(max(map(len, direction.trains)) - 1):
        device.pulse(pulse)
        path.append(device.conductance_s[:, 0, :])
    return np.array(path)


def _steps(trains_s: FloatArray) -> FloatArray:
    change_s = np.diff(trains_s, axis=1)
    return np.asarray(change_s[~np.isnan(change_s)])
