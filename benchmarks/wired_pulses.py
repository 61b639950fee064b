"""Time of a pulse through wires, integrated beside frozen: ``python -m benchmarks.wired_pulses``.

A selected cell of 1.1 kohm is reset at V/2 in an array of 1.5 to 8 kohm, 5 ohm a segment. The ratio
is of the same process, interleaved, median of five.
"""

from __future__ import annotations

import time

import numpy as np

from hwloop.array.operations import PulseMap
from hwloop.types import FloatArray
from hwloop_sim.cells.composed import NonIdealDevice
from hwloop_sim.circuit import Wires
from hwloop_sim.devices.linear_ion_drift import LINEAR_ION_DRIFT
from hwloop_sim.emulator.lines import ArrayLines
from hwloop_sim.emulator.readout import Tiles
from hwloop_sim.emulator.wired_pulses import pulse_through_wires

SHAPES = ((7, 11), (13, 5), (16, 16), (64, 64))
ROUNDS = 5
DRIFT = {
    "r_on_ohm": 1e3,
    "r_off_ohm": 1e4,
    "thickness_m": 10e-9,
    "mobility_m2_per_vs": 4e-14,
}


def _cells(shape: tuple[int, int], selected: tuple[int, int]) -> NonIdealDevice:
    ohm = np.random.default_rng(5).uniform(1.5e3, 8e3, shape)
    ohm[selected] = 1.1e3
    initial = {"distribution": "given", "values_conductance_s": (1 / ohm).tolist()}
    settings = LINEAR_ION_DRIFT.settings.parse({**DRIFT, "initial": initial})
    device = LINEAR_ION_DRIFT.make(settings, shape, np.random.default_rng(1))
    return NonIdealDevice(device, [])


def _both(shape: tuple[int, int]) -> tuple[float, float, float]:
    """Return seconds of a frozen and an integrated pulse, and by how much the frozen one is off."""
    selected = (shape[0] // 2, shape[1] - 2)
    lines = ArrayLines(Wires(row_ohm=5.0, col_ohm=5.0, driver_ohm=10.0), Tiles(), "V/2", shape)
    amplitude_v: FloatArray = np.zeros(shape)
    amplitude_v[selected] = -1.6
    pulse = PulseMap(amplitude_v, 1e-3)

    frozen = _cells(shape, selected)
    begin_s = time.perf_counter()
    for stress in lines.stresses(frozen, pulse):
        frozen.pulse(stress)
    frozen_s = time.perf_counter() - begin_s

    followed = _cells(shape, selected)
    begin_s = time.perf_counter()
    pulse_through_wires(lines, followed, pulse)
    followed_s = time.perf_counter() - begin_s
    off = frozen.conductance_s[selected] / followed.conductance_s[selected] - 1
    return frozen_s, followed_s, float(off)


def main() -> None:
    """Print a line for each shape."""
    _both((3, 3))  # compiles the loops of the model
    for shape in SHAPES:
        rounds = np.median([_both(shape) for _ in range(ROUNDS)], axis=0)
        frozen_s, followed_s, off = (float(value) for value in rounds)
        print(
            f"{shape[0]}x{shape[1]}: frozen {1e3 * frozen_s:.2f} ms, integrated"
            f" {1e3 * followed_s:.2f} ms, ratio {followed_s / frozen_s:.1f};"
            f" the frozen selected cell is {100 * off:+.2f} % off"
        )


if __name__ == "__main__":
    main()
