"""Cycles between two states with reads of both, for endurance and device statistics."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pydantic import model_validator
from typing_extensions import override

from hwloop.settings.model import Settings
from hwloop.settings.units import Count
from hwloop.steps.array import Array
from hwloop.steps.common.cells import Cells, conductance_s
from hwloop.steps.common.pulses import Pulse, pulse_of
from hwloop.steps.rows import Row, column
from hwloop.types import BoolArray, FloatArray


class TwoStates(Settings):
    """Settings of a cycle between two states.

    A cycle is ``pulses`` of ``up``, then ``pulses`` of ``down``. Unipolar cells take both of one
    sign: then the two differ in amplitude, width or gate.
    """

    up: Pulse
    down: Pulse
    pulses: Count = 1
    cells: Cells | None = None

    @model_validator(mode="after")
    def _different(self) -> TwoStates:
        if self.up == self.down:
            raise ValueError("up and down are the same pulse: no cell can go both ways by it")
        return self


@dataclass(frozen=True, eq=False)
class StateRow(Row):
    """Conductance of both states of a group of cells in one cycle."""

    group: int = column("1", "which group of cells, counted from 0")
    cycle: int = column("1", "counted from 1")
    high_conductance_s: FloatArray = column("S", "after the pulses up; NaN outside of the group")
    low_conductance_s: FloatArray = column("S", "after the pulses down; (..., rows, cols)")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"cycle": self.cycle}


def cycle_group(
    settings: TwoStates,
    array: Array,
    mask: BoolArray,
    *,
    group: int,
    cycles: int,
    read_at: Collection[int],
    step: str,
) -> Iterator[StateRow]:
    """Cycle the cells of ``mask`` and yield both states of the cycles in ``read_at``.

    Cycles are counted from 1. Raises :class:`hwloop.errors.StepError`, which names ``step``, where
    a read failed.
    """
    up, down = (
        pulse_of(mask, p.amplitude_v, p.width_s, gate_v=p.gate_v, count=settings.pulses)
        for p in (settings.up, settings.down)
    )
    for cycle in range(1, cycles + 1):
        array.backend.pulse(up)
        high_conductance_s = conductance_s(array, mask, step=step) if cycle in read_at else None
        array.backend.pulse(down)
        if high_conductance_s is not None:
            low_conductance_s = conductance_s(array, mask, step=step)
            yield StateRow(
                group=group,
                cycle=cycle,
                high_conductance_s=high_conductance_s,
                low_conductance_s=low_conductance_s,
            )
