"""Numbers that say how sweeps of the gate run: their middle, their cells, cycles and pulses.

All are sums and squares of ln G with fixed weights, those that would be best if the first guess of
the path were right: the least-squares step of its four parameters from the medians, of a cell's R_s
and V_t from its own; λ of a cell, its sweeps' deviations from their mean divided by the covariance
to first order: each pulse adds λ √s ξ to ln g, of which the next leaves 1 − s, and the cycle's
e^(r λ z) is common to all.
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
"""Parameters of the path that differ from cell to cell: the first."""
_LEAST = 1e-12


@dataclass(frozen=True, eq=False)
class GateMoments:
    """``cells``: sweeps of each. ``path``: ln G that is guessed. ``steps``, ``own_steps``:
    (parameters, volts), ``inverse``: (volts, volts), ``common``: (volts,).
    """

    cells: Sequence[Places]
    path: FloatArray
    steps: FloatArray
    own_steps: FloatArray
    inverse: FloatArray
    common: FloatArray

    def of(self, logs: FloatArray) -> FloatArray:
        """(draws, moments) of ln G, (draws, sweeps, volts), free of gaps.

        Steps of the path's parameters; spread of the cells' own; median and spread of ln λ over the
        cells, and median of how much more a cycle deviates than a pulse.
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
        """Of one cell: ln λ, and the logarithm of what its cycles deviate by."""
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
    """``follow``: ln G and s at each voltage, of ln R_s, ln V_t, ln q and ln k; ``guess`` of these.

    ``ratio``: of cycle to pulse, r.
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
    """Of ln G for λ = 1, and what a cycle of speed e adds to it."""
    steps = np.zeros((shares.size, shares.size))
    common = np.zeros(shares.size)
    for i, share in enumerate(shares):
        before, of_all = (steps[i - 1], common[i - 1]) if i else (np.zeros(shares.size), 0.0)
        steps[i] = (1 - share) * before
        steps[i, i] += np.sqrt(share)
        common[i] = (1 - share) * of_all + share * ratio
    steps, common = damped[:, None] * steps, damped * common
    return steps @ steps.T + np.outer(common, common), common
