"""Time of a pulse through wires, integrated beside frozen: ``python -m benchmarks.wired_pulses``.

One cell of an array of 1.5 to 8 kohm is reset, 5 ohm a segment: it begins at 1.1 kohm. ``strong``
takes it several times up and moves all others, ``coupled`` is one of ``vteam`` at V/3, ``step`` a
hundredth of ``strong``; ``alone`` moves no other cell, ``none`` is below the threshold.
Times are those of the
processors, of all threads together, interleaved, median of five.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwloop.array.biasing import Scheme
from hwloop.array.operations import PulseMap
from hwloop.types import FloatArray
from hwloop_sim.cells.composed import NonIdealDevice
from hwloop_sim.circuit import Wires
from hwloop_sim.devices.linear_ion_drift import LINEAR_ION_DRIFT
from hwloop_sim.devices.vteam import VTEAM
from hwloop_sim.emulator.lines import ArrayLines
from hwloop_sim.emulator.readout import Tiles
from hwloop_sim.emulator.wired_pulses import pulse_through_wires

SHAPES = ((8, 8), (16, 16), (64, 64), (128, 128))
ROUNDS = 5
DRIFT = {
    "r_on_ohm": 1e3,
    "r_off_ohm": 1e4,
    "thickness_m": 10e-9,
    "mobility_m2_per_vs": 4e-14,
}
BARRIER = {
    "r_on_ohm": 1e3,
    "r_off_ohm": 1e4,
    "w_on_m": 0.0,
    "w_off_m": 3e-9,
    "k_off_m_per_s": 1.2e-6,
    "k_on_m_per_s": -1.2e-6,
    "alpha_off": 2.0,
    "alpha_on": 2.0,
    "v_off_v": 1.0,
    "v_on_v": -1.0,
}


@dataclass(frozen=True)
class Case:
    """A device model with its settings, and a pulse on a cell, ``near`` its drivers or far."""

    kind: Any
    settings: dict[str, float]
    amplitude_v: float
    width_s: float
    scheme: Scheme
    near: bool = False


CASES = {
    "strong": Case(LINEAR_ION_DRIFT, DRIFT, -1.6, 1e-3, "V/2"),
    "coupled": Case(VTEAM, BARRIER, 2.4, 1e-3, "V/3"),
    "step": Case(LINEAR_ION_DRIFT, DRIFT, -1.6, 1e-5, "V/2"),
    "alone": Case(VTEAM, BARRIER, 1.9, 1e-3, "V/2", near=True),
    "none": Case(VTEAM, BARRIER, 0.9, 1e-3, "V/2", near=True),
}


def _cells(case: Case, shape: tuple[int, int], selected: tuple[int, int]) -> NonIdealDevice:
    ohm = np.random.default_rng(5).uniform(1.5e3, 8e3, shape)
    ohm[selected] = 1.1e3
    initial = {"distribution": "given", "values_conductance_s": (1 / ohm).tolist()}
    settings = case.kind.settings.parse({**case.settings, "initial": initial})
    device = case.kind.make(settings, shape, np.random.default_rng(1))
    return NonIdealDevice(device, [])


def both(case: Case, shape: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return CPU seconds of a frozen and an integrated pulse, and the selected cell's figures.

    The change of its conductance in the pulse, and by how much the frozen one is off, relative.
    """
    selected = (shape[0] - 2, 1) if case.near else (shape[0] // 2, shape[1] - 2)
    lines = ArrayLines(
        Wires(row_ohm=5.0, col_ohm=5.0, driver_ohm=10.0), Tiles(), case.scheme, shape
    )
    amplitude_v: FloatArray = np.zeros(shape)
    amplitude_v[selected] = case.amplitude_v
    pulse = PulseMap(amplitude_v, case.width_s)

    frozen = _cells(case, shape, selected)
    begin_s = time.process_time()
    for stress in lines.stresses(frozen, pulse):
        frozen.pulse(stress)
    frozen_s = time.process_time() - begin_s

    followed = _cells(case, shape, selected)
    begin_conductance_s = followed.conductance_s[selected]
    begin_s = time.process_time()
    pulse_through_wires(lines, followed, pulse)
    followed_s = time.process_time() - begin_s
    end_conductance_s = followed.conductance_s[selected]
    off = frozen.conductance_s[selected] / end_conductance_s - 1
    return frozen_s, followed_s, float(end_conductance_s / begin_conductance_s - 1), float(off)


def main() -> None:
    """Print a line for each case and shape."""
    for name, case in CASES.items():
        both(case, (4, 4))  # compiles the loops of the model
        for shape in SHAPES:
            rounds = np.median([both(case, shape) for _ in range(ROUNDS)], axis=0)
            frozen_s, followed_s, change, off = (float(value) for value in rounds)
            print(
                f"{name} {shape[0]}x{shape[1]}: frozen {1e3 * frozen_s:.2f} ms, integrated"
                f" {1e3 * followed_s:.2f} ms, ratio {followed_s / frozen_s:.1f}; the selected cell"
                f" moves by {100 * change:+.1f} %, frozen it is {100 * off:+.4f} % off"
            )


if __name__ == "__main__":
    main()
