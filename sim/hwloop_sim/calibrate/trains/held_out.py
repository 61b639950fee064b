"""How well a fitted model predicts trains that it was not fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwloop import plugins
from hwloop.array.operations import PulseMap
from hwloop.types import FloatArray
from hwloop_sim.calibrate.distribution import REPEATS, Distribution
from hwloop_sim.calibrate.result import Fit
from hwloop_sim.calibrate.trains.data import Direction


@dataclass(frozen=True)
class Prediction:
    """Emulated against held-out trains of one direction.

    ``final``, ``step``: after, and up to, as many pulses as the shortest train has.
    ``emulated_conductance_s``: (values, repeats, trains), NaN after the end of the held-out train.
    """

    direction: Direction
    emulated_conductance_s: FloatArray
    final: Distribution
    step: Distribution

    @property
    def mean_conductance_s(self) -> FloatArray:
        """Mean emulated path."""
        return np.asarray(np.nanmean(self.emulated_conductance_s, axis=(1, 2)))

    @property
    def mean_within_spread(self) -> float:
        """Of the pulses, where the mean path is within one deviation of the held-out trains."""
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


def predict(
    model: str, fit: Fit, fitted: Direction, held_out: Direction, rng: np.random.Generator
) -> Prediction:
    """Emulate the held-out trains from their first values, with the fitted read noise."""
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
    # Trains that were measured until something was reached differ in length, and end alike.
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
