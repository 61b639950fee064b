"""I–V sweeps: a staircase of pulses, each followed by a read; or of direct current readings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.array.operations import ReadMap, limited
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, NegativeVolt, PositiveSecond, PositiveVolt, Volt
from hwloop.steps.array import Array
from hwloop.steps.common.cells import (
    Cells,
    chosen,
    filled,
    groups,
    measured_a,
    planned_read,
    read_of,
)
from hwloop.steps.common.pulses import pulse_of, steps_within
from hwloop.steps.common.summaries import crossing_v, median_text
from hwloop.steps.common.windows import chance_and_level, stands_out
from hwloop.steps.contract import Plan, PlannedOperation, Step
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import BoolArray, FloatArray

Mode = Literal["pulsed", "direct"]


class IvSweepSettings(Settings):
    """Settings of an I–V sweep: a cycle goes 0 → ``positive_v`` → ``negative_v`` → 0 by ``step_v``.

    One of the two may be 0 V: a sweep of one polarity, as for unipolar cells.

    ``mode``: ``pulsed`` gives a pulse of ``width_s`` at each level and then reads at the read
    voltage; ``direct`` reads the current at the level itself, within limits.read_v. ``gate_v``:
    gate voltage of the pulses (1T1R).
    """

    positive_v: Annotated[Volt, Field(ge=0)]
    negative_v: NegativeVolt
    step_v: PositiveVolt
    mode: Mode = "pulsed"
    width_s: PositiveSecond | None = None
    gate_v: PositiveVolt | None = None
    cycles: Count = 1
    cells: Cells | None = None

    @model_validator(mode="after")
    def _consistent(self) -> IvSweepSettings:
        if (self.mode == "pulsed") != (self.width_s is not None):
            raise ValueError("width_s goes with mode pulsed, and only with it")
        if self.mode == "direct" and self.gate_v is not None:
            raise ValueError("gate_v is of pulses; direct reads take array.read.gate_v")
        if not self.positive_v and not self.negative_v:
            raise ValueError("positive_v and negative_v are both 0 V: there is no level")
        if self.step_v > min(v for v in (self.positive_v, -self.negative_v) if v):
            raise ValueError(f"step_v {self.step_v:g} is larger than the sweep")
        steps_within(self.positive_v - self.negative_v, self.step_v)
        return self

    def levels_v(self) -> list[float]:
        """Return the levels of one cycle, volts: both ends included, 0 V left out."""
        up, down = _ramp(self.positive_v, self.step_v), _ramp(-self.negative_v, self.step_v)
        negative = [-v for v in down]
        return [*up, *up[-2::-1], *negative, *negative[-2::-1]]


def _ramp(end_v: float, step_v: float) -> list[float]:
    """Return step, 2 step, … up to and including the end; no level if the end is 0 V."""
    whole = steps_within(end_v, step_v)
    # Rounded to a nanovolt, so that 3 · 0.1 V is 0.3 V and does not exceed a limit of 0.3 V.
    ramp = [round(n * step_v, 9) for n in range(1, whole + 1)]
    return ramp if not ramp or np.isclose(ramp[-1], end_v) else [*ramp, end_v]


@dataclass(frozen=True, eq=False)
class SweepRow(Row):
    """Currents and conductances of a group at one level of the sweep."""

    group: int = column("1", "which group of cells, counted from 0")
    cycle: int = column("1", "counted from 1")
    point: int = column("1", "level of the cycle, counted from 0")
    level_v: float = column("V", "of the pulse, or of the direct read")
    current_a: FloatArray = column(
        "A", "at the read voltage after the pulse, or at the level; (..., rows, cols)"
    )
    conductance_s: FloatArray = column("S", "of that current at its voltage; (..., rows, cols)")
    time_s: float = column("s", "end of the read on the array's clock")
    limited: BoolArray = column(
        "1", "where compliance kept the pulse from its cell; (..., rows, cols)"
    )

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"cycle": self.cycle, "level": f"{self.level_v:g} V"}


@dataclass(frozen=True, eq=False)
class SweepFigures(Row):
    """Window and switching voltages of each cell in one cycle; maps (..., rows, cols)."""

    table: ClassVar[str] = "figures"

    cycle: int = column("1", "counted from 1")
    low_conductance_s: FloatArray = column("S", "lowest conductance of the cycle")
    high_conductance_s: FloatArray = column("S", "highest conductance of the cycle")
    chance: FloatArray = column(
        "1", "bound on the probability that scatter alone shows such a window; NaN: not swept"
    )
    set_v: FloatArray = column(
        "V",
        "level at which G first rises through sqrt(low high), between levels; NaN: never, no"
        " window that stands out of the scatter, or compliance cut the pulse before already",
    )
    reset_v: FloatArray = column("V", "level at which G first falls through it; NaN: as for set_v")


def run(settings: IvSweepSettings, array: Array) -> Iterator[Yield]:
    """Sweep each group of cells ``cycles`` times and yield a row for each level.

    Raises :class:`hwloop.errors.StepError` where a read failed.
    """
    levels_v = settings.levels_v()
    shape = (*array.population, *array.geometry.shape)
    seen = np.full((settings.cycles, len(levels_v), *shape), np.nan)
    cut = np.zeros(seen.shape, dtype=np.bool_)
    for group, mask in enumerate(groups(array, settings.cells)):
        for cycle in range(1, settings.cycles + 1):
            for point, level_v in enumerate(levels_v):
                current_a, at_s, cut_now = _point(settings, array, mask, level_v)
                cut[cycle - 1, point] |= cut_now
                seen[cycle - 1, point] = filled(seen[cycle - 1, point], at_s, mask)
                yield SweepRow(
                    group=group,
                    cycle=cycle,
                    point=point,
                    level_v=level_v,
                    current_a=current_a,
                    conductance_s=at_s,
                    time_s=array.clock.now_s(),
                    limited=cut_now,
                )
    rows = [
        sweep_figures(n + 1, np.array(levels_v), values, mode=settings.mode, cut=cut[n])
        for n, values in enumerate(seen)
    ]
    yield from rows
    yield _outcome(settings, rows)


def _point(
    settings: IvSweepSettings, array: Array, mask: BoolArray, level_v: float
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Apply one level; return current, conductance, and where the pulse was limited.

    Amperes, siemens and a mask, (..., rows, cols).
    """
    if settings.width_s is None:
        reading = array.backend.read(ReadMap(mask, level_v))
        current_a = measured_a(reading, step="iv_sweep")
        return current_a, array.conductance_s(reading, level_v), np.zeros(current_a.shape, np.bool_)
    pulse = pulse_of(mask, level_v, settings.width_s, gate_v=settings.gate_v)
    cut = limited(array.backend.pulse(pulse))
    reading = array.backend.read(read_of(array.settings, mask))
    return measured_a(reading, step="iv_sweep"), array.conductance_s(reading), cut


def sweep_figures(
    cycle: int,
    levels_v: FloatArray,
    seen_conductance_s: FloatArray,
    *,
    mode: Mode = "pulsed",
    cut: BoolArray | None = None,
) -> SweepFigures:
    """Compute the figures of one cycle.

    ``seen_conductance_s``: (levels, ..., rows, cols), siemens. ``mode``: in ``direct`` the scatter
    may be that of the current, so that the conductance scatters by the inverse of the level, or
    may not: the window has to stand out of either. ``cut``: where compliance cut the pulse; a
    cell that switches after such a one did not see its level, which is no voltage of switching.
    """
    low_conductance_s, high_conductance_s = (
        seen_conductance_s.min(axis=0),
        seen_conductance_s.max(axis=0),
    )
    chance, ln = chance_and_level(levels_v, seen_conductance_s, direct=mode == "direct")
    switches = stands_out(chance)
    return SweepFigures(
        cycle=cycle,
        low_conductance_s=low_conductance_s,
        high_conductance_s=high_conductance_s,
        chance=chance,
        set_v=np.where(switches & ~_cut_before(ln, cut), crossing_v(levels_v, ln), np.nan),
        reset_v=np.where(switches & ~_cut_before(-ln, cut), crossing_v(levels_v, -ln), np.nan),
    )


def _cut_before(ln: FloatArray, cut: BoolArray | None) -> BoolArray:
    """Return where the last pulse before ``ln`` first rises through 0 was limited, (...).

    The one at which a cell turns on may be: then it draws the current that compliance limits.
    """
    rising = (ln[:-1] < 0) & (ln[1:] >= 0)
    if cut is None:
        return np.zeros(rising.shape[1:], np.bool_)
    first = rising.argmax(axis=0)[None]
    before: BoolArray = np.take_along_axis(cut, first, axis=0)[0] & rising.any(axis=0)
    return before


def _outcome(settings: IvSweepSettings, rows: list[SweepFigures]) -> Outcome:
    set_v, reset_v = (np.stack([getattr(r, n) for r in rows]) for n in ("set_v", "reset_v"))
    low_conductance_s, high_conductance_s = rows[-1].low_conductance_s, rows[-1].high_conductance_s
    window = np.nanmedian(
        high_conductance_s / np.where(low_conductance_s > 0, low_conductance_s, np.nan)
    )
    chance = rows[-1].chance
    summary = (
        f"{settings.cycles} cycles, window {window:.3g} in the last, beyond the scatter of"
        f" {int(stands_out(chance).sum())} of {int(np.isfinite(chance).sum())} cells"
    )
    switched = bool(np.isfinite(set_v).any() and np.isfinite(reset_v).any())
    if switched:
        summary += f", set {median_text(set_v, 'V')}, reset {median_text(reset_v, 'V')}"
    elif settings.mode == "pulsed":
        summary += ": no cell both set and reset"
    return Outcome(switched or settings.mode == "direct", summary)


def plan(settings: IvSweepSettings, array: ArraySettings) -> Plan:
    """Return the plan: each level of each cycle."""
    levels_v = settings.levels_v()
    mask = chosen(settings.cells, array.geometry.shape)
    points = len(levels_v) * settings.cycles
    if settings.width_s is None:
        _check_direct(settings, array)
        operations = [PlannedOperation(ReadMap(mask, v), settings.cycles) for v in levels_v]
        return Plan(operations, rows=points, by_group=True)
    pulses = [
        PlannedOperation(
            pulse_of(mask, v, settings.width_s, gate_v=settings.gate_v), settings.cycles
        )
        for v in levels_v
    ]
    reads = planned_read(array, settings.cells, points)
    return Plan([reads, *pulses], rows=points, by_group=True)


def _check_direct(settings: IvSweepSettings, array: ArraySettings) -> None:
    for key in ("positive_v", "negative_v"):
        if abs(getattr(settings, key)) > array.limits.read_v:
            raise ConfigError(
                f"{getattr(settings, key):g}: a direct sweep stays within limits.read_v"
                f" {array.limits.read_v:g}; beyond it, use mode pulsed",
                key=key,
            )


IV_SWEEP = Step(
    name="iv_sweep",
    summary="I–V cycles, pulsed or direct, with set and reset voltages",
    settings=IvSweepSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.iv_sweep:figures",
    measured="hwloop.recordings.of_steps:direct_sweeps",
    libraries=("scipy.special",),
)
