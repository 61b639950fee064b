"""States of cells whose voltages depend on the states, integrated over a pulse.

Each cell follows dx/dt = F(x, v), which its model solves exactly while v is constant; v is that of
the circuit, whose conductances are those of the states. The two take turns in two copies of the
states, each moved at the voltages of the other: half a step of the one, whole steps of both by
turns (G. Strang, SIAM Journal on Numerical Analysis 5, 506 (1968), of the doubled system of W. B.
Gragg, the same 2, 384 (1965)). The error is a series in the square of the step, so that the results
of 1, 2, 3 and 4 parts of a step are extrapolated to 0 (E. Hairer, S. P. Nørsett, G. Wanner, Solving
Ordinary Differential Equations I, II.9).

The cell that a pulse selects moves most, and what it does to itself is not left to the steps: its
model is solved behind the resistance that the circuit has for it, with the voltage that this leaves
it in each state. So a step is as short as the coupling to the other cells makes it. A cell at its
bound or in its steady state costs no step, however stiff its model is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwloop.errors import BackendError
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.cells.device import Divider
from hwloop_sim.emulator.coupled_cells import CoupledCells
from hwloop_sim.emulator.smooth_steps import smooth_steps

TOLERANCE = 2e-8
"""Error of a conductance in one step, relative: some fifty steps keep to 1e-6."""

WHOLE = 2e-7
"""The same, in a pulse; a step may have its share of it by its length."""

STILL = 1e-7
"""Change of every conductance, relative, below which a pulse need not be followed."""

MOST_STEPS = 20_000
_AT_BOUND = 1e-9
_COUPLED = 0.05
"""Largest effect of what the voltages do in a step on a conductance, relative."""
_FIRST = 0.2  # change of a conductance in the first step, relative
_PARTS = (1, 2, 3, 4)
_SHORTEST, _LONGEST = 0.1, 4.0  # a step, in parts of the one before it
_CAUTION = 0.8


def integrate_coupled(cells: CoupledCells, state: FloatArray, duration_s: float) -> FloatArray:
    """Return the states after ``duration_s``, conductances to 1e-6 of their values.

    Each array of a population takes its own steps, as if it were alone. Raises
    :class:`BackendError` where that takes more than ``MOST_STEPS`` steps.
    """
    volts_v = cells.voltage_v(state)
    whole_s = np.full((*state.shape[:-2], 1, 1), float(duration_s))
    held = cells.device.after(state, volts_v, whole_s)
    changes = _changes(cells, state, held)
    largest = changes.max(axis=(-2, -1), keepdims=True)
    still = largest <= STILL
    if still.all():
        return held  # what moves so little changes no voltage
    smooth = ~still & _moves_smoothly(cells, held, changes > STILL)
    moved, left_s = state, np.where(still, 0.0, whole_s)
    if smooth.any():
        own_s = np.where(smooth, whole_s, 0.0)
        first_s = own_s * np.minimum(1.0, _FIRST / largest)
        moved, rest_s = smooth_steps(cells, state, volts_v, own_s, first_s)
        left_s = np.where(smooth, rest_s, left_s)
    if left_s.any():
        if smooth.any():
            volts_v = np.where(smooth, cells.voltage_v(moved), volts_v)
        moved = _by_turns_to_end(cells, moved, volts_v, left_s, held)
    return np.where(still, held, moved)


def _changes(cells: CoupledCells, state: FloatArray, held: FloatArray) -> FloatArray:
    """Return the relative changes of the conductances, in parts of the smaller of two."""
    begin_s, end_s = cells.conductance_s(state), cells.conductance_s(held)
    smaller_s = np.maximum(np.minimum(np.abs(begin_s), np.abs(end_s)), 1e-30)
    changes: FloatArray = np.abs(end_s - begin_s) / smaller_s
    return changes


def _moves_smoothly(cells: CoupledCells, held: FloatArray, moving: BoolArray) -> BoolArray:
    """Return which arrays have several cells that move, none of them to a bound, (..., 1, 1).

    ``held``: the states at the end if the voltages stayed those of the beginning.
    """
    bound = moving & ((held <= cells.low + _AT_BOUND) | (held >= cells.high - _AT_BOUND))
    several: BoolArray = moving.sum(axis=(-2, -1), keepdims=True) > 1
    return several & ~bound.any(axis=(-2, -1), keepdims=True)


def _by_turns_to_end(
    cells: CoupledCells,
    state: FloatArray,
    volts_v: FloatArray,
    left_s: FloatArray,
    other: FloatArray,
) -> FloatArray:
    """Return the states after the time that is left; ``other``: states that tell resistances."""
    series_ohm = _series_ohm(cells, state, other, volts_v)
    whole_s = np.where(left_s > 0, left_s, 1.0)
    step_s = left_s
    for _ in range(MOST_STEPS):
        step_s = np.minimum(step_s, left_s)
        tolerance = np.maximum(TOLERANCE, WHOLE * step_s / whole_s)
        behind = _Behind.of(cells, state, series_ohm)
        stepped, error, order = _step(behind, state, volts_v, step_s, tolerance)
        good = (error <= tolerance) & (left_s > 0)
        state = np.where(good, stepped, state)
        left_s = np.where(good, np.where(step_s >= left_s, 0.0, left_s - step_s), left_s)
        if not left_s.any():
            return state
        if good.any():
            volts_v = np.where(good, cells.voltage_v(state), volts_v)
        step_s = step_s * _growth(error / tolerance, order)
    raise BackendError(
        f"a pulse through wires is not integrated after {MOST_STEPS} sub-steps:"
        f" {left_s.max():.3g} s are left; wires.pulses: at_begin holds the voltages during a pulse"
    )


def _growth(error: FloatArray, order: FloatArray) -> FloatArray:
    """Return the length of the next step of each array in parts of this one."""
    with np.errstate(divide="ignore"):
        factor: FloatArray = np.clip(_CAUTION * error ** (-1 / order), _SHORTEST, _LONGEST)
    return factor


@dataclass(frozen=True)
class _Behind:
    """The selected cells behind their resistances; ``slope_ohm``: dR/dx of each, in this step."""

    cells: CoupledCells
    series_ohm: FloatArray
    slope_ohm: FloatArray

    @classmethod
    def of(cls, cells: CoupledCells, state: FloatArray, series_ohm: FloatArray) -> _Behind:
        """Take the slopes in a state, less steep where a bound would be beyond 0 ohm."""
        low, high = cells.low, cells.high
        own = cells.selected
        x, bounds = state.flat[own], [low.flat[own], high.flat[own]]
        beside = np.where(state + 1e-6 <= high, state + 1e-6, state - 1e-6)
        begin_ohm, beside_ohm, low_ohm, high_ohm = (
            1 / np.maximum(cells.conductance_s(one).flat[own], 1e-30)
            for one in (state, beside, low, high)
        )
        slope_ohm = (beside_ohm - begin_ohm) / (beside.flat[own] - x)
        with np.errstate(divide="ignore", invalid="ignore"):
            steepest = (begin_ohm - 0.5 * low_ohm) / (x - bounds[0])
            lowest = -(begin_ohm - 0.5 * high_ohm) / (bounds[1] - x)
        slope_ohm = np.minimum(slope_ohm, np.where(steepest > 0, steepest, np.inf))
        slope_ohm = np.maximum(slope_ohm, np.where(lowest < 0, lowest, -np.inf))
        return cls(cells, series_ohm, slope_ohm)

    def after(
        self, state: FloatArray, at_state: FloatArray, volts_v: FloatArray, duration_s: FloatArray
    ) -> FloatArray:
        """Return the states after a time at voltages that are those of ``at_state``."""
        own = self.cells.selected
        others_v = volts_v.copy()
        others_v.flat[own] = 0.0
        moved = self.cells.device.after(state, others_v, duration_s)
        ohm = 1 / np.maximum(self.cells.conductance_s(at_state).flat[own], 1e-30)
        divider = Divider(
            own,
            volts_v.flat[own],
            at_state.flat[own],
            self.slope_ohm / ohm,
            self.slope_ohm / (ohm + self.series_ohm),
        )
        each_s = np.broadcast_to(duration_s, state.shape).flat[own]
        moved.flat[own] = self.cells.device.after_behind(state, divider, each_s)
        return moved


def _series_ohm(
    cells: CoupledCells, state: FloatArray, other: FloatArray, volts_v: FloatArray
) -> FloatArray:
    """Return the resistance that each selected cell is behind, (selected,), ohms.

    From its voltages in two of its states: v (1 + G R) is the same in both.
    """
    own = cells.selected
    changed = state.copy()
    changed.flat[own] = other.flat[own]
    one_v, other_v = volts_v.flat[own], cells.voltage_v(changed).flat[own]
    one_a = one_v * cells.conductance_s(state).flat[own]
    other_a = other_v * cells.conductance_s(changed).flat[own]
    with np.errstate(divide="ignore", invalid="ignore"):
        ohm = (one_v - other_v) / (other_a - one_a)
    return np.where(np.isfinite(ohm) & (ohm > 0), ohm, 0.0)


def _step(
    behind: _Behind,
    state: FloatArray,
    volts_v: FloatArray,
    step_s: FloatArray,
    tolerance: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the states after a step, the errors of their conductances, and how these go with h.

    The error is that of the last but one extrapolation, relative. Stops dividing the step of an
    array where the tolerance is met, or where another division will not meet it.
    """
    cells = behind.cells
    table: list[FloatArray] = []
    error, order = np.full(step_s.shape, np.inf), np.ones(step_s.shape)
    going: BoolArray = step_s > 0
    found = state
    for parts in _PARTS:
        row = [_by_turns(behind, state, volts_v, step_s, parts)]
        for coarse, before in zip(reversed(_PARTS[: len(table)]), table, strict=True):
            better = row[-1] + (row[-1] - before) / ((parts / coarse) ** 2 - 1)
            row.append(cells.device.within(better))
        table = row
        if parts == 1:
            continue
        last_error, error = error, np.where(going, cells.difference(row[-1], row[-2]), error)
        found, order = np.where(going, row[-1], found), np.where(going, 2 * parts - 1, order)
        enough = error <= tolerance
        with np.errstate(invalid="ignore", over="ignore"):
            vain = error * (error / last_error) > 100 * tolerance
        going = going & ~enough & ~vain
        if not going.any():
            break
    # Where all parts of a step see the voltages of its end alone, they agree, and are wrong.
    far = cells.difference(behind.after(state, state, volts_v, step_s), found) > _COUPLED
    error = np.where(far, np.inf, error)
    return found, np.where(step_s > 0, error, 0.0), order


def _by_turns(
    behind: _Behind, state: FloatArray, volts_v: FloatArray, step_s: FloatArray, parts: int
) -> FloatArray:
    """Return the states after a step in equal parts, each at the voltages of its middle."""
    part_s = step_s / parts
    own, other = state, behind.after(state, state, volts_v, part_s / 2)
    for number in range(parts):
        if number:
            other = behind.after(other, own, behind.cells.voltage_v(own), part_s)
        own = behind.after(own, other, behind.cells.voltage_v(other), part_s)
    return own
