"""Method of simulated moments: parameters whose emulated data have the measured moments.

D. McFadden, Econometrica 57, 995 (1989), doi:10.2307/1913621: moments (medians, spreads) are
computed from the measurement and from many simulated measurements; the fit minimises the difference
to the mean of the simulated ones, each divided by its standard deviation. Bias of a moment is in
both, so a moment need not estimate any parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwloop.errors import NotConverged
from hwloop.types import FloatArray
from hwloop_sim.calibrate.one_transistor.unknowns import Unknowns

Simulate = Callable[[FloatArray], FloatArray]
"""Moments of simulated measurements, (draws, moments), with the same random numbers each time."""

_PASSES = 2
_STEP, _WIDE_STEP = 0.1, 0.3
"""Steps of a number for slopes: during the search, and for the errors."""
_SETTLED = 3e-3
_MOST_ROUNDS = 40
_BLIND = 1e-6
"""Share of the largest singular value of the slopes below which nothing is determined."""


@dataclass(frozen=True, eq=False)
class Match:
    """Fitted values and errors by name.

    ``off``: measured less mean simulated moments, in standard deviations.
    """

    values: dict[str, float]
    errors: dict[str, float]
    off: FloatArray


def match_moments(simulate: Simulate, seen: FloatArray, unknowns: Unknowns, where: str) -> Match:
    """Find the values of ``unknowns`` whose simulated moments are nearest to ``seen``.

    ``simulate``: function from the numbers of the unknowns to moments. Standard deviations are
    taken at the start, then at the result of a first pass. Raises :class:`NotConverged` with
    ``where`` and the parameters that are not determined.
    """
    from scipy.optimize import least_squares

    numbers, limits = unknowns.numbers(), unknowns.limits()
    for _ in range(_PASSES):
        deviation = _deviation(simulate(numbers))

        def off(at: FloatArray, deviation: FloatArray = deviation) -> FloatArray:
            return np.asarray((simulate(at).mean(axis=0) - seen) / deviation)

        def slope(at: FloatArray, deviation: FloatArray = deviation) -> FloatArray:
            return _forward(simulate, at) / deviation[:, None]

        found = least_squares(
            off,
            numbers,
            slope,
            bounds=limits,
            xtol=_SETTLED,
            ftol=_SETTLED,
            x_scale="jac",
            max_nfev=_MOST_ROUNDS,
        )
        numbers = found.x
    if not found.success:
        raise NotConverged(f"{where}: no cells were found whose emulated sweeps are like these")
    match = _match(simulate, seen, unknowns, numbers)
    if open_ := unknowns.undetermined(match.values, match.errors):
        raise NotConverged(f"{where}: {', '.join(open_)} cannot be told from these sweeps")
    return match


def _match(simulate: Simulate, seen: FloatArray, unknowns: Unknowns, numbers: FloatArray) -> Match:
    simulated = simulate(numbers)
    deviation = _deviation(simulated)
    # Includes the error of the mean of the draws.
    correlation = np.atleast_2d(np.corrcoef(simulated, rowvar=False)) * (1 + 1 / len(simulated))
    errors = _errors(_slope(simulate, numbers) / deviation[:, None], correlation)
    off = (seen - simulated.mean(axis=0)) / deviation
    return Match(unknowns.values(numbers), unknowns.errors(numbers, errors), np.asarray(off))


def _errors(slope: FloatArray, correlation: FloatArray) -> FloatArray:
    """Compute standard errors of the parameters; infinite if no moment depends on one."""
    inverse = np.linalg.pinv(slope, rcond=_BLIND)
    errors = np.sqrt(np.diag(inverse @ correlation @ inverse.T))
    _, size, direction = np.linalg.svd(slope, full_matrices=False)
    blind = np.sum(np.square(direction[size < _BLIND * size[0]]), axis=0)
    return np.where(blind > _BLIND, np.inf, errors)


def _deviation(simulated: FloatArray) -> FloatArray:
    return np.asarray(simulated.std(axis=0, ddof=1))


def _forward(simulate: Simulate, numbers: FloatArray) -> FloatArray:
    """Compute slopes, (moments, parameters), by forward differences, for the search."""
    here = simulate(numbers).mean(axis=0)
    columns = [simulate(numbers + one).mean(0) - here for one in _STEP * np.eye(numbers.size)]
    return np.asarray(np.array(columns).T / _STEP)


def _slope(simulate: Simulate, numbers: FloatArray) -> FloatArray:
    """Compute slopes, (moments, parameters), by central differences."""
    moves = _WIDE_STEP * np.eye(numbers.size)
    columns = [simulate(numbers + one).mean(0) - simulate(numbers - one).mean(0) for one in moves]
    return np.asarray(np.array(columns).T / (2 * _WIDE_STEP))
