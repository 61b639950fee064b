"""No model named: fit all that can be fitted, and rank them by what they predict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwloop.errors import ConfigError, HwloopError, NotConverged
from hwloop_sim.calibrate.one_transistor.calibrate import SweepCalibration
from hwloop_sim.calibrate.operations.calibration import OperationCalibration
from hwloop_sim.calibrate.run import Found, check_model, fitted, models
from hwloop_sim.calibrate.trains.pulse_table import TableCalibration


@dataclass(frozen=True, eq=False)
class Candidate:
    """``error``: of the held-out part, over the range measured; None with ``reason`` why not.

    ``wrong_data``: whether the data do not suit the model, rather than not determine it.
    """

    model: str
    found: Found | None
    error: float | None
    reason: str
    wrong_data: bool = False


def rank(
    paths: Sequence[Path],
    *,
    cell: int | None,
    seed: int,
    fixed: Mapping[str, Any],
    spread: bool = False,
    among: Sequence[str] = (),
    progress: Callable[[Candidate], None] = lambda _: None,
) -> list[Candidate]:
    """Every model, the best prediction first, then those that could not be fitted.

    ``among``: the models to try, all where none is given. ``progress``: told after each of them.
    Raises :class:`NotConverged` where none could be fitted, with every reason;
    :class:`ConfigError` where the data suit none.
    """
    every = []
    for model in dict.fromkeys(among or models()):
        check_model(model)
        every.append(_candidate(model, paths, cell=cell, seed=seed, fixed=fixed, spread=spread))
        progress(every[-1])
    if not any(one.found for one in every):
        raise _refusal(paths, every)
    last = float("inf")
    return sorted(
        every, key=lambda one: (one.found is None, last if one.error is None else one.error)
    )


def _refusal(paths: Sequence[Path], every: Sequence[Candidate]) -> HwloopError:
    by_reason: dict[str, list[str]] = {}
    for one in every:
        by_reason.setdefault(one.reason, []).append(one.model)
    if len(by_reason) == 1:  # of the data, whatever the model
        return ConfigError(every[0].reason)
    reasons = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in by_reason.items())
    if all(one.wrong_data for one in every):
        return ConfigError(f"no device model can be fitted: {reasons}")
    where = ", ".join(map(str, paths))
    return NotConverged(f"{where}: no device model can be fitted: {reasons}")


def _candidate(model: str, paths: Sequence[Path], **options: Any) -> Candidate:
    try:
        found = fitted(paths, model=model, **options)
    except HwloopError as exc:
        return Candidate(model, None, None, str(exc), not isinstance(exc, NotConverged))
    return Candidate(model, found, prediction_error(found), "")


def prediction_error(found: Found) -> float | None:
    """Root mean square of predicted less held-out conductance, over the range measured."""
    if isinstance(found, TableCalibration):
        return found.held_out_error
    if isinstance(found, SweepCalibration):
        return found.held_out_error
    if isinstance(found, OperationCalibration):
        return None if found.held_out is None else found.held_out.error
    squares = []
    for one in found.predictions:
        off_conductance_s = one.direction.padded_conductance_s - one.mean_conductance_s
        squares.append(np.square(off_conductance_s[np.isfinite(off_conductance_s)]))
    low_conductance_s, high_conductance_s = found.data.span_conductance_s
    return float(
        np.sqrt(np.mean(np.concatenate(squares))) / (high_conductance_s - low_conductance_s)
    )
