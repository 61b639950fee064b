"""Time a dense network on tiles: 10,000 vectors through 64×64 tiles, beside bare NumPy."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import least_and_median_s
from hwloop.backend.guard import Guard
from hwloop.backend.kind import OpenRequest
from hwloop.procedure.procedure import Procedure, from_data
from hwloop.run.runner import RunOptions, run_procedure
from hwloop.steps.array import Array
from hwloop.steps.network.array_product import multiply
from hwloop.steps.network.infer import placed_network
from hwloop_sim.emulator.backend import open_sim

ROWS, OUTPUTS, VECTORS, TILE = 256, 64, 10_000, 64
"""256 inputs and 64 outputs in pairs of columns: 4 × 2 tiles of 64×64."""


NOISE: dict[str, Any] = {"effects": [{"effect": "white_noise", "fraction": 0.01}]}
WIRES: dict[str, Any] = {"wires": {"row_ohm": 1.0, "col_ohm": 1.0}}


def procedure(folder: Path, emulator: dict[str, Any]) -> Procedure:
    """Map the weights of ``folder`` and infer its vectors; ``emulator``: what is not ideal."""
    data = {
        "name": "infer",
        "seed": 4,
        "array": {
            "rows": TILE,
            "cols": TILE,
            "tiles": (ROWS // TILE) * (2 * OUTPUTS // TILE),
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
                    "layers": [{"kind": "dense", "weight": "w"}],
                    "mapping": {"min_conductance_s": 2e-6, "max_conductance_s": 9e-5},
                },
            },
            {
                "step": "infer",
                "settings": {
                    "data": {
                        "inputs": {"file": "net.npz", "key": "x"},
                        "classes": {"file": "net.npz", "key": "y"},
                    }
                },
            },
        ],
    }
    return from_data(data, folder=folder)


def print_inference(repeats: int) -> None:
    """Print the smallest and the median of ``repeats`` timings, and the ratios."""
    rng = np.random.default_rng(5)
    w, x = rng.normal(size=(OUTPUTS, ROWS)), rng.random((VECTORS, ROWS))
    name = f"{VECTORS} vectors × {ROWS}×{OUTPUTS} weights on {TILE}×{TILE} tiles"
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        np.savez(folder / "net.npz", w=w, x=x, y=np.zeros(VECTORS))
        bare_s = _timed(f"{name}, bare NumPy, every tile", lambda: _bare(w, x), repeats)
        for words, emulator in (("ideal", {}), ("noise", NOISE), ("wires", WIRES)):
            loaded = procedure(folder, emulator)
            guard_s = _timed(f"{name}, {words}, guard", _guarded(loaded, x), repeats)
            print(f"{'ratio guard / bare NumPy':72s} {guard_s / bare_s:9.2f} ×")
            work = _recorded(loaded, folder)
            record_s = _timed(f"{name}, {words}, a run with record", work, repeats)
            print(f"{'ratio run with record / bare NumPy':72s} {record_s / bare_s:9.2f} ×")


def _bare(w: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Pairs of columns, tile by tile, and the sum of their parts: what the array does."""
    signed = w.T / np.abs(w).max()
    pairs = np.stack([np.maximum(signed, 0), np.maximum(-signed, 0)], axis=-1).reshape(ROWS, -1)
    sums = np.zeros((len(x), 2 * OUTPUTS))
    for top in range(0, ROWS, TILE):
        for left in range(0, 2 * OUTPUTS, TILE):
            part = pairs[top : top + TILE, left : left + TILE]
            sums[:, left : left + TILE] += x[:, top : top + TILE] @ part
    return np.asarray(sums[:, 0::2] - sums[:, 1::2])


def _guarded(loaded: Procedure, x: np.ndarray) -> Any:
    """The layer as the step infer multiplies it, on an open array that holds the network."""
    request = OpenRequest(loaded.array, None, np.random.default_rng(3))
    backend = open_sim(loaded.backends["sim"], request)  # type: ignore[arg-type]
    array = Array(Guard(backend, loaded.array), loaded.array, np.random.default_rng(4))
    mapping = loaded.steps[0]
    list(mapping.step(mapping.settings, array))
    return lambda: multiply(array, placed_network(array, step="multiply"), 0, x)


def _recorded(loaded: Procedure, folder: Path) -> Callable[[], None]:
    """The whole run: map, infer, and a record of every vector and every current."""
    numbers = count()

    def run() -> None:
        path = folder / f"{next(numbers)}.h5"
        run_procedure(loaded, RunOptions("sim", path))
        path.unlink()

    return run


def _timed(name: str, work: Any, repeats: int) -> float:
    least_s, middle_s = least_and_median_s(work, repeats)
    print(f"{name:72s} {least_s:9.3f} s least, {middle_s:.3f} s median")
    return least_s


if __name__ == "__main__":
    print_inference(5)
