"""Thresholds that the data only show as lying between two applied amplitudes.

The cost is flat in such a threshold except for a jump at every amplitude, so no descent finds it.
It is searched where pulses begin to move a cell. Then the other parameters are fitted again with it
in the neighbouring steps, and the result is all steps that are nearly as likely as the best.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwloop.types import FloatArray
from hwloop_sim.calibrate.operations.deviations import not_identifiable
from hwloop_sim.calibrate.operations.free import Free
from hwloop_sim.calibrate.operations.history import History, Stimulus
from hwloop_sim.calibrate.operations.least_squares import descended
from hwloop_sim.calibrate.operations.problem import Minimum

_BY_CHANCE = 1e-5  # probability of such scatter without movement
_WORSE = 8.0  # loss of −ln L beyond which a step is excluded
_EVALUATIONS = 40
_MOVES = 6


def moving_step_v(histories: Sequence[History], sign: int) -> tuple[float, float] | None:
    """Return the magnitudes between which pulses of a sign begin to move cells, or None.

    ``sign``: 1 or -1. The upper magnitude is the least amplitude at which the logarithms of
    successive reads scatter by more than the read noise; the lower one is the next applied below
    it, or 0. Volts.
    """
    from scipy.stats import chi2

    runs = [run for one in histories for run in _runs(one)]
    noise = _noise(runs)
    given = sorted({abs(volts) for volts, _ in runs if volts * sign > 0})
    below = 0.0
    for amplitude_v in given:
        square, freedom = 0.0, 0
        for volts, logs in runs:
            if volts == sign * amplitude_v:
                square += float(np.sum(np.square(logs - logs.mean())))
                freedom += logs.size - 1
        if noise > 0 and chi2.sf(square / noise**2, freedom) < _BY_CHANCE:
            return below, amplitude_v
        below = amplitude_v
    return None


def _runs(history: History) -> Iterator[tuple[float, FloatArray]]:
    """Yield, for each cell, a voltage and ln G around pulses of this voltage alone."""
    for cell in range(len(history.names)):
        applied: set[float] = set()
        volts, run, last = 0.0, list[float](), np.nan
        for event in history.events:
            if isinstance(event, Stimulus):
                applied.add(float(event.voltage_v[cell]))
                continue
            seen_conductance_s = float(event.conductance_s[cell])
            if not seen_conductance_s > 0:
                continue
            now, given = float(np.log(seen_conductance_s)), applied - {0.0}
            if given == {volts} or not given:
                run.append(now)
            else:
                if len(run) > 1 and volts:
                    yield volts, np.array(run)
                alone = len(given) == 1 and np.isfinite(last)
                volts, run = (given.pop(), [last, now]) if alone else (0.0, [now])
            last, applied = now, set()
        if len(run) > 1 and volts:
            yield volts, np.array(run)


def _noise(runs: Sequence[tuple[float, FloatArray]]) -> float:
    """Estimate the deviation of ln G from read to read, insensitive to slopes and bends."""
    for order, share in ((2, 6.0), (1, 2.0)):
        parts = [np.diff(logs, order) for _, logs in runs if logs.size > order]
        if parts and (every := np.concatenate(parts)).size:
            return float(1.4826 * np.median(np.abs(every)) / np.sqrt(share))
    return 0.0


@dataclass(frozen=True)
class Interval:
    """Interval of a threshold, in its own unit.

    ``deviation``: root mean square distance from the stated value, the middle of the likeliest
    step.
    """

    low: float
    high: float
    deviation: float


def in_intervals(found: Minimum) -> tuple[Minimum, dict[str, Interval]]:
    """Return the minimum with each threshold in the middle of a step, and their intervals.

    Raises :class:`hwloop.errors.NotConverged` for a threshold that every pulse exceeded, or none.
    """
    stepped = [index for index, free in enumerate(found.problem.free) if free.steps_v]
    shares: dict[int, dict[int, float]] = {}
    for _ in range(_MOVES if stepped else 0):
        before = found
        for index in stepped:
            found, shares[index] = _left(found, index)
        if found is before:
            break
    intervals = {}
    theta = found.theta.copy()
    for index in stepped:
        free, steps = found.problem.free[index], shares[index]
        if min(steps) < 1 or max(steps) >= len(free.middles):
            raise not_identifiable(found.problem.model, free.name)
        theta[index] = free.middles[_step_of(found, index)]
        intervals[free.name] = _interval(free, steps, abs(free.outer(float(theta[index]))))
    return replace(found, theta=theta), intervals


def _interval(free: Free, shares: Mapping[int, float], stated: float) -> Interval:
    sign = float(np.sign(free.high))
    ends = sorted((sign * free.steps_v[min(shares)], sign * free.steps_v[max(shares) + 1]))
    square = 0.0
    for step, share in shares.items():
        low, high = free.steps_v[step : step + 2]
        square += share * (((low + high) / 2 - stated) ** 2 + (high - low) ** 2 / 12)
    return Interval(ends[0], ends[1], float(np.sqrt(square)))


def _step_of(found: Minimum, index: int) -> int:
    """Return the index of the step of a threshold; ``len(middles)`` if it is beyond all."""
    free = found.problem.free[index]
    return int(np.searchsorted(free.steps_v, abs(free.outer(float(found.theta[index]))))) - 1


def _left(found: Minimum, index: int) -> tuple[Minimum, dict[int, float]]:
    """Return a minimum in the best step of a threshold, and the probability of each possible step.

    Steps are tried outwards on both sides up to the first that is excluded.
    """
    free = found.problem.free[index]
    place = _step_of(found, index)
    tried, losses = {place: found}, {place: _loss(found)}
    for way in (-1, 1):
        at = place + way
        while 0 <= at < len(free.middles) and not found.problem.effort.ended:
            tried[at] = _moved(found, index, free.middles[at])
            losses[at] = _loss(tried[at])
            if losses[at] > min(losses.values()) + _WORSE:
                break
            at += way
    best = min(losses, key=lambda one: losses[one])
    widths = np.append(np.diff(free.steps_v), np.inf)
    weights = {
        at: float(widths[at] * np.exp(losses[best] - loss))
        for at, loss in sorted(losses.items())
        if loss <= losses[best] + _WORSE
    }
    total = sum(weights.values())
    return tried[best], {at: weight / total for at, weight in weights.items()}


def _moved(found: Minimum, index: int, inner: float) -> Minimum:
    theta = found.theta.copy()
    theta[index] = inner
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return descended(found.problem, theta, found.noise, evaluations=_EVALUATIONS)


def _loss(found: Minimum) -> float:
    """Compute −ln L of the measured currents, up to a constant."""
    shown_a = found.problem.counted_a(found.theta[None])[0]
    sigma_a = found.noise.sigma_a(shown_a)
    off = (found.problem.measured_a - shown_a) / sigma_a
    loss = float(np.sum(np.square(off) / 2 + np.log(sigma_a)))
    return loss if np.isfinite(loss) else np.inf
