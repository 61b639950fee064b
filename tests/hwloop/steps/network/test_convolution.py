"""Convolution kernel element first, against patches, SciPy and an emulated array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

from hwloop.array.blocks import BlockBatch, CellBlock
from hwloop.errors import StepError
from hwloop.steps.network import convolution
from hwloop.steps.network.array_product import multiply
from hwloop.steps.network.infer import placed_network
from hwloop.steps.network.map_network import MAP_NETWORK
from hwloop.steps.network.network import ConvLayer, Matrix, MaxPool, build
from tests.characterised import results
from tests.hwloop.steps.network.test_networks import emulated, program


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[dict[str, np.ndarray], np.ndarray, dict[str, Any]]:
    """Weights (some of them pruned), images, and padding, stride and bias of a layer."""
    size = st.integers(1, 4)
    outputs, channels, height, width = (draw(size) for _ in range(4))
    padding, stride = draw(st.integers(0, 3)), draw(st.integers(1, 3))
    up = draw(st.integers(max(1, height - 2 * padding), 7))
    across = draw(st.integers(max(1, width - 2 * padding), 7))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    weight = rng.normal(size=(outputs, channels, height, width))
    weight *= rng.random(weight.shape) >= draw(st.sampled_from([0.0, 0.5, 0.95, 1.0]))
    arrays = {"w": weight, "b": rng.normal(size=outputs)}
    names = {"bias": "b"} if draw(st.booleans()) else {}
    x = rng.normal(size=(2, channels, up, across))
    return arrays, x, {"padding": padding, "stride": stride, **names}


def layer(loop: str, names: dict[str, Any]) -> ConvLayer:
    return ConvLayer.parse({"kind": "conv", "weight": "w", "loop": loop, **names})


@given(convolutions())
def test_kernel_element_first_equals_patches_and_scipy(
    case: tuple[dict[str, np.ndarray], np.ndarray, dict[str, Any]],
) -> None:
    arrays, x, names = case
    by_patches, by_elements = (
        build([layer(loop, names)], arrays).forward(x) for loop in ("patches", "kernel_element")
    )
    np.testing.assert_allclose(by_elements, by_patches, rtol=1e-12, atol=1e-12)
    edge = [(0, 0), (0, 0), *[(names["padding"],) * 2] * 2]
    every = np.array(
        [
            [correlate(image, kernels, mode="valid")[0] for kernels in arrays["w"]]
            for image in np.pad(x, edge)
        ]
    )
    expected = every[..., :: names["stride"], :: names["stride"]]
    if "bias" in names:
        expected = expected + arrays["b"][:, None, None]
    np.testing.assert_allclose(by_elements, expected, rtol=1e-12, atol=1e-12)


def test_images_in_pieces_have_the_sums_of_each_image_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(3)
    arrays = {"w": rng.normal(size=(4, 2, 3, 3))}
    network = build([layer("patches", {"padding": 1})], arrays)
    x = rng.normal(size=(5, 2, 6, 7))
    monkeypatch.setattr(convolution, "_PATCH_NUMBERS", 2 * 18 * 42)  # two images at a time
    alone = np.concatenate([network.forward(x[i : i + 1]) for i in range(5)])
    assert network.forward(x).tobytes() == alone.tobytes()
    # A population in front: each of its members by itself.
    assert network.forward(np.stack([x, -x]))[1].tobytes() == network.forward(-x).tobytes()


@given(
    convolutions(),
    st.sampled_from(["differential", "symmetric", "offset"]),
    st.sampled_from(["placed", "split"]),
)
@settings(max_examples=5)
def test_each_kernel_element_meets_the_shifted_image_in_blocks_of_its_own(
    tmp_path_factory: pytest.TempPathFactory,
    case: tuple[dict[str, np.ndarray], np.ndarray, dict[str, Any]],
    arrangement: str,
    zeros: str,
) -> None:
    arrays, x, names = case
    arrays["w"][0, 0, 0, 0] = 1.5  # something is to be placed
    file = tmp_path_factory.mktemp("net") / "net.npz"
    np.savez(file, **arrays)
    array = emulated(6, 12, tiles=16)
    asked = {
        "weights": str(file),
        "layers": [layer("kernel_element", names).model_dump()],
        "mapping": {
            "arrangement": arrangement,
            "min_conductance_s": 1e-6,
            "max_conductance_s": 1e-4,
        },
        "zeros": zeros,
    }
    program(array, results(MAP_NETWORK, asked, array)[""][0].target_conductance_s)
    placed = placed_network(array, step="test")
    found = placed.network.forward(x, lambda index, inputs: multiply(array, placed, index, inputs))
    expected = build([layer("patches", names)], arrays).forward(x)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)
    _, channels, height, width = arrays["w"].shape
    for block in placed.placement.blocks:
        kernel_rows = [row for row in block.rows if row < channels * height * width]
        elements = {row % (height * width) for row in kernel_rows}
        assert len(elements) <= 1
        flat = placed.network.matrices[0].weights
        placed_weights = flat[np.ix_(block.rows, block.outputs)]
        assert placed_weights.all() if zeros == "split" else placed_weights.any()


def test_rows_of_pruned_weights_are_not_driven(tmp_path: Path) -> None:
    weight = np.zeros((2, 3, 1, 2))
    weight[0, 1, 0, 0] = 1.0  # one weight of six rows and two outputs is left
    np.savez(tmp_path / "net.npz", w=weight)
    array = emulated(6, 4)
    asked = {
        "weights": str(tmp_path / "net.npz"),
        "layers": [layer("kernel_element", {}).model_dump()],
        "mapping": {"min_conductance_s": 1e-6, "max_conductance_s": 1e-4},
    }
    found = results(MAP_NETWORK, asked, array)
    target_conductance_s = found[""][0].target_conductance_s
    assert np.isfinite(target_conductance_s).sum() == 2  # one pair of cells
    assert found["layers"][0].left_out == 11
    assert (found["placement"][0].cells_saved, found["placement"][0].cells) == (22, 2)
    assert "11 of them are 0 and have no cells" in found["outcome"][0].message
    program(array, target_conductance_s)
    placed = placed_network(array, step="test")
    driven: list[CellBlock] = []
    measured = array.backend.multiply_blocks

    def watched(batch: BlockBatch) -> Any:
        driven.extend(batch.blocks)
        return measured(batch)

    array.backend.multiply_blocks = watched  # type: ignore[method-assign]
    x = np.ones((1, 3, 1, 2))
    sums = placed.network.forward(x, lambda index, inputs: multiply(array, placed, index, inputs))
    np.testing.assert_allclose(sums, [[[[1.0]], [[0.0]]]], atol=1e-9)
    assert [len(block.rows) for block in driven] == [1]


def test_patches_keep_cells_for_zeros_unless_told_to_leave_them_out(tmp_path: Path) -> None:
    weight = np.zeros((2, 2, 1, 2))
    weight[1, :, 0, 1] = 1.0  # rows 1 and 3 of four
    weight[0, 0, 0, 0] = 1.0  # row 0, another output: three weights
    np.savez(tmp_path / "net.npz", w=weight)
    asked = {
        "weights": str(tmp_path / "net.npz"),
        "layers": [layer("patches", {}).model_dump()],
        "mapping": {"min_conductance_s": 1e-6, "max_conductance_s": 1e-4},
    }
    cells = [
        results(MAP_NETWORK, {**asked, "zeros": zeros}, emulated(6, 4))["placement"][0].cells
        for zeros in ("placed", "left_out", "split")
    ]
    assert cells == [4 * 2 * 2, 3 * 2 * 2, 2 * 3]


@pytest.mark.parametrize("loop", ["patches", "kernel_element"])
def test_an_image_that_does_not_fit_is_refused_with_its_shape(loop: str) -> None:
    network = build([layer(loop, {})], {"w": np.ones((1, 2, 3, 3))})
    with pytest.raises(StepError, match=r"layer w: takes \(samples, 2, height, width\), gets \(1,"):
        network.forward(np.zeros((1, 3, 5, 5)))
    with pytest.raises(StepError, match=r"an image of 2 × 5 with padding 0 is smaller than the ke"):
        network.forward(np.zeros((1, 2, 2, 5)))


def test_a_normalisation_is_folded_in_either_loop() -> None:
    rng = np.random.default_rng(3)
    arrays = {"w": rng.normal(size=(3, 2, 3, 3)), "b": rng.normal(size=3)}
    arrays |= {f"n.{part}": rng.normal(size=3) for part in ("weight", "bias", "running_mean")}
    arrays["n.running_var"] = rng.uniform(0.5, 2, 3)
    x = rng.normal(size=(2, 2, 6, 6))
    found = [
        build([layer(loop, {"bias": "b", "norm": "n", "padding": 1})], arrays).forward(x)
        for loop in ("patches", "kernel_element")
    ]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12, atol=1e-12)


def test_a_layer_of_an_element_alone_is_a_product_with_the_image() -> None:
    weights = np.array([[2.0], [3.0]])
    matrix = Matrix("w", weights, False, (2, 1, 1), loop="kernel_element")
    np.testing.assert_array_equal(matrix.exact(np.ones((1, 2, 1, 1))), [[[[5.0]]]])


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_pool_has_the_largest_of_each_square_and_leaves_incomplete_ones_out(size: int) -> None:
    x = np.random.default_rng(4).normal(size=(2, 3, 7, 8))
    settings_ = [layer("patches", {}), MaxPool.parse({"kind": "max_pool", "size": size})]
    found = build(settings_, {"w": np.eye(3).reshape(3, 3, 1, 1)}).forward(x)
    expected = [
        [
            x[..., top : top + size, left : left + size].max(axis=(-2, -1))
            for left in range(0, 8 - size + 1, size)
        ]
        for top in range(0, 7 - size + 1, size)
    ]
    np.testing.assert_array_equal(found, np.moveaxis(np.array(expected), (0, 1), (-2, -1)))
