"""Program every cell to its target and verify it, by an algorithm that is chosen by name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwloop.array.conductance_bounds import refuse_unreadable
from hwloop.array.conductance_range import ConductanceRange
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError
from hwloop.messages import cell_names
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, PositiveJoule, PositiveSecond, format_quantity
from hwloop.steps.array import Array
from hwloop.steps.common.cells import Cells, chosen, groups, planned_read
from hwloop.steps.common.pulses import pulse_of
from hwloop.steps.contract import Plan, PlannedOperation, Step
from hwloop.steps.program.cell_table import (
    BUDGET,
    LEFT_ALONE,
    MEANINGS,
    REACHED,
    RELAXED,
    UNREADABLE,
    WAITING,
    CellTable,
)
from hwloop.steps.program.controllers import Algorithm, passes, ready
from hwloop.steps.program.controllers.base import PulseTrain
from hwloop.steps.program.controllers.model_predictive import ModelPredictive
from hwloop.steps.program.loop import Budgets, program
from hwloop.steps.program.pulses import read
from hwloop.steps.program.rows import (
    CellsRow,
    ProgrammedFigures,
    RoundRow,
    cells_row,
    figures_row,
    round_row,
    tables,
)
from hwloop.steps.program.target_settings import Target, Tolerance
from hwloop.steps.program.targets import (
    planned_mask,
    refuse_misfit,
    refuse_unusable,
    refuse_unusable_targets,
    targets_and_windows,
)
from hwloop.steps.program.verify.cell_reads import (
    Verify,
    VerifyReads,
    cell_reads,
    gains_nothing,
    pattern_remark,
    planned_patterns,
)
from hwloop.steps.rows import Outcome, Yield
from hwloop.types import BoolArray, FloatArray

IntArray = NDArray[np.int64]
THRESHOLDS = ("erase_to_conductance_s", "reset_to_conductance_s")
"""Settings of algorithms that a read is compared with."""


class ProgramVerifySettings(Settings):
    """``target``, ``tolerance``: what each cell is to come to, and how near; see
    hwloop.steps.program.target_settings.

    ``range``: that a tolerance may be a fraction of; the array's, if left out. ``algorithm``:
    see hwloop.steps.program.controllers. ``hits``: reads in a row within the window until a cell is
    done. Budgets of one cell:
    ``pulses_per_cell``, ``energy_per_cell_j`` (V² G t of its pulses, at the conductance read
    before), ``stress_per_cell_s`` (width of all its pulses). ``patience``: pulses at full strength
    without progress until it counts as stuck. ``wait_s``: after the last cell, then the error is
    scored again. ``least_yield``: fraction of the cells that must be reached. ``verify``: how the
    cells are read, see hwloop.steps.program.verify.cell_reads.
    """

    target: Target
    tolerance: Tolerance
    range: ConductanceRange | None = None
    algorithm: Algorithm
    hits: Count = 1
    pulses_per_cell: Count = 200
    energy_per_cell_j: PositiveJoule | None = None
    stress_per_cell_s: PositiveSecond | None = None
    patience: Count = 20
    wait_s: PositiveSecond | None = None
    least_yield: float = Field(default=1.0, ge=0, le=1)
    cells: Cells | None = None
    verify: Verify = "single"

    def budgets(self) -> Budgets:
        """Return the budgets of one cell, infinite where none is given."""
        return Budgets(
            self.pulses_per_cell,
            self.energy_per_cell_j or np.inf,
            self.stress_per_cell_s or np.inf,
            self.patience,
            self.hits,
        )


def run(settings: ProgramVerifySettings, array: Array) -> Iterator[Yield]:
    """Program group after group, pass after pass; a cell that cannot be moved is marked."""
    shape = array.backend.description.shape
    wanted = targets_and_windows(
        settings.target,
        settings.tolerance,
        settings.range or array.settings.range,
        shape=shape,
        rng=array.rng,
        earlier=array.earlier,
    )
    refuse_unusable_targets(wanted.target_conductance_s, settings.range, array.settings)
    table = CellTable(wanted)
    mask = np.broadcast_to(chosen(settings.cells, array.geometry.shape), shape).ravel()
    table.status[~mask] = LEFT_ALONE
    began_s = array.clock.now_s()
    reads = cell_reads(settings.verify, array, table.wanted.reshape(shape))
    before_conductance_s, noise_conductance_s = _look(reads, table)
    yield from _passes(settings, array, reads, table)
    after_conductance_s = np.full_like(table.seen_conductance_s, np.nan)
    _, _, wait_s = passes(settings.algorithm)
    if settings.wait_s is not None:
        array.clock.sleep(settings.wait_s)
    if settings.wait_s is not None or wait_s is not None:
        read(reads, table, np.flatnonzero(table.wanted))
        after_conductance_s = table.seen_conductance_s.copy()
    figures = figures_row(
        table, after_conductance_s, noise_conductance_s, array.clock.now_s() - began_s
    )
    cells = cells_row(table, before_conductance_s, after_conductance_s)
    yield cells
    yield figures
    yield _outcome(settings, array, table, cells, figures)


def _look(reads: VerifyReads, table: CellTable) -> tuple[FloatArray, float]:
    """Read every cell twice: return the state before, and the noise of a read."""
    index = np.flatnonzero(table.wanted)
    if not index.size:
        return table.seen_conductance_s.copy(), float("nan")
    read(reads, table, index)
    first_conductance_s = table.seen_conductance_s.copy()
    read(reads, table, index)
    difference_conductance_s = (table.seen_conductance_s - first_conductance_s)[index]
    finite = difference_conductance_s[np.isfinite(difference_conductance_s)]
    noise_conductance_s = (
        float(np.sqrt(np.mean(np.square(finite)) / 2)) if finite.size else float("nan")
    )
    return first_conductance_s, noise_conductance_s


def _passes(
    settings: ProgramVerifySettings, array: Array, reads: VerifyReads, table: CellTable
) -> Iterator[RoundRow]:
    writer, times, wait_s = passes(settings.algorithm)
    controller = ready(writer, array)
    for attempt in range(1, times + 1):
        for group, mask in enumerate(groups(array, settings.cells)):
            inside = np.broadcast_to(mask, array.backend.description.shape).ravel()
            index = np.flatnonzero(inside & (table.status == WAITING))
            if not index.size:
                continue
            for one in program(array, reads, controller, table, index, settings.budgets()):
                yield round_row(table, one, group, attempt)
            table.verified_conductance_s[index] = table.seen_conductance_s[index]
        if wait_s is None:
            return
        array.clock.sleep(wait_s)
        index = np.flatnonzero(table.status == REACHED)
        if not index.size:
            return
        failed = read(reads, table, index)
        left = index[(table.side(index) != 0) & ~failed]
        table.status[index[failed]] = UNREADABLE
        table.status[left] = RELAXED if attempt == times else WAITING
        if not left.size:
            return


def _outcome(
    settings: ProgramVerifySettings,
    array: Array,
    table: CellTable,
    cells: CellsRow,
    figures: ProgrammedFigures,
) -> Outcome:
    if not figures.cells:
        return Outcome(True, "no cell has a target")
    fraction = figures.reached / figures.cells
    message = (
        f"{figures.reached} of {figures.cells} cells reached ({fraction:.1%}), mean"
        f" {figures.mean_pulses:.1f} pulses; error at verify"
        f" {format_quantity(figures.rms_error_conductance_s, 'S', digits=3)} rms"
    )
    if np.isfinite(figures.rms_error_after_wait_conductance_s):
        after = format_quantity(figures.rms_error_after_wait_conductance_s, "S", digits=3)
        message += f", after the wait {after}, {figures.within_after_wait:.1%} in their windows"
    for status, meaning in MEANINGS.items():
        which = cells.status == status
        if status != REACHED and which.any():
            more = ", …" if which.sum() > 3 else ""
            message += f"; {meaning}: {int(which.sum())}: {', '.join(cell_names(which))}{more}"
    message += _why(table, figures)
    if settings.verify == "hadamard":
        remark = gains_nothing(array.backend.description, array.settings.read)
        message += f"; {remark}" if remark else ""
    return Outcome(fraction >= settings.least_yield, message)


def _why(table: CellTable, figures: ProgrammedFigures) -> str:
    """Say where the tolerance is tighter than device or meter allow."""
    missed = np.isin(table.status, (BUDGET, RELAXED))
    if not missed.any():
        return ""
    window_conductance_s = float(
        np.median((table.high_conductance_s - table.low_conductance_s)[missed])
    )
    window = f"than the window of {format_quantity(window_conductance_s, 'S', digits=3)}"
    found = {
        "a read scatters by": 4 * figures.read_noise_conductance_s,
        "a pulse jumps": figures.smallest_jump_conductance_s,
    }
    return "".join(
        f"; {what} {format_quantity(size_conductance_s, 'S', digits=3)}, which is more {window}"
        for what, size_conductance_s in found.items()
        if np.isfinite(size_conductance_s) and size_conductance_s > window_conductance_s
    )


def plan(settings: ProgramVerifySettings, array: ArraySettings) -> Plan:
    """Plan the strongest pulse of each train, with every budget used up."""
    shape = array.geometry.shape
    refuse_misfit(settings.target, settings.tolerance, settings.range or array.range, shape)
    refuse_unusable(settings.target, settings.tolerance, settings.range, array)
    if settings.range is not None:
        refuse_unreadable(settings.range.high_conductance_s, array, key="range")
    mask = chosen(settings.cells, shape) & planned_mask(settings.target, shape)
    controller, times, _ = passes(settings.algorithm)
    # Noise may take a cell out of its window after each hit but the last: up to ``hits`` rounds to
    # each pulse, and as many until the cell ends.
    rounds = settings.hits * (settings.pulses_per_cell + times)
    at_most = rounds + 3 * times + 3
    remark = None
    if settings.verify == "hadamard":
        operations = [planned_patterns(array, mask, at_most)]
        remark = partial(pattern_remark, read=array.read, rows=int(mask.any(axis=-1).sum()))
    else:
        operations = [planned_read(array, settings.cells, at_most)]
    trains: tuple[PulseTrain | None, ...] = controller.trains
    if isinstance(controller, ModelPredictive):
        controller.refuse_unknown(array)
        trains = tuple(controller.strongest())
    for train in trains:
        if train is not None:
            operations.append(_planned(train, mask, settings.pulses_per_cell))
    for key in THRESHOLDS:
        refuse_unreadable(getattr(controller, key, None), array, key=f"algorithm.{key}")
    if array.cell == "1T1R" and any(t is not None and t.gate is None for t in trains):
        raise ConfigError("a 1T1R cell needs a gate in every train", key="algorithm")
    return Plan(
        operations,
        rows=rounds,
        by_group=True,
        pulses_per_cell=settings.pulses_per_cell,
        remark=remark,
    )


def _planned(train: PulseTrain, mask: BoolArray, at_most: int) -> PlannedOperation:
    gate_v = None if train.gate_steps is None else train.gate_steps.end_v
    end_v = train.amplitude_steps.end_v
    return PlannedOperation(pulse_of(mask, end_v, train.width_s, gate_v=gate_v), at_most)


PROGRAM_VERIFY = Step(
    name="program_verify",
    summary="Program cells to target conductances, verify each, and say what it cost",
    settings=ProgramVerifySettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.program_verify:figures",
    tables=tables,
)
