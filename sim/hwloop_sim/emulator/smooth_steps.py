"""The beginning of a pulse whose cells move smoothly: explicit steps of the whole circuit.

The method of order 8 of J. R. Dormand and P. J. Prince (E. Hairer, S. P. Nørsett, G. Wanner,
Solving Ordinary Differential Equations I, II.5), with the coefficients of scipy: twelve solutions
of the circuit a step, and an error with it. What is stiff, or has a kink, asks for ever shorter
steps, and is left to :mod:`hwloop_sim.emulator.sub_steps`.
"""

from __future__ import annotations

import numpy as np
from scipy.integrate import DOP853

from hwloop.types import BoolArray, FloatArray
from hwloop_sim.emulator.coupled_cells import CoupledCells

TOLERANCE = 2e-7
"""Error of a conductance in one step, relative."""

MOST_TRIALS = 24
MOST_REFUSED = 3
_SHORTEST, _LONGEST, _CAUTION = 0.1, 5.0, 0.85


def smooth_steps(
    cells: CoupledCells,
    state: FloatArray,
    volts_v: FloatArray,
    left_s: FloatArray,
    first_s: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the states as far as these steps go, and the time that is left, (..., 1, 1), seconds.

    ``volts_v``: in the state at the beginning. ``first_s``: a guess of the first step. Each array
    takes its own steps, and stops where ``MOST_REFUSED`` of them in turn, or ``MOST_TRIALS`` in
    all, have not brought it to the end.
    """
    speed = cells.device.speed_per_s(state, volts_v)
    step_s = first_s
    refused = np.zeros(left_s.shape, dtype=np.int64)
    going: BoolArray = left_s > 0
    for _ in range(MOST_TRIALS):
        step_s = np.where(going, np.minimum(step_s, left_s), 0.0)
        stepped, new_speed, error = _trial(cells, state, speed, step_s)
        good = going & (error <= TOLERANCE)
        state, speed = np.where(good, stepped, state), np.where(good, new_speed, speed)
        left_s = np.where(good, np.where(step_s >= left_s, 0.0, left_s - step_s), left_s)
        refused = np.where(good, 0, refused + 1)
        going = going & (left_s > 0) & (refused < MOST_REFUSED)
        if not going.any():
            break
        with np.errstate(divide="ignore"):
            factor = _CAUTION * (error / TOLERANCE) ** -0.125
        step_s = step_s * np.clip(factor, _SHORTEST, _LONGEST)
    return state, left_s


def _trial(
    cells: CoupledCells, state: FloatArray, speed: FloatArray, step_s: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the states after a step, their speeds, and the relative errors of each array."""
    device = cells.device
    speeds = np.empty((DOP853.n_stages + 1, *state.shape))
    flat = speeds.reshape(len(speeds), -1)
    speeds[0] = speed
    for stage, weights in enumerate([*DOP853.A[1:], DOP853.B], start=1):
        way = (weights[:stage] @ flat[:stage]).reshape(state.shape)
        stepped = np.minimum(np.maximum(state + step_s * way, cells.low), cells.high)
        speeds[stage] = device.speed_per_s(stepped, cells.voltage_v(stepped))
    fifth, third = (step_s * (one @ flat).reshape(state.shape) for one in (DOP853.E5, DOP853.E3))
    size = np.hypot(fifth, 0.1 * third)
    off = np.divide(fifth * np.abs(fifth), size, out=np.zeros_like(size), where=size != 0)
    inside = (stepped + off >= cells.low) & (stepped + off <= cells.high)
    beside = np.minimum(np.maximum(stepped + np.where(inside, off, -off), cells.low), cells.high)
    error = cells.difference(stepped, beside)
    return stepped, speeds[-1], np.where(np.isnan(error), np.inf, error)
