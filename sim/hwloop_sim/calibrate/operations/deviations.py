"""Standard deviations of fitted parameters, and the parameters that the data leave open."""

from __future__ import annotations

import numpy as np

from hwloop.errors import NotConverged
from hwloop_sim.calibrate.operations.problem import Minimum, Problem

_FLAT = 1e-7  # share of the largest singular value: 0 within the accuracy of differences


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
