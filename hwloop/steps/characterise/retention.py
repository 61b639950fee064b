"""Retention: reads at logarithmically spaced times, on the array's own clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.array.operations import Wait
from hwloop.array.settings import ArraySettings
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, PerDecade, PositiveSecond
from hwloop.steps.array import Array
from hwloop.steps.common.cells import Cells, chosen, conductance_s, planned_read
from hwloop.steps.common.pulses import Pulse, planned_pulse, pulse_of
from hwloop.steps.common.summaries import median_text
from hwloop.steps.contract import Plan, PlannedOperation, Step
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import FloatArray


class RetentionSettings(Settings):
    """Settings of a retention test.

    The cells are read from ``first_s`` to ``last_s`` after the programming, ``per_decade`` times in
    each decade. ``program``: the programming pulse, given ``count`` times; if left out, the cells
    are not programmed. ``largest_loss``: fraction of the conductance that a cell may lose or gain.
    """

    first_s: PositiveSecond
    last_s: PositiveSecond
    per_decade: PerDecade = 5
    program: Pulse | None = None
    count: Count = 1
    largest_loss: float = Field(default=0.5, gt=0)
    cells: Cells | None = None

    @model_validator(mode="after")
    def _ordered(self) -> RetentionSettings:
        if self.last_s <= self.first_s:
            raise ValueError(f"last_s {self.last_s:g} must be above first_s {self.first_s:g}")
        return self

    def times_s(self) -> FloatArray:
        """Return the times of the reads, seconds after the programming; at least three."""
        decades = np.log10(self.last_s / self.first_s)
        return np.geomspace(self.first_s, self.last_s, max(3, round(decades * self.per_decade) + 1))


@dataclass(frozen=True, eq=False)
class RetentionRow(Row):
    """Conductance of all cells in one read."""

    time_s: float = column("s", "from the end of the programming to the end of the read")
    conductance_s: FloatArray = column("S", "(..., rows, cols)")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"time": f"{self.time_s:.3g} s"}


@dataclass(frozen=True, eq=False)
class RetentionFigures(Row):
    """Drift of each cell; maps (..., rows, cols)."""

    table: ClassVar[str] = "figures"

    first_conductance_s: FloatArray = column("S", "conductance at the first read")
    last_conductance_s: FloatArray = column("S", "conductance at the last read")
    drift_exponent: FloatArray = column("1", "nu of G = G1 (t / 1 s)^-nu, least squares of ln G")
    drift_error: FloatArray = column("1", "standard error of nu")
    one_second_conductance_s: FloatArray = column("S", "G1 of that fit")


def run(settings: RetentionSettings, array: Array) -> Iterator[Yield]:
    """Program, then wait and read at each time.

    A read that is late is done at once and recorded with its actual time.
    """
    mask = chosen(settings.cells, array.geometry.shape)
    if settings.program is not None:
        pulse = settings.program
        array.backend.pulse(
            pulse_of(
                mask,
                pulse.amplitude_v,
                pulse.width_s,
                gate_v=pulse.gate_v,
                count=settings.count,
            )
        )
    began_s = array.clock.now_s()
    times_s, seen_conductance_s = [], []
    for due_s in settings.times_s():
        left_s = began_s + float(due_s) - array.clock.now_s()
        if left_s > 0:
            array.clock.sleep(left_s)
        seen_conductance_s.append(conductance_s(array, mask, step="retention"))
        times_s.append(array.clock.now_s() - began_s)
        yield RetentionRow(time_s=times_s[-1], conductance_s=seen_conductance_s[-1])
    found = retention_figures(np.array(times_s), np.stack(seen_conductance_s))
    yield found
    yield _outcome(settings, found, times_s[-1])


def retention_figures(times_s: FloatArray, seen_conductance_s: FloatArray) -> RetentionFigures:
    """Fit ln G against ln t of each cell by a straight line; NaN where G is not positive.

    ``times_s``: (reads,), seconds. ``seen_conductance_s``: (reads, ..., rows, cols), siemens.
    """
    x = np.log(times_s) - np.log(times_s).mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        y = np.where((seen_conductance_s > 0).all(axis=0), np.log(seen_conductance_s), np.nan)
    column_x = x.reshape(-1, *(1,) * (y.ndim - 1))
    slope = (column_x * y).sum(axis=0) / (x**2).sum()
    rest = y - y.mean(axis=0) - column_x * slope
    error = np.sqrt((rest**2).sum(axis=0) / (len(x) - 2) / (x**2).sum())
    return RetentionFigures(
        first_conductance_s=seen_conductance_s[0],
        last_conductance_s=seen_conductance_s[-1],
        drift_exponent=-slope,
        drift_error=error,
        one_second_conductance_s=np.exp(y.mean(axis=0) - slope * np.log(times_s).mean()),
    )


def _outcome(settings: RetentionSettings, found: RetentionFigures, end_s: float) -> Outcome:
    first_conductance_s = np.where(found.first_conductance_s > 0, found.first_conductance_s, np.nan)
    change = (found.last_conductance_s - found.first_conductance_s) / first_conductance_s
    known = np.isfinite(change)
    kept = int((np.abs(change[known]) <= settings.largest_loss).sum())
    total = int(known.sum())
    return Outcome(
        total > 0 and kept == total,
        f"{kept} of {total} cells within {settings.largest_loss:.0%} after {end_s:.4g} s;"
        f" drift exponent {median_text(found.drift_exponent, '')}",
    )


def plan(settings: RetentionSettings, array: ArraySettings) -> Plan:
    """Return the plan: the programming pulses, the waits, and the reads."""
    times_s = settings.times_s()
    operations = [planned_read(array, settings.cells, len(times_s))]
    if settings.program is not None:
        operations.append(
            planned_pulse(array, settings.cells, settings.program, 1, count=settings.count)
        )
    operations += [PlannedOperation(Wait(float(w)), 1) for w in np.diff(times_s, prepend=0.0)]
    return Plan(operations, rows=len(times_s))


RETENTION = Step(
    name="retention",
    summary="Conductance against the logarithm of time, and its drift exponent",
    settings=RetentionSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.retention:figures",
    measured="hwloop.recordings.of_steps:reads_of_retention",
)
