"""Time one pulse on every cell of a 128×128 array for each state equation; prints a table.

    python -m benchmarks.state_equations

Processor time per cell of a pulse in which the state moves far, as a ratio to that of ``vteam`` in
the same process: the models differ in how much of an exponential each evaluation of their speed is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwloop import plugins
from hwloop.array.operations import PulseMap

SHAPE = (128, 128)
ROUNDS = 5


@dataclass(frozen=True)
class Update:
    """A pulse that moves the cells of a model, and their settings."""

    amplitude_v: float
    width_s: float
    settings: dict[str, Any] = field(default_factory=dict)


_CYCLE = {"radius_m": {"sigma": 0.05}, "min_per_m3": {"sigma": 0.5}}
UPDATES = {
    "vteam": Update(0.21, 60e-9),
    "linear_ion_drift": Update(1.0, 10e-3),
    "yakopcic": Update(0.3, 50e-6),
    "schottky": Update(1.0, 1e-3),
    "stanford_pku": Update(1.4, 100e-9),
    "jart_vcm": Update(-1.0, 100e-9),
    "jart_vcm, reset": Update(1.2, 10e-6, {"initial": 600e-6}),
    "jart_vcm, V/2": Update(-0.5, 100e-9),
    "jart_vcm, cycle to cycle": Update(-1.0, 100e-9, {"cycle_to_cycle": _CYCLE}),
}


def seconds(name: str) -> float:
    """Return the least processor time of one pulse on fresh cells."""
    update = UPDATES[name]
    kind = plugins.load(plugins.DEVICES, name.split(",")[0])
    pulse = PulseMap(np.full(SHAPE, update.amplitude_v), update.width_s)
    taken_s = []
    for seed in range(ROUNDS):
        device = kind.make(kind.settings.parse(update.settings), SHAPE, np.random.default_rng(seed))
        begin_s = time.process_time()
        device.pulse(pulse)
        taken_s.append(time.process_time() - begin_s)
    return min(taken_s)


def main() -> None:
    """Print the table."""
    print("| model | pulse | µs a cell | 128×128, s | ratio to vteam |")
    print("| --- | --- | --- | --- | --- |")
    base_s = seconds("vteam")
    for name, update in UPDATES.items():
        taken_s = seconds(name)
        print(
            f"| {name} | {update.amplitude_v:g} V, {update.width_s:g} s |"
            f" {1e6 * taken_s / np.prod(SHAPE):.2f} | {taken_s:.3f} | {taken_s / base_s:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
