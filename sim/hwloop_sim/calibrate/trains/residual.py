"""Residuals of trains around a mean path: spread of trains, scatter, memory, read noise.

All in states x of ``step_response``, whichever conductances they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwloop.types import FloatArray
from hwloop_sim.calibrate.trains.train_likelihood import Spreads, TrainSteps, spreads

Walk = Callable[..., FloatArray]

_BESIDE = 10.0
"""Gain of ln of the likelihood that placing trains at a distance from the path must bring."""
_LEAST_FOR_SPREAD = 3
_SHORTEST = 3
"""Fewest reads of a part without a gap that is used."""


@dataclass(frozen=True)
class Residual:
    """Statistics of the residuals of one direction.

    ``scatter``, ``scatter_error``: at the knots, with one standard error. ``noise``: standard
    deviation of a read, with its error. ``train_spread``, ``cell_spread``: of ln f, the speed of a
    train, from train to train and from cell to cell. ``begin``, ``begin_spread``: of the trains, if
    they keep their distance from the mean path.
    """

    scatter: FloatArray
    scatter_error: FloatArray
    correlation: float
    skewness: float
    train_spread: float
    cell_spread: float
    begin: float
    begin_spread: float
    noise: float
    noise_error: float
    path_deviation: float
    uncertainty: Mapping[str, float]
    messages: Sequence[str]


@dataclass(frozen=True)
class Placed:
    """Trains of a direction, either on their mean path or at a distance from it.

    ``pieces``: residuals of their steps. ``begin``: state at which the path begins, if the trains
    keep their distance from it.
    """

    trains: Trains
    pieces: Sequence[TrainSteps]
    begin: float | None
    path_deviation: float


def place(
    trains: Sequence[FloatArray],
    knots: FloatArray,
    steps: FloatArray,
    walk: Walk,
    factors: FloatArray,
) -> Placed:
    """Place trains on the mean path or at a constant distance from it, whichever is likelier.

    ``trains``: (pulses + 1,) states each, NaN where nothing was read. ``factors``: of the mean
    step of each train, by its age, (trains,).
    """
    path = walk(2 * max(map(len, trains)))
    found, begin = Trains.along(trains, path), None
    pieces = _left(trains, knots, steps, found.offsets, factors)
    beside = Trains.beside(trains, path)
    others = _left(trains, knots, steps, beside.offsets, factors)
    (spread,) = spreads([pieces])
    if sum(one.cost(spread.values)[0] for one in others) < spread.cost:
        (other,) = spreads([others])
        if other.cost < spread.cost - _BESIDE:
            found, pieces, begin = beside, others, float(path[0])
    return Placed(found, pieces, begin, float(np.sqrt(found.squares / sum(map(len, trains)))))


def residuals(placed: Sequence[Placed]) -> list[Residual]:
    """Compute the residuals of all directions, which share their read noise."""
    found = spreads([one.pieces for one in placed])
    return [_residual(one, spread) for one, spread in zip(placed, found, strict=True)]


def _residual(placed: Placed, found: Spreads) -> Residual:
    every = np.concatenate([piece.left for piece in placed.pieces])
    of_rho, of_speed, of_noise = map(float, found.errors[-3:])
    count = len(placed.trains.speeds)
    of_speed *= np.sqrt(len(placed.pieces) / count)  # parts of a train share its speed
    uncertainty = {"correlation": of_rho}
    spread, messages = 0.0, []
    if count < _LEAST_FOR_SPREAD:
        messages.append("one or two trains: what differs from train to train is not known")
    else:
        spread, uncertainty["train_spread"] = _of_logarithm(found.speed, of_speed, count)
    return Residual(
        scatter=found.scatter,
        scatter_error=found.errors[:-3],
        correlation=found.correlation,
        skewness=_skewness(every, float(np.mean(np.square(found.scatter)))),
        train_spread=spread,
        cell_spread=0.0,
        begin=placed.begin or 0.0,
        begin_spread=float(np.abs(placed.trains.offsets).max()),
        noise=found.noise,
        noise_error=of_noise,
        path_deviation=placed.path_deviation,
        uncertainty=uncertainty,
        messages=messages,
    )


def _left(
    trains: Sequence[FloatArray],
    knots: FloatArray,
    steps: FloatArray,
    offsets: FloatArray,
    factors: FloatArray,
) -> list[TrainSteps]:
    """Return the residuals of the steps in the longest part of each train without a gap."""
    pieces: list[TrainSteps] = []
    # Degrees of freedom used by the mean steps at the knots.
    count = sum(len(train) - 1 for train in trains)
    freedom = np.sqrt(count / max(count - knots.size, 1))
    slopes = np.diff(steps) / np.diff(knots) if knots.size > 1 else np.zeros(1)
    for train, offset, factor in zip(trains, offsets, factors, strict=True):
        stretch = _longest_stretch(train) - offset
        if stretch.size < _SHORTEST:
            continue
        starts = stretch[:-1]
        mean = factor * np.interp(starts, knots, steps)
        hats = np.array([np.interp(starts, knots, row) for row in np.eye(knots.size)])
        place = np.searchsorted(knots, starts)
        inside = (place > 0) & (place < knots.size)
        slope = factor * np.where(inside, slopes[np.clip(place - 1, 0, slopes.size - 1)], 0.0)
        pieces += TrainSteps.cut(freedom * (np.diff(stretch) - mean), hats, mean, slope)
    return pieces


def _longest_stretch(train: FloatArray) -> FloatArray:
    gaps = np.flatnonzero(np.isnan(train))
    pieces = [piece[~np.isnan(piece)] for piece in np.split(train, gaps)]
    return max(pieces, key=len)


def _of_logarithm(deviation: float, error: float, count: int) -> tuple[float, float]:
    """Convert the relative deviation of f, and its error, to those of ln f.

    Corrects for one degree of freedom used by the mean.
    """
    whole = count / (count - 1)
    spread = float(np.sqrt(np.log1p(whole * deviation**2)))
    return spread, float(error * np.sqrt(whole))


def placed_speeds(trains: Sequence[FloatArray], path: FloatArray) -> FloatArray:
    """Return the speed of each train on the path, or at a distance if that fits better."""
    along, beside = Trains.along(trains, path), Trains.beside(trains, path)
    return (beside if beside.squares < along.squares else along).speeds


@dataclass(frozen=True)
class Trains:
    """Placement of trains: speed, distance from the mean path, and sum of squared residuals."""

    speeds: FloatArray
    offsets: FloatArray
    squares: float

    @classmethod
    def along(cls, trains: Sequence[FloatArray], path: FloatArray) -> Trains:
        """Place each train on the path, beginning where its first value lies."""
        found = [_fitted(train, path, _time(_first(train, path), path)) for train in trains]
        return cls(np.array([one[0] for one in found]), np.zeros(len(trains)), _sum(found))

    @classmethod
    def beside(cls, trains: Sequence[FloatArray], path: FloatArray) -> Trains:
        """Place each train at the beginning of the path, at the distance of its first value."""
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
    """Return the time, in pulses, at which the path has a state; below 0 before its beginning."""
    before = float(path[1] - path[0])
    sign = np.sign(before)
    if sign * state < sign * path[0]:
        return (state - float(path[0])) / before
    return float(np.interp(sign * state, sign * path, np.arange(path.size)))


def _fitted(train: FloatArray, path: FloatArray, begin: float) -> tuple[float, float]:
    """Fit the speed of a train along a path from the time ``begin``; also return the squares."""
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


def _skewness(left: FloatArray, variance: float) -> float:
    """Estimate the skewness of the scatter; 0 unless it exceeds three standard errors.

    Symmetric read noise adds nothing to a third moment.
    """
    if variance == 0.0 or left.size < 30:
        return 0.0
    third = np.mean((left - left.mean()) ** 3)
    found = float(third / variance**1.5)
    error = np.sqrt(6 / left.size) * (np.var(left) / variance) ** 1.5
    return float(np.clip(found, -2.0, 2.0)) if abs(found) > 3 * error else 0.0
