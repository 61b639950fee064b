"""Time layers on tiles of 64×64 beside bare NumPy and peers: ``python -m benchmarks.inference``.

A dense layer of 10,000 vectors, a convolution of 100 images, and, with the folder of ``mnist`` and
``reference_networks`` as an argument, images of MNIST through a whole network.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inference_peers import peers
from benchmarks.timing import empty_folder, least_and_median_s, medians_in_turns
from hwloop.array.blocks import MovingWindow
from hwloop.backend.guard import Guard
from hwloop.backend.kind import OpenRequest
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import Procedure, from_data, load_procedure
from hwloop.record.header import RunHeader
from hwloop.record.writer import RecordSink, RecordWriter
from hwloop.steps.array import Array
from hwloop.steps.network.infer import placed_network
from hwloop.steps.network.inference.layer_product import measured
from hwloop.steps.rows import Row
from hwloop.types import FloatArray
from hwloop_sim.emulator.backend import open_sim

TILE = 64
"""Rows and columns of a tile: 64 inputs and 32 outputs in pairs of columns."""

FRACTION = 0.01
"""Of its current, the noise of a cell."""

NOISE: dict[str, Any] = {"effects": [{"effect": "white_noise", "fraction": FRACTION}]}
WIRES: dict[str, Any] = {"wires": {"row_ohm": 1.0, "col_ohm": 1.0}}
CODES: dict[str, Any] = {
    "converters": {"adc": {"bits": 8, "range": {"kind": "calibrated", "margin": 0.3}}}
}
IMAGES = 1000
"""Of MNIST: a tenth of the test images."""


@dataclass(frozen=True, eq=False)
class Layer:
    """Layer with weights as its ``settings`` name them, and its samples."""

    name: str
    settings: list[dict[str, Any]]
    weights: FloatArray
    samples: FloatArray
    windows: MovingWindow | None = None

    @property
    def matrix(self) -> FloatArray:
        """Return the weights (rows, outputs)."""
        return self.weights.reshape(len(self.weights), -1).T

    @property
    def tiles(self) -> int:
        """Return how many tiles it takes at most."""
        rows, outputs = self.matrix.shape
        return int(np.ceil(rows / TILE) * np.ceil(2 * outputs / TILE))

    def vectors(self, part: slice = slice(None)) -> FloatArray:
        """Return what multiplies the matrix, (batch, rows)."""
        own = self.samples[part]
        return own if self.windows is None else self.windows.vectors(own)


def layers() -> list[Layer]:
    """Return a dense layer and a convolution, of random weights and samples."""
    rng = np.random.default_rng(5)
    return [
        Layer(
            "10,000 vectors × 256×64 weights",
            [{"kind": "dense", "weight": "w"}],
            rng.normal(size=(64, 256)),
            rng.random((10_000, 256)),
        ),
        Layer(
            "100 images of 10×28×28, ten 3×3 kernels",
            [
                {"kind": "conv", "weight": "w", "padding": 1},
                {"kind": "max_pool", "size": 28},
                {"kind": "flatten"},
            ],
            rng.normal(size=(10, 10, 3, 3)),
            rng.random((100, 10, 28, 28)),
            MovingWindow(3, 3, padding=1),
        ),
    ]


def procedure(folder: Path, layer: Layer, emulator: dict[str, Any]) -> Procedure:
    """Map the layer whose arrays are in ``folder``, and infer; ``emulator``: what is not ideal."""
    data = {
        "name": "infer",
        "seed": 4,
        "array": {
            "rows": TILE,
            "cols": TILE,
            "tiles": layer.tiles,
            "limits": {
                "positive_v": 2.0,
                "negative_v": -2.0,
                "read_v": 0.2,
                "half_select_v": 1.0,
                "current_a": 0.1,
                "pulse_width_s": 1e-3,
                "pulse_energy_j": 1.0,
                "pulses_per_device": 100,
            },
            "read": {"read_v": 0.1},
        },
        "backends": {
            "sim": {
                "device": {
                    "model": "soft_bounds",
                    "min_conductance_s": 1e-6,
                    "max_conductance_s": 1e-4,
                },
                **emulator,
            }
        },
        "steps": [
            {
                "step": "map_network",
                "settings": {
                    "weights": "net.npz",
                    "layers": layer.settings,
                    "mapping": {"min_conductance_s": 2e-6, "max_conductance_s": 9e-5},
                },
            },
            {"step": "hold_conductances"},
            {
                "step": "infer",
                "settings": {
                    "data": {
                        "inputs": {"file": "net.npz", "key": "x"},
                        "classes": {"file": "net.npz", "key": "y"},
                        "flatten": False,
                    },
                    "record": "all",
                },
            },
        ],
    }
    return from_data(data, folder=folder)


def print_inference(repeats: int, data: Path | None = None) -> None:
    """Print the smallest and the median of ``repeats`` timings, and ratios of the smallest."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for layer in layers():
            _print_layer(layer, folder, repeats)
        if data is not None:
            _print_mnist(data, repeats)


def _print_layer(layer: Layer, folder: Path, repeats: int) -> None:
    np.savez(folder / "net.npz", w=layer.weights, x=layer.samples, y=np.zeros(len(layer.samples)))
    print(f"{layer.name}, tiles of {TILE}×{TILE}")
    for words, emulator, fraction in (("ideal", {}, 0.0), ("noise", NOISE, FRACTION)):
        _print_prices(words, procedure(folder, layer, emulator), layer, fraction, repeats)
    _timed("wires, guard", _guarded(procedure(folder, layer, WIRES), layer), repeats)
    own_s = _timed(
        "8-bit converters, guard", _guarded(procedure(folder, layer, CODES), layer), repeats
    )
    for name, work in peers(layer.matrix, layer.vectors(), rows=TILE, outputs=TILE // 2):
        _print_ratio(f"{name} / hwloop", _timed(f"{name}, 8-bit", work, repeats) / own_s)


def _print_prices(
    words: str, loaded: Procedure, layer: Layer, fraction: float, repeats: int
) -> None:
    """Print bare, guarded and recorded times, in turns, and ratios of the medians.

    The record's share is the difference of two whole runs, of which one keeps nothing.
    """
    with tempfile.TemporaryDirectory() as records:
        runs = [_run(loaded, Path(records), sink) for sink in (RecordWriter, _Nothing)]
        works = [lambda: _bare(layer, fraction), _guarded(loaded, layer), *runs]
        bare, guarded, kept, unkept = medians_in_turns(
            works, repeats, clear=lambda: empty_folder(Path(records))
        )
    for what, taken in (
        ("bare NumPy", bare),
        ("guard", guarded),
        ("a run with every voltage and current in its record", kept),
        ("the same run without a record", unkept),
    ):
        print(f"  {f'{words}, {what}':62s} {taken}")
    _print_ratio(f"{words}, guard / bare NumPy", guarded.wall_s / bare.wall_s)
    recorded_s = guarded.wall_s + max(0.0, kept.wall_s - unkept.wall_s)
    _print_ratio(f"{words}, guard and record / bare NumPy", recorded_s / bare.wall_s)


def _print_mnist(data: Path, repeats: int) -> None:
    """Time the network of the procedure that ships, its cells held at their targets."""
    images, classes = (
        data / "mnist" / f"t10k-{name}-ubyte.gz" for name in ("images-idx3", "labels-idx1")
    )
    loaded = load_procedure(
        Path(__file__).parents[1] / "procedures" / "networks" / "mnist_cnn.yaml",
        [
            "steps.program_verify.settings={}",
            "steps.program_verify.step=hold_conductances",
            f"steps.map_network.settings.weights={data / 'reference_networks' / 'mnist_cnn.npz'}",
            f"steps.infer.settings.data.inputs={images}",
            f"steps.infer.settings.data.classes={classes}",
            f"steps.infer.settings.data.first={IMAGES}",
        ],
    )
    print(f"{IMAGES} images of MNIST, five layers, tiles of {TILE}×{TILE}, 8-bit converters, noise")
    array, infer = _opened(loaded), loaded.steps[2]
    step_s = _timed("infer, guard", lambda: list(infer.step(infer.settings, array)), repeats)
    print(f"  {'images a second':62s} {IMAGES / step_s:9.0f}")
    with tempfile.TemporaryDirectory() as records:
        _timed("a run with record", _run(loaded, Path(records), RecordWriter), repeats)


def _bare(layer: Layer, fraction: float = 0.0) -> FloatArray:
    """Pairs of columns, tile by tile, and the sum of their parts: what the array does.

    ``fraction``: of its current, the noise of every cell; that of a column has the sum of their
    variances.
    """
    signed = layer.matrix / np.abs(layer.matrix).max()
    pairs = np.stack([np.maximum(signed, 0), np.maximum(-signed, 0)], axis=-1)
    pairs = pairs.reshape(len(signed), -1)
    rng = np.random.default_rng(6)
    step = len(layer.samples) if layer.windows is None else 10
    found = []
    for begin in range(0, len(layer.samples), step):
        x = layer.vectors(slice(begin, begin + step))
        sums = np.zeros((len(x), pairs.shape[1]))
        for top in range(0, len(pairs), TILE):
            for left in range(0, pairs.shape[1], TILE):
                part, own = pairs[top : top + TILE, left : left + TILE], x[:, top : top + TILE]
                current = own @ part
                if fraction:
                    spread = fraction * np.sqrt(np.square(own) @ np.square(part))
                    current += spread * rng.standard_normal(current.shape)
                sums[:, left : left + TILE] += current
        found.append(sums[:, 0::2] - sums[:, 1::2])
    return np.concatenate(found)


def _opened(loaded: Procedure) -> Array:
    """Return an open, guarded array whose cells hold the network."""
    request = OpenRequest(loaded.array, None, np.random.default_rng(3))
    backend = open_sim(loaded.backends["sim"], request)  # type: ignore[arg-type]
    array = Array(Guard(backend, loaded.array), loaded.array, np.random.default_rng(4))
    for prepared in loaded.steps[:2]:
        for row in prepared.step(prepared.settings, array):
            if isinstance(row, Row):
                array.remember(prepared.label, row)
    return array


def _multiplied(array: Array, layer: Layer) -> FloatArray:
    own = placed_network(array, step="multiply").on_tiles[0]
    per_unit_v = 0.1 / float(layer.samples.max())
    batch = own.batch(layer.samples, per_unit_v=per_unit_v)
    currents_a = measured(array, own, batch)
    return own.shaped(own.sums(currents_a, per_unit_v=per_unit_v), batch)


def _guarded(loaded: Procedure, layer: Layer) -> Callable[[], object]:
    """Return the layer's multiplication on an open, guarded array."""
    array = _opened(loaded)
    return lambda: _multiplied(array, layer)


class _Nothing(RecordSink):
    """Sink of a run that keeps nothing of it."""

    def __init__(self, path: Path, header: RunHeader) -> None:
        super().__init__(path)
        del header


def _run(
    loaded: Procedure, folder: Path, sink: Callable[[Path, RunHeader], RecordSink]
) -> Callable[[], None]:
    """Return the whole run: map, set the cells, infer, and take down what the sink keeps."""
    numbers = count()

    def run() -> None:
        run_procedure(loaded, RunOptions("sim", folder / f"{next(numbers)}.h5"), sink=sink)

    return run


def _timed(name: str, work: Callable[[], object], repeats: int) -> float:
    least_s, middle_s = least_and_median_s(work, repeats)
    print(f"  {name:62s} {least_s:9.3f} s least, {middle_s:.3f} s median")
    return least_s


def _print_ratio(name: str, ratio: float) -> None:
    print(f"  {'ratio ' + name:62s} {ratio:9.2f} ×")


if __name__ == "__main__":
    print_inference(5, Path(sys.argv[1]) if len(sys.argv) > 1 else None)
