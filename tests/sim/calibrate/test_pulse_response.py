"""The read noise in trains, within what is stated of it."""

from __future__ import annotations

import numpy as np

from hwloop_sim.calibrate.pulse_response import fit_pulse_response
from tests.sim.calibrate.test_step_response import trains


def test_read_noise_of_fifty_random_truths_is_within_its_uncertainty() -> None:
    off = []
    for seed in range(50):
        noise_s = 10 ** np.random.default_rng(seed).uniform(-8.4, -7.6)
        fit = fit_pulse_response(
            trains(pulses=40, seed=seed, noise_s=noise_s, scatter=[0.003, 0.003])
        )
        off.append((fit.goodness["read_noise_s"] - noise_s) / fit.uncertainty["read_noise_s"])
    assert 0.85 <= np.mean(np.abs(off) < 2) <= 1.0
    assert np.mean(np.abs(off) < 1) >= 0.55
