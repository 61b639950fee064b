"""Time program-and-verify of a large array beside a bare NumPy loop of the same physics."""

from __future__ import annotations

import tempfile
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import empty_folder, medians_in_turns
from hwloop.backend.guard import Guard
from hwloop.backend.kind import OpenRequest
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import from_data
from hwloop.steps.array import Array
from hwloop_sim.emulator.backend import open_sim

SIZE = 128
LOW_CONDUCTANCE_S, HIGH_CONDUCTANCE_S, PULSES, SIGMA, NOISE = 1e-5, 1.1e-4, 20.0, 0.3, 0.001
UP = {"amplitude": 3.2, "width_s": 3e-4}
DOWN = {"amplitude": -2.8, "width_s": 3e-4}


def procedure() -> dict[str, Any]:
    """128×128 noisy soft-bounds cells to random targets within 1 % of the range."""
    return {
        "name": "program",
        "seed": 4,
        "array": {
            "rows": SIZE,
            "cols": SIZE,
            "limits": {
                "positive_v": 4.0,
                "negative_v": -4.0,
                "read_v": 0.5,
                "half_select_v": 2.0,
                "current_a": 1.0,
                "pulse_width_s": 0.1,
                "pulse_energy_j": 1.0,
                "pulses_per_device": 10**6,
            },
            "read": {"read_v": 0.1},
        },
        "backends": {
            "sim": {
                "device": {
                    "model": "soft_bounds",
                    "min_conductance_s": LOW_CONDUCTANCE_S,
                    "max_conductance_s": HIGH_CONDUCTANCE_S,
                    "up_pulses": PULSES,
                    "down_pulses": PULSES,
                    "initial": 5e-5,
                    "up": {"amplitude_v": 3.2, "width_s": 3e-4},
                    "down": {"amplitude_v": -2.8, "width_s": 3e-4},
                },
                "effects": [
                    {"effect": "cycle_to_cycle", "sigma": SIGMA},
                    {"effect": "white_noise", "fraction": NOISE},
                ],
            }
        },
        "steps": [
            {
                "step": "program_verify",
                "settings": {
                    "target": {
                        "kind": "random",
                        "low_conductance_s": 2e-5,
                        "high_conductance_s": 1e-4,
                    },
                    "tolerance": {"kind": "range", "fraction": 0.01},
                    "range": {
                        "low_conductance_s": LOW_CONDUCTANCE_S,
                        "high_conductance_s": HIGH_CONDUCTANCE_S,
                    },
                    "algorithm": {"name": "alibart", "up": UP, "down": DOWN},
                    "pulses_per_cell": 400,
                },
            }
        ],
    }


def bare_numpy() -> int:
    """The same loop without anything around it; pulses that were given."""
    rng = np.random.default_rng(4)
    cells_conductance_s = np.full((SIZE, SIZE), 5e-5)
    target_conductance_s = rng.uniform(2e-5, 1e-4, cells_conductance_s.shape)
    half_conductance_s, left, pulses = (
        0.01 * (HIGH_CONDUCTANCE_S - LOW_CONDUCTANCE_S),
        np.exp(-1 / PULSES),
        0,
    )
    done = np.zeros(cells_conductance_s.shape, np.bool_)
    while True:
        seen_conductance_s = cells_conductance_s * (
            1 + NOISE * rng.standard_normal(cells_conductance_s.shape)
        )
        done |= np.abs(seen_conductance_s - target_conductance_s) <= half_conductance_s
        if done.all():
            return pulses
        up = seen_conductance_s < target_conductance_s
        bound_conductance_s = np.where(up, HIGH_CONDUCTANCE_S, LOW_CONDUCTANCE_S)
        step_conductance_s = (bound_conductance_s - cells_conductance_s) * (1 - left)
        step_conductance_s *= 1 + SIGMA * rng.standard_normal(cells_conductance_s.shape)
        cells_conductance_s = np.where(
            done,
            cells_conductance_s,
            np.clip(
                cells_conductance_s + step_conductance_s, LOW_CONDUCTANCE_S, HIGH_CONDUCTANCE_S
            ),
        )
        pulses += int((~done).sum())


def print_programming(repeats: int) -> None:
    """Print the medians of ``repeats`` timings in turns, and the ratios."""
    loaded = from_data(procedure(), folder=Path())
    (prepared,) = loaded.steps

    def guarded() -> None:
        request = OpenRequest(loaded.array, None, np.random.default_rng(3))
        backend = open_sim(loaded.backends["sim"], request)  # type: ignore[arg-type]
        array = Array(Guard(backend, loaded.array), loaded.array, np.random.default_rng(4))
        list(prepared.step(prepared.settings, array))

    with tempfile.TemporaryDirectory() as folder:
        numbers = count()

        def recorded() -> None:
            run_procedure(loaded, RunOptions("sim", Path(folder) / f"{next(numbers)}.h5"))

        works = {"bare NumPy": bare_numpy, "guard": guarded, "guard and record": recorded}
        medians = medians_in_turns(
            list(works.values()), repeats, clear=lambda: empty_folder(Path(folder))
        )
    found = dict(zip(works, medians, strict=True))
    for what, taken in found.items():
        name = f"program {SIZE}×{SIZE} cells to 1 % of the range, {what}"
        print(f"{name:64s} {taken}")
    for what in ("guard", "guard and record"):
        print(f"{f'ratio {what} / bare NumPy':64s} {found[what].beside(found['bare NumPy'])}")


if __name__ == "__main__":
    print_programming(7)
