"""Estimates of an inference, against networks that are calculated by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hwloop.array.operations import VectorBatch
from hwloop.errors import ConfigError
from hwloop.settings.array_files import read_arrays
from hwloop.steps.network.cost.converters import Converter
from hwloop.steps.network.cost.counting import Periphery, drives, layer_cost
from hwloop.steps.network.cost.inference_cost import INFERENCE_COST
from hwloop.steps.network.infer import placed_network
from hwloop.steps.network.map_network import MAP_NETWORK, MapNetworkSettings
from hwloop.steps.network.network import build
from tests.characterised import results
from tests.hwloop.steps.network.test_networks import emulated, program

PROCEDURE = Path(__file__).parents[5] / "procedures" / "networks" / "mnist_cnn.yaml"
ADC = {"energy_j": "2 pJ", "conversion_s": "1 ns", "bits": 8, "source": "a made-up converter"}
DAC = {"energy_j": "3 pJ", "conversion_s": "1 ns", "bits": 8, "source": "a made-up converter"}


def mapped(folder: Path, array: Any, weight: np.ndarray, x: np.ndarray, **layer: Any) -> Any:
    np.savez(folder / "net.npz", w=weight, b=np.ones(len(weight)), x=x, y=np.zeros(len(x)))
    file = str(folder / "net.npz")
    kind = {"kind": "dense" if weight.ndim == 2 else "conv", "weight": "w", **layer}
    asked = {
        "weights": file,
        "layers": [kind],
        "mapping": {"min_conductance_s": 1e-6, "max_conductance_s": 1e-4},
    }
    program(array, results(MAP_NETWORK, asked, array)[""][0].target_conductance_s)
    return {
        "inputs": {"file": file, "key": "x"},
        "classes": {"file": file, "key": "y"},
        "flatten": weight.ndim == 2,
    }


def test_energy_and_time_of_a_layer_are_those_calculated_by_hand(tmp_path: Path) -> None:
    # Two rows and one pair of columns of a 3 × 4 array, whose other cells hold 50 µS.
    array = emulated(3, 4)
    data = mapped(tmp_path, array, np.array([[1.0, -0.5]]), np.array([[1.0, 2.0], [3.0, -4.0]]))
    settings = {
        "data": data,
        "input_margin": 0.25,
        "vector_s": "100 ns",
        "dac": DAC,
        "adc": {**ADC, "conversion_s": "75 ns"},
    }
    found = results(INFERENCE_COST, settings, array)
    row = found[""][0]
    # An input of 4 × 1.25 would be driven at 0.1 V; the two columns of others stand at 0 V as well.
    rows_conductance_s = np.array([1e-4 + 1e-6 + 2 * 5e-5, 1e-6 + 50.5e-6 + 2 * 5e-5])
    squares_v2 = (0.1 / 5) ** 2 * np.array([(1 + 9) / 2, (4 + 16) / 2])
    cells_j = float(rows_conductance_s @ squares_v2) * 100e-9
    assert float(row.cell_energy_j) == pytest.approx(cells_j, rel=1e-9)
    assert row.dac_energy_j == pytest.approx(2 * 3e-12)
    assert row.adc_energy_j == pytest.approx(2 * 2e-12)
    assert float(row.energy_j) == pytest.approx(cells_j + 10e-12, rel=1e-9)
    assert row.time_s == pytest.approx(150e-9)  # two columns by one ADC: longer than the read
    assert (row.multiplications, row.zero_multiplications, row.cells) == (2, 0, 4)
    assert "2 multiplications (0 of 2 are by 0)" in found["outcome"][0].message


def test_a_network_with_a_fixed_voltage_of_a_unit_is_estimated_at_it(tmp_path: Path) -> None:
    array = emulated(1, 2)
    data = mapped(tmp_path, array, np.array([[1.0]]), np.array([[3.0], [4.0]]))
    array.leave(replace(placed_network(array, step="test"), unit_v=0.02))
    row = results(INFERENCE_COST, {"data": data}, array)[""][0]
    power_w = (9 + 16) / 2 * 0.02**2 * (1e-4 + 1e-6)
    assert float(row.cell_energy_j) == pytest.approx(power_w * 100e-9, rel=1e-9)


def test_energy_in_the_cells_is_what_the_emulated_array_takes_from_its_rows(tmp_path: Path) -> None:
    # Each sample drives one row alone, so that its power is its voltage times all currents.
    array = emulated(3, 6)
    weight = np.array([[1.0, -0.5, 0.2], [0.3, 0.9, -1.0]])
    x = np.diag([1.0, -2.0, 4.0])
    data = mapped(tmp_path, array, weight, x)
    row = results(INFERENCE_COST, {"data": data, "input_margin": 0.0}, array)[""][0]
    voltage_v = x * 0.1 / 4
    current_a = array.backend.multiply(VectorBatch(voltage_v)).current_a
    power_w = (voltage_v.sum(axis=1) * current_a.sum(axis=1)).mean()
    assert float(row.cell_energy_j) == pytest.approx(power_w * 100e-9, rel=1e-9)


def test_a_convolution_multiplies_each_weight_at_every_position(tmp_path: Path) -> None:
    weight = np.zeros((2, 1, 2, 2))
    weight[0, 0, 0, 0], weight[1, 0, 1, 1] = 1.0, -1.0
    for loop, cells, dac in (("patches", 5 * 4, 5), ("kernel_element", 2 * 4 + 1 * 2, 3)):
        array = emulated(8, 8)
        data = mapped(tmp_path, array, weight, np.ones((3, 1, 4, 5)), loop=loop, bias="b")
        found = results(INFERENCE_COST, {"data": data}, array)
        layer = found["layers"][0]
        assert layer.vectors == 3 * 4
        assert (layer.multiplications, layer.zero_multiplications) == (12 * 2, 12 * 6)
        assert layer.cell_multiplications == 12 * (8 if loop == "patches" else 3)
        assert (found[""][0].cells, layer.dac_conversions) == (cells, 12 * dac)


def test_blocks_of_one_tile_wait_for_each_other_and_those_of_others_do_not(tmp_path: Path) -> None:
    converter = Converter.parse(ADC)
    for tiles, turns in ((1, 2), (2, 1)):
        array = emulated(4, 2, tiles=tiles) if tiles == 2 else emulated(4, 4)
        data = mapped(tmp_path, array, np.ones((2, 4)), np.ones((1, 4)))
        assert data
        placed = placed_network(array, step="test")
        if tiles == 1:  # one block, cut by hand
            (block,) = placed.placement.blocks
            cut = tuple(
                replace(block, left=2 * output, outputs=(output,)) for output in block.outputs
            )
            placed = replace(placed, placement=replace(placed.placement, blocks=cut))
        cost = layer_cost(
            placed,
            0,
            drives(placed.network, np.ones((1, 4)))[0],
            row_conductance_s=np.ones((tiles, 4)),
            per_unit_v=0.1,
            periphery=Periphery(converter, converter, 1, 1e-6),
        )
        assert cost.time_s == pytest.approx(turns * 1e-6)


def test_estimates_of_a_population_are_one_for_each_array(tmp_path: Path) -> None:
    array = emulated(2, 2, population=3)
    data = mapped(tmp_path, array, np.array([[1.0, 0.5]]), np.ones((1, 2)))
    row = results(INFERENCE_COST, {"data": data}, array)[""][0]
    assert row.energy_j.shape == row.cell_energy_j.shape == (3,)


def test_figures_of_a_converter_without_a_source_are_refused() -> None:
    for source in ({}, {"source": ""}):
        with pytest.raises(ConfigError, match="source"):
            Converter.parse({"energy_j": 1e-12, "conversion_s": 1e-9, "bits": 8, **source})


def test_the_shipped_converters_are_the_figures_of_their_sources() -> None:
    fields = INFERENCE_COST.settings.model_fields
    # ISAAC, Table I: 16 mW for eight ADCs at 1.2 GS/s; Chen et al.: 0.32 mW at 1.1 GS/s.
    assert fields["adc"].default.energy_j == pytest.approx(1.667e-12, rel=1e-3)
    assert fields["dac"].default.energy_j == pytest.approx(0.291e-12, rel=1e-3)


@pytest.mark.parametrize(("fraction", "saved"), [(0.0, 0.0), (0.3, 0.244), (0.5, 0.430)])
def test_pruning_saves_the_reference_network_the_multiplications_calculated_independently(
    shared_data: Path, fraction: float, saved: float
) -> None:
    # Independent calculation: 1,128,960 in the convolutions, magnitudes over all layers.
    arrays = read_arrays(shared_data / "reference_networks" / "mnist_cnn.npz")
    names = [f"{index}.weight" for index in (0, 3, 7, 10, 15)]
    every = np.concatenate([np.abs(arrays[name]).ravel() for name in names])
    for name in names:
        small = np.abs(arrays[name]) < np.quantile(every, fraction)
        arrays[name] = np.where(small, 0.0, arrays[name])
    steps = yaml.safe_load(PROCEDURE.read_text(encoding="utf-8"))["steps"]
    settings = MapNetworkSettings.parse({"layers": steps[0]["settings"]["layers"]})
    network = build(settings.layers, arrays)
    found = drives(network, np.ones((1, 1, 28, 28)))[:4]
    needed = sum(
        drive.vectors * int(np.count_nonzero(matrix.weights[:-1]))
        for drive, matrix in zip(found, network.matrices, strict=False)
    )
    assert 1 - needed / 1_128_960 == pytest.approx(saved, abs=5e-4)
