"""Fit several device models and rank them by their prediction of held-out data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hwloop.errors import ConfigError, HwloopError, NotConverged
from hwloop_sim.calibrate.method import FittedCalibration, Task
from hwloop_sim.calibrate.run import check_model, fitted, models


@dataclass(frozen=True, eq=False)
class Candidate:
    """A device model that was tried.

    ``error``: of the prediction of held-out data, over the range measured; None if unknown.
    ``reason``: why the model could not be fitted. ``wrong_data``: whether the data do not suit the
    model, as opposed to not determining it.
    """

    model: str
    found: FittedCalibration | None
    error: float | None
    reason: str
    wrong_data: bool = False


def rank(
    task: Task,
    *,
    among: Sequence[str] = (),
    progress: Callable[[Candidate], None] = lambda _: None,
) -> list[Candidate]:
    """Fit every model: the best prediction first, then models that could not be fitted.

    ``task``: its model is replaced by each of those tried. ``among``: the models to try; all if
    none is given. ``progress``: called after each of them. Raises :class:`NotConverged` with every
    reason if none could be fitted, or :class:`ConfigError` if the data suit none.
    """
    every = []
    for model in dict.fromkeys(among or models()):
        check_model(model)
        every.append(_candidate(replace(task, model=model)))
        progress(every[-1])
    if not any(one.found for one in every):
        raise _refusal(task.paths, every)
    last = float("inf")
    return sorted(
        every, key=lambda one: (one.found is None, last if one.error is None else one.error)
    )


def _refusal(paths: Sequence[Path], every: Sequence[Candidate]) -> HwloopError:
    by_reason: dict[str, list[str]] = {}
    for one in every:
        by_reason.setdefault(one.reason, []).append(one.model)
    if len(by_reason) == 1:  # due to the data, whatever the model
        return ConfigError(every[0].reason)
    reasons = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in by_reason.items())
    if all(one.wrong_data for one in every):
        return ConfigError(f"no device model can be fitted: {reasons}")
    where = ", ".join(map(str, paths))
    return NotConverged(f"{where}: no device model can be fitted: {reasons}")


def _candidate(task: Task) -> Candidate:
    try:
        found = fitted(task)
    except HwloopError as exc:
        return Candidate(task.model, None, None, str(exc), not isinstance(exc, NotConverged))
    return Candidate(task.model, found, found.predict().error, "")
