"""Training under noise, pruned and on levels: what it leaves, writes and repeats."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.errors import ConfigError, StepError
from hwloop.settings.array_files import read_arrays
from hwloop.steps.array import Array
from hwloop.steps.network.array_product import PlacedNetwork
from hwloop.steps.network.map_network import MAP_NETWORK
from hwloop.steps.network.network import Network, build, predicted
from hwloop.steps.network.training.hardware_aware.settings import TrainCnnSettings
from hwloop.steps.network.training.hardware_aware.train_cnn import TRAIN_CNN
from tests.characterised import results
from tests.hwloop.steps.network.test_networks import emulated

pytestmark = pytest.mark.torch

LAYERS = [
    {"kind": "conv", "weight": "0.weight", "bias": "0.bias", "norm": "1", "padding": 1},
    {"kind": "relu"},
    {"kind": "max_pool", "size": 2},
    {"kind": "flatten"},
    {"kind": "dense", "weight": "5.weight", "bias": "5.bias"},
]


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """Bars that stand, lie or lean on 6×6 pixels, with noise."""
    rng = np.random.default_rng(3)
    y = np.arange(240) % 3
    x = 0.4 * rng.normal(size=(240, 6, 6))
    at = rng.integers(0, 6, 240)
    for image, kind, place in zip(x, y, at, strict=True):
        rows = [slice(None), place, np.arange(6)][kind]
        cols = [place, slice(None), np.roll(np.arange(6), place)][kind]
        image[rows, cols] += 1.0
    np.savez(tmp_path / "s.npz", x=x[:180], y=y[:180], u=x[180:], v=y[180:])
    file = str(tmp_path / "s.npz")

    def data(x: str, y: str) -> dict[str, Any]:
        return {
            "inputs": {"file": file, "key": x},
            "classes": {"file": file, "key": y},
            "flatten": False,
        }

    return {
        "layers": LAYERS,
        "shapes": {"0.weight": [4, 1, 3, 3], "5.weight": [3, 36]},
        "data": data("x", "y"),
        "test": data("u", "v"),
        "optimiser": {"kind": "sgd", "rate": 0.1},
        "epochs": 12,
        "batch": 20,
    }


@pytest.fixture
def recorded(tmp_path: Path) -> Array:
    """An array whose run is recorded in run.h5."""
    return replace(emulated(64, 64), record=tmp_path / "run.h5", label="trained")


def _accuracy(network: Network, settings: dict[str, Any]) -> float:
    x, y = TrainCnnSettings.parse(settings).test.load()  # type: ignore[union-attr]
    return float(np.mean(predicted(network.forward(x)) == y))


def test_a_network_learns_and_is_left_written_and_described(
    settings: dict[str, Any], recorded: Array, tmp_path: Path
) -> None:
    found = results(TRAIN_CNN, settings, recorded)
    loss = [row.loss for row in found[""]]
    assert loss[-1] < 0.3 * loss[0]
    (trained,) = found["trained"]
    assert trained.test_accuracy > 0.85
    left = recorded.left(Network)
    assert left is not None
    assert _accuracy(left, settings) == pytest.approx(trained.test_accuracy, abs=1.5 / 60)
    arrays = read_arrays(tmp_path / "run-trained.npz")
    layers = TrainCnnSettings.parse(settings).layers
    np.testing.assert_array_equal(
        build(layers, arrays).matrices[0].weights, left.matrices[0].weights
    )
    card = json.loads((tmp_path / "run-trained.card.json").read_text())
    assert card["accuracy_and_size"]["test_accuracy"] == trained.test_accuracy
    assert card["data"]["test"]["samples"] == 60
    assert len(card["data"]["data"]["inputs"]["sha256"]) == 64
    assert card["settings"]["optimiser"]["momentum"] == 0
    assert str(tmp_path) not in json.dumps(card)
    mapping = {"min_conductance_s": 1e-5, "max_conductance_s": 1e-4}
    written = {"weights": str(tmp_path / "run-trained.npz"), "layers": LAYERS, "mapping": mapping}
    from_file = results(MAP_NETWORK, written, recorded)[""][0]
    recorded.leave(left)
    as_left = results(MAP_NETWORK, {"mapping": mapping}, recorded)[""][0]
    np.testing.assert_array_equal(from_file.target_conductance_s, as_left.target_conductance_s)


def test_noise_is_on_the_weights_that_answer_and_not_on_those_that_are_kept(
    settings: dict[str, Any],
) -> None:
    """With σ 3 no answer of an epoch is more than chance, and the clean weights still move little."""
    mild = results(TRAIN_CNN, settings, emulated(8, 8))
    wild = settings | {"noise": {"kind": "multiplicative", "sigma": 3.0}}
    noisy = results(TRAIN_CNN, wild, emulated(8, 8))
    assert mild[""][-1].accuracy - noisy[""][-1].accuracy > 0.15
    tested = settings | {"test_noise": {"kind": "additive", "sigma": 1.0, "draws": 30}}
    (row,) = results(TRAIN_CNN, tested, emulated(8, 8))["trained"]
    assert row.noisy_accuracy.shape == (30,)
    assert row.noisy_accuracy.mean() < row.test_accuracy - 0.1
    assert row.test_accuracy == mild["trained"][0].test_accuracy  # the test changes nothing


def test_training_under_noise_answers_better_under_noise(settings: dict[str, Any]) -> None:
    tested = settings | {"test_noise": {"kind": "multiplicative", "sigma": 0.8, "draws": 40}}
    found = []
    for noise in (None, {"kind": "multiplicative", "sigma": 0.8}):
        given = tested | {"epochs": 25, "noise": noise}
        found.append(results(TRAIN_CNN, given, emulated(8, 8))["trained"][0].noisy_accuracy.mean())
    assert found[1] > found[0] + 0.02


@pytest.mark.parametrize(
    "optimiser",
    [
        {"kind": "sgd", "rate": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3},
        {"kind": "adam", "rate": 0.01},
    ],
)
def test_pruned_weights_stay_at_zero_under_momentum_and_decay(
    settings: dict[str, Any], optimiser: dict[str, Any]
) -> None:
    array = emulated(64, 64)
    given = settings | {
        "optimiser": optimiser,
        "pruning": {"fraction": 0.75, "steps": 3, "epochs": 2},
    }
    found = results(TRAIN_CNN, given, array)
    (row,) = found["trained"]
    assert (row.weights, row.weights_left) == (36 + 108, 36)
    assert row.multiplications == 36 * 36 + 108
    network = array.left(Network)
    assert network is not None
    zeros = [int((one.weights[:-1] == 0).sum()) for one in network.matrices]
    assert sum(zeros) == 108
    assert row.multiplications_left == 36 * (36 - zeros[0]) + 108 - zeros[1]
    assert [row.stage for row in found[""]] == [0] * 12 + [1, 1, 2, 2, 3, 3]


def test_retraining_regains_what_pruning_has_taken(
    settings: dict[str, Any], recorded: Array, tmp_path: Path
) -> None:
    results(TRAIN_CNN, settings, recorded)
    del settings["shapes"]
    given = settings | {
        "weights": str(tmp_path / "run-trained.npz"),
        "epochs": 0,
        "pruning": {"fraction": 0.75, "epochs": 8},
    }
    found = [
        results(TRAIN_CNN, given | {"optimiser": {"kind": "sgd", "rate": rate}}, emulated(8, 8))
        for rate in (1e-9, 0.1)
    ]
    without, retrained = (one["trained"][0] for one in found)
    assert without.weights_left == retrained.weights_left == 36
    assert retrained.test_accuracy > without.test_accuracy + 0.05


def test_weights_on_levels_are_those_that_map_network_places(settings: dict[str, Any]) -> None:
    array = emulated(64, 64)
    levels = {"levels": 5, "scale": "column"}
    results(TRAIN_CNN, settings | {"quantisation": {**levels, "epochs": 3}}, array)
    network = array.left(Network)
    assert network is not None
    for matrix in network.matrices:
        steps = 4 * matrix.weights / np.abs(matrix.weights).max(axis=0)
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-5)
    mapping = {**levels, "min_conductance_s": 1e-5, "max_conductance_s": 1e-4}
    for row in results(MAP_NETWORK, {"mapping": mapping}, array)["layers"]:
        assert row.rms_weight_error < 1e-6 * row.largest_weight


def test_retraining_on_levels_answers_better_than_rounding(settings: dict[str, Any]) -> None:
    array = emulated(64, 64)
    levels = {"levels": 2}
    results(TRAIN_CNN, settings, array)
    rounded = {**levels, "min_conductance_s": 1e-5, "max_conductance_s": 1e-4}
    results(MAP_NETWORK, {"mapping": rounded}, array)
    clean = array.left(Network)
    given = settings | {"quantisation": {**levels, "epochs": 12}}
    retrained = results(TRAIN_CNN, given, array)["trained"][0].test_accuracy
    assert clean is not None
    placed = array.left(PlacedNetwork)
    assert placed is not None
    held = replace(
        clean,
        matrices=tuple(
            replace(one, weights=mapped.weights())
            for one, mapped in zip(clean.matrices, placed.maps, strict=True)
        ),
    )
    assert retrained > _accuracy(held, settings) + 0.05


def test_the_same_seed_gives_the_same_training_and_another_another(
    settings: dict[str, Any],
) -> None:
    noisy = settings | {"noise": {"kind": "additive", "sigma": 0.1}, "held_out": 0.2}
    losses = [
        [row.loss for row in results(TRAIN_CNN, noisy, replace(emulated(8, 8), rng=rng))[""]]
        for rng in (np.random.default_rng(seed) for seed in (5, 5, 6))
    ]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def _cut(items: Iterator[Any], after: int) -> None:
    """Take a few rows of a step and kill it."""
    for _ in range(after):
        next(items)
    items.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "optimiser", [{"kind": "sgd", "rate": 0.1, "momentum": 0.5}, {"kind": "adam"}]
)
@pytest.mark.parametrize("after", [2, 5, 8])
def test_a_killed_training_goes_on_to_the_same_weights(
    settings: dict[str, Any], tmp_path: Path, optimiser: dict[str, Any], after: int
) -> None:
    """Cut in the plain part, in a pruning step and on levels; the whole one is not cut."""
    given = settings | {
        "epochs": 3,
        "optimiser": optimiser,
        "noise": {"kind": "multiplicative", "sigma": 0.2},
        "pruning": {"kind": "channels", "fraction": 0.5, "epochs": 3},
        "quantisation": {"levels": 9, "epochs": 3},
        "held_out": 0.1,
        "checkpoint": str(tmp_path / "state.npz"),
    }
    parsed = TrainCnnSettings.parse(given)

    def array(name: str) -> Array:
        return replace(emulated(8, 8), record=tmp_path / f"{name}.h5", label="t")

    whole, rest = array("whole"), array("rest")
    expected = [row.loss for row in results(TRAIN_CNN, given, whole)[""]]
    assert not (tmp_path / "state.npz").exists()
    _cut(TRAIN_CNN(parsed, array("cut")), after)
    assert (tmp_path / "state.npz").exists()
    assert [row.loss for row in results(TRAIN_CNN, given, rest)[""]] == expected
    for name, value in read_arrays(tmp_path / "whole-t.npz").items():
        np.testing.assert_array_equal(read_arrays(tmp_path / "rest-t.npz")[name], value)
    _cut(TRAIN_CNN(parsed, array("again")), 1)
    with pytest.raises(ConfigError, match="checkpoint: is of a training with other settings"):
        results(TRAIN_CNN, given | {"batch": 30}, array("other"))
    np.savez(tmp_path / "state.npz", w=np.ones(3))
    with pytest.raises(ConfigError, match="checkpoint: not a checkpoint of a training"):
        results(TRAIN_CNN, given, array("other"))


def test_a_training_without_a_better_answer_stops_and_keeps_its_best(
    settings: dict[str, Any],
) -> None:
    given = settings | {"epochs": 60, "held_out": 0.25, "patience": 4}
    array = emulated(8, 8)
    held_out = [row.held_out_accuracy for row in results(TRAIN_CNN, given, array)[""]]
    best = int(np.argmax(held_out))
    assert len(held_out) == best + 1 + 4 < 60
    network = array.left(Network)
    shorter = emulated(8, 8)
    results(TRAIN_CNN, given | {"epochs": best + 1}, shorter)
    same = shorter.left(Network)
    assert network is not None
    assert same is not None
    np.testing.assert_array_equal(network.matrices[1].weights, same.matrices[1].weights)


def test_a_loss_that_is_not_finite_ends_the_training_with_its_rate(
    settings: dict[str, Any],
) -> None:
    layers = [{"kind": "flatten"}, {"kind": "dense", "weight": "w"}]
    given = settings | {
        "layers": layers,
        "shapes": {"w": [3, 36]},
        "loss": "mean_square",
        "optimiser": {"kind": "sgd", "rate": 1e30},
    }
    with pytest.raises(StepError, match=r"epoch \d: the loss is \w+: lower optimiser.rate 1e\+30"):
        results(TRAIN_CNN, given, emulated(8, 8))


def test_a_softmax_at_the_end_is_part_of_the_loss(settings: dict[str, Any]) -> None:
    """Cross-entropy is of the softmax of the sums; one that is listed is not taken twice."""
    plain, listed = (
        results(TRAIN_CNN, settings | {"layers": layers, "epochs": 2}, emulated(8, 8))
        for layers in (LAYERS, [*LAYERS, {"kind": "softmax"}])
    )
    assert [row.loss for row in plain[""]] == [row.loss for row in listed[""]]


def test_the_mean_square_is_of_the_distance_to_one_and_zero(settings: dict[str, Any]) -> None:
    """With all weights 0 a sigmoid answers 0.5: the mean square is 0.25, by hand."""
    file = Path(settings["data"]["inputs"]["file"]).with_name("w.npz")
    np.savez(file, w=np.zeros((36, 3)))
    layers = [
        {"kind": "flatten"},
        {"kind": "dense", "weight": "w", "order": "in_out"},
        {"kind": "sigmoid"},
    ]
    del settings["shapes"]
    given = {"layers": layers, "weights": str(file), "loss": "mean_square", "epochs": 1}
    slow = {"optimiser": {"kind": "sgd", "rate": 1e-9}}
    (row,) = results(TRAIN_CNN, settings | given | slow, emulated(8, 8))[""]
    assert row.loss == pytest.approx(0.25, abs=1e-6)
