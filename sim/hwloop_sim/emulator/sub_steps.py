"""States of cells whose voltages depend on the states, integrated over a pulse.

Each cell follows dx/dt = F(x, v), which its model solves exactly while v is constant; v is that of
the circuit, whose conductances are those of the states. The two take turns in two copies of the
states, each moved at the voltages of the other: half a step of the one, whole steps of both by
turns (G. Strang, SIAM Journal on Numerical Analysis 5, 506 (1968), of the doubled system of W. B.
Gragg, the same 2, 384 (1965)). The error is a series in the square of the step, so that the results
of 1, 2, 3 and 4 parts of a step are extrapolated to 0 (E. Hairer, S. P. Nørsett, G. Wanner, Solving
Ordinary Differential Equations I, II.9). A cell at its bound or in its steady state costs no step,
however stiff its model is; a step is as short as the coupling over the lines makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwloop.errors import BackendError
from hwloop.types import FloatArray

TOLERANCE = 2e-8
"""Error of a conductance in one step, relative: some fifty steps keep to 1e-6."""

MOST_STEPS = 20_000
_PARTS = (1, 2, 3, 4)
_SHORTEST, _LONGEST = 0.1, 4.0  # a step, in parts of the one before it
_CAUTION = 0.8


@dataclass(frozen=True)
class CoupledCells:
    """Cells and the circuit between them, as functions of the states, (..., rows, cols).

    ``after(state, voltage_v, duration_s)``: the states after a constant voltage. ``voltage_v`` and
    ``conductance_s``: of every cell, volts and siemens, in a state. ``within``: the nearest states
    between the bounds, which an extrapolation may leave by its error.
    """

    after: Callable[[FloatArray, FloatArray, float], FloatArray]
    voltage_v: Callable[[FloatArray], FloatArray]
    conductance_s: Callable[[FloatArray], FloatArray]
    within: Callable[[FloatArray], FloatArray]


def integrate_coupled(cells: CoupledCells, state: FloatArray, duration_s: float) -> FloatArray:
    """Return the states after ``duration_s``, conductances to 1e-6 of their values.

    Raises :class:`BackendError` where that takes more than ``MOST_STEPS`` steps.
    """
    left_s = step_s = duration_s
    volts_v = cells.voltage_v(state)
    if np.array_equal(cells.after(state, volts_v, duration_s), state):
        return state  # nothing moves at these voltages, which then do not change either
    for _ in range(MOST_STEPS):
        whole = step_s >= left_s
        step_s = min(step_s, left_s)
        moved, error, order = _step(cells, state, volts_v, step_s)
        if error <= TOLERANCE:
            state, left_s = moved, left_s - step_s
            if whole:
                return state
            volts_v = cells.voltage_v(state)
        step_s *= _growth(error, order)
    raise BackendError(
        f"a pulse of {duration_s:g} s through wires is not integrated after {MOST_STEPS} sub-steps:"
        f" {left_s:.3g} s are left; wires.pulses: at_begin holds the voltages during a pulse"
    )


def _growth(error: float, order: int) -> float:
    """Return the length of the next step in parts of this one."""
    if error == 0.0:
        return _LONGEST
    return float(np.clip(_CAUTION * (TOLERANCE / error) ** (1 / order), _SHORTEST, _LONGEST))


def _step(
    cells: CoupledCells, state: FloatArray, volts_v: FloatArray, step_s: float
) -> tuple[FloatArray, float, int]:
    """Return the states after a step, the error of their conductances, and how it goes with h.

    The error is that of the last but one extrapolation, relative. Stops dividing the step where
    the tolerance is met, or where another division will not meet it.
    """
    table: list[FloatArray] = []
    error, order = np.inf, 1
    for parts in _PARTS:
        row = [_by_turns(cells, state, volts_v, step_s, parts)]
        for coarse, before in zip(reversed(_PARTS[: len(table)]), table, strict=True):
            better = row[-1] + (row[-1] - before) / ((parts / coarse) ** 2 - 1)
            row.append(cells.within(better))
        table = row
        if parts == 1:
            continue
        last_error, error, order = error, _difference(cells, row[-1], row[-2]), 2 * parts - 1
        if error <= TOLERANCE or error * (error / last_error) > 100 * TOLERANCE:
            break
    return table[-1], error, order


def _by_turns(
    cells: CoupledCells, state: FloatArray, volts_v: FloatArray, step_s: float, parts: int
) -> FloatArray:
    """Return the states after a step in equal parts, each at the voltages of its middle."""
    part_s = step_s / parts
    own, other = state, cells.after(state, volts_v, part_s / 2)
    for number in range(parts):
        if number:
            other = cells.after(other, cells.voltage_v(own), part_s)
        own = cells.after(own, cells.voltage_v(other), part_s)
    return own


def _difference(cells: CoupledCells, one: FloatArray, other: FloatArray) -> float:
    """Return the largest difference of the conductances of two states, relative."""
    one_s, other_s = cells.conductance_s(one), cells.conductance_s(other)
    return float((np.abs(one_s - other_s) / np.maximum(np.abs(one_s), 1e-30)).max())
