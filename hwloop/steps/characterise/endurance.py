"""Endurance: set and reset cycles, with reads of both states at logarithmically spaced cycles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field
from typing_extensions import override

from hwloop.array.settings import ArraySettings
from hwloop.settings.units import Count, PerDecade
from hwloop.steps.array import Array
from hwloop.steps.characterise.cycling import TwoStates, cycle_group
from hwloop.steps.common.cells import filled, groups, planned_read
from hwloop.steps.common.pulses import planned_pulse
from hwloop.steps.common.summaries import median_text
from hwloop.steps.contract import Plan, Step
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import BoolArray, FloatArray


class EnduranceSettings(TwoStates):
    """Settings of an endurance test.

    A cycle is ``pulses`` of ``up``, then ``pulses`` of ``down``; ``per_decade`` cycles are read in
    each decade. ``least_window``: a cell is alive while high over low is at least this.
    """

    cycles: Count
    per_decade: PerDecade = 5
    least_window: float = Field(default=2.0, gt=1)

    def read_at(self) -> list[int]:
        """Return the cycles that are read, counted from 1, the first and the last among them."""
        count = int(np.ceil(np.log10(self.cycles) * self.per_decade)) + 1
        spaced = np.unique(np.round(np.geomspace(1, self.cycles, max(count, 1))).astype(int))
        return sorted({1, self.cycles, *(int(n) for n in spaced)})


@dataclass(frozen=True, eq=False)
class EnduranceFigures(Row):
    """Window of each cell over the cycles; maps (..., rows, cols)."""

    table: ClassVar[str] = "figures"

    first_window: FloatArray = column("1", "high over low in the first cycle")
    last_window: FloatArray = column("1", "high over low in the last cycle")
    failed_at: FloatArray = column(
        "1", "first cycle that was read with less than the least window; NaN if none was"
    )

    @override
    def failed_cells(self) -> BoolArray:
        return np.isfinite(self.failed_at)


def run(settings: EnduranceSettings, array: Array) -> Iterator[Yield]:
    """Cycle each group of cells and yield both states of the cycles that are read.

    Raises :class:`hwloop.errors.StepError` where a read failed.
    """
    read_at = settings.read_at()
    shape = (len(read_at), *array.population, *array.geometry.shape)
    window = np.full(shape, np.nan)
    for group, mask in enumerate(groups(array, settings.cells)):
        for row in cycle_group(
            settings,
            array,
            mask,
            group=group,
            cycles=settings.cycles,
            read_at=set(read_at),
            step="endurance",
        ):
            index = read_at.index(row.cycle)
            ratio = row.high_conductance_s / np.where(
                row.low_conductance_s > 0, row.low_conductance_s, np.nan
            )
            window[index] = filled(window[index], ratio, mask)
            yield row
    below = window < settings.least_window
    first = np.array(read_at, dtype=np.float64)[below.argmax(axis=0)]
    found = EnduranceFigures(
        first_window=window[0],
        last_window=window[-1],
        failed_at=np.where(below.any(axis=0), first, np.nan),
    )
    yield found
    measured = int(np.isfinite(window[-1]).sum())
    failed = int(np.isfinite(found.failed_at).sum())
    summary = (
        f"{measured - failed} of {measured} cells kept a window of {settings.least_window:g} over"
        f" {settings.cycles} cycles; window first {median_text(found.first_window, '')},"
        f" last {median_text(found.last_window, '')}"
    )
    yield Outcome(measured > 0 and failed == 0, summary)


def plan(settings: EnduranceSettings, array: ArraySettings) -> Plan:
    """Return the plan: every cycle, and two reads in those that are read."""
    rows = len(settings.read_at())
    operations = [planned_read(array, settings.cells, 2 * rows)]
    operations += [
        planned_pulse(array, settings.cells, pulse, settings.cycles, count=settings.pulses)
        for pulse in (settings.up, settings.down)
    ]
    return Plan(operations, rows=rows, by_group=True)


ENDURANCE = Step(
    name="endurance",
    summary="Both states against the cycle, and when the window closes",
    settings=EnduranceSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.endurance:figures",
    measured="hwloop.recordings.of_steps:cycles",
)
