"""Small trainings on emulated arrays of linear cells."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwloop.array.settings import ArraySettings
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.kind import OpenRequest
from hwloop.steps.array import Array
from hwloop.steps.learning.settings import TrainInSituSettings
from hwloop_sim.emulator.backend import SimSettings, open_sim

STATES = 64
PULSES = {
    "up": {"amplitude_v": 1.2, "width_s": 1e-3},
    "down": {"amplitude_v": -1.2, "width_s": 1e-3},
}
LIMITS = {
    "positive_v": 1.5,
    "negative_v": -1.5,
    "read_v": 0.2,
    "half_select_v": 0.8,
    "current_a": 1.0,
    "pulse_width_s": 0.1,
    "pulse_energy_j": 1.0,
    "pulses_per_device": 10**6,
}
RANGE = {"low_conductance_s": 1e-5, "high_conductance_s": 1.1e-4}
XOR = {
    "inputs": [[-1, -1], [-1, 1], [1, -1], [1, 1]],
    "targets": [[-0.8], [0.8], [0.8], [-0.8]],
}


def linear_cells(states: int = STATES) -> dict[str, Any]:
    step = 1 / (states - 1)
    return {
        "model": "step_response",
        **RANGE,
        "up": {**PULSES["up"], "at": [0.5], "step": [step]},
        "down": {**PULSES["down"], "at": [0.5], "step": [-step]},
        "initial": {
            "distribution": "uniform",
            "min_conductance_s": 4e-5,
            "max_conductance_s": 8e-5,
        },
    }


def array_settings(rows: int, cols: int, **limits: Any) -> ArraySettings:
    return ArraySettings.parse(
        {"rows": rows, "cols": cols, "limits": LIMITS | limits, "read": {"read_v": 0.1}}
    )


def emulated_array(
    rows: int, cols: int, *, population: int | None = None, seed: int = 1, **sim: Any
) -> tuple[Array, CrossbarBackend]:
    settings = array_settings(rows, cols)
    request = OpenRequest(settings, population, np.random.default_rng(seed))
    backend = open_sim(SimSettings.parse({"device": linear_cells(), **sim}), request)
    return Array(backend, settings, np.random.default_rng(seed + 1)), backend


def training(**changes: Any) -> TrainInSituSettings:
    data = {
        "samples": XOR,
        "layers": [{"outputs": 4, "gain": 3}, {"outputs": 1, "gain": 3}],
        "rule": {
            "name": "delta_pulses",
            "rate": 0.15,
            "step_weight": 2 / STATES,
            "rounding": "random",
        },
        "pulses": PULSES,
        "range": RANGE,
        "batch": 4,
        "stop": {"within": 0.4},
        "max_epochs": 60,
    }
    return TrainInSituSettings.parse(data | changes)
