"""Verify cells by patterns beside single reads on a noisy array: error and time, in one run."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import typer

from hwloop.array.settings import ArraySettings
from hwloop.backend.guard import Guard
from hwloop.backend.kind import OpenRequest
from hwloop.steps.array import Array
from hwloop.steps.program.program_verify import PROGRAM_VERIFY
from hwloop.steps.program.rows import CellsRow, ProgrammedFigures
from hwloop.steps.program.verify.cell_reads import PatternReads, SingleReads, Verify
from hwloop.types import FloatArray
from hwloop_sim.emulator.backend import SimSettings, open_sim

COLS = 16
WINDOW_CONDUCTANCE_S = 1e-6
LIMITS = {
    "positive_v": 4.0,
    "negative_v": -4.0,
    "read_v": 0.5,
    "half_select_v": 2.0,
    "current_a": 1.0,
    "pulse_width_s": 0.1,
    "pulse_energy_j": 1.0,
    "pulses_per_device": 10**6,
}
NOISES = {
    "of the meter, 100 nA": {"fraction": 0.0, "amplifier_a": 1e-7},
    "of each cell, 1 %": {"fraction": 0.01},
}


@dataclass(frozen=True)
class Cost:
    """Error of one look at every cell, and its time."""

    rms_conductance_s: float
    array_s: float
    processor_s: float


def noisy_array(rows: int, noise: dict[str, float], *, both_polarities: bool, seed: int) -> Array:
    """Cells of 20 to 100 µS, read at 0.1 V in 1 ms, whose reads scatter by ``noise``."""
    settings = ArraySettings.parse(
        {
            "rows": rows,
            "cols": COLS,
            "limits": LIMITS,
            "read": {"read_v": 0.1, "both_polarities": both_polarities},
        }
    )
    spread = {"distribution": "uniform", "min_conductance_s": 2e-5, "max_conductance_s": 1e-4}
    sim: dict[str, Any] = {
        "device": {
            "model": "soft_bounds",
            "min_conductance_s": 1e-5,
            "max_conductance_s": 1.1e-4,
            "up_pulses": 60,
            "down_pulses": 60,
            "initial": spread,
            "up": {"amplitude_v": 3.2, "width_s": 3e-4},
            "down": {"amplitude_v": -2.8, "width_s": 3e-4},
        },
        "effects": [{"effect": "white_noise", **noise}],
    }
    backend = open_sim(
        SimSettings.parse(sim), OpenRequest(settings, None, np.random.default_rng(seed))
    )
    return Array(Guard(backend, settings), settings, np.random.default_rng(seed + 1))


def looks(rows: int, noise: dict[str, float], *, both_polarities: bool, times: int) -> list[Cost]:
    """Costs of a look by single reads and by patterns, taken in turns."""
    array = noisy_array(rows, noise, both_polarities=both_polarities, seed=1)
    quiet = noisy_array(rows, {"fraction": 0.0}, both_polarities=both_polarities, seed=1)
    index = np.arange(rows * COLS)
    true_conductance_s, _ = SingleReads(quiet).seen(index)
    ways = (SingleReads(array), PatternReads(array, np.arange(rows)))
    found: list[list[tuple[float, float, float]]] = [[], []]
    for _ in range(times):
        for costs, way in zip(found, ways, strict=True):
            began_s, began_cpu_s = array.clock.now_s(), time.process_time()
            seen_conductance_s, _ = way.seen(index)
            cpu_s = time.process_time() - began_cpu_s
            mean_square = float(np.mean((seen_conductance_s - true_conductance_s) ** 2))
            costs.append((mean_square, array.clock.now_s() - began_s, cpu_s))
    return [
        Cost(float(np.sqrt(np.mean(square))), float(np.mean(of_array)), float(np.median(of_cpu)))
        for square, of_array, of_cpu in (np.array(costs).T for costs in found)
    ]


def programmed(rows: int, verify: Verify) -> tuple[ProgrammedFigures, FloatArray]:
    """Figures of cells that are programmed, and their true errors at the end, siemens."""
    noise = NOISES["of the meter, 100 nA"]
    array = noisy_array(rows, noise, both_polarities=True, seed=3)
    settings = PROGRAM_VERIFY.settings.parse(
        {
            "target": {"kind": "random", "low_conductance_s": 2e-5, "high_conductance_s": 9e-5},
            "tolerance": {"kind": "absolute", "by_conductance_s": WINDOW_CONDUCTANCE_S},
            "algorithm": {
                "name": "alibart",
                "up": {"amplitude": 3.2, "width_s": 3e-4},
                "down": {"amplitude": -2.8, "width_s": 3e-4},
            },
            "verify": verify,
            "least_yield": 0.0,
        }
    )
    rows_ = list(PROGRAM_VERIFY(settings, array))
    figures = next(row for row in rows_ if isinstance(row, ProgrammedFigures))
    cells = next(row for row in rows_ if isinstance(row, CellsRow))
    many = [SingleReads(array).seen(np.arange(rows * COLS))[0] for _ in range(400)]
    return figures, np.mean(many, axis=0) - cells.target_conductance_s.ravel()


def lines(rows: int, times: int) -> Iterator[str]:
    """Yield a line for each kind of noise and of read, then those of the programming."""
    for name, noise in NOISES.items():
        for both_polarities in (True, False):
            single, by_patterns = looks(rows, noise, both_polarities=both_polarities, times=times)
            error = single.rms_conductance_s / by_patterns.rms_conductance_s
            shorter = single.array_s / by_patterns.array_s
            cpu = single.processor_s / by_patterns.processor_s
            kind = "both polarities, ±1" if both_polarities else "one polarity, 0 and 1"
            yield (
                f"noise {name}; {kind}: rms {single.rms_conductance_s * 1e6:.4f} µS by single"
                f" reads, {by_patterns.rms_conductance_s * 1e6:.4f} µS by patterns: error"
                f" {error:.2f} × less, at equal measuring time {error * shorter**0.5:.2f} ×; a look"
                f" {shorter:.1f} × shorter, processor time {cpu:.2f} ×"
            )
    for verify in ("single", "hadamard"):
        figures, error_conductance_s = programmed(rows, verify)
        rms = float(np.sqrt(np.mean(error_conductance_s**2)))
        inside = float(np.mean(np.abs(error_conductance_s) <= WINDOW_CONDUCTANCE_S))
        yield (
            f"program_verify, window ±1 µS, verify {verify}: {figures.reached} of {figures.cells}"
            f" reached, true rms error {rms * 1e6:.3f} µS, {inside:.1%} truly inside,"
            f" {figures.mean_pulses:.1f} pulses a cell, {figures.time_s:.1f} s on the array's clock"
        )


def main(rows: int = 64, times: int = 100) -> None:
    """Print error and time of both ways to verify ``rows`` × 16 cells."""
    print(
        f"hwloop {version('hwloop')}, numpy {np.__version__}, Python {platform.python_version()},"
        f" {platform.machine()}; {rows} × {COLS} cells, {times} looks in turns"
    )
    for line in lines(rows, times):
        print(line, flush=True)


if __name__ == "__main__":
    typer.run(main)
