"""Currents that a device model shows, less those that were measured: residuals and slopes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hwloop.types import BoolArray, FloatArray
from hwloop_sim.calibrate.effort import UNLIMITED, Effort
from hwloop_sim.calibrate.operations.free import Free
from hwloop_sim.calibrate.operations.history import History
from hwloop_sim.calibrate.operations.twin import Twin, varied

_STEP = 1e-6
_WIDE_STEP = 1e-5


@dataclass(frozen=True)
class Noise:
    """Noise of a read: σ² = ``amplifier_a``² + (``fraction`` I)²."""

    amplifier_a: float
    fraction: float

    def sigma_a(self, current_a: FloatArray) -> FloatArray:
        """Compute the standard deviation of a current, amperes."""
        return np.asarray(np.hypot(self.amplifier_a, self.fraction * current_a))

    def level(self, current_a: FloatArray) -> FloatArray:
        """Compute the integral of 1/σ from 0 A: a scale of current on which the noise is 1."""
        per_a = self.fraction / self.amplifier_a
        return np.asarray(np.arcsinh(per_a * current_a) / self.fraction)


@dataclass(frozen=True, eq=False)
class Problem:
    """A least-squares problem.

    ``masks``: the reads that count, one map per history. ``starts``: number of initial points.
    ``decades``: see :class:`OperationModel`. ``effort``: the time of the search.
    """

    model: str
    twin: Twin
    settings: Any
    free: Sequence[Free]
    histories: Sequence[History]
    masks: Sequence[BoolArray]
    starts: int
    decades: bool = False
    effort: Effort = UNLIMITED

    @property
    def rough(self) -> Noise:
        """Return the noise of the search, wide enough for a model that is not fitted yet."""
        large_a = float(np.abs(self.measured_a).max())
        return Noise(1e-7 * large_a, 0.2) if self.decades else Noise(1e-3 * large_a, 0.02)

    def off(self, shown_a: FloatArray, sigma_a: FloatArray, noise: Noise) -> FloatArray:
        """Compute modelled less measured current over the noise.

        Over decades, asinh(f I/a)/f is compared, whose slope is 1/σ. The residual is symmetric in
        log current.
        """
        if not self.decades:
            return np.asarray((shown_a - self.measured_a) / sigma_a)
        return np.asarray(noise.level(shown_a) - noise.level(self.measured_a))

    @cached_property
    def measured_a(self) -> FloatArray:
        """Return all currents that count, flat, amperes."""
        pairs = zip(self.histories, self.masks, strict=True)
        return np.concatenate([history.current_a[mask] for history, mask in pairs])

    @property
    def cells(self) -> list[int]:
        """Return the number of cells of each history."""
        return [len(history.names) for history in self.histories]

    @property
    def begin(self) -> FloatArray:
        """Return logarithms of the first conductances, all cells of all histories."""
        first_conductance_s = np.concatenate(
            [history.first_conductance_s for history in self.histories]
        )
        return np.asarray(
            np.log(np.maximum(first_conductance_s, 1e-3 * np.median(np.abs(first_conductance_s))))
        )

    def values(self, theta: FloatArray) -> dict[str, float]:
        """Return the parameters by name, from values on the scale of the fit."""
        pairs = zip(self.free, theta, strict=False)
        return {one.name: one.outer(float(inner)) for one, inner in pairs}

    def at(self, values: Mapping[str, float]) -> Minimum:
        """Return an initial point with these parameters and the first conductances as read."""
        inner = np.array([one.inner(values[one.name]) for one in self.free])
        return Minimum(self, np.concatenate([inner, self.begin]), self.rough, np.inf)

    def shown_a(self, thetas: FloatArray) -> list[FloatArray]:
        """Compute the currents of each history, (variants, reads, cells), amperes.

        ``thetas``: (variants, parameters and first conductances), on the scale of the fit.
        """
        variants = [varied(self.settings, self.values(theta)) for theta in thetas]
        with np.errstate(over="ignore"):  # a beginning of a search may be infinite: far off
            first_conductance_s = np.exp(thetas[:, len(self.free) :])
        ends = np.cumsum(self.cells)[:-1]
        return [
            self.twin(history, variants, part)
            for history, part in zip(
                self.histories, np.split(first_conductance_s, ends, axis=1), strict=True
            )
        ]

    def counted_a(self, thetas: FloatArray) -> FloatArray:
        """Compute the currents that count, (variants, reads), amperes."""
        pairs = zip(self.shown_a(thetas), self.masks, strict=True)
        return np.concatenate([shown_a[:, mask] for shown_a, mask in pairs], axis=1)

    def owners(self) -> FloatArray:
        """Return the column of its cell's first conductance, for each read that counts."""
        first = np.cumsum([0, *self.cells])
        parts = [
            np.broadcast_to(np.arange(mask.shape[1]) + begin, mask.shape)[mask]
            for mask, begin in zip(self.masks, first, strict=False)
        ]
        return np.concatenate(parts) + len(self.free)

    def jacobian_a(self, theta: FloatArray) -> FloatArray:
        """Compute derivatives of the currents, (reads, unknowns).

        Those with respect to first conductances are computed all at once.
        """
        shown_a = self.counted_a(np.vstack([self._moved(theta, _STEP), theta]))
        return self._jacobian((shown_a[:-1] - shown_a[-1]) / _STEP)

    def central_jacobian_a(self, theta: FloatArray) -> FloatArray:
        """Compute what :meth:`jacobian_a` does, by wide central differences.

        The rounding of the model then stays below what undetermined parameters would show.
        """
        both = [self.counted_a(self._moved(theta, step)) for step in (_WIDE_STEP, -_WIDE_STEP)]
        return self._jacobian((both[0] - both[1]) / (2 * _WIDE_STEP))

    def _moved(self, theta: FloatArray, step: float) -> FloatArray:
        """Return ``theta`` with each parameter moved, then with all first conductances moved."""
        count = len(self.free)
        moved = np.tile(theta, (count + 1, 1))
        moved[np.arange(count), np.arange(count)] += step
        moved[count, count:] += step
        return moved

    def _jacobian(self, slopes: FloatArray) -> FloatArray:
        count, unknowns = len(self.free), len(self.free) + sum(self.cells)
        jacobian = np.zeros((slopes.shape[1], unknowns))
        jacobian[:, :count] = slopes[:count].T
        jacobian[np.arange(slopes.shape[1]), self.owners()] = slopes[count]
        return jacobian


@dataclass(frozen=True, eq=False)
class Minimum:
    """A minimum of a problem.

    ``theta``: parameters on the scale of the fit, then logarithms of first conductances.
    """

    problem: Problem
    theta: FloatArray
    noise: Noise
    cost: float

    @property
    def values(self) -> dict[str, float]:
        """Return the parameters by name."""
        return self.problem.values(self.theta)
