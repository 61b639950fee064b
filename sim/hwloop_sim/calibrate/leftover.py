"""What a mean path leaves over of measured trains: spread of trains, scatter, memory, read noise.

All in states x of ``step_response``, whichever conductances they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwloop.operations import FloatArray

Walk = Callable[..., FloatArray]

_CORRELATIONS = np.concatenate([[0.0], np.linspace(0.05, 0.95, 19)])
_GROUPS = 10
_LEAST = 0.1
"""Of the mean scatter, below which it does not go at any knot."""


@dataclass(frozen=True)
class Leftover:
    """``scatter``, ``scatter_error``: at the knots, and one standard error.

    ``noise``: deviation of a read. ``train_spread``: of ln f. ``begin``, ``begin_spread``: of the
    trains, where they stay beside the mean path.
    """

    scatter: FloatArray
    scatter_error: FloatArray
    correlation: float
    skewness: float
    train_spread: float
    begin: float
    begin_spread: float
    noise: float
    path_deviation: float
    uncertainty: Mapping[str, float]
    words: Sequence[str]


def leftover(
    trains: Sequence[FloatArray], knots: FloatArray, steps: FloatArray, walk: Walk
) -> Leftover:
    """Of trains (pulses + 1,) each, NaN where nothing was read."""
    path = walk(2 * max(map(len, trains)))
    fitted, kept = placed(trains, path)
    left = [
        np.diff(train) - speed * np.interp(train[:-1] - offset, knots, steps)
        for train, speed, offset in zip(trains, fitted.speeds, fitted.offsets, strict=True)
    ]
    pieces = [_longest_piece(one) for one in left]
    variance, correlation, noise = _components(pieces)
    errors = _component_errors(pieces)
    every = np.concatenate([one[~np.isnan(one)] for one in left])
    starts = np.concatenate([t[:-1][~np.isnan(one)] for t, one in zip(trains, left, strict=True)])
    spread, error, words = _spread_of_trains(fitted.speeds, trains, variance, correlation)
    # What speeds and knots have taken away is missing in the squares.
    freedom = max(every.size - len(trains) - knots.size, 1)
    whole = every * np.sqrt(every.size / freedom)
    scatter, scatter_error = _against_state(
        starts, whole, knots, variance, (noise, float(errors[2]))
    )
    if scatter_error is None:
        of_all = errors[0] / (2 * max(np.sqrt(variance), np.sqrt(errors[0]), 1e-300))
        scatter_error = np.full(knots.size, of_all)
    return Leftover(
        scatter=scatter,
        scatter_error=scatter_error,
        correlation=correlation,
        skewness=_skewness(every, variance),
        train_spread=spread,
        begin=float(path[0]) if kept else 0.0,
        begin_spread=float(np.abs(fitted.offsets).max()),
        noise=noise,
        path_deviation=float(np.sqrt(fitted.squares / sum(map(len, trains)))),
        uncertainty={
            **({"train_spread": error} if spread else {}),
            **({"correlation": float(errors[1])} if correlation else {}),
            **({"read_noise": float(errors[2])} if noise else {}),
        },
        words=words,
    )


def placed(trains: Sequence[FloatArray], path: FloatArray) -> tuple[Trains, bool]:
    """The trains on the path, or beside it if that leaves less over: then the second is True."""
    along, beside = Trains.along(trains, path), Trains.beside(trains, path)
    return (beside, True) if beside.squares < along.squares else (along, False)


@dataclass(frozen=True)
class Trains:
    """How fast each train goes, by how much it is beside the mean path, and what is left."""

    speeds: FloatArray
    offsets: FloatArray
    squares: float

    @classmethod
    def along(cls, trains: Sequence[FloatArray], path: FloatArray) -> Trains:
        """Each on the path, from where its first value is on it."""
        found = [_fitted(train, path, _time(_first(train, path), path)) for train in trains]
        return cls(np.array([one[0] for one in found]), np.zeros(len(trains)), _sum(found))

    @classmethod
    def beside(cls, trains: Sequence[FloatArray], path: FloatArray) -> Trains:
        """Each from the beginning of the path, as far beside it as it begins."""
        offsets = np.array([_first(train, path) - path[0] for train in trains])
        found = [
            _fitted(train - offset, path, 0.0)
            for train, offset in zip(trains, offsets, strict=True)
        ]
        return cls(np.array([one[0] for one in found]), offsets, _sum(found))


def _sum(found: Sequence[tuple[float, float]]) -> float:
    return sum(squares for _, squares in found)


def _first(train: FloatArray, path: FloatArray) -> float:
    return float(train[0]) if np.isfinite(train[0]) else float(path[0])


def _time(state: float, path: FloatArray) -> float:
    """When the path is at a state, in pulses; below 0 before its beginning."""
    before = float(path[1] - path[0])
    sign = np.sign(before)
    if sign * state < sign * path[0]:
        return (state - float(path[0])) / before
    return float(np.interp(sign * state, sign * path, np.arange(path.size)))


def _fitted(train: FloatArray, path: FloatArray, begin: float) -> tuple[float, float]:
    """Speed of a train along a path from the time ``begin``, and the squares left over."""
    from scipy.optimize import least_squares

    times = np.arange(path.size, dtype=np.float64)
    pulses = np.arange(len(train), dtype=np.float64)
    seen = ~np.isnan(train)
    before = float(path[1] - path[0])

    def off(values: FloatArray) -> FloatArray:
        time = begin + values[0] * pulses
        at = np.interp(time, times, path) + before * np.minimum(time, 0.0)
        return np.asarray((at - train)[seen])

    found = least_squares(off, [1.0], bounds=([0.05], [20.0]))
    return float(found.x[0]), 2 * float(found.cost)


def _components(left: Sequence[FloatArray]) -> tuple[float, float, float]:
    """Variance of the scatter, its correlation, and the deviation of a read.

    From what the steps left over add up to over 1, 2, 4, … pulses: a read adds the same to each,
    scatter adds in proportion, and memory makes it begin slowly.
    """
    from scipy.optimize import nnls

    shortest = min(map(len, left))
    lags = 2 ** np.arange(int(np.log2(max(shortest // 4, 2))) + 1)
    seen = np.array([_sums(left, int(lag)) for lag in lags])
    if not (seen > 0).all():
        return 0.0, 0.0, 0.0
    # Less the mean of a train, what adds up over a lag lacks the part that the lag is of it.
    short = 1 - lags / shortest
    best = (np.inf, 0.0, 0.0, 0.0)
    for correlation in _CORRELATIONS:
        walk = short * _walked(lags, float(correlation))
        columns = np.column_stack([walk, np.full(lags.size, 2.0)]) / seen[:, np.newaxis]
        parts, off = nnls(columns, np.ones(lags.size))
        # A memory must explain clearly more than none does.
        if off < best[0] * (0.8 if best[1] == 0.0 and best[0] < np.inf else 1.0):
            best = (off, float(correlation), float(parts[0]), float(parts[1]))
    return best[2], best[1] if best[2] else 0.0, float(np.sqrt(best[3]))


def _component_errors(left: Sequence[FloatArray]) -> FloatArray:
    """Standard errors of the three, by leaving out every n-th train in turn; 0 of one train."""
    groups = min(len(left), _GROUPS)
    if groups < 2:
        return np.zeros(3)
    every = [
        _components([one for number, one in enumerate(left) if number % groups != group])
        for group in range(groups)
    ]
    errors = np.sqrt((groups - 1) * np.var(every, axis=0))
    # The correlation is looked for on a grid: its step is an error of its own.
    errors[1] = np.hypot(errors[1], (_CORRELATIONS[2] - _CORRELATIONS[1]) / np.sqrt(12))
    return np.asarray(errors)


def _longest_piece(left: FloatArray) -> FloatArray:
    """The longest stretch without a gap."""
    gaps = np.flatnonzero(np.isnan(left))
    pieces = np.split(left, gaps)
    longest = max(pieces, key=lambda piece: int((~np.isnan(piece)).sum()))
    return np.asarray(longest[~np.isnan(longest)])


def _walked(lags: NDArray[np.int_], correlation: float) -> FloatArray:
    """Variance of a sum of so many deviates of variance 1 and this correlation."""
    rest = 1 - correlation
    memory = 2 * correlation * (1 - correlation**lags) / rest**2
    return np.asarray(lags * (1 + correlation) / rest - memory)


def _sums(left: Sequence[FloatArray], lag: int) -> float:
    """Mean square of what a train's steps add up to over a lag, its mean step taken away."""
    found = []
    for one in left:
        summed = np.concatenate([[0.0], np.cumsum(one - np.nanmean(one))])
        found.append(summed[lag:] - summed[:-lag])
    together = np.concatenate(found)
    together = together[~np.isnan(together)]
    return float(np.mean(together**2)) if together.size else 0.0


def _against_state(
    starts: FloatArray,
    left: FloatArray,
    knots: FloatArray,
    variance: float,
    read: tuple[float, float],
) -> tuple[FloatArray, FloatArray | None]:
    """Deviation of the scatter at the knots, from squares less those of the noise.

    ``read``: that noise, with its error. Then a standard error, None where it is that of all
    states together.
    """
    whole = float(np.sqrt(variance))
    noise, noise_error = read
    if variance < noise**2:  # what depends on the state could be the noise of reads
        return np.full(knots.size, whole), None
    hats = np.array([np.interp(starts, knots, row) for row in np.eye(knots.size)])
    mass = hats.sum(axis=1)
    # A few pulses' worth of the mean keeps knots with few pulses from running away.
    squares = (hats @ (left**2 - 2 * noise**2) + 5 * variance) / (mass + 5)
    found = np.sqrt(np.maximum(squares, (_LEAST * whole) ** 2))
    shares = np.square(hats).sum(axis=1)  # a pulse between two knots counts for a part of each
    error = (found**2 + 2 * noise**2) * np.sqrt(2 * (shares + 5)) / (mass + 5) / (2 * found)
    error = np.hypot(error, 2 * noise * noise_error / found)
    return np.asarray(found), np.asarray(error)


def _skewness(left: FloatArray, variance: float) -> float:
    """Of the scatter; 0 unless it is clearly there. Read noise adds nothing to a third moment."""
    if variance == 0.0 or left.size < 30:
        return 0.0
    third = np.mean((left - left.mean()) ** 3)
    found = float(third / variance**1.5)
    error = np.sqrt(6 / left.size) * (np.var(left) / variance) ** 1.5
    return float(np.clip(found, -2.0, 2.0)) if abs(found) > 3 * error else 0.0


def _spread_of_trains(
    speeds: FloatArray, trains: Sequence[FloatArray], variance: float, correlation: float
) -> tuple[float, float, list[str]]:
    """Deviation of ln f, less what the scatter of a train's steps does to its speed."""
    count = len(speeds)
    if count < 3:
        words = "one or two trains: what differs from train to train is not known"
        return 0.0, 0.0, [words]
    length = float(np.mean([len(train) - 1 for train in trains]))
    travel = float(np.mean([abs(train[~np.isnan(train)][-1] - train[0]) for train in trains]))
    of_walk = 1.2 * variance * (1 + correlation) / (1 - correlation) * length / travel**2
    left = float(np.var(np.log(speeds), ddof=1)) - of_walk
    if left <= 0:
        return 0.0, 0.0, []
    spread = float(np.sqrt(left))
    return spread, float(spread / np.sqrt(2 * (count - 1))), []
