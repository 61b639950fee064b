"""Fit of ``step_response``: mean step against the state, scatter, memory, spread of trains.

Four parts, each from the residuals of the part before:

1. The mean step at the knots, by least squares of the path that it makes against the mean measured
path. Steps against single readings would be biased towards their mean by read noise.

2. How the speed of trains changes with the cycles of a cell (``population``).

3. Whether trains follow that path, each from where it begins, or keep the distance from it at which
they begin: whichever is likelier.

4. Residuals of the steps, by maximum likelihood: scatter at the knots, its memory, differences in
speed of trains, and read noise, together (``train_likelihood``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hwloop.errors import NotConverged
from hwloop.types import FloatArray
from hwloop_sim.calibrate.result import Fit
from hwloop_sim.calibrate.trains.data import Direction, TrainData
from hwloop_sim.calibrate.trains.population import LEAST_CYCLES, Ageing, ageing, components
from hwloop_sim.calibrate.trains.residual import (
    Placed,
    Residual,
    place,
    placed_speeds,
    residuals,
)
from hwloop_sim.devices.step_response import StepResponseSettings

_MARGIN = 0.02
"""Share of the range by which the ends exceed it, so that noise is not cut off."""
_DECADE = 10.0
"""Ratio of highest to lowest conductance above which the state is logarithmic."""
_CLOSEST = 0.02
"""Share of the range of a direction below which two knots are merged."""
_UNEVEN = 1.2
"""Ratio of longest to shortest train above which trains were stopped at a state.

Also that of speeds of one age to another, above which the mean of all trains is no train's path."""
_RUNS = 10
"""Weight of bends per standard deviation of a noisy mean path."""
_SMOOTH = 3e-3
"""Weight of a bend of ln m from knot to knot, relative to a deviation of the path."""


_OPTIONAL = ("correlation", "skewness", "train_spread", "cell_spread", "begin", "begin_spread")
"""Settings that are left out where they are 0."""
_LEAST_FOR_ERRORS = 3
"""Fewest trains whose scatter gives the error of their mean."""


@dataclass(frozen=True)
class _Path:
    """Mean path of a direction in states x: knots, mean steps there, and where it begins.

    ``errors``: one standard error of each step.
    """

    knots: FloatArray
    steps: FloatArray
    begin: float
    errors: FloatArray

    def walk(self, pulses: int, *, begin: float | None = None) -> FloatArray:
        """Return the states of the path, (pulses + 1,)."""
        state = self.begin if begin is None else begin
        states = [state]
        for _ in range(pulses):
            state = float(np.clip(state + np.interp(state, self.knots, self.steps), -0.5, 1.5))
            states.append(state)
        return np.array(states)


def fit_step_response(
    data: TrainData, scale: Literal["linear", "logarithmic"] | None = None
) -> Fit:
    """Fit mean step, scatter, correlation and spread of each direction, and read noise.

    ``scale``: of the state; None: logarithmic if the conductances span more than a decade. It
    decides how steps continue beyond the measured states. Raises :class:`NotConverged` if a mean
    step cannot be found.
    """
    low_conductance_s, high_conductance_s = data.span_conductance_s
    if scale is None:
        scale = "logarithmic" if high_conductance_s > _DECADE * low_conductance_s else "linear"
    logarithmic = scale == "logarithmic"
    ends = _ends(low_conductance_s, high_conductance_s, logarithmic=logarithmic)
    empty = {"amplitude_v": 1.0, "width_s": 1.0, "at": [0.0], "step": [0.1]}
    axis = StepResponseSettings.parse(
        {"low_conductance_s": ends[0], "high_conductance_s": ends[1], "scale": scale, "up": empty}
    )
    settings: dict[str, Any] = {
        "low_conductance_s": ends[0],
        "high_conductance_s": ends[1],
        "scale": scale,
    }
    names = ["up" if one.rises else "down" for one in data.directions]
    ways = [
        _way([axis.state(train) for train in one.trains], one, name)
        for name, one in zip(names, data.directions, strict=True)
    ]
    found = residuals([way.placed for way in ways])
    uncertainty: dict[str, float] = {}
    messages: list[str] = []
    for name, one, way, left in zip(names, data.directions, ways, found, strict=True):
        parted = _parted(one, way, left)
        settings[name] = _settings(one, way, parted)
        uncertainty |= _uncertainty(name, way, parted)
        messages += [f"{name}: {line}" for line in parted.messages]
    noise, error = found[0].noise, found[0].noise_error
    span = float(np.log(ends[1] / ends[0])) if logarithmic else ends[1] - ends[0]
    uncertainty["read_noise" if logarithmic else "read_noise_conductance_s"] = error * span
    return Fit(
        settings=settings,
        uncertainty=uncertainty,
        read_noise_conductance_s=None if logarithmic else noise * span,
        read_noise=noise * span if logarithmic else None,
        goodness={
            f"{name}_path_deviation": left.path_deviation
            for name, left in zip(names, found, strict=True)
        },
        messages=messages,
    )


@dataclass(frozen=True)
class _Way:
    """Mean path of a direction, its ageing, and its trains placed on it."""

    path: _Path
    ageing: Ageing | None
    placed: Placed

    def aged(self, one: Direction) -> FloatArray:
        """Return ln of the speed of each train by its age."""
        return np.zeros(len(one.trains)) if self.ageing is None else self.ageing.at(one.cycles)


def _way(trains: Sequence[FloatArray], one: Direction, name: str) -> _Way:
    sign = 1.0 if one.rises else -1.0
    path = _mean_path(trains, name, sign=sign)
    uneven = max(map(len, trains)) > _UNEVEN * min(map(len, trains))
    age = None if uneven else _ageing(trains, path, one)
    if uneven or (age is not None and np.ptp(age.ln_speed) > np.log(_UNEVEN)):
        path = _along_all(trains, path, sign)
        age = _ageing(trains, path, one)
    factors = np.ones(len(trains)) if age is None else np.exp(age.at(one.cycles))
    return _Way(path, age, place(trains, path.knots, path.steps, path.walk, factors))


def _ageing(trains: Sequence[FloatArray], path: _Path, one: Direction) -> Ageing | None:
    if len(trains) < LEAST_CYCLES:
        return None
    speeds = placed_speeds(trains, path.walk(2 * max(map(len, trains))))
    return ageing(np.log(speeds), one.cells, one.cycles)


def _parted(one: Direction, way: _Way, left: Residual) -> Residual:
    """Divide the spread of trains by cells, and put the words on it, and on ageing, first."""
    messages = list(left.messages)
    if way.ageing is not None:
        first, last = np.exp(way.ageing.ln_speed[[0, -1]])
        messages.insert(
            0,
            f"ageing: the speed goes from {first:.3g} to {last:.3g} over {one.cycles.max() + 1}"
            " trains of a cell; beyond, it is held",
        )
    if "train_spread" not in left.uncertainty:
        return replace(left, messages=messages)
    parts = components(
        np.log(way.placed.trains.speeds) - way.aged(one),
        one.cells,
        spread=left.train_spread,
        error=left.uncertainty["train_spread"],
    )
    errors = dict(zip(("cell_spread", "train_spread"), parts.errors, strict=True))
    given = {name: error for name, error in errors.items() if error}
    rest = {k: v for k, v in left.uncertainty.items() if k != "train_spread"}
    return replace(
        left,
        cell_spread=parts.cell_spread,
        train_spread=parts.train_spread,
        uncertainty=rest | given,
        messages=[*messages, parts.summary],
    )


def _ends(
    low_conductance_s: float, high_conductance_s: float, *, logarithmic: bool
) -> tuple[float, float]:
    if logarithmic:
        factor = (high_conductance_s / low_conductance_s) ** _MARGIN
        return low_conductance_s / factor, high_conductance_s * factor
    margin_conductance_s = _MARGIN * (high_conductance_s - low_conductance_s)
    return max(
        low_conductance_s - margin_conductance_s, low_conductance_s / 2
    ), high_conductance_s + margin_conductance_s


def _settings(one: Direction, way: _Way, left: Residual) -> dict[str, Any]:
    path = way.path
    found: dict[str, Any] = {
        **one.pulse,
        "at": _rounded(path.knots),
        "step": _rounded(path.steps),
        "scatter": _rounded(left.scatter),
    }
    for name in _OPTIONAL:
        if value := getattr(left, name):
            found[name] = float(f"{value:.4g}")
    if way.ageing is not None:
        found["age_trains"] = _rounded(way.ageing.cycles)
        found["age_speed"] = _rounded(np.exp(way.ageing.ln_speed))
    return found


def _uncertainty(name: str, way: _Way, left: Residual) -> dict[str, float]:
    """Return one standard error of each setting, by index where there are several.

    Settings that one or two trains do not determine are left out.
    """
    found = {f"step[{place}]": float(error) for place, error in enumerate(way.path.errors)}
    found |= {f"scatter[{place}]": float(e) for place, e in enumerate(left.scatter_error)}
    if way.ageing is not None:
        of_speed = np.exp(way.ageing.ln_speed) * way.ageing.errors
        found |= {f"age_speed[{place}]": float(error) for place, error in enumerate(of_speed)}
    every = {**found, **left.uncertainty}
    return {f"{name}.{key}": value for key, value in every.items() if np.isfinite(value)}


def _rounded(values: FloatArray) -> list[float]:
    return [float(f"{value:.4g}") for value in values]


def _mean_path(trains: Sequence[FloatArray], name: str, *, sign: float) -> _Path:
    """Fit the steps at knots along the mean path, which are denser where it moves faster."""
    from scipy.optimize import isotonic_regression, least_squares

    longest = max(map(len, trains))
    padded = np.full((len(trains), longest), np.nan)
    for row, train in zip(padded, trains, strict=True):
        row[: len(train)] = train
    counted = (~np.isnan(padded)).sum(axis=0)
    pulses = np.flatnonzero(counted > len(trains) / 2)
    mean = np.nanmean(padded[:, pulses], axis=0)
    risen = isotonic_regression(sign * mean).x
    knots = sign * _knots(risen, pulses)
    # Residuals of the mean path are correlated: they weigh less than independent readings.
    smooth = max(_SMOOTH, _RUNS * float(np.std(sign * mean - risen)))
    first = float(mean[0])

    def path(values: FloatArray) -> _Path:
        order = np.argsort(knots)
        none = np.zeros(knots.size)
        return _Path(knots[order], (sign * np.exp(values[1:]))[order], float(values[0]), none)

    def off(values: FloatArray) -> FloatArray:
        states = path(values).walk(int(pulses[-1] - pulses[0]))[pulses - pulses[0]]
        return np.concatenate([states - mean, smooth * np.diff(values[1:], 2)])

    slope = np.gradient(risen, pulses) if pulses.size > 1 else np.ones(1)
    there = np.interp(sign * knots, risen, slope)
    start = np.concatenate([[first], np.log(np.clip(there, 1e-5, 1.0))])
    ends = ([first - 0.2, *[-14.0] * len(knots)], [first + 0.2, *[0.0] * len(knots)])
    found = least_squares(off, np.clip(start, *ends), bounds=ends, x_scale="jac", max_nfev=100)
    if not np.isfinite(found.cost):
        raise NotConverged(f"step_response: the mean step of {name} did not converge")
    errors = _path_errors(found.jac, padded[:, pulses])
    best = path(found.x)
    own = errors[1:][np.argsort(knots)] * np.abs(best.steps)
    return replace(best, errors=own)


def _path_errors(jacobian: FloatArray, trains: FloatArray) -> FloatArray:
    """Compute standard errors of the path parameters from the scatter of trains, (trains, pulses).

    Errors of the mean path at different pulses are correlated as the trains are. NaN for fewer than
    three trains.
    """
    pulses = trains.shape[1]
    if len(trains) < _LEAST_FOR_ERRORS:
        return np.full(jacobian.shape[1], np.nan)
    off = np.where(np.isnan(trains), 0.0, trains - np.nanmean(trains, axis=0))
    reach = np.linalg.pinv(jacobian)[:, :pulses] @ off.T
    count = len(trains)
    return np.asarray(np.sqrt(np.square(reach).sum(axis=1) / (count * (count - 1))))


def _along_all(trains: Sequence[FloatArray], path: _Path, sign: float) -> _Path:
    """Fit the mean step over all states, from single steps divided by the speed of their train.

    If trains were stopped at a state, the mean over those still running is biased to slow ones.
    """
    from scipy.optimize import lsq_linear

    speeds = placed_speeds(trains, path.walk(2 * max(map(len, trains))))
    speeds = speeds / np.exp(np.mean(np.log(speeds)))
    starts = np.concatenate([train[:-1] for train in trains])
    steps = np.concatenate([np.diff(train) for train in trains])
    factor = np.repeat(speeds, [len(train) - 1 for train in trains])
    seen = ~np.isnan(steps) & ~np.isnan(starts)
    knots = np.unique(np.quantile(starts[seen], np.linspace(0.002, 0.998, 12)).round(4))
    hats = np.array([np.interp(starts[seen], knots, row) for row in np.eye(knots.size)])
    found = lsq_linear((hats * factor[seen]).T, sign * steps[seen], bounds=(1e-6, 1.0))
    columns = (hats * factor[seen]).T
    variance = 2 * float(found.cost) / max(seen.sum() - knots.size, 1)
    errors = np.sqrt(np.diag(np.linalg.pinv(columns.T @ columns)) * variance)
    return _Path(knots, sign * np.asarray(found.x), path.begin, errors)


def _knots(risen: FloatArray, pulses: NDArray[np.intp]) -> FloatArray:
    """Return states of a rising path after 0, 1, 2, 4, 8, … pulses, and evenly in between."""
    wanted = np.unique(np.concatenate([[0], 2 ** np.arange(20), [pulses[-1] - pulses[0]]]))
    at = np.interp(wanted, pulses - pulses[0], risen)
    span = float(np.ptp(risen))
    even = np.linspace(risen[0], risen[-1], 7)
    kept: list[float] = []
    for value in np.sort(np.concatenate([at, even])):
        if not kept or value - kept[-1] >= _CLOSEST * span:
            kept.append(float(value))
    return np.array(kept)
