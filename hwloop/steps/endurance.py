"""Endurance: set and reset again and again, both states read at cycles spaced in the logarithm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field, model_validator

from hwloop.array import Array, ArraySettings
from hwloop.measuring import (
    Cells,
    Pulse,
    conductance_s,
    filled,
    groups,
    median_words,
    planned_pulse,
    planned_read,
    pulse_of,
)
from hwloop.operations import BoolArray, FloatArray
from hwloop.settings import Settings
from hwloop.step import NamedFigure, Outcome, Plan, Row, Step, Yield, column
from hwloop.units import Count

if TYPE_CHECKING:
    from hwloop.record_reader import Record


class EnduranceSettings(Settings):
    """``up`` then ``down``, ``pulses`` of each, is a cycle; read ``per_decade`` cycles a decade.

    ``least_window``: a cell is alive while high over low is at least this.
    """

    up: Pulse
    down: Pulse
    pulses: Count = 1
    cycles: Count
    per_decade: Count = 5
    least_window: float = Field(default=2.0, gt=1)
    cells: Cells | None = None

    @model_validator(mode="after")
    def _opposite(self) -> EnduranceSettings:
        if self.up.amplitude_v * self.down.amplitude_v > 0:
            raise ValueError("up and down have the same sign")
        return self

    def read_at(self) -> list[int]:
        """The cycles that are read, counted from 1; the first and the last are among them."""
        count = int(np.ceil(np.log10(self.cycles) * self.per_decade)) + 1
        spaced = np.unique(np.round(np.geomspace(1, self.cycles, max(count, 1))).astype(int))
        return sorted({1, self.cycles, *(int(n) for n in spaced)})


@dataclass(frozen=True, eq=False)
class EnduranceRow(Row):
    """Both states in one cycle."""

    group: int = column("1", "which group of cells, counted from 0")
    cycle: int = column("1", "counted from 1")
    high_s: FloatArray = column("S", "after the pulses up; NaN outside of the group")
    low_s: FloatArray = column("S", "after the pulses down; (..., rows, cols)")

    def headline(self) -> dict[str, str | float | int]:
        """The cycle."""
        return {"cycle": self.cycle}


@dataclass(frozen=True, eq=False)
class EnduranceFigures(Row):
    """What became of the window of each cell; maps (..., rows, cols)."""

    table: ClassVar[str] = "figures"

    first_window: FloatArray = column("1", "high over low in the first cycle")
    last_window: FloatArray = column("1", "high over low in the last cycle")
    failed_at: FloatArray = column(
        "1", "first cycle that was read with less than the least window; NaN if none was"
    )


def run(settings: EnduranceSettings, array: Array) -> Iterator[Yield]:
    """Cycle each group; a failed read is an error."""
    read_at = settings.read_at()
    shape = (len(read_at), *array.population, *array.geometry.shape)
    window = np.full(shape, np.nan)
    for group, mask in enumerate(groups(array, settings.cells)):
        for row in _group(settings, array, group, mask):
            index = read_at.index(row.cycle)
            ratio = row.high_s / np.where(row.low_s > 0, row.low_s, np.nan)
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
    words = (
        f"{measured - failed} of {measured} cells kept a window of {settings.least_window:g} over"
        f" {settings.cycles} cycles; window first {median_words(found.first_window, '')},"
        f" last {median_words(found.last_window, '')}"
    )
    yield Outcome(measured > 0 and failed == 0, words)


def _group(
    settings: EnduranceSettings, array: Array, group: int, mask: BoolArray
) -> Iterator[EnduranceRow]:
    read_at = set(settings.read_at())
    up, down = (
        pulse_of(mask, p.amplitude_v, p.width_s, gate_v=p.gate_v, count=settings.pulses)
        for p in (settings.up, settings.down)
    )
    for cycle in range(1, settings.cycles + 1):
        array.backend.pulse(up)
        read = cycle in read_at
        high_s = conductance_s(array, mask, step="endurance") if read else None
        array.backend.pulse(down)
        if high_s is not None:
            low_s = conductance_s(array, mask, step="endurance")
            yield EnduranceRow(group=group, cycle=cycle, high_s=high_s, low_s=low_s)


def plan(settings: EnduranceSettings, array: ArraySettings) -> Plan:
    """Every cycle, and two reads in those that are read."""
    rows = len(settings.read_at())
    operations = [planned_read(array, settings.cells, 2 * rows)]
    operations += [
        planned_pulse(array, settings.cells, pulse, settings.cycles, count=settings.pulses)
        for pulse in (settings.up, settings.down)
    ]
    return Plan(operations, rows=rows, by_group=True)


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Both states against the cycle."""
    from hwloop.plots.endurance import figures as draw

    return draw(record, label)


ENDURANCE = Step(
    name="endurance",
    summary="Both states against the cycle, and when the window closes",
    settings=EnduranceSettings,
    run=run,
    plan=plan,
    figures=figures,
)
