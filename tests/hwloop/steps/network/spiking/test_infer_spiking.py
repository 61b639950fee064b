"""Hidden units that fire by chance: their mean is the activation, and time steps bring it back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.execution.reproduce import reproduce
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import from_data
from hwloop.record.reader import Record
from hwloop.steps.network.entries import FiringUnits
from tests.hwloop.steps.learning.learners import LIMITS

SAMPLES = 300


def procedure(folder: Path, *, kind: str = "switching", **settings: Any) -> Any:
    """Random weights 6-40-3, held on one tile; classes are what the analogue network answers."""
    rng = np.random.default_rng(1)
    first, last = rng.normal(0, 1.5, (40, 6)), rng.normal(0, 1, (3, 40))
    x = rng.random((SAMPLES, 6))
    mean = 1 - np.exp(-np.exp(x @ first.T))
    np.savez(folder / "w.npz", first=first, last=last)
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", (mean @ last.T).argmax(axis=-1).astype(np.float64))
    layers = [
        {"kind": "dense", "weight": "first"},
        {"kind": kind},
        {"kind": "dense", "weight": "last"},
    ]
    data = {"inputs": {"file": "x.npy"}, "classes": {"file": "y.npy"}}
    return from_data(
        {
            "name": "spiking",
            "seed": 1,
            "array": {
                "rows": 48,
                "cols": 88,
                "limits": LIMITS,
                "range": {"low_conductance_s": 1e-5, "high_conductance_s": 1e-4},
                "read": {"read_v": 0.1},
            },
            "backends": {
                "sim": {
                    "device": {
                        "model": "soft_bounds",
                        "min_conductance_s": 5e-6,
                        "max_conductance_s": 1.2e-4,
                        "initial": 1e-5,
                    }
                }
            },
            "steps": [
                {
                    "step": "map_network",
                    "settings": {"weights": {"file": "w.npz"}, "layers": layers},
                },
                {"step": "hold_conductances", "settings": {"target": {"kind": "step"}}},
                {"step": "infer_spiking", "settings": {"data": data} | settings},
            ],
        },
        folder=folder,
    )


def ran(folder: Path, population: int | None = None, **settings: Any) -> dict[str, np.ndarray]:
    path = folder / "run.h5"
    run_procedure(procedure(folder, **settings), RunOptions("sim", path, population=population))
    with Record(path) as record:
        return {name: np.asarray(value) for name, value in record.results("infer_spiking").items()}


def test_a_unit_fires_with_the_probability_of_its_activation() -> None:
    units = FiringUnits(np.random.default_rng(1), 1e-6, 2.85e5, 0.156)
    sums = np.repeat([-3.0, -1.0, 0.0, 1.0], 50_000).reshape(4, -1)
    # 1 − exp(−exp(u)) by hand; the standard error is at most 0.0022.
    expected = [0.0486, 0.3078, 0.6321, 0.9340]
    np.testing.assert_allclose(units.apply(sums).mean(axis=-1), expected, atol=0.009)
    # V = 0.156 V · (1 + ln(2.85e5 s / 1 µs)) = 4.2706 V.
    assert units.highest_v == pytest.approx(4.2706, abs=1e-4)
    assert units.asked == 200_000


def test_more_time_steps_come_nearer_to_the_analogue_network(tmp_path: Path) -> None:
    rows = ran(tmp_path, time_steps=40)
    accuracy = rows["accuracy"]
    assert (rows["analogue_accuracy"] == 1.0).all()
    assert rows["time_step"].tolist() == list(range(1, 41))
    # The error of a sum of n draws falls with 1/√n, and with it the share of samples near a border.
    assert accuracy[0] < 0.9
    assert accuracy[-1] > 0.9
    assert accuracy[-1] > accuracy[4] > accuracy[0]


def test_random_inputs_cost_accuracy_which_time_steps_bring_back(tmp_path: Path) -> None:
    rows = ran(tmp_path, time_steps=40, random_inputs=True)
    assert rows["accuracy"][-1] > rows["accuracy"][0] + 0.1


def test_a_population_draws_for_each_array_and_a_run_replays_to_the_last_bit(
    tmp_path: Path,
) -> None:
    rows = ran(tmp_path, population=3, time_steps=2)
    assert rows["accuracy"].shape == (2, 3)
    assert len(np.unique(rows["accuracy"])) > 1
    assert reproduce(tmp_path / "run.h5").complete


def test_a_network_without_units_that_fire_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no layer of kind switching"):
        ran(tmp_path, kind="sigmoid")
