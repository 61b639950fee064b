"""Emulation of gate or source-line sweeps, cell by cell and cycle by cycle as measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwloop import plugins
from hwloop.array.operations import PulseMap
from hwloop.types import FloatArray
from hwloop_sim.calibrate.one_transistor.sweeps import Sweeps
from hwloop_sim.cells.device import Device
from hwloop_sim.effects.dependence import shown_of_series

Places = NDArray[np.intp]

MODEL = "one_transistor"
_STRONG_V, _STRONG_GATE_V = 10.0, 20.0
"""Pulse that SETs or RESETs any cell, to begin a cycle; the state after it does not matter."""


def emulate(
    parameters: Mapping[str, Any],
    sweeps: Sweeps,
    rng: np.random.Generator,
    *,
    draws: int,
    of_gate: bool,
    noise: float,
) -> FloatArray:
    """Emulate the conductance read after each pulse, siemens, (draws, sweeps, volts).

    Every draw has its own cells, which keep their parameters from sweep to sweep; each sweep begins
    at the conductance of the measured one. ``noise``: standard deviation of a read, as a fraction
    of the filament's conductance.
    """
    kind = plugins.load(plugins.DEVICES, MODEL)
    shape = (draws, 1, sweeps.cells.size)
    device = kind.make(kind.settings.parse(dict(parameters)), shape, rng)
    after_conductance_s = np.empty((draws, *sweeps.after_conductance_s.shape))
    first_conductance_s = sweeps.first_conductance_s
    for rows, cells in _cycles(sweeps):
        begin_conductance_s = np.full(shape, np.median(first_conductance_s))
        begin_conductance_s[..., cells] = first_conductance_s[rows]
        _begin(device, begin_conductance_s, of_gate=of_gate)
        for place, volt in enumerate(sweeps.volts):
            amplitude_v, gate_v = (sweeps.held_v, volt) if of_gate else (-volt, sweeps.held_v)
            _pulse(device, amplitude_v, float(gate_v), sweeps.width_s)
            after_conductance_s[:, rows, place] = device.conductance_s[:, 0, cells]
    shown = shown_of_series(after_conductance_s, parameters["r_series_ohm"])
    return np.asarray(
        after_conductance_s * np.exp(noise * shown * rng.standard_normal(after_conductance_s.shape))
    )


def _cycles(sweeps: Sweeps) -> Iterator[tuple[Places, Places]]:
    """Yield, for each cycle, the indices of its sweeps and the indices of their cells."""
    _, place = np.unique(sweeps.cell, return_inverse=True)
    number = np.array([np.count_nonzero(place[:i] == one) for i, one in enumerate(place)])
    for cycle in range(int(number.max()) + 1):
        rows = np.flatnonzero(number == cycle)
        yield rows, place[rows]


def _begin(device: Device, begin_conductance_s: FloatArray, *, of_gate: bool) -> None:
    """Begin the next cycle of every cell with a RESET, and a SET before it, which redraw it."""
    _pulse(device, -_STRONG_V, _STRONG_GATE_V, 1e-6)
    if not of_gate:
        _pulse(device, _STRONG_V, _STRONG_GATE_V, 1e-6)
    device.set_conductance(begin_conductance_s)


def _pulse(device: Device, amplitude_v: float, gate_v: float, width_s: float) -> None:
    if amplitude_v:
        every_v = np.full(device.conductance_s.shape[1:], amplitude_v)
        device.pulse(PulseMap(every_v, width_s, gate_v=gate_v))
