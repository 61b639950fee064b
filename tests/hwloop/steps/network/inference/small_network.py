"""A small network of a convolution and a dense layer, from a file, and an inference with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwloop.procedure.procedure import Procedure, from_data
from tests.characterised import LIMITS

SAMPLES = 60
DEVICE = {"model": "soft_bounds", "min_conductance_s": 1e-9, "max_conductance_s": 1e-3}
CODES = {"device": DEVICE, "converters": {"adc": {"bits": 8, "range": {"kind": "calibrated"}}}}
CONV: dict[str, Any] = {
    "step": "map_network",
    "settings": {
        "weights": "net.npz",
        "layers": [
            {"kind": "conv", "weight": "conv", "bias": "b", "padding": 1},
            {"kind": "max_pool", "size": 2},
            {"kind": "flatten"},
            {"kind": "dense", "weight": "dense"},
        ],
    },
}


def procedure(
    folder: Path,
    *before: dict[str, Any],
    x: str = "x.npz",
    sim: Mapping[str, Any] = CODES,
    **infer: Any,
) -> Procedure:
    """Return steps ``before`` and an inference of images of 6 × 6 on four tiles of 16 × 8."""
    rng = np.random.default_rng(5)
    weights = {"conv": (3, 1, 3, 3), "b": (3,), "dense": (4, 27)}
    np.savez(
        folder / "net.npz", **{name: rng.normal(size=shape) for name, shape in weights.items()}
    )
    np.savez(folder / "x.npz", x=rng.random((SAMPLES, 1, 6, 6)))
    np.savez(folder / "large.npz", x=rng.random((SAMPLES, 1, 8, 6)))
    np.savez(folder / "flat.npz", x=rng.random((SAMPLES, 4)))
    np.savez(folder / "y.npz", y=rng.integers(0, 2, SAMPLES))
    data = {"inputs": x, "classes": "y.npz", "flatten": False}
    whole = {
        "name": "plan",
        "seed": 1,
        "array": {
            "rows": 16,
            "cols": 8,
            "tiles": 4,
            "limits": LIMITS,
            "read": {"read_v": 0.1},
            "range": {"low_conductance_s": 1e-6, "high_conductance_s": 1e-4},
        },
        "backends": {"sim": sim},
        "steps": [
            *before,
            {"step": "infer", "settings": {"data": data, "calibration": 10, **infer}},
        ],
    }
    return from_data(whole, folder=folder)
