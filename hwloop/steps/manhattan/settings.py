"""Settings of training by the Manhattan rule: patterns, targets and pulses."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from hwloop.settings.model import Settings
from hwloop.settings.tables import BitTable
from hwloop.settings.units import Count, EitherVolt, PerAmpere, PositiveSecond, PositiveVolt, Volt
from hwloop.steps.common.pulses import Pulse
from hwloop.types import FloatArray


class PulseSettings(Settings):
    """Pulse of ``potentiate_only``, of either sign; ``gate_v``: gate voltage in a 1T1R array."""

    amplitude_v: EitherVolt
    width_s: PositiveSecond
    gate_v: PositiveVolt | None = None


class ManhattanSettings(Settings):
    """Settings of the training.

    ``patterns``: (patterns, rows without bias) bits; ``outputs``: (patterns, neurons) bits, written
    out or in a file; ``held_out_patterns``: bits to predict after the training. ``bit_0_v``,
    ``bit_1_v``: the row voltages that code the bits. ``bias_v``: voltages of the last rows, the
    same with every pattern, one for each. ``target_0``, ``target_1``: targets of the activations
    for an output of 0 and of 1. ``stop``: an array is done when every activation is at or past its
    target (``targets``), or when in every pattern the largest activation is that of the neuron
    whose output is 1 (``classified``). ``beta_per_a``: slope of the activation. ``scheme``:
    ``potentiate_only`` with ``pulse``, or ``bidirectional`` with ``up`` and ``down``, the pulses
    that raise and lower a conductance. ``currents``: measured by one ``multiply`` for each pattern,
    or summed from a ``read`` of every cell; ``auto`` takes multiply if the backend has it.
    """

    patterns: BitTable
    outputs: BitTable
    held_out_patterns: BitTable | None = None
    bit_0_v: Volt = -0.1
    bit_1_v: Volt = 0.1
    bias_v: tuple[Volt, ...] = ()
    target_0: float = Field(default=-0.8, gt=-1, lt=1)
    target_1: float = Field(default=0.8, gt=-1, lt=1)
    stop: Literal["targets", "classified"] = "targets"
    beta_per_a: PerAmpere = Field(gt=0)
    max_updates: Count = 50
    scheme: Literal["potentiate_only", "bidirectional"] = "potentiate_only"
    pulse: PulseSettings | None = None
    up: Pulse | None = None
    down: Pulse | None = None
    currents: Literal["auto", "multiply", "read"] = "auto"

    @model_validator(mode="after")
    def _consistent(self) -> ManhattanSettings:
        if self.target_0 >= self.target_1:
            raise ValueError(f"target_0 {self.target_0:g} must be below target_1 {self.target_1:g}")
        if self.bit_0_v == self.bit_1_v:
            raise ValueError(f"bit_0_v and bit_1_v are both {self.bit_0_v:g} V")
        if len(self.patterns) != len(self.outputs):
            raise ValueError(f"{len(self.patterns)} patterns but {len(self.outputs)} outputs")
        _check_scheme(self)
        if self.stop == "classified":
            _check_classes(self.outputs)
        return self

    def voltage_v(self, patterns: BitTable) -> FloatArray:
        """Return the row voltages of ``patterns``, (patterns, rows), bias rows last."""
        coded_v = np.where(np.array(patterns) == 1, self.bit_1_v, self.bit_0_v)
        if not self.bias_v:
            return coded_v
        bias_v = np.broadcast_to(np.array(self.bias_v), (len(coded_v), len(self.bias_v)))
        return np.concatenate([coded_v, bias_v], axis=1)

    @property
    def target(self) -> FloatArray:
        """Return the target of each activation, (patterns, neurons)."""
        return np.where(np.array(self.outputs) == 1, self.target_1, self.target_0)


def _check_scheme(settings: ManhattanSettings) -> None:
    needed = {"potentiate_only": ("pulse",), "bidirectional": ("up", "down")}[settings.scheme]
    for key in ("pulse", "up", "down"):
        if (getattr(settings, key) is not None) != (key in needed):
            relation = "needs" if key in needed else "has no"
            raise ValueError(f"scheme {settings.scheme} {relation} {key}")
    if settings.up is not None and settings.up == settings.down:
        raise ValueError("up and down are the same pulse: no cell can go both ways by it")


def _check_classes(outputs: BitTable) -> None:
    if len(outputs[0]) < 2:
        raise ValueError("stop classified needs two outputs or more: one is always the largest")
    for index, bits in enumerate(outputs):
        if sum(bits) != 1:
            raise ValueError(
                f"stop classified: outputs entry {index} is {''.join(map(str, bits))}; it needs"
                " exactly one 1, the class of the pattern"
            )
