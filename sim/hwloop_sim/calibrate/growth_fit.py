"""Fit how the filament grows to sweeps of the gate: the mean path, and the scatter about it.

Path: least squares of the logarithm on the medians of all sweeps. Scatter: the deviations of a
cell's sweeps from their mean are normal, with the covariance that the model gives them to first
order: each pulse adds λ √s ξ to ln g, of which the next leaves 1 − s; the cycle's own e^(r λ z) is
common to all. r by maximum likelihood, λ of each cell in closed form. σ_s and the distribution of
u by maximum likelihood of these λ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwloop.errors import ConfigError, NotConverged
from hwloop.operations import FloatArray
from hwloop_sim.calibrate.line_sweeps import Sweeps
from hwloop_sim.filament import cell_s, filament_s, grown_s

_BEGUN = 0.5
"""Logarithm by which the median has risen where the fit begins."""
_REACHED = 0.9
"""Of the sweeps, that go to the last gate of the fit."""
_RESAMPLED = 40
_LEAST = 4
_FLOOR_UP_TO = 0.95
_SEED = 1


@dataclass(frozen=True)
class Path:
    """R_s, k, V_t and q; ``deviation``: of the medians from it, rms of ln G."""

    r_series_ohm: float
    k_s_per_v: float
    v_transistor_v: float
    exponent: float
    deviation: float = 0.0


@dataclass(frozen=True, eq=False)
class GrowthFit:
    """``uncertainty``: by the name of the setting. ``lambdas``: of each cell with enough sweeps."""

    path: Path
    begin_s: float
    gates_v: FloatArray
    r_sigma: float
    v_sigma: float
    step_sigma: float
    cycle_ratio: float
    unsteadiness: float
    unsteadiness_sigma: float
    lambdas: FloatArray
    uncertainty: dict[str, float]


def fit_growth(sweeps: Sweeps) -> GrowthFit:
    """Raises :class:`ConfigError` or :class:`NotConverged` with the file and what does not show."""
    gates, begin_s = _span(sweeps)
    seen = np.log(sweeps.after_s[:, gates])
    volts = sweeps.volts[gates]
    path = _fit_path(sweeps.where, volts, np.nanmedian(seen, axis=0), begin_s)
    whole = np.isfinite(seen).all(axis=1)
    groups = [seen[whole & (sweeps.cell == cell)] for cell in sweeps.cells]
    groups = [group for group in groups if len(group) >= _LEAST]
    ratio, ratio_error, lambdas = _scatter(path, volts, begin_s, groups)
    floor, median, sigma = _unsteadiness(lambdas)
    own = _each_cell(path, volts, begin_s, groups)
    count = len(lambdas)
    spread = 1 / np.sqrt(2 * (count - 1))
    resampled = _resampled(sweeps, gates, begin_s)
    errors = {
        "r_series_ohm": resampled[0],
        "growth.k_s_per_v": resampled[1],
        "v_transistor_v": resampled[2],
        "growth.exponent": resampled[3],
        "growth.cycle_ratio": ratio_error,
        "unsteadiness": median * sigma / np.sqrt(count),
        "spread.unsteadiness": sigma * spread,
        "spread.r_series_ohm": own[0] * spread,
        "spread.v_transistor_v": own[1] * spread,
    }
    return GrowthFit(
        path,
        begin_s,
        volts,
        own[0],
        own[1],
        floor,
        ratio,
        median,
        sigma,
        lambdas,
        {name: float(error) for name, error in errors.items()},
    )


def _span(sweeps: Sweeps) -> tuple[slice, float]:
    """From the gate at which the median has begun to rise to the last that most sweeps reach."""
    with np.errstate(all="ignore"):
        median = np.nanmedian(np.log(sweeps.after_s), axis=0)
    reached = np.isfinite(sweeps.after_s).mean(axis=0)
    risen = np.flatnonzero(median - median[0] > _BEGUN)
    last = np.flatnonzero(reached >= _REACHED)
    if not risen.size or not last.size or last[-1] - risen[0] < 2 * _LEAST:
        raise ConfigError(
            f"the median rises over fewer than {2 * _LEAST} gate voltages that {_REACHED:.0%} of"
            " the sweeps reach: nothing to fit",
            file=sweeps.where,
        )
    first = int(risen[0])
    begin_s = float(np.exp(np.median(median[: max(first - 1, 1)])))
    return slice(first, int(last[-1]) + 1), begin_s


def follow(path: Path, volts: FloatArray, begin_s: float) -> tuple[FloatArray, FloatArray]:
    """ln G after each gate voltage, and s of each pulse; free of scatter."""
    r_ohm = np.asarray(path.r_series_ohm)
    own_s = filament_s(np.asarray(begin_s), r_ohm)
    seen, shares = [], []
    for volt in volts:
        drive_s = np.asarray(path.k_s_per_v * max(volt - path.v_transistor_v, 1e-6))
        own_s, share = grown_s(own_s, drive_s, path.exponent)
        seen.append(np.log(cell_s(own_s, r_ohm)))
        shares.append(share)
    return np.array(seen), np.array(shares)


def _fit_path(where: str, volts: FloatArray, median: FloatArray, begin_s: float) -> Path:
    from scipy.optimize import least_squares

    lowest_ohm = float(np.exp(-median.max()))

    def of(theta: FloatArray) -> Path:
        r_ohm, k = lowest_ohm * float(theta[0]), float(np.exp(theta[1]))
        return Path(r_ohm, k, float(theta[2]), float(np.exp(theta[3])))

    found = least_squares(
        lambda theta: follow(of(theta), volts, begin_s)[0] - median,
        [0.9, -6.5, volts[0] - 0.03, 0.5],
        bounds=([0.3, -14.0, volts[0] - 1.0, -0.6], [0.999, 2.0, volts[0] + 0.05, 2.3]),
    )
    if np.any(found.active_mask):
        names = ("r_series_ohm", "growth.k_s_per_v", "v_transistor_v", "growth.exponent")
        name = names[int(np.argmax(found.active_mask != 0))]
        raise NotConverged(f"{where}: {name} is not determined by these sweeps")
    one = of(found.x)
    deviation = float(np.sqrt(np.mean(np.square(found.fun))))
    return Path(one.r_series_ohm, one.k_s_per_v, one.v_transistor_v, one.exponent, deviation)


def _resampled(sweeps: Sweeps, gates: slice, begin_s: float) -> FloatArray:
    """Deviation of R_s, k, V_t and q over draws of the cells with replacement."""
    rng = np.random.default_rng(_SEED)
    found = []
    for _ in range(_RESAMPLED):
        drawn = sweeps.drawn(rng.choice(sweeps.cells, sweeps.cells.size))
        median = np.nanmedian(np.log(drawn.after_s[:, gates]), axis=0)
        try:
            path = _fit_path(sweeps.where, sweeps.volts[gates], median, begin_s)
        except NotConverged:
            continue
        found.append([path.r_series_ohm, path.k_s_per_v, path.v_transistor_v, path.exponent])
    if len(found) < _RESAMPLED // 2:
        raise NotConverged(f"{sweeps.where}: the growth is not determined by its cells")
    return np.asarray(np.std(found, axis=0, ddof=1))


def _covariance(path: Path, volts: FloatArray, begin_s: float, ratio: float) -> FloatArray:
    """Of ln G at these gates, for λ = 1."""
    logs, shares = follow(path, volts, begin_s)
    damped = 1 - np.exp(logs) * path.r_series_ohm  # d ln G / d ln g
    steps = np.zeros((volts.size, volts.size))
    common = np.zeros(volts.size)
    for i, share in enumerate(shares):
        before, of_all = (steps[i - 1], common[i - 1]) if i else (np.zeros(volts.size), 0.0)
        steps[i] = (1 - share) * before
        steps[i, i] += np.sqrt(share)
        common[i] = (1 - share) * of_all + share * ratio
    steps, common = damped[:, None] * steps, damped * common
    covariance: FloatArray = steps @ steps.T + np.outer(common, common)
    return covariance


def _scatter(
    path: Path, volts: FloatArray, begin_s: float, groups: Sequence[FloatArray]
) -> tuple[float, float, FloatArray]:
    """r with its uncertainty, and λ of each group."""
    from scipy.optimize import minimize_scalar

    off = [group - group.mean(axis=0) for group in groups]

    def of(log_ratio: float) -> tuple[float, FloatArray]:
        covariance = _covariance(path, volts, begin_s, float(np.exp(log_ratio)))
        inverse, log_det = np.linalg.inv(covariance), np.linalg.slogdet(covariance)[1]
        cost, squares = 0.0, []
        for one in off:
            freedom = len(one) - 1
            square = np.einsum("ij,jk,ik->", one, inverse, one) / (freedom * volts.size)
            cost += 0.5 * freedom * (log_det + volts.size * np.log(square))
            squares.append(square)
        return cost, np.sqrt(squares)

    best = minimize_scalar(lambda x: of(x)[0], bounds=(-4.0, 1.5), method="bounded")
    step = 0.05
    curvature = (of(best.x + step)[0] - 2 * best.fun + of(best.x - step)[0]) / step**2
    ratio = float(np.exp(best.x))
    return ratio, ratio / float(np.sqrt(max(curvature, 1e-6))), of(best.x)[1]


def _unsteadiness(lambdas: FloatArray) -> tuple[float, float, float]:
    """σ_s, and median and sigma of the lognormal u, with λ² = σ_s² + u²."""
    from scipy.optimize import minimize

    least = float(lambdas.min())

    def cost(theta: FloatArray) -> float:
        floor, sigma = _FLOOR_UP_TO * least / (1 + np.exp(-theta[0])), np.exp(theta[2])
        own = np.sqrt(lambdas**2 - floor**2)
        off = (np.log(own) - theta[1]) / sigma
        return float(np.sum(off**2 / 2 + np.log(sigma) + 2 * np.log(own) - np.log(lambdas)))

    start = [0.0, float(np.log(np.median(lambdas))), -0.3]
    best = minimize(cost, start, method="Nelder-Mead", options={"maxiter": 2000})
    floor = _FLOOR_UP_TO * least / (1 + np.exp(-best.x[0]))
    return float(floor), float(np.exp(best.x[1])), float(min(np.exp(best.x[2]), 2.0))


def _each_cell(
    path: Path, volts: FloatArray, begin_s: float, groups: Sequence[FloatArray]
) -> tuple[float, float]:
    """Spread of ln R_s and ln V_t over cells, from their median paths; robust to a broken cell."""
    from scipy.optimize import least_squares

    weight = 1 / (1 - np.exp(follow(path, volts, begin_s)[0]) * path.r_series_ohm)
    found = []
    for group in groups:
        median = np.median(group, axis=0)

        def off(theta: FloatArray, median: FloatArray = median) -> FloatArray:
            own = Path(np.exp(theta[0]), path.k_s_per_v, theta[1], path.exponent)
            return np.asarray((follow(own, volts, begin_s)[0] - median) * weight)

        start = np.array([np.log(path.r_series_ohm), path.v_transistor_v])
        room = np.array([0.5, 0.15])
        one = least_squares(off, start, bounds=(start - room, start + room), loss="soft_l1")
        found.append([one.x[0], np.log(one.x[1])])
    table = np.array(found)
    away = np.abs(table - np.median(table, axis=0))
    robust = 1.4826 * np.median(away, axis=0)
    return float(robust[0]), float(robust[1])
