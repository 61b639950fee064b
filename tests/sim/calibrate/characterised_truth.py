"""Emulated arrays of known parameters, characterised over the backend interface, as records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import from_data
from tests.characterised import LIMITS


def characterise(
    path: Path,
    device: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]],
    *,
    seed: int,
    shape: tuple[int, int] = (1, 1),
    population: int | None = 2,
    read_v: float = 0.1,
    both_polarities: bool = True,
    noise: float = 0.002,
    **sim: Any,
) -> Path:
    """Run steps on an emulated array, guarded and recorded; one cell an array by default."""
    data = {
        "name": "truth",
        "array": {
            "rows": shape[0],
            "cols": shape[1],
            "biasing": "V/2",
            "limits": LIMITS | {"pulse_width_s": 10.0, "pulse_energy_j": 1e3, "read_v": 3.0},
            "read": {"read_v": read_v, "both_polarities": both_polarities},
        },
        "backends": {"sim": {"device": dict(device), "read_noise": noise, **sim}},
        "seed": seed,
        "steps": [dict(step) for step in steps],
    }
    procedure = from_data(data, folder=path.parent, text="")
    run_procedure(procedure, RunOptions("sim", path, population=population, seed=seed))
    return path
