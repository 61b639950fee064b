"""Tables of emulated trains: levels and scatter within what is stated of them."""

from __future__ import annotations

import numpy as np

from hwloop.operations import FloatArray, PulseMap
from hwloop_sim.calibrate.data import Direction
from hwloop_sim.calibrate.pulse_table import TableCalibration
from tests.sim.devices.models import make

PULSES = 24


def tabled(seed: int) -> tuple[TableCalibration, FloatArray, float]:
    """The table of a random device with read noise, its true levels and its true scatter."""
    rng = np.random.default_rng(seed)
    count, scatter = int(rng.integers(12, 30)), float(rng.uniform(0.05, 0.4))
    levels_s = 1e-6 * (4 - 3 * np.exp(-np.arange(PULSES + 1) / rng.uniform(4, 15)))
    table = {
        "title": "truth",
        "source": "made for this test",
        "conditions": {"amplitude_v": 1.0, "width_s": 1e-3},
        "conductance_s": levels_s.tolist(),
    }
    shape = (1, count)
    device = make("pulse_table", shape, seed=seed, calibration=table, cycle_to_cycle=scatter)
    path = [device.conductance_s[0]]
    for _ in range(PULSES):
        device.pulse(PulseMap(np.ones(shape), 1e-3))
        path.append(device.conductance_s[0])
    trains_s = np.array(path).T
    trains_s = trains_s * (1 + 0.002 * rng.normal(size=trains_s.shape))
    error_s = trains_s.std(axis=0, ddof=1) / np.sqrt(count)
    of = Direction(1.0, 1e-3, list(trains_s), rises=True)
    return TableCalibration(of, "s", trains_s.mean(axis=0), error_s, 0.0), levels_s, scatter


def test_levels_and_scatter_of_fifty_random_tables_are_within_their_uncertainty() -> None:
    of_levels, of_scatter = [], []
    for seed in range(50):
        found, levels_s, scatter = tabled(seed)
        sigma, error = found.cycle_to_cycle
        of_scatter.append((sigma - scatter) / error)
        of_levels.append((found.mean_s - levels_s) / found.error_s)
    for off in (np.array(of_scatter), np.array(of_levels)):
        within = np.mean(np.abs(off) < 2, axis=0)
        assert np.all((within >= 0.85) & (within <= 1.0))
        assert 0.55 < np.mean(np.abs(off) < 1) < 0.82


def test_scatter_that_there_is_none_of_is_within_its_uncertainty_of_none() -> None:
    rng = np.random.default_rng(3)
    levels_s = 1e-6 * (4 - 3 * np.exp(-np.arange(PULSES + 1) / 8))
    trains_s = levels_s * (1 + 0.01 * rng.normal(size=(20, PULSES + 1)))
    of = Direction(1.0, 1e-3, list(trains_s), rises=True)
    sigma, error = TableCalibration(of, "s", levels_s, levels_s, 0.0).cycle_to_cycle
    assert sigma < 2 * error
