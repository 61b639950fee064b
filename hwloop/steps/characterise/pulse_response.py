"""Potentiation and depression: trains of equal or growing pulses, with a read after each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.array.settings import ArraySettings
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, PositiveSecond, PositiveVolt, Volt
from hwloop.steps.array import Array
from hwloop.steps.common.cells import Cells, conductance_s, filled, groups, planned_read
from hwloop.steps.common.pulses import Pulse, planned_pulse, pulse_of
from hwloop.steps.common.summaries import median_text, nonlinearity, ratio_or_nan
from hwloop.steps.contract import Plan, Step
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import BoolArray, FloatArray

_CONSTANTS = 400


class TrainSettings(Settings):
    """Pulses of one direction: amplitudes of the first pulse, widths, growth from pulse to pulse.

    ``amplitudes_v``, ``widths_s``: every combination is a condition. ``increment_v``: added to the
    amplitude after every pulse, signed as the amplitude; 0 for identical pulses.
    """

    amplitudes_v: tuple[Volt, ...] = Field(min_length=1)
    widths_s: tuple[PositiveSecond, ...] = Field(min_length=1)
    increment_v: Volt = 0.0
    gate_v: PositiveVolt | None = None

    def conditions(self) -> list[tuple[float, float]]:
        """Return (amplitude in volts, width in seconds) of each condition."""
        return list(product(self.amplitudes_v, self.widths_s))

    def pulse(self, condition: int, number: int) -> Pulse:
        """Return the pulse ``number``, counted from 1, of a condition."""
        amplitude_v, width_s = self.conditions()[condition]
        return Pulse(
            amplitude_v=amplitude_v + (number - 1) * self.increment_v,
            width_s=width_s,
            gate_v=self.gate_v,
        )

    @model_validator(mode="after")
    def _one_sign(self) -> TrainSettings:
        signs = {np.sign(v) for v in self.amplitudes_v}
        if 0 in signs or len(signs) > 1:
            raise ValueError("amplitudes_v must all be of one sign and none of them 0 V")
        if self.increment_v * self.amplitudes_v[0] < 0:
            raise ValueError(f"increment_v {self.increment_v:g} must have the sign of amplitudes_v")
        return self


class PulseResponseSettings(Settings):
    """Settings of a pulse response.

    ``up`` raises the conductance, ``down`` lowers it; ``pulses`` of each in a cycle.
    """

    up: TrainSettings
    down: TrainSettings
    pulses: Count
    cycles: Count = 1
    cells: Cells | None = None

    @model_validator(mode="after")
    def _pairs(self) -> PulseResponseSettings:
        up, down = len(self.up.conditions()), len(self.down.conditions())
        if up != down:
            raise ValueError(
                f"up has {up} combinations of amplitude and width, down has {down}: the n-th of"
                " one goes with the n-th of the other"
            )
        return self


@dataclass(frozen=True, eq=False)
class PulseRow(Row):
    """Conductance of the cells of a group after one pulse, or before the first."""

    group: int = column("1", "which group of cells, counted from 0")
    condition: int = column("1", "which amplitude and width, counted from 0")
    cycle: int = column("1", "counted from 1")
    direction: int = column("1", "1 up, -1 down")
    pulse: int = column("1", "pulses of this train so far; 0 is before the first")
    amplitude_v: float = column("V", "of the latest pulse; 0 before the first")
    width_s: float = column("s", "of the pulses of this condition")
    time_s: float = column("s", "end of the read on the array's clock")
    conductance_s: FloatArray = column("S", "NaN outside of the group; (..., rows, cols)")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {
            "condition": self.condition,
            "cycle": self.cycle,
            "pulse": self.direction * self.pulse,
        }


@dataclass(frozen=True, eq=False)
class ResponseRow(Row):
    """Response of each cell to a condition, from the mean of its cycles; maps (..., rows, cols)."""

    table: ClassVar[str] = "figures"

    condition: int = column("1", "which amplitude and width, counted from 0")
    direction: int = column("1", "1 up, -1 down")
    amplitude_v: float = column("V", "of the first pulse")
    width_s: float = column("s", "of the pulses")
    first_conductance_s: FloatArray = column("S", "conductance before the first pulse")
    last_conductance_s: FloatArray = column("S", "conductance after the last one")
    e_folding_pulses: FloatArray = column(
        "1", "nu of a least-squares G = a + b exp(-n/nu); NaN where the train is no such curve"
    )
    nonlinearity: FloatArray = column(
        "1", "largest distance from the straight line between both ends, over the range; signed"
    )
    asymmetry: FloatArray = column(
        "1", "mean |G_up(n) - G_down(N - n)| over the range of up: 0 where down retraces up"
    )
    step_sigma_conductance_s: FloatArray = column(
        "S", "scatter of the steps from cycle to cycle; NaN with one cycle"
    )


def run(settings: PulseResponseSettings, array: Array) -> Iterator[Yield]:
    """Cycle each group of cells through each condition, up and then down.

    Raises :class:`hwloop.errors.StepError` where a read failed.
    """
    shape = (*array.population, *array.geometry.shape)
    conditions = len(settings.up.conditions())
    seen = np.full((conditions, 2, settings.cycles, settings.pulses + 1, *shape), np.nan)
    for number, mask in enumerate(groups(array, settings.cells)):
        for row in _group(settings, array, number, mask):
            place = (row.condition, (1 - row.direction) // 2, row.cycle - 1, row.pulse)
            seen[place] = filled(seen[place], row.conductance_s, mask)
            yield row
    rows = [
        _response(settings, condition, direction, seen[condition])
        for condition in range(conditions)
        for direction in (1, -1)
    ]
    yield from rows
    yield _outcome(rows)


def _group(
    settings: PulseResponseSettings, array: Array, group: int, mask: BoolArray
) -> Iterator[PulseRow]:
    conditions = range(len(settings.up.conditions()))
    cycles = range(1, settings.cycles + 1)
    for condition, cycle, direction in product(conditions, cycles, (1, -1)):
        train = settings.up if direction > 0 else settings.down
        for number in range(settings.pulses + 1):
            pulse = train.pulse(condition, max(number, 1))
            if number:
                array.backend.pulse(
                    pulse_of(mask, pulse.amplitude_v, pulse.width_s, gate_v=pulse.gate_v)
                )
            yield PulseRow(
                group=group,
                condition=condition,
                cycle=cycle,
                direction=direction,
                pulse=number,
                amplitude_v=pulse.amplitude_v if number else 0.0,
                width_s=pulse.width_s,
                conductance_s=conductance_s(array, mask, step="pulse_response"),
                time_s=array.clock.now_s(),
            )


def _response(
    settings: PulseResponseSettings, condition: int, direction: int, seen_conductance_s: FloatArray
) -> ResponseRow:
    """Compute the response of one condition in one direction.

    ``seen_conductance_s``: conductances of this condition, (directions, cycles, pulses + 1, ...,
    rows, cols), siemens.
    """
    train = settings.up if direction > 0 else settings.down
    amplitude_v, width_s = train.conditions()[condition]
    mean_conductance_s = seen_conductance_s.mean(axis=1)
    path_conductance_s = mean_conductance_s[(1 - direction) // 2]
    steps_conductance_s = np.diff(seen_conductance_s[(1 - direction) // 2], axis=1)
    scatter_conductance_s = np.full(path_conductance_s.shape[1:], np.nan)
    if settings.cycles > 1:
        scatter_conductance_s = np.sqrt(steps_conductance_s.var(axis=0, ddof=1).mean(axis=0))
    return ResponseRow(
        condition=condition,
        direction=direction,
        amplitude_v=amplitude_v,
        width_s=width_s,
        first_conductance_s=path_conductance_s[0],
        last_conductance_s=path_conductance_s[-1],
        e_folding_pulses=e_folding_pulses(path_conductance_s),
        nonlinearity=nonlinearity(path_conductance_s),
        asymmetry=ratio_or_nan(
            np.abs(mean_conductance_s[0] - mean_conductance_s[1][::-1]).mean(axis=0),
            _range_conductance_s(mean_conductance_s[0]),
        ),
        step_sigma_conductance_s=scatter_conductance_s,
    )


def e_folding_pulses(path_conductance_s: FloatArray) -> FloatArray:
    """Fit a + b exp(-n/nu) to each cell of ``path_conductance_s``, (points, ...).

    Returns nu, (...), in pulses.

    Least squares, searched between a quarter of a pulse and 30 trains, on a logarithmic grid and
    then by a parabola through its best point; NaN where the best point is an end of the grid: the
    train is a straight line, a single jump, or bends away from saturation.
    """
    count = len(path_conductance_s)
    if count < 4:
        return np.full(path_conductance_s.shape[1:], np.nan)
    lines = (path_conductance_s - path_conductance_s.mean(axis=0)).reshape(count, -1)
    ln_nu = np.linspace(np.log(0.25), np.log(30 * count), _CONSTANTS)
    decay = np.exp(-np.arange(count)[None, :] / np.exp(ln_nu)[:, None])
    decay -= decay.mean(axis=1, keepdims=True)
    decay /= np.linalg.norm(decay, axis=1, keepdims=True)
    explained = (decay @ lines) ** 2
    best = explained.argmax(axis=0)
    inner = np.clip(best, 1, _CONSTANTS - 2)
    cells = np.arange(lines.shape[1])
    left, middle, right = (explained[inner + shift, cells] for shift in (-1, 0, 1))
    curvature = left - 2 * middle + right
    offset = ratio_or_nan(0.5 * (left - right), curvature)
    nu = np.exp(ln_nu[inner] + offset * (ln_nu[1] - ln_nu[0]))
    nu = np.where((best == inner) & (curvature < 0), nu, np.nan)
    found: FloatArray = nu.reshape(path_conductance_s.shape[1:])
    return found


def _range_conductance_s(path_conductance_s: FloatArray) -> FloatArray:
    span_conductance_s: FloatArray = np.abs(path_conductance_s[-1] - path_conductance_s[0])
    return span_conductance_s


def _outcome(rows: list[ResponseRow]) -> Outcome:
    up = next(row for row in rows if row.direction > 0)
    down = next(row for row in rows if row.direction < 0)
    risen_conductance_s, fallen_conductance_s = (
        up.last_conductance_s - up.first_conductance_s,
        down.first_conductance_s - down.last_conductance_s,
    )
    moved = bool(np.nanmedian(risen_conductance_s) > 0 and np.nanmedian(fallen_conductance_s) > 0)
    summary = (
        f"{len(rows) // 2} conditions; in the first, up {median_text(risen_conductance_s, 'S')},"
        f" down {median_text(fallen_conductance_s, 'S')},"
        f" nonlinearity up {np.nanmedian(up.nonlinearity):.2f},"
        f" down {np.nanmedian(down.nonlinearity):.2f},"
        f" asymmetry {np.nanmedian(up.asymmetry):.2f}"
    )
    return Outcome(
        moved, summary if moved else f"up does not raise or down does not lower: {summary}"
    )


def plan(settings: PulseResponseSettings, array: ArraySettings) -> Plan:
    """Return the plan: every pulse of every train, with reads before the first and after each."""
    conditions = len(settings.up.conditions())
    points = conditions * settings.cycles * 2 * (settings.pulses + 1)
    operations = [planned_read(array, settings.cells, points)]
    for train, condition in product((settings.up, settings.down), range(conditions)):
        # Growing pulses differ in amplitude, so each is planned; the last is the worst.
        numbers = range(1, settings.pulses + 1) if train.increment_v else (1,)
        each = settings.cycles * settings.pulses // len(numbers)
        operations += [
            planned_pulse(array, settings.cells, train.pulse(condition, number), each)
            for number in numbers
        ]
    return Plan(operations, rows=points, by_group=True)


PULSE_RESPONSE = Step(
    name="pulse_response",
    summary="Potentiation and depression by identical or incremental pulses, over a grid of them",
    settings=PulseResponseSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.pulse_response:figures",
)
