"""Fit several device models and rank them by their prediction of held-out data.

A first look at a part of the data ranks them within half of the time; the best are then fitted to
all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hwloop.errors import ConfigError, HwloopError, NotConverged
from hwloop_sim.calibrate.method import FittedCalibration, Task
from hwloop_sim.calibrate.run import check_model, fitted, models

_SLOW = ("yakopcic", "schottky", "stanford_pku", "one_transistor", "sbt", "jart_vcm")
"""Models that are tried last, in this order: time that others do not use is theirs."""
_LOOK = 0.5
"""Share of the time for the first look."""
_RIVALS = 2
"""Models that are fitted to all of the data."""
_NEAR = 1.5
"""Ratio of errors in the first look up to which the second best is one of them."""
_ALIKE = 1.05
"""Ratio of errors up to which two models predict alike."""


ENDED = (
    "no time was left to fit it to all data, and its first look predicts no better than the mean:"
    " --seconds gives more time"
)
NOT_TRIED = "not tried: no time was left; --model names it, --seconds gives more time"


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

    @property
    def order(self) -> tuple[bool, float]:
        """Return the key to sort by: the best prediction first, then what was not fitted."""
        return self.found is None, float("inf") if self.error is None else self.error


def rank(
    task: Task,
    *,
    among: Sequence[str] = (),
    progress: Callable[[Candidate], None] = lambda _: None,
) -> list[Candidate]:
    """Fit every model: the best prediction first, then models that could not be fitted.

    ``task``: its model is replaced by each of those tried. ``among``: the models to try; all if
    none is given. ``progress``: called after each of them. Only the best are fitted to all of a
    large set; the others keep the error of the first look. Raises :class:`NotConverged` with every
    reason if none could be fitted, or :class:`ConfigError` if the data suit none.
    """
    named = list(dict.fromkeys(among or sorted(models(), key=_cost)))
    for model in named:
        check_model(model)
    every, look = [], task.effort.share(_LOOK)
    for number, model in enumerate(named):
        if number and look.ended:
            every.append(Candidate(model, None, None, NOT_TRIED))
            continue
        effort = look.share(1 / (len(named) - number))
        every.append(_candidate(replace(task, model=model, quick=True, effort=effort)))
        progress(every[-1])
    every = _refined(task, sorted(every, key=lambda one: one.order), progress)
    if not any(one.found for one in every):
        raise _refusal(task.paths, every)
    return every


def alike(ranked: Sequence[Candidate]) -> list[str]:
    """Return the models whose predictions are as good as that of the best one, with it.

    Empty if there is none beside the best.
    """
    least = ranked[0].error
    if least is None:
        return []
    near = [one.model for one in ranked if one.error is not None and one.error <= _ALIKE * least]
    return near if len(near) > 1 else []


def _cost(model: str) -> tuple[int, str]:
    return (_SLOW.index(model) + 1 if model in _SLOW else 0), model


def _refined(
    task: Task, ranked: Sequence[Candidate], progress: Callable[[Candidate], None]
) -> list[Candidate]:
    """Fit the best models to all of the data; they come before those that were only looked at."""
    best: list[Candidate] = []
    failed: list[Candidate] = []
    rest = list(ranked)
    while rest and len(best) < _RIVALS and (found := rest[0].found) is not None:
        if best and not _near(rest[0], best[0]):
            break
        one = rest.pop(0)
        if not found.final and not task.effort.ended:
            effort = task.effort.share(1 / (_RIVALS - len(best)))
            one = _candidate(replace(task, model=one.model, start=found, effort=effort))
            progress(one)
        if one.found is not None and not one.found.final and one.found.predict().fails:
            one = Candidate(one.model, None, None, ENDED)
        (best if one.found is not None else failed).append(one)
    others = sorted([*rest, *failed], key=lambda one: one.found is None)
    return [*sorted(best, key=lambda one: one.order), *others]


def _near(one: Candidate, best: Candidate) -> bool:
    return one.error is not None and best.error is not None and one.error <= _NEAR * best.error


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
