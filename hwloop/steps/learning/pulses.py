"""Numbers of pulses of each cell, as maps of equal pulses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from hwloop.array.operations import PulseMap
from hwloop.errors import ConfigError
from hwloop.settings.model import Settings
from hwloop.steps.common.pulses import Pulse

IntArray = NDArray[np.int64]


class CellPulses(Settings):
    """Pulses that raise and lower a conductance; without ``down`` only rises are made.

    Then a weight falls by a rise of its other cell. ``by``: whether n steps are n pulses, or pulses
    that together are n times as long.
    """

    up: Pulse
    down: Pulse | None = None
    by: Literal["number", "width"] = "number"

    @model_validator(mode="after")
    def _two_ways(self) -> CellPulses:
        if self.down is not None and self.down == self.up:
            raise ValueError("up and down are the same pulse")
        return self

    @property
    def cells_of_a_step(self) -> int:
        """Return how many cells of a pair a step of its weight moves."""
        return 1 if self.down is None else 2


def on_pairs(steps: IntArray, pulses: CellPulses) -> IntArray:
    """Return the signed pulses of each cell, (..., rows, 2 · weights), for steps of the weights.

    ``steps``: (..., rows, weights), positive: up. The cells of a pair, G⁺ and G⁻, stand side by
    side. A step up is a pulse up on G⁺ and one down on G⁻; where there are no pulses down it is the
    first alone, and a step down a pulse up on G⁻.
    """
    counts = np.zeros((*steps.shape[:-1], 2 * steps.shape[-1]), dtype=np.int64)
    if pulses.down is None:
        counts[..., 0::2] = np.maximum(steps, 0)
        counts[..., 1::2] = np.maximum(-steps, 0)
    else:
        counts[..., 0::2] = steps
        counts[..., 1::2] = -steps
    return counts


def pulse_maps(counts: IntArray, pulses: CellPulses) -> Iterator[PulseMap]:
    """Yield maps that give each cell its number of pulses, (..., rows, cols), positive: up.

    A map has one number of pulses for all of its cells: the numbers are made of powers of two, so
    that up to 2^k pulses take k + 1 maps (twice as many where up and down differ in width or gate).
    """
    magnitude = np.abs(counts)
    for bit in range(int(magnitude.max(initial=0)).bit_length()):
        chosen = (magnitude >> bit) & 1
        if chosen.any():
            yield from _maps(chosen * np.sign(counts), 1 << bit, pulses)


def worst_maps(most: int, shape: tuple[int, int], pulses: CellPulses) -> Iterator[PulseMap]:
    """Yield the maps of an update in which every cell gets ``most`` pulses each way."""
    for bit in range(most.bit_length()):
        for sign in (1, -1) if pulses.down is not None else (1,):
            yield from _maps(np.full(shape, sign, dtype=np.int64), 1 << bit, pulses)


def _maps(signs: IntArray, times: int, pulses: CellPulses) -> Iterator[PulseMap]:
    up, down = pulses.up, pulses.down
    longer, count = (times, 1) if pulses.by == "width" else (1, times)
    rises = np.asarray(up.amplitude_v * (signs > 0), dtype=np.float64)
    if down is None:
        if (signs < 0).any():
            raise ConfigError("a step down needs pulses.down")
        yield PulseMap(rises, up.width_s * longer, count, up.gate_v)
        return
    falls = np.asarray(down.amplitude_v * (signs < 0), dtype=np.float64)
    if (up.width_s, up.gate_v) == (down.width_s, down.gate_v):
        yield PulseMap(rises + falls, up.width_s * longer, count, up.gate_v)
        return
    for amplitude_v, pulse in ((rises, up), (falls, down)):
        if amplitude_v.any():
            yield PulseMap(amplitude_v, pulse.width_s * longer, count, pulse.gate_v)
