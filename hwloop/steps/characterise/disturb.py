"""Disturb test: change of unselected cells while others are pulsed, under the array's biasing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field
from typing_extensions import override

from hwloop.array.settings import ArraySettings
from hwloop.settings.model import Settings
from hwloop.settings.units import Count
from hwloop.steps.array import Array
from hwloop.steps.common.cells import Cells, chosen, conductance_s, planned_read
from hwloop.steps.common.pulses import Pulse, planned_pulse, pulse_of
from hwloop.steps.contract import Plan, Step
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import BoolArray, FloatArray


class DisturbSettings(Settings):
    """Settings of a disturb test.

    ``pulse`` is given to each of ``aggressors``, ``count`` times between two reads of the array, in
    ``rounds`` rounds. ``largest_change``: allowed change of a neighbour, as a fraction of its
    conductance.
    """

    aggressors: Cells
    pulse: Pulse
    count: Count = 1
    rounds: Count = 1
    largest_change: float = Field(default=0.1, gt=0)


@dataclass(frozen=True, eq=False)
class DisturbRow(Row):
    """Conductance of the whole array after a number of pulses on each aggressor."""

    pulses: int = column("1", "pulses that each aggressor has got in this step")
    conductance_s: FloatArray = column("S", "of every cell; (..., rows, cols)")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"pulses": self.pulses}


@dataclass(frozen=True, eq=False)
class DisturbFigures(Row):
    """Relative change of every cell from the first read to the last."""

    table: ClassVar[str] = "figures"

    change: FloatArray = column("1", "(last - first) / first; (..., rows, cols)")
    same_row: FloatArray = column("1", "largest |change| of those in an aggressor's row; (...)")
    same_col: FloatArray = column("1", "the same, in one's column and in no one's row; (...)")
    elsewhere: FloatArray = column("1", "the same, of the others; (...); NaN where there is none")


def run(settings: DisturbSettings, array: Array) -> Iterator[Yield]:
    """Read the whole array, then pulse the aggressors and read it again, round by round.

    Raises :class:`hwloop.errors.StepError` where a read failed.
    """
    mask = chosen(settings.aggressors, array.geometry.shape)
    every = np.ones(array.geometry.shape, dtype=np.bool_)
    pulse = pulse_of(
        mask,
        settings.pulse.amplitude_v,
        settings.pulse.width_s,
        gate_v=settings.pulse.gate_v,
        count=settings.count,
    )
    first_conductance_s = last_conductance_s = conductance_s(array, every, step="disturb")
    yield DisturbRow(pulses=0, conductance_s=first_conductance_s)
    for number in range(1, settings.rounds + 1):
        array.backend.pulse(pulse)
        last_conductance_s = conductance_s(array, every, step="disturb")
        yield DisturbRow(pulses=number * settings.count, conductance_s=last_conductance_s)
    found = _figures(first_conductance_s, last_conductance_s, mask)
    yield found
    yield _outcome(settings, found, array.settings.biasing)


def _figures(
    first_conductance_s: FloatArray, last_conductance_s: FloatArray, mask: BoolArray
) -> DisturbFigures:
    change = (last_conductance_s - first_conductance_s) / np.where(
        first_conductance_s != 0, first_conductance_s, np.nan
    )
    in_row = ~mask & mask.any(axis=1, keepdims=True)
    in_col = ~mask & ~in_row & mask.any(axis=0, keepdims=True)
    return DisturbFigures(
        change=change,
        same_row=_largest(change, in_row),
        same_col=_largest(change, in_col),
        elsewhere=_largest(change, ~mask & ~in_row & ~in_col),
    )


def _largest(change: FloatArray, mask: BoolArray) -> FloatArray:
    if not mask.any():
        return np.full(change.shape[:-2], np.nan)
    return np.asarray(np.abs(change[..., mask]).max(axis=-1))


def _outcome(settings: DisturbSettings, found: DisturbFigures, biasing: str) -> Outcome:
    worst = {
        place: float(np.max(values))
        for place, values in (
            ("in the row", found.same_row),
            ("in the column", found.same_col),
            ("elsewhere", found.elsewhere),
        )
        if np.isfinite(values).all()
    }
    parts = ", ".join(f"{value:.3g} {place}" for place, value in worst.items())
    return Outcome(
        all(value <= settings.largest_change for value in worst.values()),
        f"{biasing}, {settings.rounds * settings.count} pulses: largest relative change"
        f" {parts or 'of no neighbour'} (allowed: {settings.largest_change:g})",
    )


def plan(settings: DisturbSettings, array: ArraySettings) -> Plan:
    """Return the plan: the pulses of the aggressors, and reads of the whole array."""
    pulse = planned_pulse(
        array, settings.aggressors, settings.pulse, settings.rounds, count=settings.count
    )
    return Plan([planned_read(array, None, settings.rounds + 1), pulse], rows=settings.rounds + 1)


DISTURB = Step(
    name="disturb",
    summary="Change of the neighbours of pulsed cells under the array's biasing",
    settings=DisturbSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.disturb:figures",
)
