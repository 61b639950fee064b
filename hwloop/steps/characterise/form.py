"""Forming: a ramp of pulses that ends for each cell as soon as its resistance is reached.

It fails closed. A cell goes on to the next level only after a read that gave a number and showed it
unformed; a cell that could not be measured, or read at compliance, gets no further pulse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator
from typing_extensions import override

from hwloop.array.conductance_bounds import refuse_unreadable
from hwloop.array.operations import PulseMap
from hwloop.array.settings import ArraySettings
from hwloop.messages import cell_names
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, PositiveOhm, PositiveSecond
from hwloop.steps.array import Array
from hwloop.steps.common.cells import Cells, chosen, groups, planned_read, read_of, unmeasured
from hwloop.steps.common.pulses import MOST_LEVELS, LevelSweep, pulse_of
from hwloop.steps.common.summaries import median_text
from hwloop.steps.contract import Plan, PlannedOperation, Step
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import BoolArray, FloatArray

UNFORMED, FORMED, FAILED = 0, 1, -1
IntArray = NDArray[np.int64]


class FormSettings(Settings):
    """Settings of forming: ``amplitude`` is ramped at each level of ``gate`` (1T1R), if given.

    ``target_ohm``: a cell at or below it is formed. ``pulses_per_level``: pulses at each level,
    with a read after each. ``pulses_per_cell``: the most pulses of one cell.
    """

    amplitude: LevelSweep
    gate: LevelSweep | None = None
    width_s: PositiveSecond
    target_ohm: PositiveOhm
    pulses_per_level: Count = 1
    pulses_per_cell: Count
    cells: Cells | None = None

    @model_validator(mode="after")
    def _consistent(self) -> FormSettings:
        if self.gate is not None and self.gate.start_v < 0:
            raise ValueError(f"gate.start_v {self.gate.start_v:g} is below 0 V")
        gates = 1 if self.gate is None else len(self.gate.levels_v())
        pulses = gates * len(self.amplitude.levels_v()) * self.pulses_per_level
        if min(pulses, self.pulses_per_cell) > MOST_LEVELS:
            raise ValueError(f"{pulses:.3g} pulses of each cell; at most {MOST_LEVELS}")
        return self

    def levels(self) -> list[tuple[float | None, float]]:
        """Return (gate, amplitude) in volts of every pulse, in order, within a cell's budget."""
        gates: list[float | None] = [None] if self.gate is None else [*self.gate.levels_v()]
        each = range(min(self.pulses_per_level, self.pulses_per_cell))
        grid = product(gates, self.amplitude.levels_v(), each)
        return [(gate, amplitude) for gate, amplitude, _ in islice(grid, self.pulses_per_cell)]


@dataclass(frozen=True, eq=False)
class FormRow(Row):
    """State of the cells of a group after one pulse, or before the first."""

    group: int = column("1", "which group of cells, counted from 0")
    pulse: int = column("1", "counted from 1; 0 is the read before the first")
    amplitude_v: float = column("V", "of the pulse; 0 before the first")
    gate_v: float = column("V", "of the pulse; NaN without a gate")
    pulsed: BoolArray = column("1", "cells that got this pulse; (..., rows, cols)")
    conductance_s: FloatArray = column("S", "NaN where not read or not measured; (..., rows, cols)")
    status: IntArray = column("1", "1 formed, 0 not yet, -1 a read failed; (..., rows, cols)")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"level": f"{self.amplitude_v:g} V", "formed": int((self.status == FORMED).sum())}

    @override
    def formed_cells(self) -> BoolArray:
        formed: BoolArray = self.pulsed & (self.status == FORMED)
        return formed


@dataclass(frozen=True, eq=False)
class FormFigures(Row):
    """Result of the forming of each cell; maps (..., rows, cols)."""

    table: ClassVar[str] = "figures"

    status: IntArray = column("1", "1 formed, 0 not formed, -1 a read failed")
    form_v: FloatArray = column("V", "amplitude at which the cell formed; NaN if it did not")
    form_gate_v: FloatArray = column("V", "gate voltage at which it formed; NaN if none")
    pulses: IntArray = column("1", "pulses that the cell got")
    already: BoolArray = column("1", "at or below the target before the first pulse")
    final_conductance_s: FloatArray = column("S", "conductance at the last read that gave a number")
    selected: BoolArray = column("1", "cells that were to be formed")

    @override
    def failed_cells(self) -> BoolArray:
        failed: BoolArray = self.selected & (self.status != FORMED)
        return failed


class _Cells:
    """State of every cell during the ramp, updated in place."""

    def __init__(self, shape: tuple[int, ...], target_ohm: float) -> None:
        self.target_conductance_s = 1 / target_ohm
        self.status = np.full(shape, UNFORMED, dtype=np.int64)
        self.form_v, self.form_gate_v, self.final_conductance_s = (
            np.full(shape, np.nan) for _ in range(3)
        )
        self.pulses = np.zeros(shape, dtype=np.int64)
        self.already = np.zeros(shape, dtype=np.bool_)

    def judge(self, array: Array, asked: BoolArray) -> tuple[FloatArray, BoolArray]:
        """Read the cells of ``asked``; return their conductance and which of them have formed."""
        reading = array.backend.read(read_of(array.settings, asked))
        failed = asked & (unmeasured(reading) | np.isnan(reading.current_a))
        good = asked & ~failed
        at_conductance_s = np.where(good, array.conductance_s(reading), np.nan)
        formed = good & (at_conductance_s >= self.target_conductance_s)
        self.status[failed] = FAILED
        self.status[formed] = FORMED
        self.final_conductance_s = np.where(good, at_conductance_s, self.final_conductance_s)
        return at_conductance_s, formed


def run(settings: FormSettings, array: Array) -> Iterator[Yield]:
    """Ramp each group of cells; a cell gets pulses as long as its read shows it unformed."""
    cells = _Cells((*array.population, *array.geometry.shape), settings.target_ohm)
    for group, mask in enumerate(groups(array, settings.cells)):
        yield from _group(settings, array, cells, group, mask)
    selected = np.broadcast_to(chosen(settings.cells, array.geometry.shape), cells.status.shape)
    yield FormFigures(
        status=cells.status,
        form_v=cells.form_v,
        form_gate_v=cells.form_gate_v,
        pulses=cells.pulses,
        already=cells.already,
        final_conductance_s=cells.final_conductance_s,
        selected=selected,
    )
    yield _outcome(cells, selected)


def _group(
    settings: FormSettings, array: Array, cells: _Cells, group: int, mask: BoolArray
) -> Iterator[FormRow]:
    everywhere = np.broadcast_to(mask, cells.status.shape)
    at_conductance_s, formed = cells.judge(array, everywhere)
    cells.already |= formed
    yield FormRow(
        group=group,
        pulse=0,
        amplitude_v=0.0,
        gate_v=np.nan,
        pulsed=np.zeros_like(everywhere),
        conductance_s=at_conductance_s,
        status=cells.status.copy(),
    )
    for number, (gate_v, amplitude_v) in enumerate(settings.levels(), start=1):
        active = everywhere & (cells.status == UNFORMED)
        if not active.any():
            return
        array.backend.pulse(pulse_of(active, amplitude_v, settings.width_s, gate_v=gate_v))
        cells.pulses += active
        at_conductance_s, formed = cells.judge(array, active)
        cells.form_v[formed] = amplitude_v
        cells.form_gate_v[formed] = np.nan if gate_v is None else gate_v
        yield FormRow(
            group=group,
            pulse=number,
            amplitude_v=amplitude_v,
            gate_v=np.nan if gate_v is None else gate_v,
            pulsed=active,
            conductance_s=at_conductance_s,
            status=cells.status.copy(),
        )


def _outcome(cells: _Cells, selected: BoolArray) -> Outcome:
    formed, failed, left = (
        selected & (cells.status == state) for state in (FORMED, FAILED, UNFORMED)
    )
    summary = f"{int(formed.sum())} of {int(selected.sum())} cells formed"
    if cells.already.any():
        summary += f" ({int(cells.already.sum())} before the first pulse)"
    if np.isfinite(cells.form_v).any():
        summary += f", at {median_text(cells.form_v, 'V')}"
    if left.any():
        summary += f"; {int(left.sum())} not: {', '.join(cell_names(left))}"
    if failed.any():
        summary += (
            f"; {int(failed.sum())} could not be measured (over range or compliance) and got no"
            f" further pulse: {', '.join(cell_names(failed))}"
        )
    return Outcome(bool((formed == selected).all()), summary)


def plan(settings: FormSettings, array: ArraySettings) -> Plan:
    """Return the plan: every level for every cell, up to the budget, with a read after each."""
    refuse_unreadable(1 / settings.target_ohm, array, key="target_ohm")
    mask = chosen(settings.cells, array.geometry.shape)
    levels = settings.levels()
    pulses: list[PulseMap] = [
        pulse_of(mask, amplitude_v, settings.width_s, gate_v=gate_v)
        for gate_v, amplitude_v in levels
    ]
    operations = [planned_read(array, settings.cells, len(levels) + 1)]
    operations += [PlannedOperation(pulse, 1) for pulse in pulses]
    return Plan(operations, rows=len(levels) + 1, by_group=True)


FORM = Step(
    name="form",
    summary="Forming by a ramp that stops at each cell's resistance; fails closed",
    settings=FormSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.form:figures",
)
