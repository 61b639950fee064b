"""Covariance of fitted parameters, and the parameters that the data leave open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwloop.errors import NotConverged
from hwloop_sim.calibrate.covariance import (
    Covariance,
    deviations_of,
    is_open,
    undetermined_line,
    with_weak_prior,
)
from hwloop_sim.calibrate.operations.problem import Minimum

_NEAR_BOUND = 1e-3  # on the scale of the fit


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Uncertainty of the parameters of a minimum.

    ``deviations``: one standard deviation of each, in its own unit. ``at_bounds``: the bound of
    each parameter whose search ended there, in its own unit.
    """

    covariance: Covariance
    deviations: dict[str, float]
    at_bounds: dict[str, float]

    def messages(self) -> list[str]:
        """Return the remarks on bounds, and on parameters that are not determined."""
        found = [
            f"{name} ended at the bound of its search, {bound:.4g}"
            for name, bound in self.at_bounds.items()
        ]
        if names := self.covariance.undetermined:
            found.append(undetermined_line(names))
        return found


def uncertainty_of(found: Minimum) -> Uncertainty:
    """Compute the covariance of the parameters at a minimum, first conductances included.

    Thresholds that the data see in steps are left out: their intervals are found apart. The
    covariance is (JᵀJ)⁻¹ N/(N − p), bounded by the ranges of the search.
    """
    problem, count = found.problem, len(found.problem.free)
    smooth = [i for i, one in enumerate(problem.free) if not one.steps_v]
    jacobian = problem.central_jacobian_a(found.theta)
    jacobian = jacobian / found.noise.sigma_a(problem.counted_a(found.theta[None])[0])[:, None]
    jacobian = np.nan_to_num(jacobian, posinf=0.0, neginf=0.0)
    # A cell that begins at a bound of the model has no slope there.
    begins = [i for i in range(count, found.theta.size) if jacobian[:, i].any()]
    chosen = [*smooth, *begins]
    spare = max(jacobian.shape[0] - len(chosen), 1)
    information = jacobian[:, chosen].T @ jacobian[:, chosen] * spare / jacobian.shape[0]
    free = [problem.free[i] for i in smooth]
    widths = np.array([one.bounds[1] - one.bounds[0] for one in free])
    every = with_weak_prior(information, np.append(widths, np.full(len(begins), 20.0)))
    at_bounds = {
        one.name: one.outer(end)
        for i, one in zip(smooth, free, strict=True)
        for end in one.bounds
        if abs(float(found.theta[i]) - end) < _NEAR_BOUND
    }
    roots = np.sqrt(np.diag(every))
    undetermined = [
        one.name
        for place, (i, one) in enumerate(zip(smooth, free, strict=True))
        if one.name in at_bounds
        or is_open(
            one.scale,
            float(roots[place]),
            slope=one.slope(float(found.theta[i])),
            width=one.ends[1] - one.ends[0],
        )
    ]
    units = np.array([one.unit if one.scale == "linear" else 1.0 for one in free])
    covariance = Covariance(
        [one.name for one in free],
        [one.scale for one in free],
        every[: len(free), : len(free)] * np.outer(units, units),
        undetermined,
    )
    slopes = {
        one.name: 1.0 if one.scale == "linear" else one.slope(float(found.theta[i]))
        for i, one in zip(smooth, free, strict=True)
    }
    return Uncertainty(covariance, deviations_of(covariance, slopes), at_bounds)


def not_identifiable(model: str, name: str) -> NotConverged:
    """Return the error for a parameter that the data do not determine."""
    return NotConverged(
        f"{model}: {name} is not identifiable: these data do not determine it; measure more, or"
        f" hold it with --fix {name}=VALUE"
    )
