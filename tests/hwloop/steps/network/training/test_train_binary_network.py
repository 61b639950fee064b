"""On/off networks: trained, mapped without pairs, and multiplied by an emulated array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.errors import ConfigError
from hwloop.steps.network.array_product import multiply
from hwloop.steps.network.infer import placed_network
from hwloop.steps.network.map_network import MAP_NETWORK
from hwloop.steps.network.training.train_binary_network import TRAIN_BINARY_NETWORK
from tests.characterised import results
from tests.hwloop.steps.network.test_networks import emulated, program

CIRCUIT = {
    "on_conductance_s": 7.7e-5,
    "off_conductance_s": 2.88e-6,
    "rail_v": 5,
    "feedback_ohm": 5e3,
    "high_v": 0.1,
    "low_v": -0.1,
}


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """Two classes: of nine pixels the upper three, or the lower three, are on."""
    rng = np.random.default_rng(3)
    y = np.arange(30) % 2
    x = rng.integers(0, 2, (30, 9))
    x[y == 0, :3], x[y == 0, 6:] = 1, 0
    x[y == 1, :3], x[y == 1, 6:] = 0, 1
    np.savez(tmp_path / "d.npz", x=x, y=y)
    file = str(tmp_path / "d.npz")
    return {
        "data": {"inputs": {"file": file, "key": "x"}, "classes": {"file": file, "key": "y"}},
        "hidden": 4,
        "circuit": CIRCUIT,
        "sharpness": 100,
        "initial_factor": 0.25,
        "epochs": 60,
    }


def test_an_array_of_on_and_off_cells_answers_as_the_formulas_of_the_circuit(
    settings: dict[str, Any],
) -> None:
    array = emulated(9, 4, tiles=2)
    found = results(TRAIN_BINARY_NETWORK, settings, array)
    assert found[""][0].train_accuracy == 1.0
    mapping = {"arrangement": "direct", "min_conductance_s": 2.88e-6, "max_conductance_s": 7.7e-5}
    target_conductance_s = results(MAP_NETWORK, {"mapping": mapping}, array)[""][
        0
    ].target_conductance_s
    assert set(np.unique(target_conductance_s[np.isfinite(target_conductance_s)])) <= {
        2.88e-6,
        7.7e-5,
    }
    program(array, target_conductance_s)
    x = np.random.default_rng(4).integers(0, 2, (25, 9)).astype(float)
    placed = placed_network(array, step="test")
    outputs = placed.network.forward(
        x, lambda layer, inputs: multiply(array, placed, layer, inputs)
    )
    latent = found["latent"][0]
    g1, g2 = (np.where(one > 0, 7.7e-5, 2.88e-6) for one in (latent.first, latent.last))
    hidden_v = -5 * np.tanh(5e3 * ((0.2 * x - 0.1) @ g1) / 5)
    expected_v = -5 * np.tanh(5e3 * (hidden_v @ g2) / 5)
    np.testing.assert_allclose(outputs, expected_v, rtol=1e-9, atol=1e-12)


def test_the_same_seed_gives_the_same_network(settings: dict[str, Any]) -> None:
    first, second = (
        results(TRAIN_BINARY_NETWORK, settings, emulated(9, 4))["latent"][0] for _ in range(2)
    )
    np.testing.assert_array_equal(first.first, second.first)


def test_a_circuit_that_cannot_train_is_said(settings: dict[str, Any]) -> None:
    railed = {**settings, "circuit": {**CIRCUIT, "feedback_ohm": 1e9}}
    found = results(TRAIN_BINARY_NETWORK, railed, emulated(9, 4))
    assert found[""][0].at_the_rail == 1.0
    assert "100% of the amplifier outputs are at the rail" in found["outcome"][0].message


def test_misfits_are_refused_by_name(settings: dict[str, Any], tmp_path: Path) -> None:
    for change, words in (
        (
            {"off_conductance_s": 1e-4},
            "off_conductance_s 0.0001 must be below on_conductance_s 7.7e-05",
        ),
        ({"low_v": 0.1}, "high_v and low_v are both 0.1 V"),
    ):
        with pytest.raises(ConfigError, match=words):
            TRAIN_BINARY_NETWORK.settings.parse({**settings, "circuit": {**CIRCUIT, **change}})
    np.savez(tmp_path / "half.npz", x=np.ones((2, 3)), y=np.array([0, 0.5]))
    file = str(tmp_path / "half.npz")
    data = {"inputs": {"file": file, "key": "x"}, "classes": {"file": file, "key": "y"}}
    with pytest.raises(ConfigError, match=r"entry \(1,\) is 0\.5; classes are 0, 1, …"):
        results(TRAIN_BINARY_NETWORK, {**settings, "data": data}, emulated(9, 4))
