"""Emulated 1T1R cells of known parameters, swept over the backend interface, as records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import from_data
from tests.characterised import LIMITS

TRUE: dict[str, Any] = {
    "r_series_ohm": 3800.0,
    "v_transistor_v": 1.96,
    "growth": {
        "exponent": 1.6,
        "conductance_s_per_v": 1.15e-3,
        "width_s": 2e-7,
        "cycle_ratio": 0.5,
    },
    "unsteadiness": 0.23,
    "v_reset_v": 0.8,
    "v_slope_v": 0.3,
    "divider_share": 0.5,
    "v_follower_v": 1.0,
    "reset_floor_conductance_s": 1.4e-5,
    "redraw": {"cycle_sigma": 0.3, "pulse_sigma": 0.5, "correlation": 0.5, "v_sigma_v": 0.04},
    "spread": {
        "r_series_ohm": {"sigma": 0.03},
        "v_transistor_v": {"sigma": 0.02},
        "unsteadiness": {"sigma": 0.5},
        "v_reset_v": {"sigma": 0.06},
        "reset_floor_conductance_s": {"sigma": 0.4},
    },
}
RESET = {"amplitude_v": -2.9, "width_s": 2e-7, "gate_v": 4.0}
SET = {"amplitude_v": 2.0, "width_s": 2e-7, "gate_v": 2.7}
GATE: dict[str, Any] = {
    "sweep": "gate", "start_v": 1.5, "stop_v": 2.7, "step_v": 0.05,
    "amplitude_v": 2.0, "width_s": 2e-7, "begin": RESET, "cycles": 6,
}  # fmt: skip
LINE: dict[str, Any] = {
    "sweep": "line", "start_v": 1.0, "stop_v": 2.4, "step_v": 0.05,
    "gate_v": 4.0, "width_s": 2e-7, "begin": SET, "cycles": 6,
}  # fmt: skip
READ_MAP = {"step": "read_map", "settings": {}}


def step(settings: Mapping[str, Any], label: str, **more: Any) -> dict[str, Any]:
    return {"step": "pulse_sweep", "label": label, "settings": {**settings, **more}}


def noise_of(device: Mapping[str, Any]) -> dict[str, Any]:
    """One percent of the filament in each read."""
    return {"effect": "white_noise", "fraction": 0.01, "series_ohm": device["r_series_ohm"]}


def sweep(
    path: Path,
    *steps: Mapping[str, Any],
    device: Mapping[str, Any] = TRUE,
    effects: Sequence[Mapping[str, Any]] | None = None,
    population: int | None = None,
    seed: int = 5,
) -> Path:
    """A record of these steps on 4 × 6 emulated cells."""
    effects = [noise_of(device)] if effects is None else list(effects)
    procedure = from_data(
        {
            "name": "sweeps",
            "seed": seed,
            "array": {
                "rows": 4,
                "cols": 6,
                "cell": "1T1R",
                "biasing": "1T1R",
                "limits": LIMITS | {"gate_v": 5.0},
                "read": {"read_v": 0.1},
            },
            "backends": {
                "sim": {"device": {"model": "one_transistor", **device}, "effects": effects}
            },
            "steps": [dict(one) for one in steps],
        },
        folder=path.parent,
    )
    run_procedure(procedure, RunOptions("sim", path, population=population))
    return path


def random_cells(seed: int) -> dict[str, Any]:
    """A device such as the measured ones are, each parameter drawn."""
    between = np.random.default_rng([seed, 91]).uniform
    return {
        "r_series_ohm": between(3000, 5000),
        "divider_share": 0.5,
        "v_transistor_v": between(1.8, 2.0),
        "growth": {
            "exponent": between(1.2, 2.2),
            "conductance_s_per_v": between(0.8e-3, 1.6e-3),
            "cycle_ratio": between(0.3, 0.8),
            "width_s": 2e-7,
        },
        "unsteadiness": between(0.15, 0.3),
        "v_reset_v": between(0.7, 0.9),
        "v_slope_v": between(0.25, 0.35),
        "reset_floor_conductance_s": between(1e-5, 2.5e-5),
        "v_follower_v": 1.0,
        "redraw": {
            "cycle_sigma": between(0.2, 0.4),
            "pulse_sigma": between(0.3, 0.6),
            "correlation": between(0.3, 0.7),
            "v_sigma_v": between(0.02, 0.04),
        },
        "spread": {
            "r_series_ohm": {"sigma": between(0.02, 0.05)},
            "v_transistor_v": {"sigma": between(0.01, 0.03)},
            "unsteadiness": {"sigma": between(0.3, 0.6)},
            "v_reset_v": {"sigma": between(0.08, 0.16)},
            "reset_floor_conductance_s": {"sigma": between(0.3, 0.5)},
        },
    }
