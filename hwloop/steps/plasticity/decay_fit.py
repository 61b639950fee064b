"""Fits of decays to each cell by least squares, with the errors that the data give.

The factors of a decay are linear, its times and exponents are not: for each set of the latter the
best factors follow (variable projection, G. H. Golub, V. Pereyra, SIAM J. on Numerical Analysis 10,
413 (1973)), so that a coarse grid finds the minimum and a descent refines it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np

from hwloop.types import FloatArray

Terms = Callable[[FloatArray, FloatArray], FloatArray]
"""From times (n,), seconds, and logarithms of the nonlinear settings to the terms, (n, factors)."""

LEAST_BETA = 0.15
SURE_LOG = 0.5
"""Largest standard error of ln τ of a decay that the data determine."""
_PER_DECADE = 6
_BETAS = (0.2, 0.35, 0.5, 0.7, 0.85, 1.0)
_STEP = 1e-5  # of logarithms, for derivatives


@dataclass(frozen=True)
class DecayModel:
    """A decay: ``terms`` whose weighted sum it is, and the ``grid`` of its nonlinear settings.

    The first term is a constant. ``grid``, ``low``, ``high``: logarithms, of a time each or of β.
    ``times``: how many of the settings are times.
    """

    terms: Terms
    grid: Sequence[tuple[float, ...]]
    low: tuple[float, ...]
    high: tuple[float, ...]
    times: int


@dataclass(frozen=True, eq=False)
class DecayFit:
    """Fit of each cell; NaN where the data do not determine it.

    ``settings``, ``setting_errors``: nonlinear ones and their standard errors, (settings, cells).
    ``factors``, ``factor_errors``: (factors, cells), in the unit of the data. ``squares``: sum of
    squared residuals, (cells,).
    """

    settings: FloatArray
    setting_errors: FloatArray
    factors: FloatArray
    factor_errors: FloatArray
    squares: FloatArray


def exponential(times_s: FloatArray) -> DecayModel:
    """Return c + A · exp(−t/τ)."""
    logs = _log_times(times_s)
    return DecayModel(
        lambda t, q: np.column_stack([np.ones_like(t), np.exp(-t / np.exp(q[0]))]),
        [(one,) for one in logs],
        (logs[0],),
        (logs[-1],),
        times=1,
    )


def double_exponential(times_s: FloatArray) -> DecayModel:
    """Return c + A₁ exp(−t/τ₁) + A₂ exp(−t/τ₂)."""
    logs = _log_times(times_s)

    def terms(t: FloatArray, q: FloatArray) -> FloatArray:
        return np.column_stack([np.ones_like(t), np.exp(-t[:, None] / np.exp(q))])

    pairs = [pair for pair in combinations(logs, 2) if pair[1] - pair[0] > 1.0]
    return DecayModel(terms, pairs or [(logs[0], logs[-1])], (logs[0],) * 2, (logs[-1],) * 2, 2)


def stretched_exponential(times_s: FloatArray) -> DecayModel:
    """Return G∞ + A · exp(−(t/τ)^β), with 0.15 ≤ β ≤ 1."""
    logs = _log_times(times_s)

    def terms(t: FloatArray, q: FloatArray) -> FloatArray:
        decay = np.exp(-((t / np.exp(q[0])) ** np.exp(q[1])))
        return np.column_stack([np.ones_like(t), decay])

    return DecayModel(
        terms,
        list(product(logs, np.log(_BETAS))),
        (logs[0], float(np.log(LEAST_BETA))),
        (logs[-1], 0.0),
        times=1,
    )


def fit_decays(model: DecayModel, times_s: FloatArray, values: FloatArray) -> DecayFit:
    """Fit a decay to each cell.

    ``times_s``: (n,), seconds. ``values``: (n, cells). All is NaN for a cell with a gap, and with
    no more points than settings and factors; times are NaN where their error is above
    :data:`SURE_LOG` of a logarithm.
    """
    cells = values.shape[1]
    factors = model.terms(times_s, np.array(model.grid[0])).shape[1]
    found = np.full((cells, 2 * (len(model.low) + factors) + 1), np.nan)
    known = np.flatnonzero(np.isfinite(values).all(axis=0))
    if times_s.size > len(model.low) + factors and known.size:
        starts = _best_of_grid(model, times_s, values[:, known])
        for cell, start in zip(known, starts, strict=True):
            found[cell] = _one(model, times_s, values[:, cell], start)
    split = np.cumsum([len(model.low), len(model.low), factors, factors])
    settings, errors, weights, weight_errors, squares = np.split(found.T, split)
    unsure = ~(errors[: model.times] < SURE_LOG)
    values_of = np.exp(settings)
    values_of[: model.times][unsure] = np.nan
    spread = np.where(np.isnan(values_of), np.nan, values_of * errors)
    return DecayFit(values_of, spread, weights, weight_errors, squares[0])


def _log_times(times_s: FloatArray) -> FloatArray:
    low, high = float(times_s.min()) / 10, float(times_s.max()) * 10
    return np.linspace(np.log(low), np.log(high), round(np.log10(high / low) * _PER_DECADE) + 1)


def _best_of_grid(model: DecayModel, times_s: FloatArray, values: FloatArray) -> list[FloatArray]:
    """Return the point of the grid that leaves the least squares, for each cell."""
    values = values - values.mean(axis=0)  # which the constant takes up, whatever the rest
    explained = []
    for point in model.grid:
        orthonormal, _ = np.linalg.qr(model.terms(times_s, np.array(point)))
        explained.append(np.square(orthonormal.T @ values).sum(axis=0))
    best = np.argmax(np.nan_to_num(np.array(explained), nan=-np.inf), axis=0)
    return [np.array(model.grid[index]) for index in best]


def _one(
    model: DecayModel, times_s: FloatArray, values: FloatArray, start: FloatArray
) -> FloatArray:
    """Return settings, their errors, factors, their errors and the squares of one cell."""
    from scipy.optimize import least_squares

    # A small change on a large conductance: the descent has to see the change alone.
    middle = float(values.mean())
    scale = float(np.ptp(values)) or 1.0
    seen = (values - middle) / scale

    def factors(q: FloatArray) -> tuple[FloatArray, FloatArray]:
        terms = model.terms(times_s, q)
        return terms, np.asarray(np.linalg.lstsq(terms, seen, rcond=None)[0], np.float64)

    def residual(q: FloatArray) -> FloatArray:
        terms, weights = factors(q)
        return np.asarray(seen - terms @ weights)

    low, high = np.array(model.low) - 1e-9, np.array(model.high) + 1e-9
    found: Any = least_squares(residual, np.clip(start, low, high), bounds=(low, high), xtol=1e-12)
    q = np.asarray(found.x)
    terms, weights = factors(q)
    steps = _STEP * np.eye(q.size)
    slopes = [
        (model.terms(times_s, q + step) - model.terms(times_s, q - step)) @ weights / (2 * _STEP)
        for step in steps
    ]
    jacobian = np.column_stack([*slopes, terms])
    squares = float(np.sum(np.square(residual(q))))
    variance = squares / (times_s.size - jacobian.shape[1])
    _, singular, right = np.linalg.svd(jacobian, full_matrices=False)
    if not singular[-1] > 1e-10 * singular[0]:
        errors = np.full(jacobian.shape[1], np.inf)
    else:
        errors = np.sqrt(np.square(right.T / singular).sum(axis=1) * variance)
    return np.concatenate(
        [
            q,
            errors[: q.size],
            weights * scale + middle * np.eye(weights.size)[0],
            errors[q.size :] * scale,
            [squares * scale**2],
        ]
    )
