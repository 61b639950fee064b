"""Trains of coarse and fine steps: where they end by hand, by the file and by the shipped chip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import radar
from benchmarks.shipped import first_trains
from hwloop_sim.calibrate.one_transistor.read_noise import SweepNoise

SILENT = SweepNoise(0.0, 1.0)
CELL = {
    "r_series_ohm": 3800.0,
    "v_transistor_v": 1.96,
    "growth.exponent": 4.0,
    "growth.overdrive_exponent": 1.3,
    "growth.conductance_s_per_v": 2e-3,
    "unsteadiness": 0.0,
}
FINE, COARSE = first_trains.TESTS


@pytest.mark.parametrize("test", [FINE, COARSE], ids=["10 mV", "100 mV"])
def test_steady_cells_end_where_the_sum_of_their_powers_reaches_the_level(
    test: first_trains.Trains,
) -> None:
    rng = np.random.default_rng(1)
    found = first_trains.emulated_moments(CELL, SILENT, test, 5, rng)
    gates_v = 1.8 + test.step_v * np.arange(200)
    drive = np.cumsum((2e-3 * np.maximum(gates_v - 1.96, 0.0) ** 1.3) ** 4.0)
    wanted = 1 / (5000.0 - 3800.0)  # of the filament, where the cell has 5 kΩ; HRS adds nothing
    number = 1 + int(np.argmax(drive ** (1 / 4.0) > wanted))
    np.testing.assert_allclose(found[:, 0], np.log(number), rtol=1e-9)
    np.testing.assert_allclose(found[:, 1], 0.0, atol=1e-9)


def test_moments_of_the_tests_are_those_counted_in_the_files(shared_data: Path) -> None:
    seen, error, trials = first_trains.measured_moments(shared_data / "rram_1t1r_mlc")
    assert trials == 256
    table = np.loadtxt(shared_data / "rram_1t1r_mlc" / FINE.file)
    even = np.isin(table[:, 0], np.unique(table[:, 0])[::2])
    second = table[even & (table[:, 6] == 5770)]
    steps = second[(second[:, 3] == 1) & (second[:, 8] == 1), 2]
    # Three moments of the level below 5 kΩ come first.
    assert seen[5] == pytest.approx(np.mean(second[:, 3] == 1), abs=0.02)
    assert seen[3] == pytest.approx(np.log(steps[steps > 16]).mean(), abs=1e-6)
    assert (error >= 0.004).all()
    assert error[5] == pytest.approx(np.sqrt(0.75 * 0.25 / 256), rel=0.5)


@pytest.mark.parametrize(("step_v", "level"), [(0.01, 1), (0.1, 1), (0.1, 2)])
def test_cells_that_were_not_fitted_end_with_their_first_train_as_often_as_the_shipped_chip(
    shared_data: Path, step_v: float, level: int
) -> None:
    test = next(one for one in radar.TESTS if one.step_v == step_v)
    table = np.loadtxt(shared_data / "rram_1t1r_mlc" / test.file)
    seen = radar.measured(shared_data, test)[level]
    rows = table[table[:, 6] == seen.low_ohm]
    odd = np.isin(rows[:, 0], np.unique(table[:, 0])[1::2])
    told = radar.predicted(step_v, seen, cells=400)
    share = float(np.mean(seen.resets[odd] == 0))
    assert told.first == pytest.approx(share, abs=0.1)
