"""Set cells to conductances without a pulse, on an array that can: the emulator.

No hardware can do this: a bench refuses the step before anything runs. It stands in for a
programming that would only cost time where a study begins with given conductances; non-idealities
that limit or disturb a state act on what the cells are set to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from typing_extensions import override

from hwloop.array.operations import Hold
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import Description
from hwloop.errors import StepError
from hwloop.settings.model import Settings
from hwloop.settings.units import format_quantity
from hwloop.steps.array import Array
from hwloop.steps.common.cells import conductance_s, planned_read
from hwloop.steps.contract import Foreseen, Plan, PlannedOperation, Step
from hwloop.steps.program.target_settings import StepTarget, Target
from hwloop.steps.program.targets import (
    planned_mask,
    refuse_misfit,
    refuse_unusable,
    refuse_unusable_targets,
    target_map,
)
from hwloop.steps.rows import Outcome, Row, Yield, blank_row, column
from hwloop.types import FloatArray


class HoldConductancesSettings(Settings):
    """Settings of cells that are set; ``target``: their conductances, as of program_verify."""

    target: Target = StepTarget(kind="step")


@dataclass(frozen=True, eq=False)
class HeldRow(Row):
    """Conductances as asked for, and as read back; (...) is the population."""

    target_conductance_s: FloatArray = column("S", "asked for; NaN: left alone; (..., rows, cols)")
    conductance_s: FloatArray = column("S", "read back; (..., rows, cols)")
    rms_deviation_conductance_s: FloatArray = column(
        "S", "rms of read back - asked for, over the cells that were set; (...)"
    )

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"rms deviation (uS)": float(np.mean(self.rms_deviation_conductance_s)) * 1e6}


def run(settings: HoldConductancesSettings, array: Array) -> Iterator[Yield]:
    """Set the cells, and read every cell back.

    Raises :class:`StepError` where no cell has a target, or one could not be read.
    """
    shape = array.backend.description.shape
    target_conductance_s, _ = target_map(
        settings.target, shape=shape, rng=array.rng, earlier=array.earlier
    )
    refuse_unusable_targets(target_conductance_s, None, array.settings)
    addressed = np.isfinite(target_conductance_s)
    if not addressed.any():
        raise StepError("hold_conductances: no cell has a target")
    array.backend.hold(Hold(target_conductance_s, addressed))
    mask = np.ones(array.geometry.shape, dtype=np.bool_)
    found_conductance_s = conductance_s(array, mask, step="hold_conductances")
    squares_s2 = np.square(found_conductance_s - target_conductance_s)
    axes = (-2, -1) if array.settings.tiles == 1 else (-3, -2, -1)  # a tile may have no target
    rms_conductance_s = np.sqrt(np.nanmean(squares_s2, axis=axes))
    yield HeldRow(
        target_conductance_s=target_conductance_s,
        conductance_s=found_conductance_s,
        rms_deviation_conductance_s=np.asarray(rms_conductance_s),
    )
    rms = format_quantity(float(np.sqrt(np.nanmean(squares_s2))), "S", digits=3)
    yield Outcome(
        True,
        f"{int(addressed.sum())} cells set without a pulse, which only emulated cells can be;"
        f" read back within {rms} (rms)",
    )


def plan(settings: HoldConductancesSettings, array: ArraySettings) -> Plan:
    """Return the plan: the cells set once, and one read of the array."""
    shape = array.geometry.shape
    refuse_misfit(settings.target, None, array.range, shape)
    refuse_unusable(settings.target, None, None, array)
    addressed = planned_mask(settings.target, shape)
    hold = Hold(np.zeros(shape), addressed)
    operations = [PlannedOperation(hold, 1), planned_read(array, None, 1)]
    return Plan(operations, rows=1, foreseen=partial(_foreseen, array.tiles))


def _foreseen(tiles: int, description: Description) -> Foreseen:
    map_conductance_s = np.broadcast_to(0.0, description.shape)
    outer = description.population[:-1] if tiles > 1 else description.population
    row = blank_row(
        HeldRow,
        target_conductance_s=map_conductance_s,
        conductance_s=map_conductance_s,
        rms_deviation_conductance_s=np.zeros(outer),
    )
    return Foreseen([], [(row, 1)])


HOLD_CONDUCTANCES = Step(
    name="hold_conductances",
    summary="Set emulated cells to conductances without pulses; a bench refuses it",
    settings=HoldConductancesSettings,
    run=run,
    plan=plan,
)
