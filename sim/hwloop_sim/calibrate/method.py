"""Interface of all calibrations: a task, the methods that can do it, and their result."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hwloop_sim.calibrate.effort import UNLIMITED, Effort
from hwloop_sim.calibrate.provenance import provenance
from hwloop_sim.calibration.file import FORMAT, FORMAT_VERSION

if TYPE_CHECKING:
    from hwloop.plotting.style import NamedFigure

Option = Literal["cell", "fixed", "spread"]
_NO_BETTER = 0.9
"""Share of the mean's error above which a prediction is no better than the mean."""
_BARELY = 0.75
"""Share above which it is barely better."""
_BEYOND_SCATTER = 2.0
"""Multiple of the scatter of repeats above which the model misses more than chance."""


@dataclass(frozen=True)
class Task:
    """A device model to fit to measured data.

    ``paths``: records and datasets. ``cell``: the only cell to take; None for all. ``seed``: of the
    emulated data that a model with scatter is compared with. ``fixed``: settings that are held.
    ``spread``: fit every cell separately as well. ``quick``: a part of the data will do, to rank
    models. ``start``: an earlier fit of the model, where the search begins. ``effort``: its time.
    """

    model: str
    paths: Sequence[Path]
    cell: int | None = None
    seed: int = 1
    fixed: Mapping[str, Any] = field(default_factory=dict)
    spread: bool = False
    quick: bool = False
    start: FittedCalibration | None = None
    effort: Effort = UNLIMITED

    @property
    def where(self) -> str:
        """Return the names of all files, for messages."""
        return ", ".join(map(str, self.paths))


@dataclass(frozen=True)
class HeldOut:
    """Comparison of a prediction with the part of the data that was not fitted.

    ``error``: root mean square of predicted less measured conductance, over the range measured;
    None if half of the data does not determine a fit. ``figures``: entries of ``held_out`` in the
    calibration file. ``error_of_mean``: of the mean of the fitted part, taken for a prediction;
    None if unknown. ``decades``, ``decades_of_mean``: the same two as root mean squares of log10,
    where the data span more than a decade. ``scatter``: as ``error``, of the mean of fitted repeats
    of what was held out; None without repeats. ``weak``: whether they are of the trains
    or sweeps that were fitted.
    """

    error: float | None
    figures: Sequence[Mapping[str, Any]]
    error_of_mean: float | None = None
    decades: float | None = None
    decades_of_mean: float | None = None
    scatter: float | None = None
    weak: bool = False

    @property
    def fails(self) -> bool:
        """Return whether the prediction is no better than the mean of the fitted part.

        Over decades the mean of logarithms counts too: beside the largest conductances, others
        hardly show in the range.
        """
        return self._of_mean > _NO_BETTER

    @property
    def _of_mean(self) -> float:
        """Return the error over that of the mean, the larger of both scales; 0 if unknown."""
        pairs = ((self.error, self.error_of_mean), (self.decades, self.decades_of_mean))
        known = [(own, of) for own, of in pairs if own is not None and of is not None]
        return max((own / of if of > 0 else math.inf for own, of in known), default=0.0)

    def warnings(self) -> list[str]:
        """Return in plain words how far the prediction can be relied on; nothing if it is good."""
        found = []
        if self._of_mean > _BARELY:
            found.append(
                f"barely a twin: its error is {self._of_mean:.0%} of that of the mean alone; what"
                " the pulses do is hardly predicted"
            )
        if (
            self.error is not None
            and self.scatter is not None
            and self.error > _BEYOND_SCATTER * self.scatter
        ):
            found.append(
                f"repeats differ from each other by {self.scatter:.1%} of the range, and the twin"
                f" by {self.error:.1%}: the model misses more than chance"
            )
        if self.weak:
            found.append(
                "no train or sweep was left out whole, as there is one of each: a weaker proof;"
                " measure another"
            )
        return found

    def compared(self) -> str:
        """Return the errors beside those of the mean, for messages."""
        line = (
            f"error {self.error:.1%} of the range, that of its mean alone {self.error_of_mean:.1%}"
        )
        if self.decades is None:
            return line
        return f"{line}; {self.decades:.2f} decades, the mean {self.decades_of_mean:.2f}"


class FittedCalibration(ABC):
    """A device model, ``model``, that was fitted to measured data.

    ``final``: whether to all of the data, by a search that was not ended.
    """

    model: str
    final: bool = True

    @property
    def undetermined(self) -> Sequence[str]:
        """Return the parameters that the data do not determine separately."""
        return ()

    @abstractmethod
    def predict(self) -> HeldOut:
        """Compare what a fit to half of the data predicts with the other half."""

    @abstractmethod
    def figures(self) -> Iterator[NamedFigure]:
        """Draw data against model, residuals and distributions."""

    @abstractmethod
    def summary(self) -> Iterator[str]:
        """Yield the lines that ``hwloop calibrate`` prints."""

    @abstractmethod
    def findings(self) -> dict[str, Any]:
        """Return validity, parameters, uncertainty, goodness, remarks and more, for the file."""

    def as_data(self, paths: Sequence[Path], title: str) -> dict[str, Any]:
        """Return the contents of the calibration file.

        ``paths``: the measured data, which the file names with their SHA-256.
        """
        predicted = self.predict()
        held_out, findings = list(predicted.figures), self.findings()
        if warnings := predicted.warnings():
            findings["remarks"] = [*findings.get("remarks", []), *warnings]
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "model": self.model,
            "title": title,
            **provenance(paths),
            **findings,
            **({"held_out": held_out} if held_out else {}),
        }


@dataclass(frozen=True)
class CalibrationMethod:
    """A way to fit device models to one kind of measured data.

    ``models()``: the device models that it fits. ``of_records``: whether it is chosen for records
    of runs, where another method fits the same model to imported data. ``options``: fields of a
    task that it takes. ``fit(task)``: raises :class:`hwloop.errors.ConfigError` if the data do not
    suit the model, and :class:`hwloop.errors.NotConverged` with the parameter that they do not
    determine.
    """

    models: Callable[[], Sequence[str]]
    of_records: bool
    options: frozenset[Option]
    fit: Callable[[Task], FittedCalibration]
