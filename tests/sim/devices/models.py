"""Every device model with settings that work, and what the tests ask of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwloop import plugins
from hwloop.array.operations import PulseMap
from hwloop.types import FloatArray
from hwloop_sim.cells.device import Device

TABLE = {
    "title": "four states",
    "source": "made for this test",
    "conditions": {"amplitude_v": 1.0, "width_s": 1e-3},
    "conductance_s": [1.0e-6, 1.4e-6, 1.6e-6, 2.0e-6],
}
UP = {"amplitude_v": 1.0, "width_s": 1e-3, "conductance_s": [[1e-6, 2e-6, 2.8e-6, 3e-6]]}
DOWN = {"amplitude_v": -1.0, "width_s": 1e-3, "conductance_s": [[3e-6, 2.5e-6, 1.5e-6, 1e-6]]}
KNOWN = {"amplitude_v": 1.0, "width_s": 1e-3}

SETTINGS: dict[str, dict[str, Any]] = {
    "pulse_table": {"calibration": TABLE},
    "pulse_response": {"up": UP, "down": DOWN, "neighbours": 2},
    "soft_bounds": {"up": KNOWN, "down": {"amplitude_v": -1.0, "width_s": 1e-3}},
    "step_response": {
        "low_conductance_s": 1e-6,
        "high_conductance_s": 3e-6,
        "up": {**KNOWN, "at": [0.0, 1.0], "step": [0.1, 0.02], "scatter": [0.01, 0.02]},
        "down": {"amplitude_v": -1.0, "width_s": 1e-3, "at": [0.5], "step": [-0.1]},
    },
}
"""What a model needs to work with pulses of ±1 V and 1 ms; the others take them as they are."""

STATE_EQUATIONS = (
    "jart_vcm",
    "linear_ion_drift",
    "proportional",
    "sbt",
    "schottky",
    "stanford_pku",
    "team",
    "vteam",
    "yakopcic",
)
WITH_THRESHOLD = ("proportional", "sbt", "team", "vteam", "yakopcic", "one_transistor")
LOWERED_BY_POSITIVE = ("jart_vcm", "team", "vteam")
HIGHEST_V = {"jart_vcm": 1.8, "stanford_pku": 5.0}
"""Voltages that a model covers; the others cover any."""
BINARY = ("stochastic_switch",)
"""Models without any conductance between two."""
BEGUN = {"jart_vcm": 300e-6, "stanford_pku": 100e-6}
"""Conductances between the bounds, of models whose cells begin at one."""


def names() -> list[str]:
    """The models of this package: those that a lab has installed are its own to test."""
    return [
        name
        for name, kind in plugins.load_all(plugins.DEVICES).items()
        if kind.settings.__module__.startswith("hwloop_sim.")
    ]


def make(name: str, shape: tuple[int, ...] = (1, 1), *, seed: int = 1, **settings: Any) -> Device:
    kind = plugins.load(plugins.DEVICES, name)
    begun = {"initial": BEGUN[name]} if name in BEGUN else {}
    parsed = kind.settings.parse({**SETTINGS.get(name, {}), **begun, **settings})
    device: Device = kind.make(parsed, shape, np.random.default_rng(seed))
    return device


def gate_v(name: str, volts: float = 4.0) -> float | None:
    return volts if name == "one_transistor" else None


def one(name: str) -> float:
    """Volts that every model answers: 1 V, or what a transistor's cell, an oxide or chance needs."""
    return {"one_transistor": 2.0, "stanford_pku": 1.4, "stochastic_switch": 5.0}.get(name, 1.0)


def pulses(
    device: Device,
    amplitude_v: float | FloatArray,
    width_s: float,
    count: int = 1,
    gate_v: float | None = None,
) -> PulseMap:
    """The same pulses for every cell, or those of a map."""
    whole = np.broadcast_to(amplitude_v, device.conductance_s.shape[-2:])
    return PulseMap(whole, width_s, count, gate_v)
