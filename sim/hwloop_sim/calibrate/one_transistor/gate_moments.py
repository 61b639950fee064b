"""Moments of gate sweeps: medians along the path, spread over cells, cycles and pulses.

All are sums and squares of ln G with fixed weights, which would be optimal if the first guess of
the path were right: the least-squares step of the four parameters of the path from the medians, of
R_s and V_t of a cell from its own medians; λ of a cell from the deviations of its sweeps from their
mean, divided by the covariance to first order: each pulse adds λ √s ξ to ln g, of which the next
pulse keeps 1 − s, and all pulses of a cycle share e^(r λ z).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwloop.types import FloatArray
from hwloop_sim.calibrate.one_transistor.quantiles import median, spread

Places = NDArray[np.intp]

_STEP = 1e-3
_OWN = 2
"""Number of parameters of the path that differ from cell to cell; they come first."""
_LEAST = 1e-12


@dataclass(frozen=True, eq=False)
class GateMoments:
    """Weights of the moments of gate sweeps.

    ``cells``: indices of the sweeps of each cell. ``path``: guess of ln G, (volts,). ``steps``,
    ``own_steps``: (parameters, volts). ``inverse``: inverse covariance, (volts, volts). ``common``:
    effect of the speed of a cycle, (volts,).
    """

    cells: Sequence[Places]
    path: FloatArray
    steps: FloatArray
    own_steps: FloatArray
    inverse: FloatArray
    common: FloatArray

    def of(self, logs: FloatArray) -> FloatArray:
        """Compute the moments, (draws, moments), of ln G, (draws, sweeps, volts), without gaps.

        They are steps of the parameters of the path; spread of the parameters of the cells; median
        and spread of ln λ over the cells, and the median ratio of cycle to pulse scatter, as a
        logarithm.
        """
        middle = median(np.swapaxes(logs, 1, 2))
        groups = [logs[:, rows] for rows in self.cells]
        own = np.stack([median(np.swapaxes(one, 1, 2)) for one in groups], axis=2)
        between = spread(self.own_steps @ (own - middle[:, :, None]))
        pulses, cycles = zip(*(self._scatter(one) for one in groups), strict=True)
        of_pulses, of_cycles = np.stack(pulses, axis=1), np.stack(cycles, axis=1)
        return np.column_stack(
            [
                (middle - self.path) @ self.steps.T,
                between,
                median(of_pulses),
                of_pulses.std(axis=1, ddof=1),
                median(of_cycles - of_pulses),
            ]
        )

    def _scatter(self, logs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Compute ln λ of one cell, and the logarithm of the scatter of its cycles."""
        off = logs - logs.mean(axis=1, keepdims=True)
        divided = off @ self.inverse
        squares = np.mean(np.sum(divided * off, axis=2), axis=1) / off.shape[2]
        cycles = np.mean(np.square(divided @ self.common), axis=1)
        return np.log(squares + _LEAST) / 2, np.log(cycles + _LEAST) / 2


def gate_moments(
    cells: Sequence[Places],
    follow: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    guess: FloatArray,
    ratio: float,
) -> GateMoments:
    """Compute the weights at a guess of the parameters of the path.

    ``follow``: function from ln R_s, ln V_t, ln q and ln k to ln G and s at each voltage;
    ``guess``: values of these logarithms. ``ratio``: of cycle to pulse scatter, r.
    """
    path, shares = follow(guess)
    moves = _STEP * np.eye(guess.size)
    slopes = np.array([follow(guess + one)[0] - follow(guess - one)[0] for one in moves]).T
    slopes /= 2 * _STEP
    damped = 1 - np.exp(path + guess[0])  # d ln G / d ln g
    covariance, common = _covariance(shares, damped, ratio)
    inverse = np.linalg.inv(covariance)
    every, own = (np.asarray(np.linalg.pinv(slopes[:, :n])) for n in (guess.size, _OWN))
    return GateMoments(cells, path, every, own, np.asarray(inverse), common)


def _covariance(
    shares: FloatArray, damped: FloatArray, ratio: float
) -> tuple[FloatArray, FloatArray]:
    """Compute the covariance of ln G for λ = 1, and the effect of a cycle of speed e."""
    steps = np.zeros((shares.size, shares.size))
    common = np.zeros(shares.size)
    for i, share in enumerate(shares):
        before, of_all = (steps[i - 1], common[i - 1]) if i else (np.zeros(shares.size), 0.0)
        steps[i] = (1 - share) * before
        steps[i, i] += np.sqrt(share)
        common[i] = (1 - share) * of_all + share * ratio
    steps, common = damped[:, None] * steps, damped * common
    return steps @ steps.T + np.outer(common, common), common
