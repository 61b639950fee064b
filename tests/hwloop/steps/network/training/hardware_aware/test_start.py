"""Samples and weights that do not fit, refused by place and value before PyTorch is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.errors import ConfigError
from hwloop.steps.network.training.hardware_aware import start
from hwloop.steps.network.training.hardware_aware.settings import (
    DescentSettings,
    TrainCnnSettings,
)
from hwloop.steps.network.training.hardware_aware.train_cnn import TRAIN_CNN
from tests.characterised import array_settings

LAYERS = [
    {"kind": "conv", "weight": "c", "bias": "d", "norm": "n"},
    {"kind": "relu"},
    {"kind": "flatten"},
    {"kind": "dense", "weight": "w", "order": "in_out"},
]


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "s.npz", x=rng.random((6, 4, 4)), y=np.arange(6) % 3)
    file = str(tmp_path / "s.npz")
    data = {"inputs": {"file": file, "key": "x"}, "classes": {"file": file, "key": "y"}}
    return {
        "layers": LAYERS,
        "shapes": {"c": [2, 1, 3, 3], "w": [8, 3]},
        "data": {**data, "flatten": False},
        "optimiser": {"kind": "sgd", "rate": 0.1},
        "epochs": 1,
        "batch": 2,
    }


def _refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        TRAIN_CNN.plan(TrainCnnSettings.parse(settings), array_settings(4, 4))
    assert "\n" not in str(raised.value)


@pytest.fixture
def without_torch_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "find_spec", lambda _: None)


@pytest.fixture(autouse=True)
def with_torch_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as the check before a run goes, which loads nothing."""
    monkeypatch.setattr(start, "find_spec", lambda name: name)


def test_without_pytorch_the_check_says_what_to_install(
    settings: dict[str, Any], without_torch_installed: None
) -> None:
    _refused(settings, r"PyTorch is not installed: pip install 'hwloop\[torch\]'")


def test_what_fits_is_planned_with_a_row_for_each_epoch(settings: dict[str, Any]) -> None:
    more = {
        "epochs": 3,
        "pruning": {"fraction": 0.5, "steps": 2, "epochs": 4},
        "quantisation": {"levels": 8, "epochs": 5},
    }
    plan = TRAIN_CNN.plan(TrainCnnSettings.parse(settings | more), array_settings(4, 4))
    assert (list(plan.operations), plan.rows) == ([], 3 + 2 * 4 + 5)


def test_fresh_weights_begin_as_those_of_pytorch_layers(settings: dict[str, Any]) -> None:
    """Within ±1/√inputs, the default of torch.nn.Linear and Conv2d; normalisations do nothing."""
    settings["shapes"] = {"c": [50, 1, 3, 3], "w": [200, 3]}
    arrays = start.start_arrays(TrainCnnSettings.parse(settings), np.random.default_rng(1))
    for name, inputs in (("c", 9), ("d", 9), ("w", 200)):
        assert 0.9 / np.sqrt(inputs) < np.abs(arrays[name]).max() <= 1 / np.sqrt(inputs), name
    assert arrays["d"].shape == (50,)
    np.testing.assert_array_equal(arrays["n.running_var"], np.ones(50))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shapes": {"c": [2, 1, 3, 3]}}, "shapes: give the shape of 'w'"),
        ({"shapes": {"c": [2, 1, 3, 3], "w": [8, 3], "v": [1]}}, "no layer has the weight 'v'"),
        ({"shapes": {"c": [2, 9], "w": [8, 3]}}, r"c has shape \(2, 9\); a conv has 4 axes"),
        ({"shapes": {"c": [2, 1, 3, 3], "w": [9, 3]}}, "layer w: takes 9 inputs, but gets 8"),
        (
            {"shapes": {"c": [2, 3, 3, 3], "w": [8, 3]}},
            r"data: samples of shape \(1, 4, 4\): layer c: takes \(samples, 3, height, width\)",
        ),
        (
            {"shapes": {"c": [2, 1, 3, 3], "w": [8, 2]}},
            "data: class 2 is 2; the network has 2 outputs",
        ),
        (
            {"shapes": {"c": [2, 1, 3, 3], "w": [8, 1]}},
            r"layers: the last layer gives \(1,\); expected two outputs or more",
        ),
        (
            {"layers": [*LAYERS, {"kind": "affine", "bias": "w"}]},
            "layers: layer 4: affine is not trained",
        ),
        ({"shapes": {}}, "give either weights, a file to start from, or shapes by name"),
        ({"patience": 2}, "patience: needs held_out"),
        ({"test_noise": {"kind": "additive", "sigma": 0.1}}, "test_noise: needs test"),
        ({"epochs": 0}, "epochs: 0 needs weights"),
        ({"checkpoint": "a.pt"}, r"expected a file ending in \.npz"),
        (
            {"optimiser": {"kind": "sgd", "rate": 0.1, "nesterov": True}},
            "nesterov: needs a momentum above 0",
        ),
    ],
)
def test_a_misfit_is_refused_in_one_line_with_place_and_value(
    settings: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    _refused(settings | change, message)


def test_weights_of_a_file_are_looked_at_by_place(settings: dict[str, Any], tmp_path: Path) -> None:
    arrays = {"c": np.ones((2, 1, 3, 3)), "d": np.ones(2), "w": np.ones((8, 3))}
    arrays |= {f"n.{part}": np.ones(2) for part in start.NORM_PARTS}
    del settings["shapes"]
    settings["weights"] = str(tmp_path / "w.npz")
    np.savez(tmp_path / "w.npz", **arrays)
    assert TRAIN_CNN.plan(TrainCnnSettings.parse(settings), array_settings(4, 4)).rows == 1
    np.savez(tmp_path / "w.npz", **{name: value for name, value in arrays.items() if name != "d"})
    _refused(settings, r"w\.npz: weights: there is no array 'd'")
    bad = arrays["w"].copy()
    bad[5, 1] = np.nan
    np.savez(tmp_path / "w.npz", **arrays | {"w": bad})
    _refused(settings, r"w: entry \(5, 1\) is nan: every one must be finite")


def test_classes_that_are_no_numbers_of_a_class_are_refused(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    for wrong, said in ((-1.0, "-1"), (0.5, "0.5")):
        x, y = np.ones((3, 4, 4)), np.array([0.0, wrong, 1.0])
        np.savez(tmp_path / "s.npz", x=x, y=y)
        _refused(settings, rf"data\.classes: .*s\.npz: entry \(1,\) is {said}; classes are 0, 1, …")


def test_test_samples_of_another_size_are_refused(settings: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.ones((2, 5, 4)), y=np.zeros(2))
    file = str(tmp_path / "t.npz")
    data = {"inputs": {"file": file, "key": "x"}, "classes": {"file": file, "key": "y"}}
    settings["test"] = {**data, "flatten": False}
    _refused(settings, r"test: its samples have shape \(1, 5, 4\), those of data \(1, 4, 4\)")


def test_multiplications_are_positions_times_weights(settings: dict[str, Any]) -> None:
    """By hand: 3×3 kernels on 4×4 pixels stand at 2×2 positions; a dense layer at one."""
    parsed = TrainCnnSettings.parse(settings)
    arrays = start.start_arrays(parsed, np.random.default_rng(1))
    network = start.fitting_network(parsed, arrays, {})
    first, last = start.multiplications(network, np.ones((1, 1, 4, 4)))
    assert (first.max(), first.min(), last.max()) == (4, 4, 1)


def _descent(**more: object) -> DescentSettings:
    optimiser = {"kind": "sgd", "rate": 0.1}
    return DescentSettings.parse({"optimiser": optimiser, "epochs": 1, "batch": 2, **more})


@pytest.mark.parametrize(
    ("share", "samples", "out"), [(0.999, 200, 200), (0.001, 200, 0), (0.5, 1, 0), (0.9, 2, 2)]
)
def test_a_held_out_share_that_keeps_none_or_leaves_none_is_refused(
    share: float, samples: int, out: int
) -> None:
    with pytest.raises(ConfigError, match=f"^held_out: {share} of {samples} samples is {out}: at"):
        _descent(held_out=share).held_out_of(samples)


def test_a_held_out_share_is_rounded_to_samples() -> None:
    assert _descent(held_out=0.25).held_out_of(10) == 2
    assert _descent().held_out_of(10) == 0
