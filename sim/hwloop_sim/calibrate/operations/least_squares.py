"""Least squares of a device model that is run on the measured operations.

Residuals are currents less those of the model, over the noise of a read, σ² = a² + (f I)², of which
a and f are estimated from the residuals by maximum likelihood, alternating with the parameters. The
first conductance of every cell is fitted as well. Initial points are the best of a Sobol sequence
over the ranges of :class:`Free`; the minimum is found by the trust-region method of scipy. The
covariance is (JᵀJ)⁻¹ N/(N − p); parameters that its singular values leave undetermined are refused
by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from hwloop.errors import NotConverged
from hwloop.types import FloatArray
from hwloop_sim.calibrate.effort import SearchEnded
from hwloop_sim.calibrate.operations.free import Free
from hwloop_sim.calibrate.operations.problem import Minimum, Noise, Problem

_TRIED = 12
_SHORT = 12
_SETTLED = 3
_CELLS_OF_START = 2
_SHARE_OF_START = 0.6  # of the time left
_AT_ONCE = 32
_ROUNDS = 3
_LEAST_NOISE = 1e-9
_SETTLED_COST = 1e-10  # relative: far below one unit of −ln L for a million reads
_STEEP = 1e100  # its square is still finite
_HARDLY = 6.0  # gain of −2 ln L that an amplifier noise must bring


def minimise(problem: Problem, start: Minimum | None = None) -> Minimum:
    """Minimise over all cells, from a start or from the best of many.

    The best so far is taken where the effort of the problem ends. Raises :class:`NotConverged` if
    no minimum is found.
    """
    found = None
    # During the search parameters may be extreme; results that are not finite count as far off.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if start is None:
            theta, noise = _best_start(problem)
        else:
            theta, noise = start.theta[: len(problem.free)], start.noise
        theta = np.concatenate([theta, problem.begin])
        for _ in range(_ROUNDS):
            found = descended(problem, theta, noise)
            theta, noise = found.theta, _noise(problem, found.theta)
            if problem.effort.ended:
                break
    if found is None or not np.isfinite(found.cost):
        raise NotConverged(f"{problem.model}: the fit did not converge")
    return Minimum(problem, theta, noise, found.cost)


def _best_start(problem: Problem) -> tuple[FloatArray, Noise]:
    """Return parameters and noise from a few cells: scan, descend from the best, keep the least."""
    few = replace(_few_cells(problem), effort=problem.effort.share(_SHARE_OF_START))
    rough = few.rough
    begin = few.begin
    scan = _scan(few)
    thetas = np.hstack([scan, np.tile(begin, (len(scan), 1))])
    short: list[Minimum] = []
    for theta in _best(few, thetas, rough):
        if short and few.effort.ended:
            break
        short.append(descended(few, theta, rough, evaluations=_SHORT))
    finite = sorted((one for one in short if np.isfinite(one.cost)), key=lambda one: one.cost)
    if not finite:
        raise NotConverged(f"{problem.model}: no parameters show what was measured")
    settled = [descended(few, one.theta, rough, evaluations=60) for one in finite[:_SETTLED]]
    least = min(settled, key=lambda one: one.cost)
    return least.theta[: len(problem.free)], _noise(few, least.theta)


def _few_cells(problem: Problem) -> Problem:
    histories, masks = [], []
    for history, mask in zip(problem.histories, problem.masks, strict=True):
        best = np.argsort(-mask.sum(axis=0), kind="stable")[:_CELLS_OF_START]
        few = history.of_cells(np.sort(best))
        kept = np.isfinite(history.current_a[:, np.sort(best)]).any(axis=1)
        histories.append(few)
        masks.append(mask[np.ix_(kept, np.sort(best))])
    return replace(problem, histories=histories, masks=masks)


def _scan(problem: Problem) -> FloatArray:
    from scipy.stats import qmc

    ends = np.array([one.ends for one in problem.free])
    unit = qmc.Sobol(len(ends), seed=1).random(problem.starts)
    return np.asarray(ends[:, 0] + unit * (ends[:, 1] - ends[:, 0]))


def _best(problem: Problem, thetas: FloatArray, rough: Noise) -> FloatArray:
    return np.asarray(thetas[np.argsort(_costs(problem, thetas, rough))[:_TRIED]])


def _costs(problem: Problem, thetas: FloatArray, noise: Noise) -> FloatArray:
    """Compute a robust cost of each point: large residuals count logarithmically.

    It is infinite for points that were not reached in time.
    """
    costs = np.full(len(thetas), np.inf)
    sigma_a = noise.sigma_a(problem.measured_a)
    half = problem.effort.share(0.5)
    for begin in range(0, len(thetas), _AT_ONCE):
        if begin and half.ended:
            break
        problem.effort.tell(f"{problem.model}: looking for a start", problem.effort.left_s)
        part = slice(begin, begin + _AT_ONCE)
        off = problem.off(problem.counted_a(thetas[part]), sigma_a, noise)
        with np.errstate(over="ignore", invalid="ignore"):
            cost = np.log1p(np.square(off)).sum(axis=1)
        costs[part] = np.where(np.isfinite(cost), cost, np.inf)
    return costs


def descended(
    problem: Problem, theta: FloatArray, noise: Noise, *, evaluations: int = 200
) -> Minimum:
    """Descend from ``theta`` to a minimum, with weights from the noise there.

    Returns the best point so far where the effort of the problem ends.
    """
    from scipy.optimize import least_squares

    # Weights from measured currents would favour those that are too small by chance.
    shown_a = problem.counted_a(theta[None])[0]
    shown_a = np.where(np.isfinite(shown_a), shown_a, problem.measured_a)
    near = np.abs(shown_a - problem.measured_a) < 0.5 * np.abs(problem.measured_a)
    sigma_a = noise.sigma_a(np.where(near, shown_a, problem.measured_a))
    bounds = np.array(
        [one.bounds for one in problem.free] + [(-np.inf, np.inf)] * sum(problem.cells)
    ).T

    best: list[tuple[float, FloatArray]] = []

    def residuals(x: FloatArray) -> FloatArray:
        if best:
            problem.effort.check(f"{problem.model}: fitting")
        off = problem.off(problem.counted_a(x[None])[0], sigma_a, noise)
        off = np.asarray(np.clip(np.nan_to_num(off, nan=1e6), -1e6, 1e6))
        cost = 0.5 * float(np.sum(np.square(off)))
        if not best or cost < best[-1][0]:
            best.append((cost, x.copy()))
        return off

    def slopes(x: FloatArray) -> FloatArray:
        local_a = noise.sigma_a(problem.counted_a(x[None])[0]) if problem.decades else sigma_a
        slope = problem.jacobian_a(x) / local_a[:, None]
        return np.asarray(np.clip(np.nan_to_num(slope, posinf=0.0, neginf=0.0), -_STEEP, _STEEP))

    with suppress(SearchEnded):
        least_squares(
            residuals,
            np.clip(theta, bounds[0] + 1e-6, bounds[1] - 1e-6),
            slopes,
            bounds=bounds,
            x_scale="jac",
            max_nfev=evaluations,
            ftol=_SETTLED_COST,
            xtol=1e-10,
            gtol=None,
        )
    cost, lowest = best[-1]
    return Minimum(problem, lowest, noise, cost)


def _noise(problem: Problem, theta: FloatArray) -> Noise:
    """Estimate a and f from the residuals by maximum likelihood."""
    from scipy.optimize import minimize

    shown_a = problem.counted_a(theta[None])[0]
    off_a = shown_a - problem.measured_a
    large_a = float(np.abs(problem.measured_a).max())
    rms = max(float(np.sqrt(np.mean(np.square(off_a)))) / large_a, 1e-11)
    square, current2 = np.square(off_a / large_a), np.square(shown_a / large_a)

    def loss(logs: FloatArray) -> float:
        variance = np.exp(2 * logs[0]) + np.exp(2 * logs[1]) * current2 + _LEAST_NOISE**2
        return float(np.mean(np.log(variance) + square / variance))

    ends = [(np.log(1e-12), 1.0)] * 2
    starts = [(np.log(rms), np.log(rms) - 4), (np.log(rms) - 4, np.log(rms))]
    found = [minimize(loss, start, method="L-BFGS-B", bounds=ends) for start in starts]
    least = min(found, key=lambda one: float(one.fun))
    alone = 0.5 * np.log(np.mean(square / np.maximum(current2, 1e-12)))
    pure = np.array([ends[0][0], max(float(alone), ends[0][0])])
    # An insignificant amplifier noise would only reduce the fraction.
    best = np.exp(pure if (loss(pure) - least.fun) * square.size < _HARDLY else least.x)
    return Noise(float(np.hypot(best[0], _LEAST_NOISE)) * large_a, float(best[1]))


def held_free(free: Sequence[Free], fixed: Mapping[str, Any]) -> list[Free]:
    """Return the parameters that are not held."""
    return [one for one in free if one.name not in fixed]
