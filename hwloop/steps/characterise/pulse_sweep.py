"""Pulse sweeps of 1T1R cells: of the gate voltage (SET) or the source-line voltage (RESET).

Each sweep begins with a pulse of the other direction; each of its pulses is read before and after.
From records of both :mod:`hwloop_sim.calibrate.one_transistor.calibrate` makes a twin of the cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator
from typing_extensions import override

from hwloop.array.conductance_bounds import refuse_unreadable
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError
from hwloop.messages import cell_names
from hwloop.settings.units import (
    Count,
    PositiveSecond,
    PositiveSiemens,
    PositiveVolt,
    format_quantity,
)
from hwloop.statistics import sample_deviation
from hwloop.steps.array import Array
from hwloop.steps.common.cells import Cells, chosen, conductance_s, filled, groups, planned_read
from hwloop.steps.common.pulses import LevelSweep, Pulse, planned_pulse, pulse_of
from hwloop.steps.common.summaries import (
    crossing_v,
    cycle_and_device_spread,
    median_text,
    over_cells,
)
from hwloop.steps.contract import Plan, Step
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import BoolArray, FloatArray

LINES = {"gate": "gate", "line": "source line"}


class PulseSweepSettings(LevelSweep):
    """Settings of a pulse sweep; ``start_v`` to ``stop_v`` is the swept line's voltage, above 0 V.

    ``sweep: gate``: pulses of ``amplitude_v`` > 0 on the bit line, which SET. ``sweep: line``:
    pulses on the source line, which RESET and so count as negative amplitudes, at ``gate_v``.
    ``begin``: the pulse before each sweep, of the other direction. ``until_conductance_s``: a cell
    whose conductance has reached this, upwards in SET and downwards in RESET, gets no more pulses
    of that sweep.
    """

    sweep: Literal["gate", "line"]
    width_s: PositiveSecond
    amplitude_v: PositiveVolt | None = None
    gate_v: PositiveVolt | None = None
    begin: Pulse
    cycles: Count = 1
    until_conductance_s: PositiveSiemens | None = None
    cells: Cells | None = None

    @model_validator(mode="after")
    def _voltages(self) -> PulseSweepSettings:
        held, swept = ("amplitude_v", "gate_v") if self.of_gate else ("gate_v", "amplitude_v")
        if self.start_v < 0:
            raise ValueError(
                f"start_v {self.start_v:g}: voltages of the {LINES[self.sweep]} are above 0 V"
            )
        if getattr(self, held) is None:
            raise ValueError(f"{held} is required: it is held while the {self.sweep} is swept")
        if getattr(self, swept) is not None:
            raise ValueError(f"{swept}: sweep {self.sweep} sets it; leave it out")
        if (self.begin.amplitude_v < 0) != self.of_gate:
            needed = "a RESET, below" if self.of_gate else "a SET, above"
            raise ValueError(
                f"begin.amplitude_v {self.begin.amplitude_v:g}: a sweep of the"
                f" {LINES[self.sweep]} begins with {needed} 0 V"
            )
        if self.begin.gate_v is None:
            raise ValueError("begin.gate_v is required: a 1T1R cell is pulsed through its gate")
        return self

    @property
    def of_gate(self) -> bool:
        """Return whether the gate is swept, so that the cells are SET."""
        return self.sweep == "gate"

    def pulses(self) -> list[Pulse]:
        """Return the pulses of one sweep, in order."""
        return [
            Pulse(
                amplitude_v=-volts if self.amplitude_v is None else self.amplitude_v,
                width_s=self.width_s,
                gate_v=volts if self.gate_v is None else self.gate_v,
            )
            for volts in self.levels_v()
        ]

    def reached(self, conductance_s: FloatArray) -> BoolArray:
        """Return where ``until_conductance_s`` is reached, in the shape of the conductances given.

        False everywhere if ``until_conductance_s`` is not given, and where the conductance is NaN.
        """
        if self.until_conductance_s is None:
            return np.zeros(conductance_s.shape, dtype=np.bool_)
        if self.of_gate:
            return np.asarray(conductance_s >= self.until_conductance_s)
        return np.asarray(conductance_s <= self.until_conductance_s)


@dataclass(frozen=True, eq=False)
class PulseSweepRow(Row):
    """Conductance of the cells of a group before and after one pulse."""

    group: int = column("1", "which group of cells, counted from 0")
    cycle: int = column("1", "which sweep of the cells, counted from 1")
    pulse: int = column("1", "of the sweep, counted from 1")
    swept_v: float = column("V", "of the line that is swept: the gate, or the source line")
    amplitude_v: float = column("V", "of the pulse: above 0 on the bit line, below on the source")
    gate_v: float = column("V", "of the pulse")
    width_s: float = column("s", "of the pulse")
    before_conductance_s: FloatArray = column("S", "conductance before it, NaN where not read")
    after_conductance_s: FloatArray = column("S", "conductance after it, NaN where not pulsed")
    time_s: float = column("s", "end of the read after it on the array's clock")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {
            "cycle": self.cycle,
            "swept": f"{self.swept_v:g} V",
            "cells": int(np.isfinite(self.after_conductance_s).sum()),
        }


@dataclass(frozen=True, eq=False)
class CycleFigures(Row):
    """Figures of one sweep of each cell; maps (..., rows, cols)."""

    table: ClassVar[str] = "figures"

    cycle: int = column("1", "counted from 1")
    first_conductance_s: FloatArray = column("S", "conductance before the first pulse")
    last_conductance_s: FloatArray = column("S", "conductance after the last one that the cell got")
    pulses: NDArray[np.int64] = column("1", "pulses of the sweep that the cell got")
    half_v: FloatArray = column(
        "V",
        "swept voltage at which G first exceeds half of its last (gate), or falls below half of"
        " its first (source line), between levels; NaN: never",
    )


@dataclass(frozen=True, eq=False)
class SpreadFigures(Row):
    """Figures of all sweeps of each cell, maps (..., rows, cols), and spread over cells, (...)."""

    table: ClassVar[str] = "spread"

    cell_half_v: FloatArray = column("V", "median of half_v over the cycles; NaN: never")
    cell_sigma_v: FloatArray = column("V", "standard deviation of half_v over the cycles")
    never: BoolArray = column("1", "cells that were swept and have no half_v in any cycle")
    cycle_to_cycle_v: FloatArray = column("V", "root mean square of cell_sigma_v over the cells")
    device_to_device_v: FloatArray = column(
        "V", "standard deviation over cells of the mean half_v, less what the cycles add"
    )

    @override
    def failed_cells(self) -> BoolArray:
        return self.never


def run(settings: PulseSweepSettings, array: Array) -> Iterator[Yield]:
    """Sweep each group of cells ``cycles`` times and yield a row for each pulse.

    Raises :class:`hwloop.errors.StepError` where a read failed.
    """
    shape = (*array.population, *array.geometry.shape)
    seen_conductance_s = np.full((settings.cycles, len(settings.levels_v()) + 1, *shape), np.nan)
    for number, mask in enumerate(groups(array, settings.cells)):
        for row in _group(settings, array, number, np.broadcast_to(mask, shape)):
            of_cycle = seen_conductance_s[row.cycle - 1]
            if row.pulse == 1:
                of_cycle[0] = filled(of_cycle[0], row.before_conductance_s, mask)
            of_cycle[row.pulse] = filled(of_cycle[row.pulse], row.after_conductance_s, mask)
            yield row
    rows = [
        cycle_figures(settings, n + 1, values_conductance_s)
        for n, values_conductance_s in enumerate(seen_conductance_s)
    ]
    yield from rows
    selected = np.broadcast_to(chosen(settings.cells, array.geometry.shape), shape)
    spread = spread_figures(np.stack([row.half_v for row in rows]), selected)
    yield spread
    yield _outcome(settings, selected, spread)


def _group(
    settings: PulseSweepSettings, array: Array, group: int, mask: BoolArray
) -> Iterator[PulseSweepRow]:
    begin = settings.begin
    for cycle in range(1, settings.cycles + 1):
        array.backend.pulse(pulse_of(mask, begin.amplitude_v, begin.width_s, gate_v=begin.gate_v))
        yield from _sweep(settings, array, mask, group=group, cycle=cycle)


def _sweep(
    settings: PulseSweepSettings, array: Array, going: BoolArray, *, group: int, cycle: int
) -> Iterator[PulseSweepRow]:
    """Sweep the cells ``going`` once, each until it has reached ``until_conductance_s``."""
    levels = zip(settings.levels_v(), settings.pulses(), strict=True)
    for number, (swept_v, pulse) in enumerate(levels, start=1):
        before_conductance_s = conductance_s(array, going, step="pulse_sweep")
        if number == 1:
            going = going & ~settings.reached(before_conductance_s)
        if not going.any():
            return
        array.backend.pulse(pulse_of(going, pulse.amplitude_v, pulse.width_s, gate_v=pulse.gate_v))
        after_conductance_s = conductance_s(array, going, step="pulse_sweep")
        yield PulseSweepRow(
            group=group,
            cycle=cycle,
            pulse=number,
            swept_v=swept_v,
            amplitude_v=pulse.amplitude_v,
            gate_v=np.nan if pulse.gate_v is None else pulse.gate_v,
            width_s=pulse.width_s,
            before_conductance_s=before_conductance_s,
            after_conductance_s=after_conductance_s,
            time_s=array.clock.now_s(),
        )
        going = going & ~settings.reached(after_conductance_s)
        if not going.any():
            return


def cycle_figures(
    settings: PulseSweepSettings, cycle: int, seen_conductance_s: FloatArray
) -> CycleFigures:
    """Compute the figures of one cycle.

    ``seen_conductance_s``: conductances, (1 + levels, ..., rows, cols), siemens, NaN after the last
    pulse of a cell.
    """
    pulses = np.isfinite(seen_conductance_s[1:]).sum(axis=0)
    last_conductance_s = np.take_along_axis(seen_conductance_s, pulses[None], axis=0)[0]
    with np.errstate(invalid="ignore", divide="ignore"):  # no crossing unless positive
        beyond = np.log(
            2 * seen_conductance_s / last_conductance_s
            if settings.of_gate
            else seen_conductance_s[0] / (2 * seen_conductance_s)
        )
    levels_v = settings.levels_v()
    return CycleFigures(
        cycle=cycle,
        first_conductance_s=seen_conductance_s[0],
        last_conductance_s=last_conductance_s,
        pulses=np.asarray(pulses, dtype=np.int64),
        half_v=crossing_v(np.array([levels_v[0], *levels_v]), beyond),
    )


def spread_figures(half_v: FloatArray, selected: BoolArray) -> SpreadFigures:
    """Compute the spread of the half-change voltages ``half_v`` (cycles, ..., rows, cols)."""
    by_cell = np.moveaxis(half_v, 0, -1)
    cell_v = over_cells(lambda v: float(np.median(v)), by_cell)
    sigma_v = over_cells(sample_deviation, by_cell)
    mean_v = over_cells(lambda v: float(np.mean(v)), by_cell)
    cycles = np.isfinite(by_cell).sum(axis=-1)
    of_cycles_v, of_devices_v = cycle_and_device_spread(mean_v, sigma_v, cycles)
    return SpreadFigures(
        cell_half_v=cell_v,
        cell_sigma_v=sigma_v,
        never=selected & np.isnan(cell_v),
        cycle_to_cycle_v=of_cycles_v,
        device_to_device_v=of_devices_v,
    )


def _outcome(settings: PulseSweepSettings, selected: BoolArray, spread: SpreadFigures) -> Outcome:
    what = "exceeds half of its last" if settings.of_gate else "is below half of its first"
    summary = (
        f"{int((selected & ~spread.never).sum())} of {int(selected.sum())} cells, {settings.cycles}"
        f" {'cycles' if settings.cycles > 1 else 'cycle'}: G {what} at"
        f" {median_text(spread.cell_half_v, 'V')} on the {LINES[settings.sweep]}"
    )
    for name, sigma_v in (
        ("device to device", spread.device_to_device_v),
        ("cycle to cycle", spread.cycle_to_cycle_v),
    ):
        if np.isfinite(sigma_v).any():
            summary += (
                f", sigma {format_quantity(float(np.nanmean(sigma_v)), 'V', digits=3)} {name}"
            )
    if spread.never.any():
        summary += f"; never: {', '.join(cell_names(spread.never))}"
    return Outcome(not spread.never.any(), summary)


def plan(settings: PulseSweepSettings, array: ArraySettings) -> Plan:
    """Return the plan: every pulse of every sweep with its reads, and the pulse before it."""
    if array.cell != "1T1R":
        raise ConfigError(
            f"pulse_sweep is for 1T1R cells, whose gate and source line it sweeps; this array has"
            f" {array.cell} cells"
        )
    refuse_unreadable(settings.until_conductance_s, array, key="until_conductance_s")
    pulses = settings.pulses()
    rows = settings.cycles * len(pulses)
    operations = [planned_read(array, settings.cells, 2 * rows)]
    operations += [
        planned_pulse(array, settings.cells, pulse, settings.cycles)
        for pulse in (settings.begin, *pulses)
    ]
    return Plan(operations, rows=rows, by_group=True)


PULSE_SWEEP = Step(
    name="pulse_sweep",
    summary="1T1R cells: SET sweeps of the gate, or RESET sweeps of the source line",
    settings=PulseSweepSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.pulse_sweep:figures",
    measured="hwloop.recordings.of_steps:pulse_sweeps",
)
