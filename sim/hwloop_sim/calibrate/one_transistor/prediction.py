"""Prediction of sweeps of held-out 1T1R cells by a fit to other cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwloop.types import FloatArray
from hwloop_sim.calibrate.distribution import REPEATS, Distribution
from hwloop_sim.calibrate.one_transistor.emulation import emulate
from hwloop_sim.calibrate.one_transistor.read_noise import SweepNoise
from hwloop_sim.calibrate.one_transistor.sweeps import Sweeps

_MOST_SWEEPS = 0.95
"""Share of the held-out sweeps that still run where their conductances are compared."""


@dataclass(frozen=True, eq=False)
class SweepPrediction:
    """Comparison of emulated and held-out sweeps, which begin at the same conductances.

    ``emulated_conductance_s``: (volts, repeats, sweeps), siemens, NaN after the end of the held-out
    sweep. ``at``: index of the voltage at which ``final`` is compared.
    """

    of_gate: bool
    sweeps: Sweeps
    emulated_conductance_s: FloatArray
    at: int
    final: Distribution
    step: Distribution

    @property
    def mean_within_spread(self) -> float:
        """Compute the share of voltages at which the mean path is within the measured spread.

        Both are in ln G; the spread is one standard deviation of the held-out sweeps.
        """
        seen = np.log(self.sweeps.after_conductance_s[:, : self.at + 1])
        shown = np.log(self.emulated_conductance_s[: self.at + 1].reshape(self.at + 1, -1))
        off = np.abs(np.nanmean(shown, axis=1) - np.nanmean(seen, axis=0))
        return float(np.mean(off <= np.nanstd(seen, axis=0, ddof=1)))

    def figures(self) -> dict[str, Any]:
        """Return the entry of ``held_out`` in the calibration file."""
        sweeps, volt = self.sweeps, float(self.sweeps.volts[self.at])
        pulse = {"gate_v": volt} if self.of_gate else {"gate_v": sweeps.held_v}
        return {
            "amplitude_v": sweeps.held_v if self.of_gate else -volt,
            **pulse,
            "width_s": sweeps.width_s,
            "trains": len(sweeps.cell),
            "cells": len(sweeps.cells),
            "mean_within_spread": self.mean_within_spread,
            "final_conductance": self.final.figures(),
            "step": self.step.figures(),
        }


def predict(
    found: Mapping[str, Any],
    fitted: Sweeps,
    held_out: Sweeps,
    rng: np.random.Generator,
    *,
    of_gate: bool,
    noise: SweepNoise,
) -> SweepPrediction:
    """Emulate the held-out sweeps with new cells, each from its first conductance, and compare.

    ``found``: settings of the device. ``fitted``: sweeps of the other half. ``noise``: of each
    read.
    """
    every_conductance_s = emulate(found, held_out, rng, draws=REPEATS, of_gate=of_gate, noise=noise)
    emulated_conductance_s = np.where(
        np.isnan(held_out.after_conductance_s), np.nan, every_conductance_s
    ).transpose(2, 0, 1)
    goes_on = np.isfinite(held_out.after_conductance_s).mean(axis=0) >= _MOST_SWEEPS
    at = int(np.flatnonzero(goes_on)[-1])
    volt_conductance_s = emulated_conductance_s[at].ravel()
    final = Distribution(
        volt_conductance_s[np.isfinite(volt_conductance_s)],
        _finite(held_out.after_conductance_s[:, at]),
        _finite(fitted.after_conductance_s[:, at]),
    )
    step = Distribution(
        _finite(np.diff(emulated_conductance_s[: at + 1], axis=0)),
        _finite(np.diff(held_out.after_conductance_s[:, : at + 1], axis=1)),
        _finite(np.diff(fitted.after_conductance_s[:, : at + 1], axis=1)),
    )
    return SweepPrediction(of_gate, held_out, emulated_conductance_s, at, final, step)


def _finite(values: FloatArray) -> FloatArray:
    return np.asarray(values[np.isfinite(values)])
