"""Fit of the effect ``endurance`` to a record of the step of that name.

Wear n grows by the share of the window that a pulse still moves through: by half of w(n) = 1/(1 +
(n/n½)^β) for each of the two pulses of a cycle, computed pulse by pulse at first, then as dn/dc =
w(n), so that n + n^(β+1)/[(β+1) n½^β] = c plus a constant. Both states approach
``closes_at_conductance_s`` with w. The state before the first pulse is unknown and is fitted as
well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from hwloop.errors import NotConverged
from hwloop.record.reader import Record
from hwloop.types import FloatArray
from hwloop_sim.calibrate.operations.found_effect import SURE, FoundEffect

_LEAST_ROWS = 6
_NAMES = (
    "min_conductance_s",
    "max_conductance_s",
    "closes_at_conductance_s",
    "half_cycles",
    "beta",
)
_ONE_BY_ONE = 100  # cycles, after which one adds little to the wear
_MOST_BETA = 10.0  # upper bound of the setting


def endurance_of(record: Record, label: str) -> Iterator[FoundEffect]:
    """Yield the effect from the means over cells of both states; none if the window stays open."""
    rows = record.results(label)
    cycles = np.unique(rows["cycle"])
    if cycles.size < _LEAST_ROWS:
        return
    states = [
        _means(rows["cycle"], rows[name], cycles)
        for name in ("low_conductance_s", "high_conductance_s")
    ]
    if not all(np.isfinite(one).all() and (one > 0).all() for one in states):
        return
    low_conductance_s, high_conductance_s = states
    if not (high_conductance_s > low_conductance_s).all():
        return
    try:
        values, errors = closing(cycles.astype(np.float64), low_conductance_s, high_conductance_s)
    except NotConverged:
        return
    if any(errors[name] * SURE > abs(values[name]) for name in ("half_cycles", "beta")):
        return
    yield FoundEffect(
        {"effect": "endurance", **values},
        errors,
        f"{record.path.name}, {label}: {cycles[0]} to {cycles[-1]} cycles",
    )


def _means(of_row: FloatArray, seen_conductance_s: FloatArray, cycles: FloatArray) -> FloatArray:
    """Compute the mean over the cells of all groups at each cycle that was read."""
    return np.array([np.nanmean(seen_conductance_s[of_row == cycle]) for cycle in cycles])


def worn(cycles: FloatArray, half: float, beta: float, first: float = 1.0) -> FloatArray:
    """Compute the wear n after some cycles, in units of cycles over the whole window.

    ``first``: share of the window that the very first pulse moved through.
    """
    step = [first / 2]
    for _ in range(2 * _ONE_BY_ONE - 1):
        step.append(step[-1] + 0.5 / (1 + (step[-1] / half) ** beta))
    last = step[-1]
    grown = np.geomspace(last, max(last, float(cycles.max())) * 1.001 + 1, 2000)
    needed = grown + half * np.power(grown / half, beta + 1) / (beta + 1)
    later = np.interp(cycles - _ONE_BY_ONE, needed - needed[0], grown)
    place = np.minimum(np.round(2 * cycles).astype(int), 2 * _ONE_BY_ONE) - 1
    return np.asarray(np.where(cycles <= _ONE_BY_ONE, np.array(step)[place], later))


def closing(
    cycles: FloatArray, low_conductance_s: FloatArray, high_conductance_s: FloatArray
) -> tuple[dict[str, float], dict[str, float]]:
    """Fit the settings of the effect, with one standard deviation each, by least squares of ln G.

    ``cycles``: (rows,), counted from 1; ``low_conductance_s`` was read at the end of a cycle,
    ``high_conductance_s`` in its middle, siemens. Raises :class:`NotConverged` if the data do not
    determine them.
    """
    seen = np.log(np.concatenate([low_conductance_s, high_conductance_s]))
    last = float(np.log(cycles[-1]))
    start = np.array(
        [np.log(low_conductance_s[0]), np.log(high_conductance_s[0]), 0.0, last - 0.5, 0.0, 0.5]
    )
    ends = (
        np.array([seen[0] - 3, start[1] - 1, -8.0, -1.0, np.log(0.1), 0.0]),
        np.array([start[0] + 1, start[1] + 3, 8.0, last + 5, np.log(_MOST_BETA), 1.0]),
    )
    # The share of the window of the first pulse is uniform between 0 and 1: of deviation 1/√12,
    # relative to the noise after a first descent.
    middles = [np.where(np.arange(start.size) == 2, middle, start) for middle in (-2, 0, 2)]
    every = [_descended(cycles, seen, one, ends, 1e-3) for one in middles]
    found = min(every, key=lambda one: float(one.cost))
    noise = float(np.sqrt(2 * found.cost / max(seen.size - start.size, 1)))
    found = _descended(cycles, seen, found.x, ends, max(noise, 1e-9))
    _, singular, right = np.linalg.svd(found.jac, full_matrices=False)
    if not singular[-1] > 1e-7 * singular[0]:
        raise NotConverged("endurance: the window does not close")
    variance = 2 * found.cost / max(seen.size - start.size + 1, 1)
    return _outer(found.x, ((right.T / singular**2) @ right * variance)[:5, :5])


def _shown(cycles: FloatArray, x: FloatArray) -> FloatArray:
    """Compute ln G of the low states, then of the high ones."""
    min_conductance_s, max_conductance_s = np.exp(x[0]), np.exp(x[1])
    centre_conductance_s = min_conductance_s + (max_conductance_s - min_conductance_s) / (
        1 + np.exp(-x[2])
    )
    half, beta = float(np.exp(x[3])), float(np.exp(x[4]))
    n = [worn(at, half, beta, float(x[5])) for at in (cycles, cycles - 0.5)]
    left = [1 / (1 + (one / half) ** beta) for one in n]
    low_conductance_s = centre_conductance_s - left[0] * (centre_conductance_s - min_conductance_s)
    return np.asarray(
        np.log(
            np.append(
                low_conductance_s,
                centre_conductance_s + left[1] * (max_conductance_s - centre_conductance_s),
            )
        )
    )


def _descended(
    cycles: FloatArray,
    seen: FloatArray,
    start: FloatArray,
    ends: tuple[FloatArray, FloatArray],
    noise: float,
) -> Any:
    from scipy.optimize import least_squares

    def off(x: FloatArray) -> FloatArray:
        return np.append(_shown(cycles, x) - seen, noise * np.sqrt(12) * (x[5] - 0.5))

    inside = np.clip(start, ends[0] + 1e-6, ends[1] - 1e-6)
    return least_squares(off, inside, bounds=ends, x_scale="jac")


def _outer(x: FloatArray, covariance: FloatArray) -> tuple[dict[str, float], dict[str, float]]:
    min_conductance_s, max_conductance_s = np.exp(x[0]), np.exp(x[1])
    share = 1 / (1 + np.exp(-x[2]))
    centre_conductance_s = min_conductance_s + (max_conductance_s - min_conductance_s) * share
    half, beta = np.exp(x[3]), np.exp(x[4])
    slopes = np.diag(
        [
            min_conductance_s,
            max_conductance_s,
            (max_conductance_s - min_conductance_s) * share * (1 - share),
            half,
            beta,
        ]
    )
    slopes[2, 0], slopes[2, 1] = (1 - share) * min_conductance_s, share * max_conductance_s
    errors = np.sqrt(np.diag(slopes @ covariance @ slopes.T))
    values = (min_conductance_s, max_conductance_s, centre_conductance_s, half, beta)
    return (
        dict(zip(_NAMES, map(float, values), strict=True)),
        dict(zip(_NAMES, map(float, errors), strict=True)),
    )
