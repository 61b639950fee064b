"""Turn the moves of a controller into operations: a pulse and a read, or a ramp."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hwloop.array.operations import Flag, PulseMap, Ramp, Reading
from hwloop.steps.array import Array
from hwloop.steps.program.cell_table import CellTable
from hwloop.steps.program.cells_at_work import CellsAtWork
from hwloop.steps.program.controllers.base import IntArray, Move, PulseTrain, Steps
from hwloop.steps.program.verify.cell_reads import VerifyReads, taken
from hwloop.types import BoolArray, FloatArray

Trains = tuple[PulseTrain | None, PulseTrain | None]


@dataclass(frozen=True)
class Given:
    """Pulses that some cells got, and which of the cells could not be read."""

    pulses: IntArray
    failed: BoolArray


def read(reads: VerifyReads, table: CellTable, index: IntArray) -> BoolArray:
    """Read these cells into the table; which of them could not be read."""
    table.seen_conductance_s[index], failed = reads.seen(index)
    return failed


def apply(
    array: Array,
    reads: VerifyReads,
    work: CellsAtWork,
    move: Move,
    trains: Trains,
    most: Callable[[], IntArray],
) -> Given:
    """Give the pulses of ``move`` and read; several at once where an instrument can by itself.

    ``most``: tells how many pulses each cell may still get.
    """
    steps = array.backend.description.verify_steps
    if steps > 1 and reads.own_reads and move.width_s is None:
        return _ramp(array, reads, work, move, trains, np.minimum(most(), steps))
    for which, width_s in _widths(move, trains):
        every = bool(which.all())
        amplitude_v = move.amplitude_v if every else np.where(which, move.amplitude_v, 0.0)
        gate_v = None if move.gate_v is None else _map(array, work.index, move.gate_v)
        array.backend.pulse(PulseMap(_map(array, work.index, amplitude_v), width_s, gate_v=gate_v))
        _charge(work, slice(None) if every else np.flatnonzero(which), move.amplitude_v, width_s)
    work.seen_conductance_s, failed = reads.seen(work.index)
    return Given((move.side != 0).astype(np.int64), failed)


def _ramp(
    array: Array,
    reads: VerifyReads,
    work: CellsAtWork,
    move: Move,
    trains: Trains,
    left: IntArray,
) -> Given:
    """Apply pulses for as long as a cell stays on its side, in one ramp a side."""
    index = work.index
    pulses, failed = np.zeros(index.size, np.int64), np.zeros(index.size, np.bool_)
    work.seen_conductance_s = work.seen_conductance_s.copy()
    still = np.flatnonzero(move.side == 0)
    if still.size:
        work.seen_conductance_s[still], failed[still] = reads.seen(index[still])
    for train, sign in zip(trains, (1, -1), strict=True):
        which = np.flatnonzero(move.side == sign)
        if train is None or not which.size:
            continue
        cells, amplitude_v = index[which], move.amplitude_v[which]
        gate_v = None if move.gate_v is None else move.gate_v[which]
        count, step_v, gate_step_v = _linear(train, amplitude_v, gate_v, int(left[which].min()))
        window_conductance_s = work.low_conductance_s if sign > 0 else work.high_conductance_s
        bound_a = array.read_current_a(window_conductance_s[which])
        # A rising conductance ends in a rising current, or at a negative voltage in a falling one.
        ends_below = sign * array.settings.read.read_v < 0
        ramp = Ramp(
            _map(array, cells, amplitude_v),
            np.array(step_v),
            train.width_s,
            count,
            array.settings.read.read_v,
            low_a=np.array(-np.inf) if ends_below else _map(array, cells, bound_a),
            high_a=_map(array, cells, bound_a) if ends_below else np.array(np.inf),
            both_polarities=array.settings.read.both_polarities,
            gate_v=None if gate_v is None else _map(array, cells, gate_v),
            gate_step_v=gate_step_v,
        )
        reading = array.backend.ramp(ramp)
        for number in range(count):
            seen = Reading(reading.current_a[number], reading.flags[number])
            given = which[(seen.flags.ravel()[cells] & np.uint8(Flag.NOT_ADDRESSED)) == 0]
            if not given.size:
                break
            _charge(work, given, move.amplitude_v + number * step_v, train.width_s)
            work.seen_conductance_s[given], failed[given] = taken(array, index[given], seen)
            pulses[given] += 1
    later = np.maximum(pulses - 1, 0)  # the controller has counted the first
    work.state = replace(work.state, number=work.state.number + later)
    return Given(pulses, failed)


def _linear(
    train: PulseTrain, amplitude_v: FloatArray, gate_v: FloatArray | None, most: int
) -> tuple[int, float, float]:
    """Return the number of pulses in equal steps from here, and the steps in volts."""
    count, step_v = _left(train.amplitude_steps, amplitude_v, most)
    gate_step_v = 0.0
    if train.gate_steps is not None and gate_v is not None:
        count, gate_step_v = _left(train.gate_steps, gate_v, count)
    return count, step_v, gate_step_v


def _left(steps: Steps, at_v: FloatArray, most: int) -> tuple[int, float]:
    if not steps.step_v or (np.abs(at_v) >= abs(steps.end_v)).all():
        return most, 0.0
    left = (abs(steps.end_v) - np.abs(at_v)) / steps.step_v
    whole = int(np.floor(left.min() * (1 + 1e-12) + 1e-9))
    step_v = steps.step_v if steps.start_v > 0 else -steps.step_v
    return max(1, min(most, whole + 1)), step_v


def _widths(move: Move, trains: Trains) -> list[tuple[BoolArray, float]]:
    """Yield the cells of each pulse width; both polarities together where equal."""
    if move.width_s is not None:
        widths_s = np.unique(move.width_s[move.side != 0])
        return [((move.side != 0) & (move.width_s == width), float(width)) for width in widths_s]
    up, down = trains
    if up is not None and down is not None and up.width_s == down.width_s:
        return [(move.side != 0, up.width_s)] if move.side.any() else []
    sides = [(move.side == sign, train) for train, sign in zip(trains, (1, -1), strict=True)]
    return [(which, train.width_s) for which, train in sides if train is not None and which.any()]


def _charge(
    work: CellsAtWork, which: IntArray | slice, every_amplitude_v: FloatArray, width_s: float
) -> None:
    """Add a pulse of some cells, and its energy at the conductance read before it."""
    amplitude_v = every_amplitude_v[which]
    work.pulses_up[which] += amplitude_v > 0
    work.pulses_down[which] += amplitude_v < 0
    energy_j = np.square(amplitude_v)
    energy_j *= np.abs(work.seen_conductance_s[which])
    energy_j *= width_s
    work.energy_j[which] += energy_j
    work.stress_s[which] += width_s


def _map(array: Array, index: IntArray, values: FloatArray) -> FloatArray:
    shape = array.backend.description.shape
    whole = np.zeros(math.prod(shape))
    whole[index] = values
    return whole.reshape(shape)
