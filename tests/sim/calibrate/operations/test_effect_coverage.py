"""Stated uncertainties of effects cover random truths."""

from __future__ import annotations

import numpy as np

from hwloop.array.operations import PulseMap
from hwloop_sim.calibrate.operations.effects_found import drift_begin, exponents
from hwloop_sim.calibrate.operations.endurance_found import closing
from hwloop_sim.effects.endurance import Endurance, EnduranceEffectSettings

READ_NOISE = 0.002


def test_drift_of_fifty_random_truths_is_within_its_uncertainty() -> None:
    time_s, of_nu, of_begin = np.geomspace(1, 1e4, 21), [], []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        t0_s, mean = 10 ** rng.uniform(-3, 2.5), rng.uniform(0.01, 0.1)
        age = np.log1p(time_s / t0_s)
        seen_conductance_s = np.exp(-np.outer(age, rng.normal(mean, 0.2 * mean, 30)))
        seen_conductance_s = seen_conductance_s * (
            1 + READ_NOISE * rng.normal(size=seen_conductance_s.shape)
        )
        found_conductance_s, log_error, of_t0 = drift_begin(time_s, seen_conductance_s)
        nu, error = exponents(time_s, seen_conductance_s, t0_s=found_conductance_s)
        own = np.sqrt(max(nu.var(ddof=1), np.mean(np.square(error))) / nu.size)
        of_nu.append((nu.mean() - mean) / np.hypot(own, of_t0))
        if log_error:
            of_begin.append(np.log(found_conductance_s / t0_s) / log_error)
    assert len(of_begin) > 40
    for off in (of_nu, of_begin):
        assert 0.85 <= np.mean(np.abs(off) < 2) <= 1.0


def test_wear_of_twelve_random_truths_is_within_its_uncertainty() -> None:
    rows = np.unique(np.geomspace(1, 500, 25).round()).astype(int)
    off = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        truth = {
            "min_conductance_s": 2e-4,
            "max_conductance_s": 2e-3,
            "closes_at_conductance_s": rng.uniform(4e-4, 1.5e-3),
        }
        truth |= {"half_cycles": 10 ** rng.uniform(1.7, 2.7), "beta": rng.uniform(0.5, 2)}
        effect = Endurance(EnduranceEffectSettings(**truth), (4,), rng)
        pulse = PulseMap(np.ones((1, 4)), 1e-3)
        seen_conductance_s, states = effect.begin(np.full(4, 1e-3)), []
        for cycle in range(1, 501):
            high_conductance_s = seen_conductance_s = effect.pulsed(
                seen_conductance_s, np.full(4, 3e-3), pulse
            )
            seen_conductance_s = effect.pulsed(seen_conductance_s, np.full(4, 1e-4), pulse)
            if cycle in rows:
                both = np.array([seen_conductance_s, high_conductance_s])
                states.append((both * (1 + READ_NOISE * rng.normal(size=both.shape))).mean(axis=1))
        low_conductance_s, high_means_conductance_s = np.array(states).T
        values, errors = closing(rows.astype(float), low_conductance_s, high_means_conductance_s)
        off.append([(values[name] - truth[name]) / errors[name] for name in truth])
    # Of 60, what misses by more than 2 deviations once in twenty-two.
    assert np.mean(np.abs(off) < 2) >= 0.85
    assert np.abs(off).max() < 5
