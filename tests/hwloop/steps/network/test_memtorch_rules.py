"""MemTorch's mapping, input scaling and tuning, against its definitions written out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.array.settings import ArraySettings
from hwloop.backend.kind import OpenRequest
from hwloop.errors import ConfigError, StepError
from hwloop.steps.array import Array
from hwloop.steps.network.array_product import PlacedNetwork
from hwloop.steps.network.entries import ChannelLine, InputLimit, OutputLine
from hwloop.steps.network.infer import INFER
from hwloop.steps.network.map_network import MAP_NETWORK
from hwloop.steps.network.mapping.mapping import WeightColumns, map_weights
from hwloop.steps.network.network import Affine, ConvLayer, Function, build
from hwloop.steps.network.tune_network import TUNE_NETWORK, line_through
from hwloop.steps.program.hold_conductances import HOLD_CONDUCTANCES
from hwloop_sim.emulator.backend import SimSettings, open_sim
from tests.characterised import LIMITS, results

R_ON, R_OFF = 50.0, 1000.0


def test_a_pair_scaled_by_the_layer_is_naive_map_with_a_double_column() -> None:
    weights = np.random.default_rng(1).normal(size=(20, 7))
    columns = {"min_conductance_s": 1 / R_OFF, "max_conductance_s": 1 / R_ON}
    found = map_weights(weights, WeightColumns.parse(columns)).conductance_s
    # naive_map of MemTorch 1.1.6: each sign by itself, 0 … max|w| to 1/r_off … 1/r_on.
    largest = np.abs(weights).max()
    low, high = 1 / R_OFF, 1 / R_ON
    positive = low + (high - low) * np.where(weights > 0, weights, 0.0) / largest
    negative = low + (high - low) * np.where(weights < 0, -weights, 0.0) / largest
    np.testing.assert_allclose(found[:, 0::2], positive, rtol=1e-12)
    np.testing.assert_allclose(found[:, 1::2], negative, rtol=1e-12)


def test_inputs_are_scaled_sample_by_sample_and_only_beyond_the_limit() -> None:
    x = np.array([[[[0.5, -2.0]]], [[[8.0, -4.0]]], [[[0.0, 0.0]]]])
    driven = InputLimit(4.0, images=True).apply(x)
    np.testing.assert_allclose(driven[:, 0, 0], [[0.5, -2.0], [4.0, -2.0], [0.0, 0.0]])


def test_bias_and_normalisation_in_software_are_those_folded_into_weights() -> None:
    rng = np.random.default_rng(2)
    arrays = {
        "0.weight": rng.normal(size=(3, 2, 3, 3)),
        "0.bias": rng.normal(size=3),
        "1.weight": rng.uniform(0.5, 2, 3),
        "1.bias": rng.normal(size=3),
        "1.running_mean": rng.normal(size=3),
        "1.running_var": rng.uniform(0.5, 2, 3),
    }
    relu = Function(kind="relu")
    folded = [ConvLayer(kind="conv", weight="0.weight", bias="0.bias", padding=1, norm="1"), relu]
    beside = [
        ConvLayer(kind="conv", weight="0.weight", padding=1),
        Affine(kind="affine", bias="0.bias", norm="1"),
        relu,
    ]
    x = rng.normal(size=(4, 2, 5, 5))
    found = build(beside, arrays)
    np.testing.assert_allclose(found.forward(x), build(folded, arrays).forward(x), atol=1e-12)
    np.testing.assert_array_equal(
        found.matrices[0].weights, arrays["0.weight"].reshape(3, -1).T
    )  # so that these alone are mapped


def test_an_affine_layer_of_other_channels_is_refused_with_both_numbers() -> None:
    line = ChannelLine(np.ones(3), np.zeros(3), images=False)
    with pytest.raises(StepError, match="takes 3 channels, but gets 4"):
        line.apply(np.zeros((2, 4)))
    with pytest.raises(ConfigError, match="give bias or norm"):
        Affine.parse({"kind": "affine"})


@pytest.fixture
def network(tmp_path: Path) -> dict[str, Any]:
    """Two dense layers with software biases, and samples of inputs beyond 1."""
    rng = np.random.default_rng(3)
    arrays = {"a.weight": rng.normal(size=(6, 5)), "a.bias": rng.normal(size=6)}
    arrays |= {"b.weight": rng.normal(size=(3, 6)), "b.bias": rng.normal(size=3)}
    np.savez(tmp_path / "net.npz", **arrays)
    x = rng.uniform(0, 4, (40, 5))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.zeros(40))
    layers: list[dict[str, Any]] = []
    for name in "ab":
        layers += [
            {"kind": "dense", "weight": f"{name}.weight"},
            {"kind": "affine", "bias": f"{name}.bias"},
            {"kind": "relu"},
        ]
    return {
        "arrays": arrays,
        "x": x,
        "map": {
            "weights": str(tmp_path / "net.npz"),
            "layers": layers[:-1],
            "mapping": {"min_conductance_s": 1 / R_OFF, "max_conductance_s": 1 / R_ON},
        },
        "data": {"inputs": str(tmp_path / "x.npy"), "classes": str(tmp_path / "y.npy")},
    }


def emulated(read_v: float, *, effects: tuple[dict[str, Any], ...] = ()) -> Array:
    limits = LIMITS | {"read_v": 10.0, "current_a": 100.0}
    settings = ArraySettings.parse(
        {"rows": 8, "cols": 12, "tiles": 3, "limits": limits, "read": {"read_v": read_v}}
    )
    sim = {"device": {"model": "vteam", "r_on_ohm": R_ON, "r_off_ohm": 1e6}, "effects": effects}
    request = OpenRequest(settings, None, np.random.default_rng(1))
    return Array(open_sim(SimSettings.parse(sim), request), settings, np.random.default_rng(2))


def held(array: Array, mapped: dict[str, Any]) -> None:
    """Map the network, and set the cells to its conductances."""
    array.remember("map_network", results(MAP_NETWORK, mapped, array)[""][0])
    results(HOLD_CONDUCTANCES, {}, array)


def answered(array: Array, network: dict[str, Any], *steps: Any, **mapped: Any) -> np.ndarray:
    """Correct answers of every class, after mapping, holding and these steps."""
    held(array, network["map"] | mapped)
    for step in steps:
        results(step, {}, array)
    return np.asarray(results(INFER, {"data": network["data"]}, array)[""][0].confusion[0])


def by_hand(network: dict[str, Any], limit: float) -> np.ndarray:
    """Classes by MemTorch's rule: inputs beyond the limit scaled, nothing scaled back."""
    x = network["x"]
    for name in "ab":
        peak = np.abs(x).max(axis=1, keepdims=True)
        driven = np.where(peak > limit, x * limit / peak, x)
        x = driven @ network["arrays"][f"{name}.weight"].T + network["arrays"][f"{name}.bias"]
        x = np.maximum(x, 0) if name == "a" else x
    return np.bincount(x.argmax(axis=1), minlength=3)


@pytest.mark.parametrize("limit", [0.5, 2.0, 10.0])
def test_outputs_are_not_scaled_back_by_memtorchs_rule(
    network: dict[str, Any], limit: float
) -> None:
    found = answered(emulated(limit), network, input_scale="memtorch")
    np.testing.assert_array_equal(found, by_hand(network, limit))
    right = answered(emulated(limit), network)
    np.testing.assert_array_equal(right, by_hand(network, 1e9))
    assert (by_hand(network, 0.5) != by_hand(network, 1e9)).any()  # so that the two differ


def test_the_outcome_says_that_the_scaling_is_an_artefact(network: dict[str, Any]) -> None:
    array = emulated(2.0)
    rows = results(MAP_NETWORK, network["map"] | {"input_scale": "memtorch"}, array)
    assert "an artefact of the rule" in rows["outcome"][0].message
    assert "artefact" not in results(MAP_NETWORK, network["map"], array)["outcome"][0].message


def test_tuning_takes_out_a_drift_by_one_factor(network: dict[str, Any]) -> None:
    drift = {"effect": "drift", "nu": 0.1, "t0_s": 1.0}

    def drifted() -> Array:
        array = emulated(1.0, effects=(drift,))
        held(array, network["map"])
        array.clock.sleep(1e4)
        return array

    plain = drifted()
    before = results(INFER, {"data": network["data"]}, plain)[""][0].confusion[0]
    assert (before != by_hand(network, 1e9)).any()
    tuned = drifted()
    rows = results(TUNE_NETWORK, {}, tuned)
    # (1 + 1e4)^0.1 in both layers, but for the milliseconds of the vectors.
    np.testing.assert_allclose([one.factor for one in rows[""]], (1e4 + 1) ** 0.1, rtol=1e-4)
    after = results(INFER, {"data": network["data"]}, tuned)[""][0].confusion[0]
    np.testing.assert_array_equal(after, by_hand(network, 1e9))


def test_tuning_again_replaces_the_lines_of_before(network: dict[str, Any]) -> None:
    array = emulated(1.0)
    held(array, network["map"])
    for _ in range(2):
        results(TUNE_NETWORK, {}, array)
    placed = array.left(PlacedNetwork)
    assert placed is not None
    assert sum(isinstance(entry, OutputLine) for entry in placed.as_driven.order) == 2
    assert not any(isinstance(entry, OutputLine) for entry in placed.network.order)


def test_the_line_of_a_layer_is_that_of_numpys_least_squares() -> None:
    rng = np.random.default_rng(4)
    found = rng.normal(size=(2, 30, 4))
    wanted = 2.5 * found[0] + 0.3 + 0.1 * rng.normal(size=(30, 4))
    factor, offset, determination = line_through(found, wanted)
    for array in range(2):
        slope, intercept = np.polyfit(found[array].ravel(), wanted.ravel(), 1)
        np.testing.assert_allclose([factor[array], offset[array]], [slope, intercept])
    correlation = np.corrcoef(found[0].ravel(), wanted.ravel())[0, 1]
    np.testing.assert_allclose(determination[0], correlation**2)


def test_a_layer_whose_outputs_do_not_vary_is_not_tuned(network: dict[str, Any]) -> None:
    array = emulated(1.0)
    results(MAP_NETWORK, network["map"], array)
    placed = array.left(PlacedNetwork)
    assert placed is not None
    weights = np.zeros_like(placed.network.matrices[0].weights)
    dead = replace(placed.network.matrices[0], weights=weights)
    others = placed.network.matrices[1:]
    array.leave(replace(placed, network=replace(placed.network, matrices=(dead, *others))))
    with pytest.raises(StepError, match=r"layer a\.weight: its outputs on the array do not vary"):
        results(TUNE_NETWORK, {}, array)
