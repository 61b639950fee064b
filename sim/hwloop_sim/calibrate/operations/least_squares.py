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
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hwloop.errors import NotConverged
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.calibrate.operations.free import Free
from hwloop_sim.calibrate.operations.history import History
from hwloop_sim.calibrate.operations.twin import Twin, varied

_TRIED = 12
_SHORT = 12
_SETTLED = 3
_CELLS_OF_START = 2
_STEP = 1e-6
_ROUNDS = 3
_FLAT = 1e-7  # share of the largest singular value: 0 within the accuracy of differences
_LEAST_NOISE = 1e-9
_STEEP = 1e100  # its square is still finite
_HARDLY = 6.0  # gain of −2 ln L that an amplifier noise must bring


@dataclass(frozen=True)
class Noise:
    """Noise of a read: σ² = ``amplifier_a``² + (``fraction`` I)²."""

    amplifier_a: float
    fraction: float

    def sigma_a(self, current_a: FloatArray) -> FloatArray:
        """Compute the standard deviation of a current, amperes."""
        return np.asarray(np.hypot(self.amplifier_a, self.fraction * current_a))

    def level(self, current_a: FloatArray) -> FloatArray:
        """Compute the integral of 1/σ from 0 A: a scale of current on which the noise is 1."""
        per_a = self.fraction / self.amplifier_a
        return np.asarray(np.arcsinh(per_a * current_a) / self.fraction)


@dataclass(frozen=True, eq=False)
class Problem:
    """A least-squares problem.

    ``masks``: the reads that count, one map per history. ``starts``: number of initial points.
    ``decades``: see :class:`OperationModel`.
    """

    model: str
    twin: Twin
    settings: Any
    free: Sequence[Free]
    histories: Sequence[History]
    masks: Sequence[BoolArray]
    starts: int
    decades: bool = False

    @property
    def rough(self) -> Noise:
        """Return the noise of the search, wide enough for a model that is not fitted yet."""
        large_a = float(np.abs(self.measured_a).max())
        return Noise(1e-7 * large_a, 0.2) if self.decades else Noise(1e-3 * large_a, 0.02)

    def off(self, shown_a: FloatArray, sigma_a: FloatArray, noise: Noise) -> FloatArray:
        """Compute modelled less measured current over the noise.

        Over decades, asinh(f I/a)/f is compared, whose slope is 1/σ. The residual is symmetric in
        log current.
        """
        if not self.decades:
            return np.asarray((shown_a - self.measured_a) / sigma_a)
        return np.asarray(noise.level(shown_a) - noise.level(self.measured_a))

    @cached_property
    def measured_a(self) -> FloatArray:
        """Return all currents that count, flat, amperes."""
        pairs = zip(self.histories, self.masks, strict=True)
        return np.concatenate([history.current_a[mask] for history, mask in pairs])

    @property
    def cells(self) -> list[int]:
        """Return the number of cells of each history."""
        return [len(history.names) for history in self.histories]

    @property
    def begin(self) -> FloatArray:
        """Return logarithms of the first conductances, all cells of all histories."""
        first_conductance_s = np.concatenate(
            [history.first_conductance_s for history in self.histories]
        )
        return np.asarray(
            np.log(np.maximum(first_conductance_s, 1e-3 * np.median(np.abs(first_conductance_s))))
        )

    def values(self, theta: FloatArray) -> dict[str, float]:
        """Return the parameters by name, from values on the scale of the fit."""
        pairs = zip(self.free, theta, strict=False)
        return {one.name: one.outer(float(inner)) for one, inner in pairs}

    def at(self, values: Mapping[str, float]) -> Minimum:
        """Return an initial point with these parameters and the first conductances as read."""
        inner = np.array([one.inner(values[one.name]) for one in self.free])
        return Minimum(self, np.concatenate([inner, self.begin]), self.rough, np.inf)

    def shown_a(self, thetas: FloatArray) -> list[FloatArray]:
        """Compute the currents of each history, (variants, reads, cells), amperes.

        ``thetas``: (variants, parameters and first conductances), on the scale of the fit.
        """
        variants = [varied(self.settings, self.values(theta)) for theta in thetas]
        first_conductance_s = np.exp(thetas[:, len(self.free) :])
        ends = np.cumsum(self.cells)[:-1]
        return [
            self.twin(history, variants, part)
            for history, part in zip(
                self.histories, np.split(first_conductance_s, ends, axis=1), strict=True
            )
        ]

    def counted_a(self, thetas: FloatArray) -> FloatArray:
        """Compute the currents that count, (variants, reads), amperes."""
        pairs = zip(self.shown_a(thetas), self.masks, strict=True)
        return np.concatenate([shown_a[:, mask] for shown_a, mask in pairs], axis=1)

    def owners(self) -> FloatArray:
        """Return the column of its cell's first conductance, for each read that counts."""
        first = np.cumsum([0, *self.cells])
        parts = [
            np.broadcast_to(np.arange(mask.shape[1]) + begin, mask.shape)[mask]
            for mask, begin in zip(self.masks, first, strict=False)
        ]
        return np.concatenate(parts) + len(self.free)

    def jacobian_a(self, theta: FloatArray) -> FloatArray:
        """Compute derivatives of the currents, (reads, unknowns).

        Those with respect to first conductances are computed all at once.
        """
        count = len(self.free)
        moved = np.tile(theta, (count + 2, 1))
        moved[np.arange(count), np.arange(count)] += _STEP
        moved[count, count:] += _STEP
        shown_a = self.counted_a(moved)
        slopes = (shown_a[:-1] - shown_a[-1]) / _STEP
        jacobian = np.zeros((slopes.shape[1], theta.size))
        jacobian[:, :count] = slopes[:count].T
        jacobian[np.arange(slopes.shape[1]), self.owners()] = slopes[count]
        return jacobian


@dataclass(frozen=True, eq=False)
class Minimum:
    """A minimum of a problem.

    ``theta``: parameters on the scale of the fit, then logarithms of first conductances.
    """

    problem: Problem
    theta: FloatArray
    noise: Noise
    cost: float

    @property
    def values(self) -> dict[str, float]:
        """Return the parameters by name."""
        return self.problem.values(self.theta)


def minimise(problem: Problem, start: Minimum | None = None) -> Minimum:
    """Minimise over all cells, from a start or from the best of many.

    Raises :class:`NotConverged` if no minimum is found.
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
    if found is None or not np.isfinite(found.cost):
        raise NotConverged(f"{problem.model}: the fit did not converge")
    return Minimum(problem, theta, noise, found.cost)


def _best_start(problem: Problem) -> tuple[FloatArray, Noise]:
    """Return parameters and noise from a few cells: scan, descend from the best, keep the least."""
    few = _few_cells(problem)
    rough = few.rough
    begin = few.begin
    scan = _scan(few)
    thetas = np.hstack([scan, np.tile(begin, (len(scan), 1))])
    short = [
        descended(few, theta, rough, evaluations=_SHORT) for theta in _best(few, thetas, rough)
    ]
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
    return Problem(
        problem.model,
        problem.twin,
        problem.settings,
        problem.free,
        histories,
        masks,
        problem.starts,
        problem.decades,
    )


def _scan(problem: Problem) -> FloatArray:
    from scipy.stats import qmc

    ends = np.array([one.ends for one in problem.free])
    unit = qmc.Sobol(len(ends), seed=1).random(problem.starts)
    return np.asarray(ends[:, 0] + unit * (ends[:, 1] - ends[:, 0]))


def _best(problem: Problem, thetas: FloatArray, rough: Noise) -> FloatArray:
    return np.asarray(thetas[np.argsort(_costs(problem, thetas, rough))[:_TRIED]])


def _costs(problem: Problem, thetas: FloatArray, noise: Noise) -> FloatArray:
    """Compute a robust cost of each point: large residuals count logarithmically."""
    shown_a = problem.counted_a(thetas)
    off = problem.off(shown_a, noise.sigma_a(problem.measured_a), noise)
    with np.errstate(over="ignore", invalid="ignore"):
        cost = np.log1p(np.square(off)).sum(axis=1)
    return np.where(np.isfinite(cost), cost, np.inf)


def descended(
    problem: Problem, theta: FloatArray, noise: Noise, *, evaluations: int = 200
) -> Minimum:
    """Descend from ``theta`` to a minimum, with weights from the noise there."""
    from scipy.optimize import least_squares

    # Weights from measured currents would favour those that are too small by chance.
    shown_a = problem.counted_a(theta[None])[0]
    shown_a = np.where(np.isfinite(shown_a), shown_a, problem.measured_a)
    near = np.abs(shown_a - problem.measured_a) < 0.5 * np.abs(problem.measured_a)
    sigma_a = noise.sigma_a(np.where(near, shown_a, problem.measured_a))
    bounds = np.array(
        [one.bounds for one in problem.free] + [(-np.inf, np.inf)] * sum(problem.cells)
    ).T

    def residuals(x: FloatArray) -> FloatArray:
        off = problem.off(problem.counted_a(x[None])[0], sigma_a, noise)
        return np.asarray(np.clip(np.nan_to_num(off, nan=1e6), -1e6, 1e6))

    def slopes(x: FloatArray) -> FloatArray:
        local_a = noise.sigma_a(problem.counted_a(x[None])[0]) if problem.decades else sigma_a
        slope = problem.jacobian_a(x) / local_a[:, None]
        return np.asarray(np.clip(np.nan_to_num(slope, posinf=0.0, neginf=0.0), -_STEEP, _STEEP))

    found = least_squares(
        residuals,
        np.clip(theta, bounds[0] + 1e-6, bounds[1] - 1e-6),
        slopes,
        bounds=bounds,
        x_scale="jac",
        max_nfev=evaluations,
        ftol=1e-12,
        xtol=1e-10,
        gtol=None,
    )
    return Minimum(problem, found.x, noise, float(found.cost))


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


def deviations(found: Minimum) -> dict[str, float]:
    """Compute one standard deviation of each parameter, in its own unit.

    Raises :class:`NotConverged` with the name of a parameter that the data do not determine.
    """
    problem, count = found.problem, len(found.problem.free)
    smooth = [i for i, one in enumerate(problem.free) if not one.steps_v]
    jacobian = problem.jacobian_a(found.theta)
    shown_a = problem.counted_a(found.theta[None])[0]
    jacobian = jacobian / found.noise.sigma_a(shown_a)[:, None]
    norms = np.linalg.norm(jacobian, axis=0)
    # A cell that begins at a bound of the model has no slope there; every parameter must have one.
    begins = [i for i in range(count, norms.size) if norms[i] > 0]
    if dead := [problem.free[i].name for i in smooth if not norms[i] > 0]:
        raise not_identifiable(problem.model, dead[0])
    chosen = [*smooth, *begins]
    _, singular, right = np.linalg.svd(jacobian[:, chosen] / norms[chosen], full_matrices=False)
    if singular[-1] < _FLAT * singular[0]:
        worst = int(np.argmax(np.abs(right[-1, : len(smooth)])))
        raise not_identifiable(problem.model, problem.free[smooth[worst]].name)
    spare = max(jacobian.shape[0] - len(chosen), 1)
    variances = np.square(right.T / singular).sum(axis=1) * jacobian.shape[0] / spare
    inner = np.sqrt(variances[: len(smooth)]) / norms[smooth]
    return {
        problem.free[i].name: _checked(problem, i, float(found.theta[i]), float(inner[place]))
        for place, i in enumerate(smooth)
    }


def _checked(problem: Problem, index: int, theta: float, inner: float) -> float:
    """Return a deviation in the unit of its parameter; refuse one that is too large."""
    free = problem.free[index]
    low, high = free.bounds
    if free.scale == "log" and (inner > 1 or min(theta - low, high - theta) < 1e-3):
        raise not_identifiable(problem.model, free.name)
    if free.scale == "logit" and inner * free.slope(theta) > 0.5:
        raise not_identifiable(problem.model, free.name)
    return inner * free.slope(theta)


def not_identifiable(model: str, name: str) -> NotConverged:
    """Return the error for a parameter that the data do not determine."""
    return NotConverged(
        f"{model}: {name} is not identifiable: these data do not determine it; measure more, or"
        f" hold it with --fix {name}=VALUE"
    )


def held_free(free: Sequence[Free], fixed: Mapping[str, Any]) -> list[Free]:
    """Return the parameters that are not held."""
    return [one for one in free if one.name not in fixed]
