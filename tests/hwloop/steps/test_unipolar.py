"""Cells that go both ways by pulses of one sign: the steps do with them as with bipolar ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwloop.errors import ConfigError
from hwloop.steps.characterise.device_statistics import DEVICE_STATISTICS
from hwloop.steps.characterise.iv_sweep import IvSweepSettings
from hwloop.steps.manhattan.train_manhattan import TRAIN_MANHATTAN
from hwloop.steps.program.program_verify import PROGRAM_VERIFY
from tests.characterised import emulated, results

WAYS = {
    "bipolar": ({"amplitude_v": 2.0, "width_s": 1e-3}, {"amplitude_v": -3.0, "width_s": 2e-3}),
    "unipolar": ({"amplitude_v": 2.0, "width_s": 1e-3}, {"amplitude_v": 3.0, "width_s": 2e-3}),
    "unipolar, negative": (
        {"amplitude_v": -2.0, "width_s": 1e-3},
        {"amplitude_v": -3.0, "width_s": 2e-3},
    ),
}


def _device(way: str) -> dict[str, Any]:
    up, down = WAYS[way]
    return {
        "model": "soft_bounds",
        "min_conductance_s": 1e-5,
        "max_conductance_s": 1.1e-4,
        "up_pulses": 20,
        "down_pulses": 20,
        "initial": {
            "distribution": "uniform",
            "min_conductance_s": 2e-5,
            "max_conductance_s": 1e-4,
        },
        "up": up,
        "down": down,
    }


def _train(pulse: dict[str, float]) -> dict[str, float]:
    return {"amplitude": pulse["amplitude_v"], "width_s": pulse["width_s"]}


def _program(way: str, **more: Any) -> dict[str, Any]:
    up, down = (_train(pulse) for pulse in WAYS[way])
    return {
        "target": {"kind": "random", "low_conductance_s": 2e-5, "high_conductance_s": 9e-5},
        "tolerance": {"kind": "absolute", "by_conductance_s": 2e-6},
        "algorithm": {"name": "alibart", "up": up, "down": down},
        "least_yield": 0.0,
        **more,
    }


@pytest.mark.parametrize("way", ["unipolar", "unipolar, negative"])
def test_programming_ends_as_that_of_bipolar_cells_with_the_same_steps(way: str) -> None:
    # Energy and stress bound it: the widths of both ways are counted as they are.
    bounds = {"energy_per_cell_j": 3e-5, "stress_per_cell_s": 0.03}
    wanted, found = (
        results(PROGRAM_VERIFY, _program(one, **bounds), emulated(_device(one), population=2))
        for one in ("bipolar", way)
    )
    np.testing.assert_array_equal(found["cells"][0].status, wanted["cells"][0].status)
    assert 0 < found["figures"][0].reached < found["figures"][0].cells
    np.testing.assert_array_equal(
        found["cells"][0].verified_conductance_s, wanted["cells"][0].verified_conductance_s
    )
    np.testing.assert_allclose(found["cells"][0].energy_j, wanted["cells"][0].energy_j, rtol=1e-12)


def test_cycles_between_two_states_are_those_of_the_closed_form() -> None:
    up, down = WAYS["unipolar"]
    array = emulated(_device("unipolar") | {"initial": 1e-5}, shape=(2, 2))
    settings = {"up": up, "down": down, "pulses": 10, "cycles": 60}
    row = results(DEVICE_STATISTICS, settings, array)[""][-1]
    # After many cycles x of the span: high = 1 − (1 − low) q, low = high q, q = e^(−1/2).
    q = np.exp(-0.5)
    high = (1 - q) / (1 - q * q)
    np.testing.assert_allclose(row.high_conductance_s, 1e-5 + 1e-4 * high, rtol=1e-9)
    np.testing.assert_allclose(row.low_conductance_s, 1e-5 + 1e-4 * high * q, rtol=1e-9)


def test_training_with_both_pulses_of_one_sign_takes_the_steps_of_a_bipolar_one() -> None:
    ended = []
    for way, (up, down) in WAYS.items():
        settings = {
            "patterns": ["10", "01"],
            "outputs": ["10", "01"],
            "bias_v": [0.1, 0.1],
            "bit_0_v": -0.1,
            "bit_1_v": 0.1,
            "beta_per_a": 2e5,
            "scheme": "bidirectional",
            "up": up,
            "down": down,
            "max_updates": 60,
        }
        found = results(TRAIN_MANHATTAN, settings, emulated(_device(way), shape=(4, 4)))
        ended.append([row.conductance_s for row in found[""]])
    assert len(ended[0]) > 2
    for other in ended[1:]:
        np.testing.assert_array_equal(other, ended[0])


def test_one_pulse_for_both_ways_is_refused_by_every_algorithm() -> None:
    train = {"amplitude": 2.0, "width_s": 1e-3, "gate": 2.0}
    for algorithm in (
        {"name": "alibart", "up": train, "down": train},
        {"name": "ispp", "write": train, "erase": train},
        {"name": "gate_stepped", "set": train, "reset": train},
    ):
        with pytest.raises(ConfigError, match="are the same pulses"):
            PROGRAM_VERIFY.settings.parse(_program("bipolar", algorithm=algorithm))


def test_a_sweep_may_be_of_one_polarity_but_not_of_none() -> None:
    sweep = {"step_v": 0.5, "width_s": 1e-3}
    down = IvSweepSettings.parse(sweep | {"positive_v": 0.0, "negative_v": -1.0})
    assert down.levels_v() == [-0.5, -1.0, -0.5]
    up = IvSweepSettings.parse(sweep | {"positive_v": 1.0, "negative_v": 0.0})
    assert up.levels_v() == [0.5, 1.0, 0.5]
    with pytest.raises(ConfigError, match="both 0 V"):
        IvSweepSettings.parse(sweep | {"positive_v": 0.0, "negative_v": 0.0})
    with pytest.raises(ConfigError, match="larger than the sweep"):
        IvSweepSettings.parse(sweep | {"positive_v": 0.0, "negative_v": -0.4})
