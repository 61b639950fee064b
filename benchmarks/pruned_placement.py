"""Count what pruning saves the reference network for MNIST: multiplications, cells, tiles, time.

``python -m benchmarks.pruned_placement DATA``, the folder of ``mnist`` and ``reference_networks``.
Pruned without retraining, placed in pairs on tiles of 64 × 64, in both loops of a convolution; the
accuracy is that of the first 2,000 test images in NumPy. Time and energy are those of the step
``inference_cost``, of the converters alone. Nothing depends on the machine.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml

from hwloop.settings.array_files import read_arrays
from hwloop.steps.network.array_product import PlacedNetwork
from hwloop.steps.network.cost.converters import BRAHMS_DAC, ISAAC_ADC, ISAAC_READ_S
from hwloop.steps.network.cost.counting import Periphery, drives, layer_cost
from hwloop.steps.network.map_network import MapNetworkSettings
from hwloop.steps.network.mapping.mapping import WeightColumns, map_weights
from hwloop.steps.network.mapping.occupation import placement_row
from hwloop.steps.network.mapping.placement import place
from hwloop.steps.network.network import ConvLayer, DenseLayer, LayerSettings, build, predicted
from hwloop.steps.network.parts import Zeros, parts_of
from hwloop.steps.network.training.hardware_aware.pruning import kept_after
from hwloop.steps.network.training.hardware_aware.settings import Pruning
from hwloop.types import FloatArray

Arrays = dict[str, FloatArray]
Layers = tuple[LayerSettings, ...]
TILE = 64
PRUNINGS = (
    ("magnitude", 0.3),
    ("magnitude", 0.5),
    ("magnitude", 0.75),
    ("kernels", 0.3),
    ("channels", 0.1),
    ("channels", 0.3),
)
PLACEMENTS: tuple[tuple[str, Zeros], ...] = (
    ("patches", "placed"),
    ("patches", "left_out"),
    ("patches", "split"),
    ("kernel_element", "placed"),
    ("kernel_element", "split"),
)


def layers_of(loop: str) -> Layers:
    """Return the layers of the shipped procedure, its convolutions with this loop."""
    file = Path(__file__).parents[1] / "procedures" / "networks" / "mnist_cnn.yaml"
    steps = yaml.safe_load(file.read_text(encoding="utf-8"))["steps"]
    layers = [
        {**layer, "loop": loop} if layer["kind"] == "conv" else layer
        for layer in steps[0]["settings"]["layers"]
    ]
    return MapNetworkSettings.parse({"layers": layers}).layers


def pruned(arrays: Arrays) -> Iterator[tuple[str, Arrays]]:
    """Yield the network as it is, then with each pruning."""
    yield "none", arrays
    weighted = [one for one in layers_of("patches") if isinstance(one, ConvLayer | DenseLayer)]
    for kind, fraction in PRUNINGS:
        pruning = Pruning.parse({"kind": kind, "fraction": fraction})
        kept = kept_after(pruning, fraction, weighted, arrays)
        zeroed = {
            name: np.where(kept[name].reshape(values.shape), values, 0) if name in kept else values
            for name, values in arrays.items()
        }
        yield f"{kind} {fraction:.0%}", zeroed


def placed(arrays: Arrays, loop: str, zeros: Zeros, x: FloatArray) -> str:
    """Return a line of the table for one placement of a network."""
    network = build(layers_of(loop), arrays)
    placement = place(
        network.sizes,
        "differential",
        tiles=sys.maxsize,
        shape=(TILE, TILE),
        parts=[parts_of(one, zeros=zeros) for one in network.matrices],
    )
    row = placement_row(placement, network.sizes)
    columns = WeightColumns(min_conductance_s=1e-5, max_conductance_s=1.1e-4)
    maps = tuple(map_weights(one.weights, columns) for one in network.matrices)
    periphery = Periphery(BRAHMS_DAC, ISAAC_ADC, 1, ISAAC_READ_S)
    costs = [
        layer_cost(
            PlacedNetwork(network, maps, placement),
            layer,
            drive,
            row_conductance_s=np.zeros((row.tiles, TILE)),
            per_unit_v=0.1 / drive.largest,
            periphery=periphery,
        )
        for layer, drive in enumerate(drives(network, x))
    ]
    convolutions = costs[:-1]
    needed = sum(one.multiplications for one in convolutions)
    every = needed + sum(one.zero_multiplications for one in convolutions)
    on_cells = sum(one.cell_multiplications for one in convolutions)
    energy_j = sum(one.dac_energy_j + one.adc_energy_j for one in costs)
    return (
        f"  {loop:14s} {zeros:8s} {needed:9d} of {every} multiplications ({needed / every - 1:+.1%}"
        f"; on cells {on_cells / every - 1:+.1%}), {row.cells:5d} cells"
        f" ({-row.cells_saved / (row.cells + row.cells_saved):+.1%}), {row.tiles} tiles,"
        f" {1e6 * sum(one.time_s for one in costs):6.0f} µs, converters {1e9 * energy_j:4.0f} nJ"
    )


def main(data: Path) -> None:
    """Print the table."""
    images = read_arrays(data / "mnist" / "t10k-images-idx3-ubyte.gz")
    classes = read_arrays(data / "mnist" / "t10k-labels-idx1-ubyte.gz")
    x, y = (next(iter(one.values()))[:2000] for one in (images, classes))
    x = x[:, None] / 255
    for name, arrays in pruned(read_arrays(data / "reference_networks" / "mnist_cnn.npz")):
        network = build(layers_of("kernel_element"), arrays)
        parts = np.split(x, 40)
        answers = np.concatenate([predicted(network.forward(part)) for part in parts])
        print(f"{name}: accuracy {np.mean(answers == y):.4f}")
        for loop, zeros in PLACEMENTS:
            print(placed(arrays, loop, zeros, x[:2]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
