"""Training of 1T1R cells by the gate voltage of their SET pulse.

The conductance that a SET leaves is proportional to the gate voltage, ``conductance_s_per_v``
siemens for each volt. Each cell keeps its gate voltage: ΔV = Δw · span / (2 ·
``conductance_s_per_v``), up for G⁺ and down for G⁻. Where it falls, the cell is RESET first;
then it is SET at the new gate voltage, held between ``low_v`` and ``high_v``. Source: Z. Wang et
al., Nat. Mach. Intell. 1, 434 (2019), doi:10.1038/s42256-019-0089-1, with the constants of
zhongruiwang/memristorCNN: first gate 1.1 V, range 0.4 to 1.8 V, SET 2.5 V, RESET 1.8 V at a gate of
5 V, 98 µS/V.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.settings.units import PositiveVolt, SiemensPerVolt, Volt
from hwloop.steps.common.pulses import Pulse
from hwloop.steps.learning.placed_layer import Place, PlacedLayer
from hwloop.steps.learning.pulses import CellPulses
from hwloop.steps.learning.rules.delta_pulses import Rate
from hwloop.steps.learning.rules.rule import LayerRule, RuleSettings, mean_gradient
from hwloop.types import FloatArray


class GateVoltage(RuleSettings):
    """Settings of training by the gate: ``up`` of the step's pulses is the SET, ``down`` the RESET.

    ``rate``: η. ``first_v``: gate voltage of the cells at the begin, within ``first_spread_v``
    either way. ``smallest_v``: changes of the gate below it are not made, but kept until they are
    worth a pulse.
    """

    name: Literal["gate_voltage"]
    rate: Rate
    conductance_s_per_v: Annotated[SiemensPerVolt, Field(gt=0)] = 98e-6
    first_v: PositiveVolt = 1.1
    first_spread_v: Annotated[Volt, Field(ge=0)] = 0.0
    low_v: PositiveVolt = 0.4
    high_v: PositiveVolt = 1.8
    smallest_v: PositiveVolt = 1e-3

    @model_validator(mode="after")
    def _ordered(self) -> GateVoltage:
        low_v, high_v = self.first_v - self.first_spread_v, self.first_v + self.first_spread_v
        if not self.low_v <= low_v <= high_v <= self.high_v:
            raise ValueError(
                f"first_v {self.first_v:g} with first_spread_v {self.first_spread_v:g} is not"
                f" between low_v {self.low_v:g} and high_v {self.high_v:g}"
            )
        return self

    @override
    def refuse_pulses(self, pulses: CellPulses) -> None:
        if pulses.down is None:
            raise ValueError("rule gate_voltage needs pulses.down, the RESET")
        if pulses.up.gate_v is not None:
            raise ValueError(
                f"pulses.up.gate_v {pulses.up.gate_v:g}: rule gate_voltage sets the gate of a SET"
            )

    @property
    @override
    def most_of_a_cell(self) -> int:
        return 2

    @override
    def begin(self, layers: list[PlacedLayer], rng: np.random.Generator) -> LayerRule:
        return _Gated(self, layers[0], rng)

    @override
    def worst(self, pulses: CellPulses, place: Place, shape: tuple[int, int]) -> Iterator[PulseMap]:
        ones = np.ones(shape)
        yield _reset(ones, pulses)
        yield PulseMap(pulses.up.amplitude_v * ones, pulses.up.width_s, gate_v=self.high_v)


class _Gated(LayerRule):
    def __init__(self, settings: GateVoltage, layer: PlacedLayer, rng: np.random.Generator) -> None:
        self._settings, self._layer = settings, layer
        *outer, inputs, outputs = layer.shape
        cells = (*outer, inputs, 2 * outputs)
        spread_v = settings.first_spread_v
        self._gate_v = settings.first_v + rng.uniform(-spread_v, spread_v, cells)
        self._wanted_v = self._gate_v.copy()
        self._set = np.zeros(cells, dtype=np.bool_)

    @override
    def update(self, inputs: FloatArray, errors: FloatArray) -> None:
        settings, layer = self._settings, self._layer
        change = settings.rate * mean_gradient(inputs, errors)
        step_v = change * layer.span_conductance_s / (2 * settings.conductance_s_per_v)
        self._wanted_v[..., 0::2] += step_v
        self._wanted_v[..., 1::2] -= step_v
        np.clip(self._wanted_v, settings.low_v, settings.high_v, out=self._wanted_v)
        moved = np.abs(self._wanted_v - self._gate_v) >= settings.smallest_v
        chosen = (moved | ~self._set) & layer.at_work[..., None, None]
        falls = chosen & (self._wanted_v < self._gate_v)
        if falls.any():
            layer.apply(_reset(layer.on_array(falls.astype(np.float64)), layer.pulses))
        if chosen.any():
            up = layer.pulses.up
            amplitude_v = layer.on_array(np.where(chosen, up.amplitude_v, 0.0))
            gate_v = layer.on_array(self._wanted_v)
            layer.apply(PulseMap(amplitude_v, up.width_s, gate_v=gate_v))
        self._gate_v = np.where(chosen, self._wanted_v, self._gate_v)
        self._set |= chosen


def _reset(cells: FloatArray, pulses: CellPulses) -> PulseMap:
    down: Pulse | None = pulses.down
    if down is None:
        raise ValueError("rule gate_voltage needs pulses.down, the RESET")
    return PulseMap(down.amplitude_v * cells, down.width_s, gate_v=down.gate_v)
