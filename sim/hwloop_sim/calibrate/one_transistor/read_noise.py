"""Noise of reads, from pairs of reads of one cell without a pulse in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwloop.errors import ConfigError
from hwloop.types import FloatArray
from hwloop_sim.calibrate.one_transistor.sweeps import Sweeps
from hwloop_sim.effects.dependence import shown_of_series

_LEAST_SHOWN = 0.05
"""Least part of the filament's noise that a read must show to count."""
_BINS, _LEAST_PAIRS = 12, 40
_OF_NORMAL = 1.4826


@dataclass(frozen=True)
class SweepNoise:
    """Noise of a read relative to G: ``fraction`` · (1 − G R_s)^``series_exponent``.

    ``fraction_error``, ``exponent_error``: standard deviations.
    """

    fraction: float
    series_exponent: float
    fraction_error: float = 0.0
    exponent_error: float = 0.0

    def sigma(self, conductance_s: FloatArray, r_series_ohm: float) -> FloatArray:
        """Return the standard deviation of ln G of reads of these conductances."""
        shown = shown_of_series(conductance_s, r_series_ohm)
        return np.asarray(self.fraction * shown**self.series_exponent)

    def effect(self, r_series_ohm: float) -> dict[str, Any]:
        """Return the settings of the effect ``white_noise``."""
        return {
            "effect": "white_noise",
            "fraction": self.fraction,
            "series_ohm": r_series_ohm,
            "series_exponent": self.series_exponent,
        }

    def errors(self) -> Mapping[str, float]:
        """Return the uncertainties of the settings of the effect."""
        return {"fraction": self.fraction_error, "series_exponent": self.exponent_error}


def read_noise(every: Sequence[Sweeps], r_series_ohm: float) -> SweepNoise:
    """Estimate the noise of one read from pairs of reads.

    A robust deviation in bins of equally many pairs, as some cells jump, and a straight line of its
    logarithm over that of 1 − G R_s. Raises :class:`ConfigError` for too few pairs.
    """
    pairs = [one.read_pairs() for one in every]
    logs, off = (np.concatenate(one) for one in zip(*pairs, strict=True))
    shown = 1 - np.exp(logs) * r_series_ohm
    clear = shown > _LEAST_SHOWN
    if clear.sum() < _BINS * _LEAST_PAIRS:
        raise ConfigError(
            f"{int(clear.sum())} pairs of reads without a pulse in between: expected"
            f" {_BINS * _LEAST_PAIRS}",
            file=every[0].where,
        )
    order = np.argsort(shown[clear])
    bins = [
        (np.mean(part), _deviation(part_off) / np.sqrt(2))
        for part, part_off in zip(
            *(np.array_split(one[clear][order], _BINS) for one in (shown, off)), strict=True
        )
    ]
    x, y = np.log(bins).T
    (slope, level), covariance = np.polyfit(x, y, 1, cov=True)
    level_error, slope_error = np.sqrt(np.diag(covariance))[::-1]
    fraction = float(np.exp(level))
    return SweepNoise(fraction, float(slope), fraction * float(level_error), float(slope_error))


def _deviation(off: FloatArray) -> float:
    return _OF_NORMAL * float(np.median(np.abs(off - np.median(off))))
