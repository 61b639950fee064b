"""Emulation of gate or source-line sweeps, cell by cell and cycle by cycle as measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwloop.array.operations import PulseMap
from hwloop.types import FloatArray
from hwloop_sim.calibrate.one_transistor.read_noise import SweepNoise
from hwloop_sim.calibrate.one_transistor.sweeps import Sweeps
from hwloop_sim.cells.device import Device
from hwloop_sim.devices.one_transistor import ONE_TRANSISTOR

Places = NDArray[np.intp]

MODEL = ONE_TRANSISTOR.name
_STRONG_V, _STRONG_GATE_V = 10.0, 20.0
"""Pulse that SETs or RESETs any cell, to begin a cycle; the state after it does not matter."""


def emulate(
    parameters: Mapping[str, Any],
    sweeps: Sweeps,
    rng: np.random.Generator,
    *,
    draws: int,
    of_gate: bool,
    noise: SweepNoise,
) -> FloatArray:
    """Emulate the conductance read after each pulse, siemens, (draws, sweeps, volts).

    Every draw has its own cells, which keep their parameters from sweep to sweep; each sweep begins
    at the conductance of the measured one. ``noise``: of each read.
    """
    cell, cycle = _places(sweeps)
    # An array for each cell, with its sweeps side by side: they share all but what a cycle draws.
    own = {"spread": {}, "array_spread": parameters.get("spread", {})}
    shape = (draws, int(cell.max()) + 1, 1, int(cycle.max()) + 1)
    device = ONE_TRANSISTOR.make(ONE_TRANSISTOR.settings.parse({**parameters, **own}), shape, rng)
    first_conductance_s = sweeps.first_conductance_s
    begin_conductance_s = np.full(shape, np.median(first_conductance_s))
    begin_conductance_s[:, cell, 0, cycle] = first_conductance_s
    _begin(device, begin_conductance_s, of_gate=of_gate)
    after_conductance_s = np.empty((draws, *sweeps.after_conductance_s.shape))
    for place, volt in enumerate(sweeps.volts):
        amplitude_v, gate_v = (sweeps.held_v, volt) if of_gate else (-volt, sweeps.held_v)
        _pulse(device, amplitude_v, float(gate_v), sweeps.width_s)
        after_conductance_s[:, :, place] = device.conductance_s[:, cell, 0, cycle]
    sigma = noise.sigma(after_conductance_s, parameters["r_series_ohm"])
    return np.asarray(
        after_conductance_s * np.exp(sigma * rng.standard_normal(after_conductance_s.shape))
    )


def _places(sweeps: Sweeps) -> tuple[Places, Places]:
    """Return the index of the cell of each sweep, and that of the sweep among those of its cell."""
    _, cell = np.unique(sweeps.cell, return_inverse=True)
    return cell, np.array([np.count_nonzero(cell[:i] == one) for i, one in enumerate(cell)])


def _begin(device: Device, begin_conductance_s: FloatArray, *, of_gate: bool) -> None:
    """Begin a cycle with a RESET, or a RESET and a SET."""
    _pulse(device, -_STRONG_V, _STRONG_GATE_V, 1e-6)
    if not of_gate:
        _pulse(device, _STRONG_V, _STRONG_GATE_V, 1e-6)
    device.set_conductance(begin_conductance_s)


def _pulse(device: Device, amplitude_v: float, gate_v: float, width_s: float) -> None:
    if amplitude_v:
        every_v = np.full(device.conductance_s.shape[-2:], amplitude_v)
        device.pulse(PulseMap(every_v, width_s, gate_v=gate_v))
