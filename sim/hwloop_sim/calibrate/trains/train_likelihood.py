"""Likelihood of the residuals of trains: scatter, memory, spread of speeds, read noise.

The steps of a train, less the mean steps at its states, are normal with the covariance

    C = S R S + τ² m mᵀ + σ² D Dᵀ

S: scatter at the states, linear between knots; R = ρ^|i − j|; m: mean steps, times a factor of the
train, of deviation τ; D: a read error e raises the step before it by e, and lowers the step after
it by (1 + m') e, m' being the slope of the mean step. All are estimated together by maximum
likelihood: separate estimates of read noise and scatter would each absorb the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwloop.types import FloatArray

_MOST_CORRELATED = 0.97
_BEND = 0.3
"""Prior deviation of a bend of ln s from knot to knot, which constrains knots with few pulses."""
CLEARLY = 2.0
"""Gain of ln of the likelihood that a memory must bring to be stated."""
_FIRST = (0.5, 0.2, 0.05, 0.25)
"""Initial s², ρ, τ² and σ²; s² and σ² relative to the mean square step."""


_LEAST_TOLD = 1e-6
"""Information assumed for values that the likelihood does not determine."""
_LONGEST = 64
"""Most steps whose covariance is taken together."""
_NOISES = (1e-6, 2.0)
"""Least and largest σ², relative to the mean square step."""


@dataclass(frozen=True)
class Spreads:
    """Estimates of one direction.

    ``scatter``: at the knots. ``correlation``: ρ. ``speed``: τ. ``noise``: σ. ``errors``: one
    standard error of each, in that order. ``values``: as :class:`TrainSteps` takes them; ``cost``:
    −ln of the likelihood there.
    """

    scatter: FloatArray
    correlation: float
    speed: float
    noise: float
    errors: FloatArray
    values: FloatArray
    cost: float


class TrainSteps:
    """Residuals of the steps of one train.

    ``hats``: (knots, steps), weights of the knots. ``mean``, ``slope``: mean step and its slope.
    """

    def __init__(self, left: FloatArray, hats: FloatArray, mean: FloatArray, slope: FloatArray):
        self.left, self.hats, self.mean = left, hats, mean
        size = left.size
        number = np.arange(size)
        self.lags = np.abs(np.subtract.outer(number, number))
        reads = np.zeros((size, size + 1))
        reads[number, number] = -(1 + slope)
        reads[number, number + 1] = 1.0
        self.reads = reads @ reads.T

    @classmethod
    def cut(
        cls, left: FloatArray, hats: FloatArray, mean: FloatArray, slope: FloatArray
    ) -> list[TrainSteps]:
        """Return a long train in parts, as correlations between distant steps are negligible."""
        parts = np.array_split(np.arange(left.size), -(-left.size // _LONGEST))
        return [cls(left[one], hats[:, one], mean[one], slope[one]) for one in parts]

    def in_units(self, unit: float) -> TrainSteps:
        """Return the same steps in other units of the state."""
        other = copy(self)
        other.left, other.mean = self.left / unit, self.mean / unit
        return other

    def parts(self, values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the scatter at each step, its covariance, and the whole covariance."""
        *ln_scatter, rho, speed2, noise2 = values
        scatter = np.exp(np.array(ln_scatter)) @ self.hats
        walk = np.outer(scatter, scatter) * (rho ** np.arange(self.left.size))[self.lags]
        return scatter, walk, walk + speed2 * np.outer(self.mean, self.mean) + noise2 * self.reads

    def remembered(self, scatter: FloatArray, rho: float) -> FloatArray:
        """Compute the derivative of the covariance with respect to ρ."""
        number = np.arange(1, self.left.size)
        powers = np.concatenate([[0.0], number * rho ** (number - 1.0)])
        return np.asarray(np.outer(scatter, scatter) * powers[self.lags])

    def cost(self, values: FloatArray) -> tuple[float, FloatArray]:
        """Compute −ln of the likelihood, and its gradient."""
        scatter, walk, covariance = self.parts(values)
        knots = len(values) - 3
        inverse = np.linalg.inv(covariance)
        weighed = inverse @ self.left
        cost = 0.5 * (self.left @ weighed + np.linalg.slogdet(covariance)[1])
        pull = 0.5 * (inverse - np.outer(weighed, weighed))
        of_step = 2 * (pull * walk).sum(axis=1) / scatter
        gradient = np.empty(len(values))
        gradient[:knots] = (self.hats @ of_step) * np.exp(values[:knots])
        gradient[knots] = (pull * self.remembered(scatter, float(values[knots]))).sum()
        gradient[knots + 1] = self.mean @ pull @ self.mean
        gradient[knots + 2] = (pull * self.reads).sum()
        return float(cost), gradient

    def information(self, values: FloatArray) -> FloatArray:
        """Compute the Fisher information of the values."""
        scatter, walk, covariance = self.parts(values)
        inverse = np.linalg.inv(covariance)
        shares = self.hats * np.exp(values[:-3])[:, np.newaxis] / scatter
        changes = [walk * np.add.outer(share, share) for share in shares]
        changes += [self.remembered(scatter, float(values[-3]))]
        changes += [np.outer(self.mean, self.mean), self.reads]
        turned = [inverse @ change for change in changes]
        found = [[0.5 * float((a * b.T).sum()) for b in turned] for a in turned]
        return np.array(found)


def spreads(directions: Sequence[Sequence[TrainSteps]]) -> list[Spreads]:
    """Estimate scatter, memory and spread of speeds of each direction; all share the read noise."""
    every = np.concatenate([one.left for trains in directions for one in trains])
    unit = float(np.sqrt(np.mean(np.square(every))))
    if unit == 0.0:
        return [_none(len(trains[0].hats)) for trains in directions]
    likelihood = _Likelihood([[one.in_units(unit) for one in trains] for trains in directions])
    values = _with_memories_that_show(likelihood)
    errors = likelihood.errors(values)
    return [
        _in_states(values[place], errors[place], trains, unit)
        for place, trains in zip(likelihood.places, directions, strict=True)
    ]


def _none(knots: int) -> Spreads:
    none = np.zeros(knots + 3)
    return Spreads(none[3:], 0.0, 0.0, 0.0, none, none, -np.inf)


def _in_states(
    values: FloatArray, errors: FloatArray, trains: Sequence[TrainSteps], unit: float
) -> Spreads:
    knots = len(values) - 3
    values = values + np.concatenate([np.full(knots, np.log(unit)), np.zeros(3)])
    values[-1] *= unit**2
    return Spreads(
        np.exp(values[:knots]),
        float(values[-3]),
        float(np.sqrt(values[-2])),
        float(np.sqrt(values[-1])),
        errors * np.concatenate([np.full(knots, unit), [1.0, 1.0, unit]]),
        values,
        sum(one.cost(values)[0] for one in trains),
    )


def _with_memories_that_show(likelihood: _Likelihood) -> FloatArray:
    """Find the best values; ρ is 0 in directions where the likelihood does not favour it."""
    most = [_MOST_CORRELATED] * len(likelihood.directions)
    cost, values = likelihood.best(likelihood.start(), most)
    for number, place in enumerate(likelihood.places):
        if values[place[-3]] == 0.0:
            continue
        fewer = [0.0 if one == number else of for one, of in enumerate(most)]
        other_cost, other = likelihood.best(values, fewer)
        if other_cost < cost + CLEARLY:
            cost, values, most = other_cost, other, fewer
    return values


class _Likelihood:
    """Likelihood of all directions.

    Its values are ln s at the knots, ρ and τ² of each direction in turn, then σ².
    """

    def __init__(self, directions: Sequence[Sequence[TrainSteps]]) -> None:
        self.directions = directions
        self.places: list[NDArray[np.intp]] = []
        begin, last = 0, sum(len(trains[0].hats) + 2 for trains in directions)
        for trains in directions:
            own = np.arange(begin, begin + len(trains[0].hats) + 2)
            self.places.append(np.append(own, last))
            begin += own.size
        self._size = last + 1
        self._steps = sum(one.left.size for trains in directions for one in trains)
        self._stiff = np.zeros((self._size, self._size))
        for place in self.places:
            knots = place[:-3]
            bends = np.diff(np.eye(knots.size), 2, axis=0) / _BEND
            self._stiff[np.ix_(knots, knots)] = bends.T @ bends

    def start(self) -> FloatArray:
        """Return the initial values of the search."""
        square, *others = _FIRST
        values = np.full(self._size, 0.5 * np.log(square))
        for place in self.places:
            values[place[-3:]] = others
        return values

    def best(self, start: FloatArray, most: Sequence[float]) -> tuple[float, FloatArray]:
        """Minimise the cost; ``most``: upper bound of ρ of each direction.

        Returns the least cost and the values there.
        """
        from scipy.optimize import minimize

        bounds = [(-0.5 * np.log(self._steps), 1.5)] * self._size
        for place, rho in zip(self.places, most, strict=True):
            for one, bound in zip(place[-3:], ((0.0, rho), (0.0, 4.0), _NOISES), strict=True):
                bounds[one] = bound
        low, high = zip(*bounds, strict=True)
        first = np.clip(start, low, high)
        # In units of their errors at the start, as memory and variances differ in scale.
        unit = 1 / np.sqrt(np.maximum(np.diag(self.information(first)), _LEAST_TOLD))

        def cost(steps: FloatArray) -> tuple[float, FloatArray]:
            of, gradient = self.cost(steps * unit)
            return of, gradient * unit

        bounds = [(low / of, high / of) for (low, high), of in zip(bounds, unit, strict=True)]
        found = minimize(cost, first / unit, jac=True, bounds=bounds, options={"ftol": 1e-8})
        return float(found.fun), np.clip(found.x * unit, low, high)

    def cost(self, values: FloatArray) -> tuple[float, FloatArray]:
        """Compute −ln of the likelihood with the penalty on bends of ln s, and its gradient."""
        gradient = self._stiff @ values
        cost = 0.5 * float(values @ gradient)
        for place, trains in zip(self.places, self.directions, strict=True):
            for one in trains:
                own, pull = one.cost(values[place])
                cost += own
                gradient[place] += pull
        return cost, gradient

    def information(self, values: FloatArray) -> FloatArray:
        """Compute the Fisher information of the values, with the penalty on bends."""
        information = self._stiff.copy()
        for place, trains in zip(self.places, self.directions, strict=True):
            for one in trains:
                information[np.ix_(place, place)] += one.information(values[place])
        return information

    def errors(self, values: FloatArray) -> FloatArray:
        """Compute standard errors of s at the knots, ρ, τ and σ, in the order of the values."""
        at = values.copy()
        for place in self.places:
            # With hardly any scatter, the likelihood does not determine its logarithm.
            least = np.log(0.5) - 0.25 * np.log(self._steps)
            at[place[:-3]] = np.maximum(at[place[:-3]], least)
        information = self.information(at)
        errors = np.sqrt(np.diag(np.linalg.pinv(information, rcond=1e-12, hermitian=True)))
        for place in self.places:
            errors[place[:-3]] *= np.exp(at[place[:-3]])
            errors[place[-2]] = error_of_root(values[place[-2]], errors[place[-2]])
        errors[-1] = error_of_root(values[-1], errors[-1])
        return np.asarray(errors)


def error_of_root(square: float, error: float) -> float:
    """Compute the error of a deviation from its square and the error of the square.

    It is half of the way up to two errors of its logarithm, as estimates that are too small also
    have errors that are too small. For a square below its own error, it is the root of that error.
    """
    if square <= error:
        return float(np.sqrt(error))
    return float(np.sqrt(square) * np.expm1(error / square) / 2)
