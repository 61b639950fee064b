"""Fits of device models to histories, with the uncertainty of the parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwloop import plugins
from hwloop.errors import ConfigError, NotConverged
from hwloop.messages import nearest
from hwloop.settings.model import Settings
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.calibrate.effort import UNLIMITED, Effort
from hwloop_sim.calibrate.operations.deviations import Uncertainty, uncertainty_of
from hwloop_sim.calibrate.operations.free import OperationModel
from hwloop_sim.calibrate.operations.history import History, Stimulus, levels
from hwloop_sim.calibrate.operations.least_squares import held_free, minimise
from hwloop_sim.calibrate.operations.models import operation_models
from hwloop_sim.calibrate.operations.problem import Minimum, Problem
from hwloop_sim.calibrate.operations.thresholds import Interval, in_intervals
from hwloop_sim.calibrate.operations.twin import twin_of, varied
from hwloop_sim.calibrate.result import Fit
from hwloop_sim.cells.device import DeviceKind

MOST_CELLS = 64
"""Most cells fitted together: more would add little, each with one more unknown."""
_CORRELATED = 0.2
_DECADE = 10.0
_MOST_READS = (0.05, 0.95)
_SHOWN = 0.1  # of the largest voltage: below it a current may be the offset of its meter
ENDED = (
    "the search was ended before it settled: the parameters are the best so far; --seconds gives it"
    " more time"
)


@dataclass(frozen=True, eq=False)
class OperationFit:
    """Fit of a device model to the reads that count.

    ``minimum``: the least squares, with the problem that they solve.
    """

    fit: Fit
    minimum: Minimum

    @property
    def residuals(self) -> list[FloatArray]:
        """Return measured less modelled current over the noise, (reads, cells) for each history.

        NaN where nothing was read.
        """
        problem, found = self.minimum.problem, self.minimum
        shown_a = problem.shown_a(found.theta[None])
        return [
            (history.current_a - one[0]) / found.noise.sigma_a(one[0])
            for history, one in zip(problem.histories, shown_a, strict=True)
        ]


def fit_operations(
    model: str,
    histories: Sequence[History],
    *,
    fixed: Mapping[str, Any],
    masks: Sequence[BoolArray] | None = None,
    start: Minimum | None = None,
    uncertain: bool = True,
    effort: Effort = UNLIMITED,
) -> OperationFit:
    """Fit the parameters of ``model`` to histories.

    ``masks``: the reads that count, (reads, cells) for each history; None for all. ``start``: where
    the search begins. ``uncertain``: state uncertainties, which common parameters of different
    cells do not have. ``effort``: the time of the search. Raises :class:`ConfigError` if the data
    do not suit the model, and :class:`NotConverged` with the parameter that they do not determine.
    """
    problem = problem_of(operation_models()[model], histories, fixed, masks)
    problem = replace(problem, effort=effort)
    found = minimise(problem, start)
    found, intervals = in_intervals(found)
    uncertainty = uncertainty_of(found) if uncertain else None
    return OperationFit(_as_fit(problem, found, uncertainty, intervals), found)


def problem_of(
    model: OperationModel,
    histories: Sequence[History],
    fixed: Mapping[str, Any],
    masks: Sequence[BoolArray] | None,
) -> Problem:
    """Return the least-squares problem of :func:`fit_operations`; raises as it does."""
    kind: DeviceKind[Any] = plugins.load(plugins.DEVICES, model.name)
    for name in fixed:
        if name not in kind.settings.model_fields:
            known = nearest(name, kind.settings.model_fields)
            raise ConfigError(f"{model.name} has no setting {name!r}{known}", key="fix")
    rises = rising(histories)
    settings = kind.settings.parse(dict(fixed))
    turned = {k: v for k, v in model.turned(histories, rises).items() if k not in fixed}
    settings = varied(settings, turned)
    free = held_free(model.free(histories, settings), fixed)
    free = [replace(one, allowed=allowed_range(kind.settings, one.name)) for one in free]
    if not free:
        raise ConfigError(f"every parameter of {model.name} is held: nothing is left to fit")
    if masks is None:
        masks = [np.isfinite(one.current_a) for one in histories]
    reads, unknown = sum(int(one.sum()) for one in masks), len(free)
    if reads < 2 * unknown:
        raise ConfigError(
            f"{reads} reads: too few for the {unknown} parameters of {model.name}",
            file=histories[0].where,
        )
    twin = twin_of(model.name)
    decades = model.decades or over_a_decade(histories)
    return Problem(model.name, twin, settings, free, histories, masks, model.starts, decades)


def over_a_decade(histories: Sequence[History]) -> bool:
    """Return whether conductances span more than a decade, but for a few far off."""
    every = [
        history.conductance_s[np.abs(level) >= _SHOWN].ravel()
        for history, level in zip(histories, levels(histories), strict=True)
    ]
    seen_conductance_s = np.concatenate(every)
    seen_conductance_s = seen_conductance_s[seen_conductance_s > 0]
    if not seen_conductance_s.size:
        return False
    low_conductance_s, high_conductance_s = np.quantile(seen_conductance_s, _MOST_READS)
    return bool(high_conductance_s > _DECADE * low_conductance_s)


def allowed_range(settings: type[Settings], name: str) -> tuple[float, float]:
    """Return the least and largest value that a model takes for one of its settings."""
    rules = settings.model_fields[name].metadata
    least = [getattr(rule, end) for rule in rules for end in ("gt", "ge") if hasattr(rule, end)]
    most = [getattr(rule, end) for rule in rules for end in ("lt", "le") if hasattr(rule, end)]
    return float(max(least, default=-np.inf)), float(min(most, default=np.inf))


def rising(histories: Sequence[History]) -> bool:
    """Return whether a positive voltage raises the conductance, by the changes between reads."""
    score = 0.0
    for history in histories:
        driven = np.zeros(len(history.names))
        before = np.full(len(history.names), np.nan)
        for event in history.events:
            if isinstance(event, Stimulus):
                driven = np.where(event.voltage_v != 0, np.sign(event.voltage_v), driven)
                continue
            now = event.conductance_s
            with np.errstate(invalid="ignore"):
                step = np.sign(driven) * (now - before) / np.abs(now)
            score += float(np.nansum(np.clip(step, -1, 1)))
            before = np.where(np.isfinite(now), now, before)
            driven = np.where(np.isfinite(now), 0.0, driven)
    return score > 0


def _as_fit(
    problem: Problem,
    found: Minimum,
    uncertainty: Uncertainty | None,
    intervals: Mapping[str, Interval],
) -> Fit:
    errors = {} if uncertainty is None else dict(uncertainty.deviations)
    errors |= {name: one.deviation for name, one in intervals.items()}
    settings = _final_settings(problem, found)
    shown_a = problem.counted_a(found.theta[None])[0]
    off = (problem.measured_a - shown_a) / found.noise.sigma_a(shown_a)
    freedom = max(off.size - len(problem.free) - sum(problem.cells), 1)
    lag = lag_one(OperationFit(_EMPTY, found).residuals, problem.masks)
    messages = [
        f"{name} is between {one.low:.4g} and {one.high:.4g}: nothing that was applied in between"
        " tells where"
        for name, one in intervals.items()
    ]
    if problem.effort.ended:
        messages.append(ENDED)
    messages += [] if uncertainty is None else uncertainty.messages()
    if abs(lag) > _CORRELATED:
        messages.append(
            f"successive residuals are correlated ({lag:.2f}): the model is not the device, or the"
            " cells differ; the uncertainties are then too small"
        )
    return Fit(
        settings=settings,
        uncertainty=errors,
        read_noise_conductance_s=None,
        goodness={
            "reads": float(off.size),
            "degrees_of_freedom": float(freedom),
            "reduced_chi_square": float(np.square(off).sum() / freedom),
            "residual_lag_1": lag,
            "read_noise_fraction": found.noise.fraction,
            "read_noise_amplifier_a": found.noise.amplifier_a,
        },
        messages=messages,
        covariance=None if uncertainty is None else uncertainty.covariance,
    )


_EMPTY = Fit({}, {}, None, {}, [])


def _final_settings(problem: Problem, found: Minimum) -> dict[str, Any]:
    """Return the settings as a procedure has them, after the model has validated them."""
    settings = varied(problem.settings, found.values).model_dump(mode="json")
    chosen = {k: v for k, v in settings.items() if k not in {"initial", "spread"}}
    try:
        type(problem.settings).parse(chosen)
    except ConfigError as exc:
        raise NotConverged(
            f"{problem.model}: the fit ended at parameters that the model refuses: {exc}"
        ) from None
    return chosen


def lag_one(residuals: Sequence[FloatArray], masks: Sequence[BoolArray]) -> float:
    """Compute the correlation of successive residuals of a cell; near 0 for white noise."""
    product, square = 0.0, 0.0
    for off, mask in zip(residuals, masks, strict=True):
        for cell in range(off.shape[1]):
            own = off[mask[:, cell], cell]
            product += float(np.sum(own[1:] * own[:-1]))
            square += float(np.sum(np.square(own)))
    return product / square if square else 0.0
