"""Sums on tiles in a training are those that an emulated array of the same tiles answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwloop.array.settings import ArraySettings
from hwloop.backend.kind import OpenRequest
from hwloop.errors import ConfigError
from hwloop.steps.array import Array
from hwloop.steps.network.array_product import PlacedNetwork
from hwloop.steps.network.inference.stream import RangeRules, Stream
from hwloop.steps.network.mapping.mapping import map_weights
from hwloop.steps.network.mapping.placement import place
from hwloop.steps.network.network import ConvLayer, DenseLayer, build
from hwloop.steps.network.training.hardware_aware.tiles.product import TileProduct, whole_blocks
from hwloop.steps.network.training.hardware_aware.tiles.settings import TilesInTraining
from hwloop_sim.emulator.backend import SimSettings, open_sim
from tests.characterised import LIMITS
from tests.hwloop.steps.network.test_networks import program

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make test-torch")
pytestmark = pytest.mark.torch

MAPPING = {"min_conductance_s": 1e-5, "max_conductance_s": 1e-4}
DEVICE = {"model": "soft_bounds", "min_conductance_s": 1e-12, "max_conductance_s": 1e-3}
WIRES = {"row_ohm": 20.0, "col_ohm": 30.0, "driver_ohm": 50.0, "sense_ohm": 10.0}


def _settings(rows: int, cols: int, tiles: int) -> ArraySettings:
    given = {"rows": rows, "cols": cols, "tiles": tiles, "limits": LIMITS, "read": {"read_v": 0.1}}
    return ArraySettings.parse(given)


def _answers(
    layer: DenseLayer | ConvLayer,
    arrays: dict[str, np.ndarray],
    x: np.ndarray,
    array: ArraySettings,
    mapping: dict[str, Any],
    **sim: Any,
) -> np.ndarray:
    """Sums of one layer by the emulated array, all samples the calibration."""
    network = build([layer], arrays)
    columns = TilesInTraining.parse({"mapping": mapping, "adc": {"bits": 8}}).mapping.within(None)
    (mapped,) = (map_weights(one.weights, columns) for one in network.matrices)
    placement = place(
        network.sizes, columns.arrangement, tiles=array.tiles, shape=array.geometry.shape
    )
    placed = PlacedNetwork(network, (mapped,), placement)
    request = OpenRequest(array, None, np.random.default_rng(1))
    backend = open_sim(SimSettings.parse({"device": DEVICE, **sim}), request)
    run = Array(backend, array, np.random.default_rng(2))
    targets = placed.target_conductance_s
    program(
        run, np.where(np.isnan(targets), 1e-12, targets)[0 if array.tiles == 1 else slice(None)]
    )
    stream = Stream(
        run, network, placed.on_tiles, rules=RangeRules(0.0, 1.0), total=len(x), keep="all"
    )
    return stream.calibrate(x, lambda *_: None)


def _trained(
    layer: DenseLayer | ConvLayer,
    arrays: dict[str, np.ndarray],
    x: np.ndarray,
    array: ArraySettings,
    **tiles: Any,
) -> np.ndarray:
    """The same sums by the product of a training."""
    settings = TilesInTraining.parse(tiles)
    product = TileProduct(settings, array, whole_blocks(settings, array, build([layer], arrays)))
    weight = torch.from_numpy(arrays["w"].astype(np.float32))
    bias = torch.from_numpy(arrays["b"].astype(np.float32)) if layer.bias else None
    found: np.ndarray = product(layer, torch.from_numpy(x.astype(np.float32)), weight, bias).numpy()
    return found


@pytest.mark.parametrize("arrangement", ["differential", "symmetric", "offset"])
@pytest.mark.parametrize("scale", ["layer", "column"])
def test_converted_sums_are_those_of_the_emulated_converters(arrangement: str, scale: str) -> None:
    """13 rows of a dense layer on tiles of 6 rows, 5 outputs on 8 columns, 4 bits."""
    rng = np.random.default_rng(4)
    arrays = {"w": rng.normal(size=(5, 12)), "b": rng.normal(size=5)}
    layer = DenseLayer(kind="dense", weight="w", bias="b")
    x = rng.normal(size=(40, 12))
    array = _settings(6, 8, 6)
    mapping = {**MAPPING, "arrangement": arrangement, "scale": scale}
    adc = {"bits": 4, "range": {"kind": "percentile", "percent": 99, "margin": 0.1}}
    exact = x @ arrays["w"].T + arrays["b"]
    wanted = _answers(layer, arrays, x, array, mapping, converters={"adc": adc})
    found = _trained(layer, arrays, x, array, mapping=mapping, adc=adc)
    # A sum within rounding of the middle between two levels may fall to the other in float32.
    close = np.isclose(found, wanted, rtol=1e-4, atol=1e-4)
    assert close.mean() > 0.99
    assert np.abs(wanted - exact).max() > 0.05  # the converters are seen


def test_sums_through_wires_are_those_of_the_emulated_circuit() -> None:
    rng = np.random.default_rng(4)
    arrays = {"w": rng.normal(size=(3, 7)), "b": rng.normal(size=3)}
    layer = DenseLayer(kind="dense", weight="w", bias="b")
    x, array = rng.normal(size=(20, 7)), _settings(8, 6, 1)
    wanted = _answers(layer, arrays, x, array, MAPPING, wires=WIRES)
    found = _trained(layer, arrays, x, array, mapping=MAPPING, wires=WIRES)
    exact = x @ arrays["w"].T + arrays["b"]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    assert np.abs(wanted - exact).max() > 0.03  # the wires are seen


def test_a_convolution_with_both_is_the_emulated_one() -> None:
    rng = np.random.default_rng(4)
    arrays = {"w": rng.normal(size=(3, 2, 3, 2)), "b": rng.normal(size=3)}
    layer = ConvLayer(kind="conv", weight="w", bias="b", padding=1, stride=2)
    x, array = rng.random(size=(6, 2, 5, 7)), _settings(13, 6, 1)
    adc = {"bits": 8, "range": {"kind": "calibrated"}}
    sim = {"wires": WIRES, "converters": {"adc": adc}}
    wanted = _answers(layer, arrays, x, array, MAPPING, **sim)
    found = _trained(layer, arrays, x, array, mapping=MAPPING, wires=WIRES, adc=adc)
    assert found.shape == wanted.shape == (6, 3, 3, 4)
    assert np.isclose(found, wanted, rtol=1e-4, atol=1e-4).mean() > 0.99


def test_the_gradient_is_that_of_the_sums_without_rounding_and_with_the_drop() -> None:
    """One cell of 1e-4 S in series with 1 kΩ shows 1/1.1 of itself, by hand: so does its gradient."""
    settings = TilesInTraining.parse(
        {
            "mapping": {"min_conductance_s": 0, "max_conductance_s": 1e-4},
            "adc": {"bits": 2},
            "wires": {"driver_ohm": 1000, "batches": 1},
        }
    )
    array = _settings(1, 2, 1)
    layer = DenseLayer(kind="dense", weight="w")
    network = build([layer], {"w": np.array([[2.0]])})
    product = TileProduct(settings, array, whole_blocks(settings, array, network))
    weight = torch.tensor([[2.0]], requires_grad=True)
    sums = product(layer, torch.tensor([[1.0], [0.4]]), weight, None)
    # Levels of 2 bits from 0 to the largest sum: thirds of it; 0.4 of it is nearest to one third.
    np.testing.assert_allclose(sums.detach().numpy(), np.array([[2 / 1.1], [2 / 3.3]]), rtol=1e-5)
    sums.sum().backward()
    assert float(weight.grad) == pytest.approx(1.4 / 1.1, rel=1e-5)


def test_the_drop_is_kept_for_so_many_batches_and_then_computed_anew() -> None:
    array = _settings(4, 8, 1)
    layer = DenseLayer(kind="dense", weight="w")
    small, large = np.full((2, 4), 0.1), np.full((2, 4), 0.1)
    small[0, 0] = large[:] = 1.0
    settings = TilesInTraining.parse({"mapping": MAPPING, "wires": {**WIRES, "batches": 3}})
    blocks = whole_blocks(settings, array, build([layer], {"w": small}))
    product = TileProduct(settings, array, blocks)
    x = torch.ones((1, 4))

    def sums(weight: np.ndarray) -> float:
        found = product(layer, x, torch.from_numpy(weight.astype(np.float32)), None)
        return float(found[0, 1])

    first = sums(small)
    kept = [sums(large), sums(large)]
    anew = sums(large)
    assert kept[0] == kept[1] != anew
    assert kept[0] > anew  # cells of more current drop more than was computed
    product.begin()
    assert sums(small) == first


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mapping": MAPPING}, "give adc or wires"),
        ({"adc": {"bits": 1}}, "adc.bits"),
        ({"adc": {"bits": 8, "range": {"kind": "fixed"}}}, "adc.range.kind"),
        ({"wires": {}}, "every resistance is 0: leave wires out"),
        ({"wires": {"row_ohm": -1}}, "wires.row_ohm"),
        ({"wires": {"row_ends": "both"}}, "wires.row_ends"),
        ({"wires": {"row_ohm": 1, "batches": 0}}, "wires.batches"),
        ({"adc": {"bits": 8}, "mapping": {"arrangement": "direct"}}, "direct is for weights"),
    ],
)
def test_tiles_that_cannot_be_are_refused_in_one_line(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        TilesInTraining.parse(given)
    assert "\n" not in str(caught.value)
