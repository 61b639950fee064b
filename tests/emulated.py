"""Emulated arrays for tests: cells that hold what they are given, and what an effect does to them."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwloop.array.operations import PulseMap, ReadMap
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.kind import OpenRequest
from hwloop.types import FloatArray
from hwloop_sim.cells.composed import NonIdealDevice
from hwloop_sim.cells.device import Device
from hwloop_sim.cells.effect import make_effects
from hwloop_sim.emulator.backend import SimSettings, open_sim

STEP_CONDUCTANCE_S = 1e-6


class Steps(Device):
    """Cells that move by 1 µS per volt and pulse, without any bound but 0."""

    def __init__(self, conductance_s: FloatArray) -> None:
        self._conductance_s = np.array(conductance_s)

    @property
    def conductance_s(self) -> FloatArray:
        return self._conductance_s

    def check(self, pulse: PulseMap) -> None:
        pass

    def pulse(self, pulse: PulseMap) -> None:
        moved_conductance_s = (
            self._conductance_s + STEP_CONDUCTANCE_S * pulse.amplitude_v * pulse.count
        )
        self._conductance_s = np.maximum(moved_conductance_s, 0.0)

    def set_conductance(self, conductance_s: FloatArray) -> None:
        self._conductance_s = np.array(conductance_s)


def non_ideal(
    *effects: dict[str, Any],
    start_conductance_s: float = 1e-4,
    shape: tuple[int, ...] = (100, 100),
    seed: int = 1,
) -> NonIdealDevice:
    """Cells at ``start_conductance_s`` under effects written as in a procedure."""
    settings = SimSettings.parse({"device": DEVICE, "effects": effects})
    made = make_effects(settings.effects, shape, np.random.default_rng(seed))
    return NonIdealDevice(Steps(np.full(shape, start_conductance_s)), made)


def everywhere(device: Device, volts: float, count: int = 1) -> PulseMap:
    """The same pulses for every cell."""
    return PulseMap(np.full(device.conductance_s.shape[-2:], volts), 1e-3, count)


TABLE = {
    "title": "a thousand states",
    "source": "made for tests",
    "conditions": {"amplitude_v": 2.0, "width_s": 1e-3},
    "conductance_s": np.linspace(1e-6, 11e-6, 1001).tolist(),
}
DEVICE: dict[str, Any] = {"model": "pulse_table", "calibration": TABLE}


def array(rows: int, cols: int, current_a: float = 1.0) -> ArraySettings:
    """An array whose limits are in nobody's way."""
    limits = {
        "positive_v": 2.5,
        "negative_v": -2.5,
        "read_v": 1.0,
        "half_select_v": 1.3,
        "current_a": current_a,
        "pulse_width_s": 0.1,
        "pulse_energy_j": 1.0,
        "pulses_per_device": 10**6,
    }
    return ArraySettings.parse(
        {"rows": rows, "cols": cols, "limits": limits, "read": {"read_v": 0.1}}
    )


def emulated(
    rows: int = 4,
    cols: int = 4,
    *,
    population: int | None = None,
    seed: int = 1,
    current_a: float = 1.0,
    device: dict[str, Any] = DEVICE,
    **sim: Any,
) -> CrossbarBackend:
    """An emulated array; ``sim``: further keys of ``backends.sim``."""
    request = OpenRequest(array(rows, cols, current_a), population, np.random.default_rng(seed))
    return open_sim(SimSettings.parse({"device": device, **sim}), request)


def read_all(backend: CrossbarBackend, read_v: float = 0.1) -> FloatArray:
    """Currents of every cell."""
    shape = backend.description.geometry.shape
    return backend.read(ReadMap.every_cell(shape, read_v=read_v)).current_a
