"""Fit what a RESET leaves to sweeps of the source line: where it begins, its level, its scatter.

Where a sweep has lost half of its conductance says where it began. The level beyond it by robust
least squares; what is then left of the logarithm, over 1 − G_level R_s, is a sum of what belongs to
the cell, to the cycle (c) and to the pulse (p, correlated by ρ a pulse): normal, by maximum
likelihood. Sweeps that end when a conductance is reached do not bias that: the end depends on what
was seen alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwloop.errors import ConfigError, NotConverged
from hwloop.operations import FloatArray
from hwloop_sim.calibrate.line_sweeps import Sweeps

Places = NDArray[np.intp]

_HALF = 0.5
_LEAST_SWEEPS = 20
_LEAST_POINTS = 2
_RESAMPLED = 40
_SEED = 2
_ROBUST = 1.4826


@dataclass(frozen=True, eq=False)
class RedrawFit:
    """Of RESET; ``uncertainty``: by the name of the setting. ``left_out``: sweeps, in words."""

    v_reset_v: float
    v_slope_v: float
    reset_floor_s: float
    v_sigma: float
    floor_sigma: float
    v_sigma_v: float
    cycle_sigma: float
    pulse_sigma: float
    correlation: float
    left_out: str
    uncertainty: dict[str, float]


@dataclass(frozen=True, eq=False)
class _Begun:
    """Sweeps that begin to RESET: ``half_v``: the first voltage that leaves less than half."""

    sweeps: Sweeps
    half_v: FloatArray
    step_v: float

    def aligned(self) -> tuple[FloatArray, FloatArray]:
        """ln G of each pulse after that one, and the volts of each beyond where half was left.

        (sweeps, pulses), NaN from the end of a sweep on; (pulses,). Half was left within the step
        before ``half_v``: in its middle.
        """
        first = np.searchsorted(self.sweeps.volts, self.half_v + self.step_v / 2)
        length = self.sweeps.volts.size - int(first.min())
        place = first[:, None] + np.arange(length)
        inside = place < self.sweeps.volts.size
        seen_s = np.take_along_axis(self.sweeps.after_s, np.where(inside, place, 0), axis=1)
        there = np.logical_and.accumulate(inside & np.isfinite(seen_s), axis=1)
        logs = np.where(there, np.log(np.where(there, seen_s, 1.0)), np.nan)
        kept = there.any(axis=0)
        return logs[:, kept], (np.arange(length)[kept] + 1.5) * np.float64(self.step_v)


def fit_redraw(sweeps: Sweeps, r_series_ohm: float) -> RedrawFit:
    """``r_series_ohm``: of the cells, from sweeps of the gate.

    Raises :class:`ConfigError` or :class:`NotConverged` with the file and what does not show.
    """
    begun, left_out = _begun(sweeps)
    slope_v, floor_s = _level(begun, r_series_ohm)
    parts = _parts(begun, slope_v, floor_s, r_series_ohm)
    cell, cycle, pulse, correlation, mean, errors = parts
    floor_s *= float(np.exp(mean))
    begins_v = begun.half_v - begun.step_v / 2 - _to_half_v(slope_v, floor_s * r_series_ohm)
    of_cell, within_v = _cells(begun.sweeps.cell, begins_v)
    spread = _ROBUST * float(np.median(np.abs(np.log(of_cell) - np.log(np.median(of_cell)))))
    count = of_cell.size
    slope_error = _resampled(begun, r_series_ohm)
    return RedrawFit(
        float(np.median(of_cell)),
        slope_v,
        floor_s,
        spread,
        cell,
        within_v,
        cycle,
        pulse,
        correlation,
        left_out,
        {
            "v_reset_v": float(1.2533 * spread * np.median(of_cell) / np.sqrt(count)),
            "v_slope_v": slope_error,
            "reset_floor_s": floor_s * errors[4],
            "spread.v_reset_v": spread / float(np.sqrt(2 * (count - 1))),
            "spread.reset_floor_s": errors[0],
            "redraw.v_sigma_v": within_v / float(np.sqrt(2 * (begins_v.size - count))),
            "redraw.cycle_sigma": errors[1],
            "redraw.pulse_sigma": errors[2],
            "redraw.correlation": errors[3],
        },
    )


def _begun(sweeps: Sweeps) -> tuple[_Begun, str]:
    first_s = np.nanmedian(sweeps.before_s[:, :_LEAST_POINTS], axis=1)
    less = sweeps.after_s < _HALF * first_s[:, None]
    typical_s = np.median(first_s)
    usable = less.any(axis=1) & (first_s > _HALF * typical_s)
    if usable.sum() < _LEAST_SWEEPS:
        raise ConfigError(
            f"{int(usable.sum())} sweeps begin in the lower resistance and lose half of it:"
            f" expected {_LEAST_SWEEPS}",
            file=sweeps.where,
        )
    words = f"{int((~usable).sum())} of {usable.size} RESET sweeps left out: they begin in HRS or"
    words += " never reach half of the conductance"
    half_v = sweeps.volts[np.argmax(less[usable], axis=1)]
    steps_v = np.diff(sweeps.volts)
    step_v = float(np.median(steps_v))
    if np.abs(steps_v - step_v).max() > 1e-3 * step_v:
        raise ConfigError(
            f"steps from {steps_v.min():g} to {steps_v.max():g} V: expected equal ones",
            file=sweeps.where,
        )
    return _Begun(sweeps.of(usable), half_v, step_v), "" if usable.all() else words


def _to_half_v(slope_v: float, floor: float) -> float:
    """From where a RESET begins to where half is left, volts; ``floor``: G_f R_s."""
    return slope_v * float(np.log((1 - floor) / (_HALF - floor)))


def _log_level(beyond_v: FloatArray, slope_v: float, floor: float) -> FloatArray:
    """ln (G_level R_s) so far beyond where half is left."""
    left = np.exp(-(beyond_v + _to_half_v(slope_v, floor)) / slope_v)
    logs: FloatArray = np.log(floor + (1 - floor) * left)
    return logs


def _level(begun: _Begun, r_ohm: float) -> tuple[float, float]:
    from scipy.optimize import least_squares

    table, volts = begun.aligned()
    there = np.isfinite(table)
    beyond_v, logs = np.broadcast_to(volts, table.shape)[there], table[there]

    def off(theta: FloatArray) -> FloatArray:
        slope_v, floor = np.exp(theta)
        return np.asarray(_log_level(beyond_v, slope_v, floor) - np.log(r_ohm) - logs)

    low, high = [np.log(0.01), np.log(1e-3)], [np.log(1.0), np.log(0.45)]
    found = least_squares(
        off, [np.log(0.1), np.log(0.08)], bounds=(low, high), loss="soft_l1", f_scale=0.5
    )
    if np.any(found.active_mask):
        name = ("v_slope_v", "reset_floor_s")[int(np.argmax(found.active_mask != 0))]
        raise NotConverged(f"{begun.sweeps.where}: {name} is not determined by these sweeps")
    slope_v, floor = np.exp(found.x)
    return float(slope_v), float(floor) / r_ohm


def _resampled(begun: _Begun, r_ohm: float) -> float:
    """Deviation of the slope over draws of the cells with replacement."""
    rng = np.random.default_rng(_SEED)
    cells, found = begun.sweeps.cells, []
    for _ in range(_RESAMPLED):
        rows = [np.flatnonzero(begun.sweeps.cell == one) for one in rng.choice(cells, cells.size)]
        index = np.concatenate(rows)
        part = replace(begun.sweeps, after_s=begun.sweeps.after_s[index])
        found.append(_level(_Begun(part, begun.half_v[index], begun.step_v), r_ohm)[0])
    return float(np.std(found, ddof=1))


def _cells(cell: FloatArray, begins_v: FloatArray) -> tuple[FloatArray, float]:
    """Median of each cell, and the deviation within a cell, robust and for its size."""
    groups = [begins_v[cell == one] for one in np.unique(cell)]
    middle = np.array([np.median(group) for group in groups])
    off = np.concatenate([group - np.median(group) for group in groups])
    of_size = np.sqrt(begins_v.size / (begins_v.size - len(groups)))
    return middle, _ROBUST * float(np.median(np.abs(off))) * float(of_size)


def _parts(
    begun: _Begun, slope_v: float, floor_s: float, r_ohm: float
) -> tuple[float, float, float, float, float, FloatArray]:
    """Sigma of cell, cycle and pulse, correlation of pulses, mean; and the error of each."""
    from scipy.optimize import minimize

    logs, volts = begun.aligned()
    level = _log_level(volts, slope_v, floor_s * r_ohm)
    off = (logs + np.log(r_ohm) - level) / (1 - np.exp(level))
    _, cell = np.unique(begun.sweeps.cell, return_inverse=True)

    def cost(theta: FloatArray) -> float:
        return _likelihood(theta, off, cell)[0]

    start = np.array([np.log(0.5), np.log(0.5), np.log(0.5), 0.5])
    best = minimize(cost, start, method="L-BFGS-B", bounds=[(-4.0, 1.0)] * 3 + [(-4.0, 4.0)])
    cell_, cycle, pulse = np.exp(best.x[:3])
    correlation = 1 / (1 + np.exp(-best.x[3]))
    _, mean, mean_error = _likelihood(best.x, off, cell)
    of_theta = _errors(cost, best.x)
    errors = of_theta * [cell_, cycle, pulse, correlation * (1 - correlation)]
    numbers = (float(cell_), float(cycle), float(pulse), float(correlation), float(mean))
    return *numbers, np.append(errors, mean_error)


def _likelihood(theta: FloatArray, off: FloatArray, cell: Places) -> tuple[float, float, float]:
    """Minus the logarithm, the mean that makes it greatest, and the error of that mean.

    The covariance of a sweep is that of its beginning whatever its length, so one factor serves
    all; what is common to a cell's sweeps is of rank one.
    """
    from scipy.linalg import solve_triangular

    of_cell, cycle, pulse = np.exp(2 * theta[:3])
    kept = 1 / (1 + np.exp(-theta[3]))
    number = np.arange(off.shape[1])
    lag = np.abs(number[:, None] - number)
    factor = np.linalg.cholesky(cycle + pulse * kept**lag)
    there = np.isfinite(off)
    solved = solve_triangular(factor, np.where(there, off, 0.0).T, lower=True).T
    ones = solve_triangular(factor, np.ones(off.shape[1]), lower=True)

    def by_cell(values: FloatArray) -> FloatArray:
        sums = np.where(there, values, 0.0).sum(axis=1)
        return np.bincount(cell, sums).astype(np.float64)

    a, b, c = by_cell(ones**2), by_cell(ones * solved), by_cell(solved**2)
    shared = 1 + of_cell * a
    log_det = float(by_cell(2 * np.log(np.diag(factor))).sum() + np.log(shared).sum())
    weight, first = float((a / shared).sum()), float((b / shared).sum())
    mean = first / weight
    square = float((c - of_cell * b**2 / shared).sum()) - mean * first
    return 0.5 * (log_det + square), mean, float(1 / np.sqrt(weight))


def _errors(cost: Callable[[FloatArray], float], at: FloatArray, step: float = 0.05) -> FloatArray:
    """Of each unknown, from the curvature of the likelihood."""
    size = at.size
    hessian = np.empty((size, size))
    moves = step * np.eye(size)
    for i in range(size):
        for j in range(i + 1):
            both, other = moves[i] + moves[j], moves[i] - moves[j]
            second = cost(at + both) + cost(at - both) - cost(at + other) - cost(at - other)
            hessian[i, j] = hessian[j, i] = second / (4 * step**2)
    return np.asarray(np.sqrt(np.maximum(np.diag(np.linalg.inv(hessian)), 0.0)))
