"""Conductance map: reads of every cell, once or several times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from typing_extensions import override

from hwloop.array.settings import ArraySettings
from hwloop.messages import cell_names
from hwloop.settings.model import Settings
from hwloop.settings.units import Count
from hwloop.statistics import sample_deviation
from hwloop.steps.array import Array
from hwloop.steps.common.cells import Cells, chosen, planned_read, read_of, unmeasured
from hwloop.steps.common.summaries import median_text, over_cells
from hwloop.steps.contract import Plan, Step
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import BoolArray, FlagArray, FloatArray


class ReadMapSettings(Settings):
    """Settings of a read map.

    ``repeats``: number of reads of the map. ``cells``: [row, column] of each cell; all if left out.
    """

    repeats: Count = 1
    cells: Cells | None = None


@dataclass(frozen=True, eq=False)
class MapRow(Row):
    """Conductances of one read of the map."""

    repeat: int = column("1", "which read of the map, counted from 1")
    time_s: float = column("s", "end of the read on the array's clock")
    conductance_s: FloatArray = column("S", "I / read_v; NaN where unmeasured; (..., rows, cols)")
    flags: FlagArray = column("1", "why an entry is NaN: 1 over range, 2 compliance, 4 not asked")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"read": self.repeat}


@dataclass(frozen=True, eq=False)
class MapFigures(Row):
    """Mean and spread over the reads of each cell, and over the cells."""

    table: ClassVar[str] = "figures"

    mean_conductance_s: FloatArray = column("S", "mean of the reads of a cell; (..., rows, cols)")
    read_sigma_conductance_s: FloatArray = column(
        "S", "standard deviation of them; NaN with one read"
    )
    median_conductance_s: FloatArray = column("S", "median over the cells; (...)")
    ln_sigma: FloatArray = column("1", "standard deviation of ln G over the cells; (...)")


def run(settings: ReadMapSettings, array: Array) -> Iterator[Yield]:
    """Read the map ``repeats`` times.

    A cell that could not be measured is NaN with its flag, and the outcome names it.
    """
    mask = chosen(settings.cells, array.geometry.shape)
    maps, failed = [], np.zeros((*array.population, *array.geometry.shape), dtype=np.bool_)
    for repeat in range(1, settings.repeats + 1):
        reading = array.backend.read(read_of(array.settings, mask))
        failed |= unmeasured(reading)
        maps.append(np.where(failed, np.nan, array.conductance_s(reading)))
        yield MapRow(
            repeat=repeat,
            time_s=array.clock.now_s(),
            conductance_s=maps[-1],
            flags=reading.flags,
        )
    figures_row = _figures(np.stack(maps), mask & ~failed)
    yield figures_row
    if failed.any():
        yield Outcome(
            False,
            f"{int(failed.sum())} of {failed.size} cells could not be measured (over-range or"
            f" compliance): {', '.join(cell_names(failed))}",
        )
        return
    yield Outcome(True, f"conductance: {median_text(figures_row.mean_conductance_s, 'S')}")


def _figures(maps_conductance_s: FloatArray, valid: BoolArray) -> MapFigures:
    mean_conductance_s = maps_conductance_s.mean(axis=0)
    spread_conductance_s = (
        maps_conductance_s.std(axis=0, ddof=1)
        if len(maps_conductance_s) > 1
        else np.full_like(mean_conductance_s, np.nan)
    )
    cells_conductance_s = np.where(valid, mean_conductance_s, np.nan).reshape(
        *mean_conductance_s.shape[:-2], -1
    )
    positive_conductance_s = np.where(cells_conductance_s > 0, cells_conductance_s, np.nan)
    return MapFigures(
        mean_conductance_s=mean_conductance_s,
        read_sigma_conductance_s=spread_conductance_s,
        median_conductance_s=over_cells(np.median, cells_conductance_s),
        ln_sigma=over_cells(sample_deviation, np.log(positive_conductance_s)),
    )


def plan(settings: ReadMapSettings, array: ArraySettings) -> Plan:
    """Return the plan: the map, ``repeats`` times."""
    return Plan([planned_read(array, settings.cells, settings.repeats)], rows=settings.repeats)


READ_MAP = Step(
    name="read_map",
    summary="Conductance of every cell, its spread over cells and over reads",
    settings=ReadMapSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.read_map:figures",
)
