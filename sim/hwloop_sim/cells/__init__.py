"""The contract of a device model and of an effect on it.

A model of your own is a subclass of :class:`Device` and a :class:`DeviceKind` under the entry point
group ``hwloop.devices``; an effect is an :class:`Effect` and an :class:`EffectKind` under
``hwloop.effects``.
"""

from hwloop_sim.cells.device import Device, DeviceKind
from hwloop_sim.cells.effect import Effect, EffectKind, ReadNoise
from hwloop_sim.cells.known_pulses import KnownPulse, refuse_unknown
from hwloop_sim.cells.variability import (
    ConductanceSpread,
    InitialDistribution,
    InitialState,
    ParameterSpread,
    draw_initial,
)
from hwloop_sim.cells.voltage_sweep import iv_sweep

__all__ = [
    "ConductanceSpread",
    "Device",
    "DeviceKind",
    "Effect",
    "EffectKind",
    "InitialDistribution",
    "InitialState",
    "KnownPulse",
    "ParameterSpread",
    "ReadNoise",
    "draw_initial",
    "iv_sweep",
    "refuse_unknown",
]
