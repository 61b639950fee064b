"""Steps of a log of pulses: from a value read before a single pulse to the one read after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwloop.types import FloatArray

_LEAST_ALTERNATING = 4

_Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class PulseRows:
    """Rows of a log in order, all of one length.

    ``amplitude_v``: 0 for a read alone. ``conductance_s``: read after the pulse, NaN where it was
    not. ``number``: of the pulse as counted in the file, ``part``: of train and cycle, ``cycle``:
    as in the file; each is 0 throughout where the file has none.
    """

    cell: FloatArray
    amplitude_v: FloatArray
    width_s: FloatArray
    gate_v: FloatArray
    conductance_s: FloatArray
    number: FloatArray
    part: FloatArray
    cycle: FloatArray


@dataclass(frozen=True)
class PulseSteps:
    """PulseSteps in the order of the file, cell by cell.

    ``before``, ``after``: rows of the values; ``pulse_row``: row of the pulse between them.
    ``runs``: of steps that follow each other under pulses of one polarity. ``lost``: pulses with a
    value after them and none before. ``single``, ``single_pulse``: rows of all values that follow
    a single pulse, with one before it or without, and rows of these pulses. ``whole``: whether no
    pulse is without a value.
    """

    before: _Rows
    after: _Rows
    pulse_row: _Rows
    runs: Sequence[_Rows]
    lost: int
    single: _Rows
    single_pulse: _Rows
    whole: bool

    def alternate(self, events: PulseRows) -> bool:
        """Return whether every pulse has the other polarity than that before, as in cycling.

        Four pulses or more, two cycles: fewer may be the ends of short trains.
        """
        signs = np.sign(events.amplitude_v[self.single_pulse])
        same_cell = np.diff(events.cell[self.single_pulse]) == 0
        alternating = not (same_cell & (np.diff(signs) == 0)).any()
        return self.whole and alternating and signs.size >= _LEAST_ALTERNATING


def steps_of(events: PulseRows) -> PulseSteps:
    """Return the steps of all cells.

    A step needs a single pulse since the value before, in the same part, and numbers without a gap.
    """
    breaks = _breaks(events)
    before, after, pulses = [], [], []
    runs: list[_Rows] = []
    single, single_pulse = [], []
    lost, offset = 0, 0
    order = np.argsort(events.cell, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(events.cell[order])) + 1):
        a, b, pulse, without = _of_cell(events, rows, breaks)
        values, pulses_of_values = _singles(events, rows)
        single.append(values)
        single_pulse.append(pulses_of_values)
        sign = np.sign(events.amplitude_v[pulse])
        follows = (np.diff(sign) == 0) & _continue(events, rows, breaks, a, b)
        runs += (
            [run + offset for run in np.split(np.arange(b.size), np.flatnonzero(~follows) + 1)]
            if b.size
            else []
        )
        before.append(a)
        after.append(b)
        pulses.append(pulse)
        lost, offset = lost + without, offset + b.size
    return PulseSteps(
        before=np.concatenate(before),
        after=np.concatenate(after),
        pulse_row=np.concatenate(pulses),
        runs=runs,
        lost=lost,
        single=np.concatenate(single),
        single_pulse=np.concatenate(single_pulse),
        whole=sum(one.size for one in single) == int((events.amplitude_v != 0).sum()),
    )


def _singles(events: PulseRows, rows: _Rows) -> tuple[_Rows, _Rows]:
    """Return the rows of the first values after single pulses of one cell, and of these pulses."""
    is_pulse = events.amplitude_v[rows] != 0
    valued = np.flatnonzero(np.isfinite(events.conductance_s[rows]))
    chosen = valued[np.diff(np.cumsum(is_pulse)[valued], prepend=0) == 1]
    last = np.maximum.accumulate(np.where(is_pulse, np.arange(rows.size), -1))
    return rows[chosen], rows[last[chosen]]


def _breaks(events: PulseRows) -> NDArray[np.bool_]:
    """Return the rows before which the order of pulses in the file is interrupted."""
    whole = np.zeros(events.cell.size, dtype=np.bool_)
    order = np.argsort(events.cell, kind="stable")
    same_cell = np.diff(events.cell[order]) == 0
    whole[order[1:]] = same_cell & (np.diff(events.part[order]) != 0)
    if np.ptp(events.number) > 0 and not (np.diff(events.number) == 1).all():
        # Numbers that count the pulses of each cell; a global count runs through all of them.
        jump = np.diff(events.number[order])
        is_pulse = events.amplitude_v[order[1:]] != 0
        gap = (jump < 0) | (jump > 1) | (is_pulse & (jump == 0))
        whole[order[1:]] |= same_cell & gap
    return whole


def _of_cell(
    events: PulseRows, rows: _Rows, breaks: NDArray[np.bool_]
) -> tuple[_Rows, _Rows, _Rows, int]:
    """Return rows before, after and of the pulses of the steps of one cell, and how many are lost.

    Lost is a pulse with a value after it, but none before it in the same part.
    """
    is_pulse = events.amplitude_v[rows] != 0
    valued = np.flatnonzero(np.isfinite(events.conductance_s[rows]))
    if not valued.size:
        none = np.empty(0, dtype=np.int64)
        return none, none, none, 0
    given = np.cumsum(is_pulse)[valued]
    part = np.cumsum(breaks[rows])[valued]
    last = np.maximum.accumulate(np.where(is_pulse, np.arange(rows.size), -1))[valued]
    pulses = np.diff(given, prepend=0)
    apart = np.concatenate([[True], np.diff(part) != 0])
    chosen = np.flatnonzero((pulses == 1) & ~apart)
    lost = int(((pulses >= 1) & (apart | (pulses > 1))).sum())
    return rows[valued[chosen - 1]], rows[valued[chosen]], rows[last[chosen]], lost


def _continue(
    events: PulseRows, rows: _Rows, breaks: NDArray[np.bool_], before: _Rows, after: _Rows
) -> NDArray[np.bool_]:
    """Return whether each next step of a cell begins where the one before ended, or at a reread."""
    place = np.empty(events.cell.size, dtype=np.int64)
    place[rows] = np.arange(rows.size)
    happened = np.cumsum((events.amplitude_v[rows] != 0) | breaks[rows])
    between = happened[place[before[1:]]] - happened[place[after[:-1]]]
    return np.asarray(between == 0)
