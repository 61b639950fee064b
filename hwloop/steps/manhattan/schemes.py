"""Pulse schemes that carry out an update, and the worst case of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from hwloop.array.operations import PulseMap
from hwloop.steps.common.pulses import Pulse
from hwloop.steps.manhattan.rows import SignArray
from hwloop.steps.manhattan.settings import ManhattanSettings
from hwloop.types import BoolArray, FloatArray


@dataclass(frozen=True)
class Scheme:
    """Pulses of an update, and their worst case.

    ``pulses``: yields the maps of one update, given as signs (..., rows, neurons); never an empty
    map. ``worst``: yields maps for an array of (rows, cols) that no update exceeds in number, in
    voltage, or in pulses of any cell.
    """

    pulses: Callable[[ManhattanSettings, SignArray], Iterator[PulseMap]]
    worst: Callable[[ManhattanSettings, tuple[int, int]], Iterator[PulseMap]]


def potentiate_only(settings: ManhattanSettings, update: SignArray) -> Iterator[PulseMap]:
    """Yield one pulse for G⁺ of the weights that rise, and for G⁻ of those that fall."""
    pulse = settings.pulse
    if pulse is None:
        raise ValueError("scheme potentiate_only needs pulse")
    amplitude_v = np.zeros((*update.shape[:-1], 2 * update.shape[-1]))
    amplitude_v[..., 0::2] = pulse.amplitude_v * (update > 0)
    amplitude_v[..., 1::2] = pulse.amplitude_v * (update < 0)
    if amplitude_v.any():
        yield PulseMap(amplitude_v, pulse.width_s, gate_v=pulse.gate_v)


def bidirectional(settings: ManhattanSettings, update: SignArray) -> Iterator[PulseMap]:
    """Yield pulses that raise G⁺ and lower G⁻ where the weight rises, the reverse where it falls.

    One half-column at a time: in each column first the cells that go up, then those that go down,
    all with the same pulse (M. Prezioso et al., Nature 521, 61 (2015), doi:10.1038/nature14441).
    """
    for col in range(2 * update.shape[-1]):
        rises = update[..., col // 2] if col % 2 == 0 else -update[..., col // 2]
        yield from _half_columns(settings, col, update.shape, rises > 0, rises < 0)


def _half_columns(
    settings: ManhattanSettings,
    col: int,
    shape: tuple[int, ...],
    up: BoolArray,
    down: BoolArray,
) -> Iterator[PulseMap]:
    """Yield the pulses of the cells that go up, then of those that go down, each (..., rows)."""
    for half, pulse in ((up, settings.up), (down, settings.down)):
        if pulse is None:
            raise ValueError("scheme bidirectional needs up and down")
        if half.any():
            amplitude_v = np.zeros((*shape[:-1], 2 * shape[-1]))
            amplitude_v[..., col] = pulse.amplitude_v * half
            yield _map(amplitude_v, pulse)


def _map(amplitude_v: FloatArray, pulse: Pulse) -> PulseMap:
    return PulseMap(amplitude_v, pulse.width_s, gate_v=pulse.gate_v)


def _worst_potentiation(settings: ManhattanSettings, shape: tuple[int, int]) -> Iterator[PulseMap]:
    """Yield the pulses of an update in which every weight rises."""
    return potentiate_only(settings, np.ones((shape[0], shape[1] // 2), dtype=np.int8))


def _worst_bidirectional(settings: ManhattanSettings, shape: tuple[int, int]) -> Iterator[PulseMap]:
    """Yield pulses for every cell: in each column one half goes up, the other half down."""
    rows, cols = shape
    update = np.ones((rows, cols // 2), dtype=np.int8)
    update[rows - rows // 2 :] = -1
    return bidirectional(settings, update)


SCHEMES: dict[str, Scheme] = {
    "bidirectional": Scheme(bidirectional, _worst_bidirectional),
    "potentiate_only": Scheme(potentiate_only, _worst_potentiation),
}
