"""Arrays whose cells move along a known table, characterised and tabled again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from hwloop.types import FloatArray
from hwloop_sim.calibrate.run import calibrate
from hwloop_sim.calibrate.trains.data import Direction
from hwloop_sim.calibrate.trains.pulse_table import TableCalibration
from tests.sim.calibrate.characterised_truth import characterise
from tests.sim.calibrate.trains.train_truths import Deviations, least_share, shares, together

PULSES = 24
SHIFT = 0.05
"""Deviation of ln of the conductance that a cell begins at, the mean being that of the table."""


@dataclass(frozen=True)
class Table:
    """``levels_conductance_s``: after 0, 1, … pulses, of the mean cell; ``scatter``: of ln of a step."""

    levels_conductance_s: FloatArray
    scatter: float
    noise: float
    shape: tuple[int, int]


def table_truth(seed: int) -> Table:
    """Cells that differ in where they begin, of 12 to 30 a characterisation."""
    rng = np.random.default_rng([seed, 17])
    low_conductance_s, rise = 10 ** rng.uniform(-7, -5), rng.uniform(0.5, 4)
    levels_conductance_s = low_conductance_s * (
        1 + rise * -np.expm1(-np.arange(PULSES + 1) / rng.uniform(4, 15))
    )
    return Table(
        levels_conductance_s,
        scatter=float(rng.uniform(0.05, 0.4)),
        noise=float(np.exp(rng.uniform(np.log(5e-4), np.log(1e-2)))),
        shape=(int(rng.integers(3, 6)), int(rng.integers(4, 7))),
    )


def tabled(truth: Table, seed: int, folder: Path) -> TableCalibration:
    """One pulse between two reads of every cell, as the table goes one way; then calibrated."""
    pulse = {"amplitude_v": 1.0, "width_s": 1e-3}
    device = {
        "model": "pulse_table",
        "calibration": {
            "title": "truth",
            "source": "made for this test",
            "conditions": pulse,
            "conductance_s": truth.levels_conductance_s.tolist(),
        },
        "cycle_to_cycle": truth.scatter,
        "shift": {
            "distribution": "lognormal",
            "median_conductance_s": float(truth.levels_conductance_s[0] * np.exp(-(SHIFT**2) / 2)),
            "sigma": SHIFT,
        },
    }
    cells = [[row, col] for row, col in np.ndindex(*truth.shape)]
    step = {"step": "disturb", "settings": {"aggressors": cells, "pulse": pulse, "rounds": PULSES}}
    path = characterise(
        folder / f"{seed}.h5",
        device,
        [step],
        seed=seed,
        shape=truth.shape,
        population=None,
        both_polarities=False,
        noise=truth.noise,
    )
    found = calibrate([path], model="pulse_table")
    assert isinstance(found, TableCalibration)
    return found


def deviations(seed: int, folder: Path) -> Deviations:
    truth = table_truth(seed)
    found = tabled(truth, seed, folder)
    sigma, error = found.cycle_to_cycle
    return {
        "levels": list(
            (found.mean_conductance_s - truth.levels_conductance_s) / found.error_conductance_s
        ),
        "scatter": [(sigma - truth.scatter) / error],
    }


def test_a_table_of_a_characterised_array_is_found_again(tmp_path: Path) -> None:
    found = deviations(1, tmp_path)
    assert np.abs(found["levels"]).max() < 4
    assert np.abs(found["scatter"]).max() < 3


@pytest.mark.slow
def test_levels_and_scatter_of_fifty_random_tables_are_within_their_uncertainty(
    tmp_path: Path,
) -> None:
    off = together(deviations(seed, tmp_path) for seed in range(50))
    for width, share in ((1, 0.683), (2, 0.954)):
        for name, one in off.items():
            within = float(np.mean(np.abs(one) < width))
            assert within >= least_share(share, 50), (name, shares(off))


def test_scatter_that_there_is_none_of_is_within_its_uncertainty_of_none() -> None:
    rng = np.random.default_rng(3)
    levels_conductance_s = 1e-6 * (4 - 3 * np.exp(-np.arange(PULSES + 1) / 8))
    trains_conductance_s = levels_conductance_s * (1 + 0.01 * rng.normal(size=(20, PULSES + 1)))
    of = Direction(1.0, 1e-3, list(trains_conductance_s), rises=True)
    sigma, error = TableCalibration(
        of, levels_conductance_s, levels_conductance_s, 0.0
    ).cycle_to_cycle
    assert sigma < 2 * error


def test_read_noise_that_grows_along_the_table_is_not_taken_for_scatter() -> None:
    # Steps of 1 % of the conductance and reads of 1 %: the noise of the last read is 3 of the first.
    rng = np.random.default_rng(5)
    levels_conductance_s = 1e-6 * np.linspace(1, 3, PULSES + 1)
    trains_conductance_s = levels_conductance_s * (1 + 0.03 * rng.normal(size=(4000, PULSES + 1)))
    of = Direction(1.0, 1e-3, list(trains_conductance_s), rises=True)
    sigma, error = TableCalibration(
        of, levels_conductance_s, levels_conductance_s, 0.0
    ).cycle_to_cycle
    assert sigma < 3 * error
    assert error < 0.3
