"""Networks mapped, placed and multiplied by an emulated array, against NumPy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hwloop.array.settings import ArraySettings
from hwloop.backend.kind import OpenRequest
from hwloop.errors import ConfigError, StepError
from hwloop.settings.array_files import read_arrays
from hwloop.settings.bulk import LabelledData
from hwloop.steps.array import Array
from hwloop.steps.network.infer import INFER, placed_network, plan
from hwloop.steps.network.map_network import MAP_NETWORK
from hwloop.steps.network.mapping.mapping import WeightColumns
from hwloop.steps.network.multiply_accuracy import MULTIPLY_TEST
from hwloop.steps.network.network import ConvLayer, DenseLayer, Function, MeasuredActivation, build
from hwloop.steps.network.programming_spread import sigma_conductance_s
from hwloop.steps.network.training.gradient_descent import Descent, start, train
from hwloop_sim.emulator.backend import SimSettings, open_sim
from tests.characterised import LIMITS, results

DEVICE = {"model": "soft_bounds", "min_conductance_s": 1e-12, "max_conductance_s": 1e-3}


def emulated(rows: int, cols: int, *, tiles: int = 1, population: int | None = None) -> Array:
    settings = ArraySettings.parse(
        {
            "rows": rows,
            "cols": cols,
            "tiles": tiles,
            "limits": LIMITS,
            "read": {"read_v": 0.1},
        }
    )
    request = OpenRequest(settings, population, np.random.default_rng(1))
    backend = open_sim(SimSettings.parse({"device": DEVICE}), request)
    return Array(backend, settings, np.random.default_rng(2))


def program(array: Array, target_conductance_s: np.ndarray) -> None:
    """Put the emulator's cells where they are wanted, which no step may do."""
    array.backend._cells.set_conductance(
        np.where(np.isnan(target_conductance_s), 5e-5, target_conductance_s)
    )  # type: ignore[attr-defined]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    """A convolutional network and samples that it classifies as it does."""
    rng = np.random.default_rng(5)
    arrays = {
        "0.weight": rng.normal(size=(3, 1, 3, 3)),
        "0.bias": rng.normal(size=3),
        "1.weight": rng.uniform(0.5, 2, 3),
        "1.bias": rng.normal(size=3),
        "1.running_mean": rng.normal(size=3),
        "1.running_var": rng.uniform(0.5, 2, 3),
        "5.weight": rng.normal(size=(4, 27)),
        "5.bias": rng.normal(size=4),
    }
    np.savez(tmp_path / "net.npz", **arrays)
    x = rng.random((20, 1, 6, 6))
    layers: list[dict[str, Any]] = [
        {"kind": "conv", "weight": "0.weight", "bias": "0.bias", "padding": 1, "norm": "1"},
        {"kind": "relu"},
        {"kind": "max_pool", "size": 2},
        {"kind": "flatten"},
        {"kind": "dense", "weight": "5.weight", "bias": "5.bias"},
    ]
    np.save(tmp_path / "x.npy", x)
    parsed = MAP_NETWORK.settings.parse(
        {
            "weights": str(tmp_path / "net.npz"),
            "layers": layers,
            "mapping": {"min_conductance_s": 1e-6, "max_conductance_s": 1e-4},
        }
    )
    outputs = build(parsed.layers, arrays).forward(x)
    np.save(tmp_path / "y.npy", outputs.argmax(axis=-1))
    return {
        "arrays": arrays,
        "x": x,
        "outputs": outputs,
        "map": {
            "weights": str(tmp_path / "net.npz"),
            "layers": layers,
            "mapping": {"min_conductance_s": 1e-6, "max_conductance_s": 1e-4},
        },
        "data": {
            "inputs": str(tmp_path / "x.npy"),
            "classes": str(tmp_path / "y.npy"),
            "flatten": False,
        },
    }


def test_a_convolution_by_patches_equals_its_sum_written_out(files: dict[str, Any]) -> None:
    weight, bias = files["arrays"]["0.weight"], files["arrays"]["0.bias"]
    layer = ConvLayer(kind="conv", weight="0.weight", bias="0.bias", padding=1, stride=2)
    found = build([layer], files["arrays"]).forward(files["x"])
    padded = np.pad(files["x"], [(0, 0), (0, 0), (1, 1), (1, 1)])
    expected = np.zeros((20, 3, 3, 3))
    for up in range(3):
        for across in range(3):
            part = padded[:, 0, 2 * up : 2 * up + 3, 2 * across : 2 * across + 3]
            expected[:, :, up, across] = np.einsum("nij,oij->no", part, weight[:, 0]) + bias
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("arrangement", ["differential", "symmetric", "offset"])
@pytest.mark.parametrize(("tiles", "population"), [(1, None), (12, None), (1, 2), (12, 2)])
def test_inference_on_ideal_cells_equals_numpy(
    files: dict[str, Any], arrangement: str, tiles: int, population: int | None
) -> None:
    shape = (40, 16) if tiles == 1 else (8, 8)
    array = emulated(*shape, tiles=tiles, population=population)
    mapping = {**files["map"]["mapping"], "arrangement": arrangement}
    target = results(MAP_NETWORK, {**files["map"], "mapping": mapping}, array)[""][
        0
    ].target_conductance_s
    program(array, target)
    from hwloop.steps.network.array_product import multiply

    placed = placed_network(array, step="test")
    outputs = placed.network.forward(
        files["x"], lambda layer, inputs: multiply(array, placed, layer, inputs)
    )
    expected = np.broadcast_to(files["outputs"], outputs.shape)
    np.testing.assert_allclose(outputs, expected, rtol=1e-9, atol=1e-9)
    assert outputs.shape[:-2] == (() if population is None else (2,))
    found = results(INFER, {"data": files["data"]}, array)
    assert np.all(found[""][0].accuracy == 1.0)
    assert [row.layer for row in found["layers"]] == [0, 1]
    assert all(np.all(row.rms_weight_error < 1e-12) for row in found["layers"])


def test_a_network_that_does_not_fit_is_refused_before_anything_runs(files: dict[str, Any]) -> None:
    array = emulated(8, 8, tiles=2)
    parsed = MAP_NETWORK.settings.parse(files["map"])
    with pytest.raises(ConfigError, match=r"needs \d+ tiles of 8 × 8; there are 2"):
        MAP_NETWORK.plan(parsed, array.settings)


def test_rows_are_swapped_around_stuck_cells_that_are_listed(files: dict[str, Any]) -> None:
    stuck = [
        {"row": 2, "col": 0, "at_conductance_s": 1e-6},
        {"row": 2, "col": 1, "at_conductance_s": 1e-4},
    ]
    array = emulated(40, 16)
    found = results(MAP_NETWORK, {**files["map"], "stuck": stuck}, array)
    row = found[""][0]
    assert row.harm_conductance_s < row.harm_before_conductance_s
    assert "2 stuck cells" in found["outcome"][0].message
    assert np.isnan(row.target_conductance_s[2, :2]).all()  # a stuck cell is left alone
    with pytest.raises(ConfigError, match="stuck"):
        results(
            MAP_NETWORK,
            {**files["map"], "stuck": [{"row": 99, "col": 0, "at_conductance_s": 0}]},
            emulated(40, 16),
        )


def test_the_other_cell_of_a_pair_makes_up_for_a_stuck_one(files: dict[str, Any]) -> None:
    stuck = [{"row": row, "col": row % 6, "at_conductance_s": 9e-5} for row in range(0, 9, 3)]
    array = emulated(40, 16)
    row = results(MAP_NETWORK, {**files["map"], "stuck": stuck}, array)[""][0]
    assert row.harm_left_conductance_s < row.harm_conductance_s < row.harm_before_conductance_s
    program(
        array,
        np.where(
            np.isfinite(row.stuck_conductance_s), row.stuck_conductance_s, row.target_conductance_s
        ),
    )
    layer = results(INFER, {"data": files["data"]}, array)["layers"][0]
    slope_conductance_s = placed_network(array, step="test").maps[0].slope_conductance_s.min()
    wrong = layer.rms_weight_error * np.sqrt(
        placed_network(array, step="test").network.matrices[0].weights.size
    )
    assert wrong <= row.harm_left_conductance_s / slope_conductance_s + 1e-12


def test_stuck_cells_come_from_a_map_that_was_read_in_the_same_run(files: dict[str, Any]) -> None:
    from hwloop.steps.characterise.read_map import READ_MAP

    array = emulated(40, 16)
    held_conductance_s = np.full((40, 16), 5e-5)
    held_conductance_s[3, 2] = 1e-9
    program(array, held_conductance_s)
    latest = results(READ_MAP, {}, array)["figures"][0]
    seen = Array(array.backend, array.settings, array.rng, {"read_map/figures": latest})
    stuck = {
        "label": "read_map",
        "table": "figures",
        "column": "mean_conductance_s",
        "low_conductance_s": 1e-6,
    }
    row = results(MAP_NETWORK, {**files["map"], "stuck": stuck}, seen)[""][0]
    assert np.argwhere(np.isfinite(row.stuck_conductance_s)).tolist() == [[3, 2]]
    with pytest.raises(
        StepError, match="earlier steps have no read_mop/figures: mean_conductance_s"
    ):
        results(MAP_NETWORK, {**files["map"], "stuck": {**stuck, "label": "read_mop"}}, seen)


def test_a_multiply_test_of_ideal_cells_finds_no_error() -> None:
    array = emulated(8, 5)
    program(array, np.random.default_rng(1).uniform(1e-6, 1e-4, (8, 5)))
    row = results(MULTIPLY_TEST, {"vectors": 50}, array)[""][0]
    assert row.current_a.shape == (50, 5)
    assert np.all(row.bits > 45)


def test_steps_say_what_is_missing(files: dict[str, Any]) -> None:
    with pytest.raises(StepError, match="put a step map_network before it"):
        results(INFER, {"data": files["data"]}, emulated(4, 4))
    with pytest.raises(StepError, match="no earlier step trained a network"):
        results(
            MAP_NETWORK,
            {"mapping": {"min_conductance_s": 0, "max_conductance_s": 1e-4}},
            emulated(4, 4),
        )
    with pytest.raises(ConfigError, match=r"there is no file .*gone\.npz; it comes from the moon"):
        LabelledData.parse(
            {"inputs": {"file": "gone.npz", "source": "the moon"}, "classes": "gone.npz"}
        )


def test_weights_that_are_no_numbers_are_named(files: dict[str, Any], tmp_path: Path) -> None:
    broken = {**files["arrays"], "5.weight": files["arrays"]["5.weight"].copy()}
    broken["5.weight"][1, 2] = np.nan
    with pytest.raises(ConfigError, match=r"5\.weight: entry \(1, 2\) is nan"):
        build([DenseLayer(kind="dense", weight="5.weight")], broken)
    with pytest.raises(
        ConfigError, match=r"no array '5\.weigt' of real numbers; did you mean '5\.weight'"
    ):
        build([DenseLayer(kind="dense", weight="5.weigt")], broken)


def test_an_entry_that_is_no_number_is_named_by_its_own_array(files: dict[str, Any]) -> None:
    layers = MAP_NETWORK.settings.parse(files["map"]).layers
    for name, place in (("5.bias", (1,)), ("1.running_mean", (2,)), ("0.weight", (2, 0, 1, 1))):
        broken = files["arrays"] | {name: files["arrays"][name].copy()}
        broken[name][place] = np.inf
        with pytest.raises(ConfigError, match=re.escape(f"{name}: entry {place} is inf")):
            build(layers, broken)


def test_a_class_that_the_network_has_not_is_refused_before_anything_is_driven(
    files: dict[str, Any],
) -> None:
    classes = np.load(files["data"]["classes"])
    classes[7] = 4
    np.save(files["data"]["classes"], classes)
    array = emulated(27, 8, tiles=4)
    before = MAP_NETWORK.plan(MAP_NETWORK.settings.parse(files["map"]), array.settings).leaves
    settings = INFER.settings.parse({"data": files["data"]})
    with pytest.raises(
        ConfigError, match=r"^data\.classes: entry 7 is 4; the network has 4, 0 to 3"
    ):
        plan(settings, array.settings, before)


@pytest.mark.parametrize("shape", [(0, 7), (7, 0), (0, 0)])
def test_weights_without_an_entry_are_refused_with_their_shape(shape: tuple[int, int]) -> None:
    for order in ("out_in", "in_out"):
        layer = DenseLayer(kind="dense", weight="w", bias="b", order=order)
        with pytest.raises(ConfigError) as refusal:
            build([layer], {"w": np.zeros(shape), "b": np.zeros(shape[0])})
        assert str(refusal.value) == f"w has shape {shape}: it holds no weight"


@pytest.mark.parametrize("name", ["b", "n.weight", "n.bias", "n.running_mean", "n.running_var"])
def test_a_bias_or_normalisation_of_another_length_is_refused_by_name(name: str) -> None:
    parts = ("weight", "bias", "running_mean", "running_var")
    arrays = {"w": np.ones((3, 2)), "b": np.zeros(3)} | {f"n.{part}": np.ones(3) for part in parts}
    layer = DenseLayer(kind="dense", weight="w", bias="b", norm="n")
    assert build([layer], arrays).matrices[0].weights.shape == (3, 3)
    for length in (0, 1, 4):
        with pytest.raises(ConfigError, match=f"{name} has {length} entries for 3 outputs"):
            build([layer], arrays | {name: np.ones(length)})


def test_a_variance_that_is_none_is_refused_without_a_warning() -> None:
    parts = ("weight", "bias", "running_mean")
    arrays = {"w": np.ones((2, 2)), "n.running_var": np.array([1.0, -0.5])}
    arrays |= {f"n.{part}": np.ones(2) for part in parts}
    with pytest.raises(ConfigError, match=r"n\.running_var plus norm_eps has the entry -0\.4999"):
        build([DenseLayer(kind="dense", weight="w", norm="n")], arrays)


def test_a_measured_activation_refuses_what_was_not_measured() -> None:
    layers = [
        DenseLayer(kind="dense", weight="w"),
        MeasuredActivation(kind="measured", x=(-1, 1), y=(0, 4)),
    ]
    network = build(layers, {"w": np.array([[1.0]])})
    assert network.forward(np.array([[0.5]]))[0, 0] == pytest.approx(3.0)
    with pytest.raises(StepError, match="outside the measured -1 to 1"):
        network.forward(np.array([[1.5]]))


def test_files_of_every_kind_hold_the_same_arrays(tmp_path: Path) -> None:
    values = np.arange(6.0).reshape(2, 3)
    np.savez(tmp_path / "a.npz", w=values)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["w"] = values
    for name in ("a.npz", "a.h5"):
        np.testing.assert_array_equal(read_arrays(tmp_path / name)["w"], values)
    (tmp_path / "b.npz").write_text("no archive")
    with pytest.raises(ConfigError, match=r"b\.npz: cannot be read"):
        read_arrays(tmp_path / "b.npz")


@pytest.mark.torch
def test_a_pytorch_state_dict_is_read(tmp_path: Path) -> None:
    import torch

    torch.save({"w": torch.ones(2, 3)}, tmp_path / "a.pt")
    np.testing.assert_array_equal(read_arrays(tmp_path / "a.pt")["w"], np.ones((2, 3)))


def test_an_onnx_file_is_read(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="ONNX is not installed (extra onnx)")
    weight = onnx.numpy_helper.from_array(np.ones((2, 3), np.float32), "w")
    graph = onnx.helper.make_graph([], "g", [], [], [weight])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "a.onnx")
    np.testing.assert_array_equal(read_arrays(tmp_path / "a.onnx")["w"], np.ones((2, 3)))


@pytest.mark.parametrize("hidden", [None, 4])
def test_training_in_the_space_of_the_samples_gives_the_same_weights(hidden: int | None) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(10, 30)), rng.integers(0, 2, 10).astype(float)
    began = start(30, hidden, seed=1, scale=0.3)
    few = train(x, y, began, Descent(0.1, 50))
    # Every sample four times is more samples than inputs: the other way, with the same mean.
    many = train(np.tile(x, (4, 1)), np.tile(y, 4), began, Descent(0.1, 50))
    for one, other in zip(few.weights, many.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_the_measured_spread_has_the_peaks_of_its_curves_and_ends_at_110_us() -> None:
    axis_conductance_s = np.linspace(0, 110e-6, 1101)
    for curve, peak_conductance_s, at_conductance_s in (
        ("iterative", 9.502e-6, 31e-6),
        ("one_shot", 13.855e-6, 42e-6),
    ):
        found = sigma_conductance_s(axis_conductance_s, curve, factor=1.1)  # type: ignore[arg-type]
        assert found.max() == pytest.approx(peak_conductance_s, rel=1e-3)
        assert axis_conductance_s[found.argmax()] == pytest.approx(at_conductance_s, abs=1e-6)
    with pytest.raises(ConfigError, match=r"measured from 0 to 0\.00011 S; the map has 0\.0002 S"):
        sigma_conductance_s(np.array([2e-4]), "iterative")


def test_softmax_and_columns() -> None:
    network = build(
        [DenseLayer(kind="dense", weight="w"), Function(kind="softmax")], {"w": np.eye(3)}
    )
    np.testing.assert_allclose(network.forward(np.zeros((1, 3))), 1 / 3)
    assert (
        WeightColumns(min_conductance_s=0, max_conductance_s=1, arrangement="offset").cols(4) == 5
    )


def test_a_real_bench_has_one_tile() -> None:
    from hwloop.errors import Unsupported
    from hwloop_drivers.bench.open import _station

    array = emulated(8, 8, tiles=3).settings
    with pytest.raises(Unsupported, match=r"array\.tiles is 3: a bench is one array of 8 × 8"):
        _station(None, OpenRequest(array, None, np.random.default_rng(0)), "")  # type: ignore[arg-type]
