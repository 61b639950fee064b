"""Fit of ``soft_bounds``: maximum likelihood of every step, with scatter and read noise apart.

In a train, each pulse closes the fraction 1 − e^(−1/ν) of the distance to the bound; the state is
scattered by c times the range, kept within the bounds, and read with noise. The likelihood is that
of a Kalman filter whose predicted distribution is replaced by the normal one of the same mean and
variance where the bounds cut it (assumed-density filtering; P. S. Maybeck, Stochastic Models,
Estimation, and Control 2, ch. 12 (1982)). Uncertainties are from the inverse Hessian, or from the
slopes of single trains (H. White, Econometrica 50, 1 (1982)) if these are larger. Valid while most
of the trains are further from the bounds than the scatter of a pulse. Of several cells, each has ν
of its own, with the bounds of all: ln ν of each from its trains, then everything else with these,
twice; the variance of ln ν is that between cells less that of the estimates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwloop.errors import ConfigError, NotConverged
from hwloop.types import FloatArray
from hwloop_sim.calibrate.covariance import (
    Covariance,
    ParameterScale,
    undetermined_line,
    with_weak_prior,
)
from hwloop_sim.calibrate.result import Fit
from hwloop_sim.calibrate.trains.cell_spreads import PulsesSpread, cell_spread, with_spread
from hwloop_sim.calibrate.trains.data import TrainData
from hwloop_sim.cells.known_pulses import KnownPulse

_NAMES = (
    "min_conductance_s",
    "max_conductance_s",
    "up_pulses",
    "down_pulses",
    "cycle_to_cycle",
    "read_noise_conductance_s",
)
_FLOOR = np.log(1e-5)  # scatter and noise below this share of the range count as 0
_NU = (np.log(0.2), np.log(1e5))
_AT_END = 1e-6
_TURNS = 2
"""Times that ν of the cells and all that they share are fitted in turn."""
_FAR = 6.0  # standard deviations from a bound beyond which it has no effect


@dataclass(frozen=True)
class _Problem:
    """Trains scaled to the measured range, (trains, values), NaN after their ends.

    ``own_up``, ``own_down``: ln ν of the cell of each train less that of all, (trains,).
    """

    up: FloatArray
    down: FloatArray
    low_conductance_s: float
    span_conductance_s: float
    own_up: FloatArray
    own_down: FloatArray

    @property
    def ends(self) -> list[tuple[float, float]]:
        """Return the range of the search for each value of theta."""
        # min_conductance_s stays above 0.
        floor = -0.999 * self.low_conductance_s / self.span_conductance_s
        return [(floor, 0.9), (0.1, 50.0), _NU, _NU, (_FLOOR, 0.0), (_FLOOR, 0.0)]

    def loss(self, theta: FloatArray) -> float:
        """Compute −log L.

        ``theta``: scaled bounds, logarithms of ν up and down, of c and of the noise.
        """
        return float(self.losses(theta).sum())

    def losses(self, theta: FloatArray) -> FloatArray:
        """Compute −log L of each train, (trains,)."""
        return np.concatenate(
            [
                0.5 * np.nansum(np.square(innovation) + np.log(variance), axis=1)
                for innovation, variance in self._filtered(theta)
            ]
        )

    def residuals(self, theta: FloatArray) -> list[FloatArray]:
        """Return standardised innovations, one map per direction."""
        return [innovation for innovation, _ in self._filtered(theta)]

    def _filtered(self, theta: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
        low, high = theta[0], theta[1]
        scatter, noise = np.exp(theta[4]) * (high - low), np.exp(theta[5])
        # A train is clipped at the bound that it approaches. The bound that it leaves affects its
        # first pulses at most; clipping there would overstate what they tell about it.
        ways = (
            (self.up, (-np.inf, high), high, theta[2] + self.own_up),
            (self.down, (low, np.inf), low, theta[3] + self.own_down),
        )
        return [
            _filtered(trains, ends, bound, np.exp(-np.exp(-nu)), scatter, noise)
            for trains, ends, bound, nu in ways
        ]


def _filtered(
    trains: FloatArray,
    ends: tuple[float, float],
    bound: float,
    left: FloatArray,
    scatter: float,
    noise: float,
) -> tuple[FloatArray, FloatArray]:
    """Return standardised innovations and their variances, (trains, values − 1).

    ``left``: part of the distance to the bound that a pulse leaves, (trains,).
    """
    mean = trains[:, 0]
    variance = np.full(mean.shape, noise**2)
    innovations, variances = [], []
    for seen in trains.T[1:]:
        mean = bound + (mean - bound) * left
        mean, variance = _held(mean, left**2 * variance + scatter**2, ends)
        total = variance + noise**2
        gain = variance / total
        innovations.append((seen - mean) / np.sqrt(total))
        variances.append(np.where(np.isnan(seen), np.nan, total))
        mean = mean + gain * (seen - mean)
        variance = (1 - gain) * variance
    return np.array(innovations).T, np.array(variances).T


def _held(
    mean: FloatArray, variance: FloatArray, ends: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Compute mean and variance of a normal variable clipped to two ends."""
    from scipy.special import ndtr

    spread = np.sqrt(variance)
    a, b = (ends[0] - mean) / spread, (ends[1] - mean) / spread
    if not ((a > -_FAR) | (b < _FAR)).any():
        return mean, variance
    a, b = np.clip(a, -40, 40), np.clip(b, -40, 40)
    below, above = ndtr(a), ndtr(-b)
    at_a, at_b = (np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi) for z in (a, b))
    inside = 1 - below - above
    first = a * below + b * above + at_a - at_b
    second = a * a * below + b * b * above + inside + a * at_a - b * at_b
    return mean + spread * first, variance * np.maximum(second - first**2, 1e-12)


def fit_soft_bounds(data: TrainData) -> Fit:
    """Fit both bounds, ν of both directions, cycle-to-cycle scatter and read noise.

    Raises :class:`ConfigError` if a direction is missing or both have the same pulse, and
    :class:`NotConverged` if the search finds no minimum.
    """
    up, down = data.named(rises=True), data.named(rises=False)
    if up is None or down is None:
        raise ConfigError(
            f"soft_bounds needs trains of both directions; none {'lowers' if up else 'raises'} the"
            " conductance: name that dataset as well",
        )
    pulses = [KnownPulse(amplitude_v=one.amplitude_v, width_s=one.width_s) for one in (up, down)]
    if pulses[0].resembles(pulses[1]):
        raise ConfigError(f"both directions are given for pulses of {pulses[0]}: one raises")
    low_conductance_s, high_conductance_s = data.span_conductance_s
    span_conductance_s = high_conductance_s - low_conductance_s
    problem = _Problem(
        (up.padded_conductance_s - low_conductance_s) / span_conductance_s,
        (down.padded_conductance_s - low_conductance_s) / span_conductance_s,
        low_conductance_s,
        span_conductance_s,
        np.zeros(len(up.trains)),
        np.zeros(len(down.trains)),
    )
    theta = _minimum(problem)
    spreads: list[PulsesSpread] = []
    if data.cells > 1:
        for _ in range(_TURNS):
            spreads = _of_cells(problem, theta, [up.cells, down.cells])
            problem = replace(problem, own_up=spreads[0].own, own_down=spreads[1].own)
            theta = _minimum(problem, start=theta)
    every = _covariance(problem, theta)
    for place, one in enumerate(spreads, start=2):
        every[place, place] += one.sigma**2 / one.cells
    fit = _as_fit(problem, theta, every, {"up": up.pulse, "down": down.pulse})
    return with_spread(fit, spreads, [up.cells, down.cells]) if spreads else fit


def _of_cells(
    problem: _Problem, theta: FloatArray, cells: Sequence[NDArray[np.intp]]
) -> list[PulsesSpread]:
    """Estimate ln ν of each cell by itself, with everything else as it is, in both directions."""
    up = len(problem.up)

    def of_up(own: FloatArray) -> FloatArray:
        return replace(problem, own_up=own).losses(theta)[:up]

    def of_down(own: FloatArray) -> FloatArray:
        return replace(problem, own_down=own).losses(theta)[up:]

    return [cell_spread(losses, of) for losses, of in zip((of_up, of_down), cells, strict=True)]


def _start(problem: _Problem) -> FloatArray:
    """Estimate ν from the initial slope of the mean trains, and scatter from the steps."""
    slopes = []
    for trains, sign in ((problem.up, 1.0), (problem.down, -1.0)):
        mean = np.nanmean(trains, axis=0)
        tenth = max(1, mean.size // 10)
        slopes.append(max(sign * (mean[tenth] - mean[0]) / tenth, 1e-4))
    steps = np.concatenate([np.diff(one, axis=1).ravel() for one in (problem.up, problem.down)])
    scatter = np.log(np.clip(np.nanstd(steps), 1e-4, 0.5))
    nu = [np.log(np.clip(1 / slope, 0.5, 1e3)) for slope in slopes]
    return np.array([-0.02, 1.02, *nu, scatter, scatter - 1])


def _minimum(problem: _Problem, start: FloatArray | None = None) -> FloatArray:
    from scipy.optimize import minimize

    ends = problem.ends
    begin = _start(problem) if start is None else start
    start = np.clip(begin, [low for low, _ in ends], [high for _, high in ends])
    found = minimize(problem.loss, start, method="L-BFGS-B", bounds=ends, options={"maxiter": 500})
    # Status 2: the line search ended at the accuracy of numerical gradients; the Hessian judges.
    if not np.isfinite(found.fun) or found.status == 1:
        raise NotConverged("soft_bounds: the fit did not converge in 500 steps")
    theta: FloatArray = found.x
    return theta


def _covariance(problem: _Problem, theta: FloatArray) -> FloatArray:
    """Compute the covariance of theta, (6, 6), from the inverse Hessian; 0 for values at the floor.

    Directions in which the likelihood is flat have the variance of the range of the search.
    """
    free = [i for i in range(6) if i < 4 or theta[i] > _FLOOR + 0.1]
    step = np.array([1e-3, 1e-3, 1e-3, 1e-3, 1e-2, 1e-2])[free]
    hessian = np.empty((len(free), len(free)))
    for i in range(len(free)):
        for j in range(i + 1):
            hessian[i, j] = hessian[j, i] = _second(problem, theta, free, step, i, j)
    widths = np.array([high - low for low, high in problem.ends])[free]
    inverse = with_weak_prior(hessian, widths)
    between = inverse @ _between_trains(problem, theta, free, step) @ inverse
    # The likelihood is approximate at a bound: trains then differ more than it predicts.
    factor = np.sqrt(np.maximum(np.diag(between) / np.diag(inverse), 1.0))
    covariance = np.zeros((6, 6))
    covariance[np.ix_(free, free)] = inverse * np.outer(factor, factor)
    return covariance


def _open(problem: _Problem, theta: FloatArray, deviation: FloatArray) -> list[str]:
    """Return bounds and ν that the trains leave open, or whose search ended at its range.

    Open is a ν uncertain by a factor of e, and a bound uncertain by the whole range measured.
    """
    pairs = zip(_NAMES[:4], theta, deviation, problem.ends, strict=False)
    return [
        name
        for name, value, error, (low, high) in pairs
        if error > 1 or min(value - low, high - value) < _AT_END
    ]


def _between_trains(
    problem: _Problem, theta: FloatArray, free: list[int], step: FloatArray
) -> FloatArray:
    """Estimate the covariance of the gradient of the loss from the gradients of single trains."""
    slopes = []
    for index, size in zip(free, step, strict=True):
        moved = np.zeros(theta.size)
        moved[index] = size
        slopes.append((problem.losses(theta + moved) - problem.losses(theta - moved)) / (2 * size))
    of_trains = np.array(slopes)
    count = of_trains.shape[1]
    return np.asarray(np.cov(of_trains) * count * count / max(count - len(free) - 1, 1))


def _second(
    problem: _Problem, theta: FloatArray, free: list[int], step: FloatArray, i: int, j: int
) -> float:
    def at(first: float, second: float) -> float:
        moved = theta.copy()
        moved[free[i]] += first * step[i]
        moved[free[j]] += second * step[j]
        return problem.loss(moved)

    mixed = at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)
    return float(mixed / (4 * step[i] * step[j]))


def _as_fit(
    problem: _Problem, theta: FloatArray, every: FloatArray, pulses: dict[str, dict[str, float]]
) -> Fit:
    deviation = np.sqrt(np.diag(every))
    undetermined = _open(problem, theta, deviation)
    low_conductance_s, high_conductance_s = (
        problem.low_conductance_s + problem.span_conductance_s * theta[:2]
    ).tolist()
    nu = np.exp(theta[2:4])
    c, noise = (float(np.exp(x)) if x > _FLOOR + 0.1 else 0.0 for x in theta[4:])
    values = (low_conductance_s, high_conductance_s, *nu.tolist(), c)
    scales = np.array(
        [
            problem.span_conductance_s,
            problem.span_conductance_s,
            *nu,
            c,
            noise * problem.span_conductance_s,
        ]
    )
    residuals = problem.residuals(theta)
    pairs = [(one[:, 1:], one[:, :-1]) for one in residuals]
    lag = sum(float(np.nansum(a * b)) for a, b in pairs) / sum(
        float(np.nansum(np.square(one))) for one in residuals
    )
    messages = [undetermined_line(undetermined)] if undetermined else []
    if noise == 0.0:
        messages.append("read noise is not identifiable: less than 1e-5 of the measured range")
    if abs(lag) > 0.2:
        messages.append(
            f"successive deviations are correlated ({lag:.2f}): the model has them independent, so"
            " that its scatter and its uncertainties are too small"
        )
    top_conductance_s = problem.low_conductance_s + problem.span_conductance_s
    beyond = [
        f"{name} {value:.4g} S"
        for name, value in (
            ("min_conductance_s", low_conductance_s),
            ("max_conductance_s", high_conductance_s),
        )
        if not problem.low_conductance_s <= value <= top_conductance_s
    ]
    if beyond:
        messages.append(
            f"extrapolated beyond {problem.low_conductance_s:.4g} to {top_conductance_s:.4g} S:"
            f" {', '.join(beyond)}"
        )
    return Fit(
        settings={**dict(zip(_NAMES[:5], values, strict=True)), **pulses},
        uncertainty=dict(zip(_NAMES, (scales * deviation).tolist(), strict=True)),
        read_noise_conductance_s=noise * problem.span_conductance_s,
        goodness={
            "log_likelihood": -problem.loss(theta),
            "innovation_deviation": float(
                np.nanstd(np.concatenate([r.ravel() for r in residuals]))
            ),
            "innovation_lag_1": lag,
        },
        messages=messages,
        covariance=_named(every, problem.span_conductance_s, undetermined),
    )


def _named(every: FloatArray, span_conductance_s: float, undetermined: Sequence[str]) -> Covariance:
    units = np.array([span_conductance_s, span_conductance_s, 1.0, 1.0])
    scales: list[ParameterScale] = ["linear", "linear", "log", "log"]
    return Covariance(_NAMES[:4], scales, every[:4, :4] * np.outer(units, units), undetermined)
