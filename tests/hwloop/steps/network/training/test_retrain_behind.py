"""Chip in the loop: layers behind a faulty one are retrained on what it answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.array.blocks import BlockBatch
from hwloop.errors import ConfigError, StepError
from hwloop.steps.array import Array
from hwloop.steps.network.array_product import PlacedNetwork, multiply
from hwloop.steps.network.infer import INFER, placed_network
from hwloop.steps.network.map_network import MAP_NETWORK
from hwloop.steps.network.training.hardware_aware import start
from hwloop.steps.network.training.retrain_behind import RETRAIN_BEHIND
from tests.characterised import array_settings, results
from tests.hwloop.steps.network.test_networks import emulated, program

pytestmark = pytest.mark.torch

MAPPING = {"min_conductance_s": 1e-5, "max_conductance_s": 1e-4}


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """Three rings of points, and a network 2-8-3 that random weights begin."""
    rng = np.random.default_rng(5)
    y = np.arange(240) % 3
    angle = rng.uniform(0, 2 * np.pi, 240)
    x = (0.3 + y)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    np.savez(tmp_path / "s.npz", x=x, y=y)
    np.savez(
        tmp_path / "w.npz",
        a=rng.normal(size=(8, 2)),
        b=0.5 * rng.normal(size=8),
        c=rng.normal(size=(3, 8)),
        d=np.zeros(3),
    )
    file = str(tmp_path / "s.npz")
    return {
        "programmed": 1,
        "data": {"inputs": {"file": file, "key": "x"}, "classes": {"file": file, "key": "y"}},
        "mapping": MAPPING,
        "optimiser": {"kind": "adam", "rate": 0.03},
        "epochs": 30,
        "batch": 40,
    }


def _mapped(settings: dict[str, Any], **more: Any) -> tuple[Array, np.ndarray]:
    """An array whose cells are off their targets by a fifth, and these targets."""
    array = emulated(9, 30)
    file = Path(settings["data"]["inputs"]["file"]).with_name("w.npz")
    network = {
        "weights": str(file),
        "layers": [
            {"kind": "dense", "weight": "a", "bias": "b"},
            {"kind": "relu"},
            {"kind": "dense", "weight": "c", "bias": "d"},
        ],
        "mapping": MAPPING,
    }
    (row,) = results(MAP_NETWORK, network | more, array)[""]
    off = 1 + 0.2 * np.random.default_rng(8).normal(size=row.target_conductance_s.shape)
    program(array, np.clip(row.target_conductance_s * off, 1e-6, 1e-3))
    return array, row.target_conductance_s


def test_layers_behind_learn_from_what_the_array_answers(settings: dict[str, Any]) -> None:
    array, before_conductance_s = _mapped(settings)
    cells_conductance_s = array.conductance_s(array.read_all())
    plain = results(INFER, {"data": settings["data"]}, array)[""][0].accuracy
    old = placed_network(array, step="test")
    found = results(RETRAIN_BEHIND, settings, array)
    (row,) = found["retrained"]
    assert row.samples == 240
    assert row.accuracy_after > row.accuracy_before + 0.2
    assert row.loss.shape == (30,)
    assert row.loss[-1] < row.loss[0]
    # Only cells of the second layer get targets; the first stays as it is.
    target_conductance_s = found[""][0].target_conductance_s
    wanted = np.isfinite(target_conductance_s)
    (second,) = old.placement.of_layer(1)
    only = np.zeros_like(wanted)
    only[second.place] = True
    np.testing.assert_array_equal(wanted, only)
    assert not np.allclose(target_conductance_s[only], before_conductance_s[only])
    program(array, np.where(wanted, target_conductance_s, cells_conductance_s))
    in_the_loop = results(INFER, {"data": settings["data"]}, array)[""][0].accuracy
    assert in_the_loop == pytest.approx(row.accuracy_after, abs=1e-9)
    assert in_the_loop > plain + 0.2


def test_the_retraining_has_seen_the_array_and_not_the_wanted_weights(
    settings: dict[str, Any],
) -> None:
    """The accuracy before is that of measured hidden values, by NumPy, with the old last layer."""
    array, _ = _mapped(settings)
    placed = placed_network(array, step="test")
    with np.load(settings["data"]["inputs"]["file"]) as file:
        x, y = file["x"], file["y"]
    hidden = np.maximum(multiply(array, placed, 0, np.c_[x, np.ones(240)]), 0)
    last = placed.network.matrices[1].weights
    expected = np.mean((np.c_[hidden, np.ones(240)] @ last).argmax(axis=1) == y)
    (row,) = results(RETRAIN_BEHIND, settings, array)["retrained"]
    assert row.accuracy_before == pytest.approx(expected, abs=1e-12)
    ideal = (
        np.c_[
            np.maximum(np.c_[x, np.ones(240)] @ placed.network.matrices[0].weights, 0), np.ones(240)
        ]
        @ last
    ).argmax(axis=1)
    assert row.accuracy_before != np.mean(ideal == y)


def test_weights_without_cells_stay_without(settings: dict[str, Any], tmp_path: Path) -> None:
    with np.load(tmp_path / "w.npz") as file:
        arrays = dict(file)
    arrays["c"][:, 3] = 0
    np.savez(tmp_path / "w.npz", **arrays)
    array, _ = _mapped(settings, zeros="left_out")
    results(RETRAIN_BEHIND, settings, array)
    left = array.left(PlacedNetwork)
    assert left is not None
    np.testing.assert_array_equal(left.network.matrices[1].weights[3], 0.0)
    assert (left.network.matrices[1].weights[:3] != 0).all()


def test_convolutions_behind_are_retrained_in_their_own_shape(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(40, 5, 5)), np.arange(40) % 2
    x[y == 1, 1:4, 1:4] += 1.5
    np.savez(tmp_path / "s.npz", x=x, y=y)
    np.savez(
        tmp_path / "n.npz",
        a=rng.normal(size=(2, 1, 2, 2)),
        b=rng.normal(size=(3, 2, 2, 2)),
        c=rng.normal(size=(2, 3)),
    )
    array = emulated(12, 16)
    layers = [
        {"kind": "conv", "weight": "a"},
        {"kind": "relu"},
        {"kind": "conv", "weight": "b", "stride": 2},
        {"kind": "max_pool", "size": 2},
        {"kind": "flatten"},
        {"kind": "dense", "weight": "c"},
    ]
    mapped = {"weights": str(tmp_path / "n.npz"), "layers": layers, "mapping": MAPPING}
    program(array, results(MAP_NETWORK, mapped, array)[""][0].target_conductance_s)
    data = {**settings["data"], "flatten": False}
    given = settings | {"data": data, "targets": "behind"}
    found = results(RETRAIN_BEHIND, given, array)
    assert found["retrained"][0].accuracy_after > 0.9
    program(
        array,
        np.where(
            np.isnan(found[""][0].target_conductance_s),
            array.conductance_s(array.read_all()),
            found[""][0].target_conductance_s,
        ),
    )
    (row,) = results(INFER, {"data": data}, array)[""]
    assert row.accuracy == pytest.approx(found["retrained"][0].accuracy_after, abs=1e-9)


def test_what_cannot_be_retrained_is_refused(settings: dict[str, Any]) -> None:
    array, _ = _mapped(settings)
    with pytest.raises(
        StepError, match="programmed 2: the network has 2 layers with weights, so at most 1"
    ):
        results(RETRAIN_BEHIND, settings | {"programmed": 2}, array)
    with pytest.raises(StepError, match="retrain_behind: no network is mapped"):
        results(RETRAIN_BEHIND, settings, emulated(9, 30))
    other = settings | {"mapping": {**MAPPING, "arrangement": "symmetric"}}
    with pytest.raises(
        StepError, match="arrangement is symmetric, but map_network placed differential"
    ):
        results(RETRAIN_BEHIND, other, array)
    many = replace(array, backend=emulated(9, 30, population=3).backend)
    with pytest.raises(StepError, match="3 arrays would each need a network of their own"):
        results(RETRAIN_BEHIND, settings, many)
    for change, message in (
        ({"pruning": {"fraction": 0.5}}, "prune before the first layer is programmed"),
        ({"epochs": 0}, "0 retrains nothing"),
    ):
        with pytest.raises(ConfigError, match=message):
            RETRAIN_BEHIND.settings.parse(settings | change)


def test_without_pytorch_the_check_says_what_to_install(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'hwloop\[torch\]'"):
        RETRAIN_BEHIND.plan(RETRAIN_BEHIND.settings.parse(settings), array_settings(9, 30))


def test_a_plan_multiplies_the_samples_by_the_programmed_layers_alone(
    settings: dict[str, Any],
) -> None:
    """2-8-3 with biases: 3 rows by 16 columns and 9 rows by 6, by hand."""
    array = array_settings(9, 30)
    file = Path(settings["data"]["inputs"]["file"]).with_name("w.npz")
    layers = [
        {"kind": "dense", "weight": "a", "bias": "b"},
        {"kind": "relu"},
        {"kind": "dense", "weight": "c", "bias": "d"},
    ]
    mapped = {"weights": str(file), "layers": layers, "mapping": MAPPING}
    left = MAP_NETWORK.plan(MAP_NETWORK.settings.parse(mapped), array).leaves
    assert RETRAIN_BEHIND.plan_after is not None
    plan = RETRAIN_BEHIND.plan_after(RETRAIN_BEHIND.settings.parse(settings), array, left)
    (planned,) = plan.operations
    assert isinstance(planned.operation, BlockBatch)
    (block,) = planned.operation.blocks
    assert (len(block.rows), block.width, planned.at_most) == (3, 16, 240)
    assert np.abs(planned.operation.voltage_v).max() == array.read.read_v
    all_of_it = RETRAIN_BEHIND.settings.parse(settings | {"programmed": 2})
    with pytest.raises(ConfigError, match=r"programmed: .*has 2 layers with weights, so at most 1"):
        RETRAIN_BEHIND.plan_after(all_of_it, array, left)
    unknown = RETRAIN_BEHIND.plan(all_of_it, array)
    assert [one.at_most for one in unknown.operations] == [240, 240]
    assert unknown.remark is not None
