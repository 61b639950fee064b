"""Rows of programming: one a round, and at the end all cells and their figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from typing_extensions import override

from hwloop.settings.model import Settings
from hwloop.steps.program.cell_table import REACHED, RELAXED, CellTable, IntArray
from hwloop.steps.program.loop import Round
from hwloop.steps.program.targets import TargetsAndWindows
from hwloop.steps.rows import Row, column
from hwloop.types import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class RoundRow(Row):
    """State of a group after one more pulse of each cell at work, or a ramp of several."""

    group: int = column("1", "which group of cells, counted from 0")
    attempt: int = column("1", "which pass over the array, counted from 1")
    number: int = column("1", "round of this group in this pass, counted from 1")
    at_work: int = column("1", "cells that got pulses, or one more read")
    pulses: int = column("1", "pulses of this round, over all cells")
    done: int = column("1", "cells of the array, or the population, that are reached")
    failed: int = column("1", "cells that are given up: no response, no budget, no reading")
    rms_error_conductance_s: float = column(
        "S", "of the cells at work, from their targets; NaN without any"
    )
    worst_error_conductance_s: float = column("S", "largest magnitude of that; NaN without any")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"at work": self.at_work, "done": self.done, "failed": self.failed}


@dataclass(frozen=True, eq=False)
class CellsRow(Row):
    """Final state of every cell; maps (..., rows, cols), NaN where it is left alone."""

    table: ClassVar[str] = "cells"

    target_conductance_s: FloatArray = column("S", "conductance wanted")
    low_conductance_s: FloatArray = column("S", "lower end of its window")
    high_conductance_s: FloatArray = column("S", "upper end of its window")
    level: IntArray = column("1", "which of the named levels, by its place; -1 none")
    before_conductance_s: FloatArray = column("S", "before the first pulse")
    verified_conductance_s: FloatArray = column("S", "at the read that ended its programming")
    after_wait_conductance_s: FloatArray = column("S", "after the wait; NaN without one")
    pulses_up: IntArray = column("1", "pulses of positive polarity")
    pulses_down: IntArray = column("1", "pulses of negative polarity")
    energy_j: FloatArray = column("J", "V² G t of its pulses, at the conductance read before each")
    status: IntArray = column(
        "1",
        "1 reached, 0 left alone, -1 stuck, -2 given up by the algorithm, -3 budget used up,"
        " -4 could not be read, -5 left its window while waiting",
    )

    missed: BoolArray = column("1", "had a target and did not reach it")

    @override
    def failed_cells(self) -> BoolArray:
        return self.missed


@dataclass(frozen=True, eq=False)
class ProgrammedFigures(Row):
    """Figures of the whole array, or of the population."""

    table: ClassVar[str] = "figures"

    cells: int = column("1", "cells with a target")
    reached: int = column("1", "of them, within their window at the end")
    mean_pulses: float = column("1", "pulses a cell, over all that had a target")
    rms_error_conductance_s: float = column("S", "verified - target, of those that were reached")
    rms_error_after_wait_conductance_s: float = column(
        "S", "the same after the wait; NaN without one"
    )
    within_after_wait: float = column(
        "1", "fraction of the reached that are in their windows after the wait; NaN without one"
    )
    energy_j: float = column("J", "of all pulses together")
    time_s: float = column("s", "on the array's clock")
    read_noise_conductance_s: float = column(
        "S", "from two reads of each cell before the first pulse"
    )
    smallest_jump_conductance_s: float = column(
        "S", "of a pulse that took a cell over its window; NaN if none did"
    )


def round_row(table: CellTable, one: Round, group: int, attempt: int) -> RoundRow:
    """Return the row after round ``one`` of a group in pass ``attempt``."""
    error_conductance_s = _finite(one.error_conductance_s)
    return RoundRow(
        group=group,
        attempt=attempt,
        number=one.number,
        at_work=one.at_work,
        pulses=one.pulses,
        done=int(np.count_nonzero(table.status == REACHED)),
        failed=int(np.count_nonzero(table.status < 0)),
        rms_error_conductance_s=_rms_of_finite(error_conductance_s),
        worst_error_conductance_s=float(np.abs(error_conductance_s).max())
        if error_conductance_s.size
        else float("nan"),
    )


def cells_row(
    table: CellTable, before_conductance_s: FloatArray, after_conductance_s: FloatArray
) -> CellsRow:
    """Return the final states.

    ``before_conductance_s``, ``after_conductance_s``: siemens, flat or in array shape.
    """
    shape = table.targets.target_conductance_s.shape
    return CellsRow(
        target_conductance_s=table.targets.target_conductance_s,
        low_conductance_s=table.targets.low_conductance_s,
        high_conductance_s=table.targets.high_conductance_s,
        level=table.targets.level,
        before_conductance_s=before_conductance_s.reshape(shape),
        verified_conductance_s=table.verified_conductance_s.reshape(shape),
        after_wait_conductance_s=after_conductance_s.reshape(shape),
        pulses_up=table.pulses_up.reshape(shape),
        pulses_down=table.pulses_down.reshape(shape),
        energy_j=table.energy_j.reshape(shape),
        status=table.status.reshape(shape),
        missed=(table.status < 0).reshape(shape),
    )


def figures_row(
    table: CellTable, after_conductance_s: FloatArray, noise_conductance_s: float, time_s: float
) -> ProgrammedFigures:
    """Return the figures of all cells.

    ``after_conductance_s``: flat, siemens, NaN without a wait.
    """
    wanted, reached = table.wanted, table.status == REACHED
    counted = reached | (table.status == RELAXED)
    jumps_conductance_s = table.smallest_jump_conductance_s[
        np.isfinite(table.smallest_jump_conductance_s)
    ]
    return ProgrammedFigures(
        cells=int(wanted.sum()),
        reached=int(reached.sum()),
        mean_pulses=float(table.pulses[wanted].mean()) if wanted.any() else 0.0,
        rms_error_conductance_s=_rms(
            (table.verified_conductance_s - table.target_conductance_s)[counted]
        ),
        rms_error_after_wait_conductance_s=_rms(
            (after_conductance_s - table.target_conductance_s)[counted]
        ),
        within_after_wait=_within(table, after_conductance_s, reached),
        energy_j=float(table.energy_j.sum()),
        time_s=time_s,
        read_noise_conductance_s=noise_conductance_s,
        smallest_jump_conductance_s=float(np.median(jumps_conductance_s))
        if jumps_conductance_s.size
        else float("nan"),
    )


def _within(table: CellTable, after_conductance_s: FloatArray, reached: BoolArray) -> float:
    known = reached & np.isfinite(after_conductance_s)
    if not known.any():
        return float("nan")
    inside = (table.low_conductance_s <= after_conductance_s) & (
        after_conductance_s <= table.high_conductance_s
    )
    return float(inside[known].mean())


def _rms(values: FloatArray) -> float:
    return _rms_of_finite(_finite(values))


def _rms_of_finite(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else float("nan")


def _finite(values: FloatArray) -> FloatArray:
    finite = np.isfinite(values)
    return values if finite.all() else values[finite]


def tables(_: Settings, shape: tuple[int, ...]) -> tuple[Row, ...]:
    """Return a row of each table, for cells without targets, in final types and shapes."""
    blank_conductance_s = np.full(shape, np.nan)
    table = CellTable(
        TargetsAndWindows(
            blank_conductance_s,
            blank_conductance_s,
            blank_conductance_s,
            np.full(shape, -1, np.int64),
        )
    )
    nothing = Round(0, 0, 0, np.empty(0))
    cells = cells_row(table, blank_conductance_s, blank_conductance_s)
    return (
        round_row(table, nothing, 0, 0),
        cells,
        figures_row(table, blank_conductance_s.ravel(), 0.0, 0.0),
    )
