"""The effect ``endurance`` from a record of the step of that name.

Wear grows by the part of the window that a cycle still moves through: dn/dc = w(n), w = 1/(1 +
(n/n½)^β), and so n + n^(β+1)/[(β+1) n½^β] = c. Both states close towards ``closes_at_s`` with w.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.errors import NotConverged
from hwloop.operations import FloatArray
from hwloop.record_reader import Record
from hwloop_sim.calibrate.found_effect import SURE, FoundEffect

_LEAST_ROWS = 6
_NAMES = ("min_s", "max_s", "closes_at_s", "half_cycles", "beta")
_MOST_BETA = 10.0  # of the effect


def endurance_of(record: Record, label: str) -> Iterator[FoundEffect]:
    """The mean over the cells of both states against the cycle; none where they do not close."""
    rows = record.results(label)
    cycles = np.unique(rows["cycle"])
    if cycles.size < _LEAST_ROWS:
        return
    states = [_means(rows["cycle"], rows[name], cycles) for name in ("low_s", "high_s")]
    if not all(np.isfinite(one).all() and (one > 0).all() for one in states):
        return
    low_s, high_s = states
    if not (high_s > low_s).all():
        return
    try:
        values, errors = closing(cycles.astype(np.float64), low_s, high_s)
    except NotConverged:
        return
    if any(errors[name] * SURE > abs(values[name]) for name in ("half_cycles", "beta")):
        return
    yield FoundEffect(
        {"effect": "endurance", **values},
        errors,
        f"{record.path.name}, {label}: {cycles[0]} to {cycles[-1]} cycles",
    )


def _means(of_row: FloatArray, seen_s: FloatArray, cycles: FloatArray) -> FloatArray:
    """Mean over the cells, of all groups, at each cycle that was read."""
    return np.array([np.nanmean(seen_s[of_row == cycle]) for cycle in cycles])


def worn(cycles: FloatArray, half: float, beta: float) -> FloatArray:
    """n after so many cycles of the whole window that is left."""
    grown = np.geomspace(1e-3 * min(half, 1.0), max(float(cycles.max()), 1.0) * 1.001, 2000)
    needed = grown + half * np.power(grown / half, beta + 1) / (beta + 1)
    return np.asarray(np.interp(cycles, needed, grown))


def closing(
    cycles: FloatArray, low_s: FloatArray, high_s: FloatArray
) -> tuple[dict[str, float], dict[str, float]]:
    """Settings of the effect and one standard deviation of each, by least squares of ln G.

    ``cycles``: (rows,), counted from 1, at whose end ``low_s``, in whose middle ``high_s`` was
    read. Raises :class:`NotConverged` where the data do not determine them.
    """
    from scipy.optimize import least_squares

    seen = np.log(np.concatenate([low_s, high_s]))

    def shown(x: FloatArray) -> FloatArray:
        min_s, max_s = np.exp(x[0]), np.exp(x[1])
        centre_s = min_s + (max_s - min_s) / (1 + np.exp(-x[2]))
        half, beta = np.exp(x[3]), np.exp(x[4])
        left = [1 / (1 + (worn(c, half, beta) / half) ** beta) for c in (cycles, cycles - 0.5)]
        low = centre_s - left[0] * (centre_s - min_s)
        return np.asarray(np.log(np.append(low, centre_s + left[1] * (max_s - centre_s))))

    last = float(np.log(cycles[-1]))
    ends = (
        [seen[0] - 3, np.log(high_s[0]) - 1, -8.0, -1.0, np.log(0.1)],
        [np.log(low_s[0]) + 1, np.log(high_s[0]) + 3, 8.0, last + 5, np.log(_MOST_BETA)],
    )
    found = min(
        (
            least_squares(
                lambda x: shown(x) - seen,
                [np.log(low_s[0]), np.log(high_s[0]), middle, last - 0.5, 0.0],
                bounds=ends,
                x_scale="jac",
            )
            for middle in (-2.0, 0.0, 2.0)
        ),
        key=lambda one: float(one.cost),
    )
    _, singular, right = np.linalg.svd(found.jac, full_matrices=False)
    if not singular[-1] > 1e-7 * singular[0]:
        raise NotConverged("endurance: the window does not close")
    variance = 2 * found.cost / max(seen.size - found.x.size, 1)
    return _outer(found.x, (right.T / singular**2) @ right * variance)


def _outer(x: FloatArray, covariance: FloatArray) -> tuple[dict[str, float], dict[str, float]]:
    min_s, max_s = np.exp(x[0]), np.exp(x[1])
    share = 1 / (1 + np.exp(-x[2]))
    centre_s = min_s + (max_s - min_s) * share
    half, beta = np.exp(x[3]), np.exp(x[4])
    slopes = np.diag([min_s, max_s, (max_s - min_s) * share * (1 - share), half, beta])
    slopes[2, 0], slopes[2, 1] = (1 - share) * min_s, share * max_s
    errors = np.sqrt(np.diag(slopes @ covariance @ slopes.T))
    values = (min_s, max_s, centre_s, half, beta)
    return (
        dict(zip(_NAMES, map(float, values), strict=True)),
        dict(zip(_NAMES, map(float, errors), strict=True)),
    )
