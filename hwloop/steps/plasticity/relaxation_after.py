"""Relaxation after a train of pulses: the conductance at logarithmically spaced times.

Two laws are fitted: a stretched exponential, G∞ + A exp(−(t/τ)^β), and two states that decay
each by itself, G∞ + A₁ exp(−t/τ₁) + A₂ exp(−t/τ₂). Which of them the data prefer is said by the
difference of their AIC (H. Akaike, IEEE Trans. Autom. Control 19, 716 (1974)).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import model_validator
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.array.settings import ArraySettings
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, PerDecade, PositiveSecond, format_quantity
from hwloop.steps.array import Array
from hwloop.steps.common.cells import Cells, chosen, conductance_s, filled, groups, planned_read
from hwloop.steps.common.pulses import Pulse
from hwloop.steps.common.summaries import median_text
from hwloop.steps.contract import Plan, PlannedOperation, Step
from hwloop.steps.plasticity.decay_fit import (
    DecayFit,
    double_exponential,
    fit_decays,
    stretched_exponential,
)
from hwloop.steps.plasticity.rhythm import flat, planned_rests, says_groups
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import BoolArray, FloatArray

_SETTINGS = {"stretched": 5, "two": 6}  # fitted numbers of each law, the noise included


LATE = 0.1
"""Part of ``first_s`` by which the first read may end later without a word in the outcome."""


class RelaxationAfterSettings(Settings):
    """Settings of a relaxation test.

    ``pulse``: given ``count`` times, ``interval_s`` apart (left out: as the instrument chooses).
    The cells are read before it, and from ``first_s`` to ``last_s`` after it, ``per_decade`` times
    in each decade.
    """

    pulse: Pulse
    count: Count = 1
    interval_s: PositiveSecond | None = None
    first_s: PositiveSecond
    last_s: PositiveSecond
    per_decade: PerDecade = 10
    cells: Cells | None = None

    @model_validator(mode="after")
    def _ordered(self) -> RelaxationAfterSettings:
        if self.last_s <= self.first_s:
            raise ValueError(f"last_s {self.last_s:g} must be above first_s {self.first_s:g}")
        if self.interval_s is not None and self.count == 1:
            raise ValueError("interval_s is given, but count is 1: one pulse has no interval")
        return self

    def times_s(self) -> FloatArray:
        """Return the times of the reads, seconds after the train; at least three."""
        decades = np.log10(self.last_s / self.first_s)
        return np.geomspace(self.first_s, self.last_s, max(3, round(decades * self.per_decade) + 1))


@dataclass(frozen=True, eq=False)
class RelaxationRow(Row):
    """Conductance of a group of cells in one read."""

    group: int = column("1", "which group of cells, counted from 0")
    number: int = column("1", "which read after the train, counted from 0")
    time_s: float = column("s", "from the end of the train to the end of the read")
    conductance_s: FloatArray = column("S", "NaN outside of the group; (..., rows, cols)")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"time": f"{self.time_s:.3g} s"}


@dataclass(frozen=True, eq=False)
class RelaxationFigures(Row):
    """Decay of each cell; maps (..., rows, cols)."""

    table: ClassVar[str] = "figures"

    before_conductance_s: FloatArray = column("S", "before the train")
    settled_conductance_s: FloatArray = column("S", "G of G + A exp(-(t/tau)^beta), least squares")
    settled_error_conductance_s: FloatArray = column("S", "standard error of G")
    decay_conductance_s: FloatArray = column("S", "A of that fit")
    decay_error_conductance_s: FloatArray = column("S", "standard error of A")
    tau_s: FloatArray = column("s", "tau of that fit; NaN where the times do not determine it")
    tau_error_s: FloatArray = column("s", "standard error of tau")
    beta: FloatArray = column("1", "beta of that fit, 0.15 to 1; NaN with tau")
    beta_error: FloatArray = column("1", "standard error of beta")
    fast_conductance_s: FloatArray = column(
        "S", "A1 of G + A1 exp(-t/tau1) + A2 exp(-t/tau2); NaN where a time is not determined"
    )
    fast_tau_s: FloatArray = column("s", "tau1 of that fit")
    slow_conductance_s: FloatArray = column("S", "A2 of that fit")
    slow_tau_s: FloatArray = column("s", "tau2 of that fit")
    two_state_aic: FloatArray = column(
        "1", "AIC of two states less that of the stretched exponential: below 0, two states better"
    )


def run(settings: RelaxationAfterSettings, array: Array) -> Iterator[Yield]:
    """Pulse each group of cells, then wait and read at each time.

    A read that is late is done at once and recorded with its actual time. Raises
    :class:`hwloop.errors.StepError` where a read failed.
    """
    shape = (*array.population, *array.geometry.shape)
    due_s = settings.times_s()
    before_conductance_s = np.full(shape, np.nan)
    found: RelaxationFigures | None = None
    first_s: list[float] = []
    for number, mask in enumerate(groups(array, settings.cells)):
        own_conductance_s = conductance_s(array, mask, step="relaxation_after")
        before_conductance_s = filled(before_conductance_s, own_conductance_s, mask)
        array.backend.pulse(_train(settings, mask))
        rows = []
        for row in _reads(array, number, mask, due_s):
            rows.append(row)
            yield row
        first_s.append(rows[0].time_s)
        of_group = relaxation_figures(
            np.array([row.time_s for row in rows]),
            np.stack([row.conductance_s for row in rows]),
            before_conductance_s,
        )
        found = of_group if found is None else _merged(found, of_group, mask)
    if found is not None:
        yield found
        yield _outcome(settings, found, max(first_s))


def _train(settings: RelaxationAfterSettings, mask: BoolArray) -> PulseMap:
    pulse = settings.pulse
    amplitude_v = np.where(mask, pulse.amplitude_v, 0.0)
    return PulseMap(amplitude_v, pulse.width_s, settings.count, pulse.gate_v, settings.interval_s)


def _reads(array: Array, group: int, mask: BoolArray, due_s: FloatArray) -> Iterator[RelaxationRow]:
    began_s = array.clock.now_s()
    for number, at_s in enumerate(due_s):
        left_s = began_s + float(at_s) - array.clock.now_s()
        if left_s > 0:
            array.clock.sleep(left_s)
        seen_conductance_s = conductance_s(array, mask, step="relaxation_after")
        yield RelaxationRow(
            group=group,
            number=number,
            time_s=array.clock.now_s() - began_s,
            conductance_s=seen_conductance_s,
        )


def _merged(
    found: RelaxationFigures, of_group: RelaxationFigures, mask: BoolArray
) -> RelaxationFigures:
    """Return the figures with those of the cells of ``mask`` from a group."""
    columns, others = found.columns(), of_group.columns()
    return RelaxationFigures(
        **{name: np.where(mask, others[name], columns[name]) for name in columns}
    )


def relaxation_figures(
    times_s: FloatArray, seen_conductance_s: FloatArray, before_conductance_s: FloatArray
) -> RelaxationFigures:
    """Fit both laws to each cell; NaN for cells that were not read.

    ``times_s``: (reads,), seconds. ``seen_conductance_s``: (reads, ..., rows, cols), siemens.
    """
    shape, values = seen_conductance_s.shape[1:], flat(seen_conductance_s)
    one = fit_decays(stretched_exponential(times_s), times_s, values)
    two = _sorted(fit_decays(double_exponential(times_s), times_s, values))
    unknown = np.isnan(one.settings[0])
    points = times_s.size
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = points * (np.log(two.squares) - np.log(one.squares))
    aic = gain + 2 * (_SETTINGS["two"] - _SETTINGS["stretched"])
    return RelaxationFigures(
        before_conductance_s=before_conductance_s,
        **{
            name: np.asarray(value).reshape(shape)
            for name, value in {
                "settled_conductance_s": one.factors[0],
                "settled_error_conductance_s": one.factor_errors[0],
                "decay_conductance_s": one.factors[1],
                "decay_error_conductance_s": one.factor_errors[1],
                "tau_s": one.settings[0],
                "tau_error_s": one.setting_errors[0],
                "beta": np.where(unknown, np.nan, one.settings[1]),
                "beta_error": np.where(unknown, np.nan, one.setting_errors[1]),
                "fast_conductance_s": two.factors[1],
                "fast_tau_s": two.settings[0],
                "slow_conductance_s": two.factors[2],
                "slow_tau_s": two.settings[1],
                "two_state_aic": np.where(np.isfinite(aic), aic, np.nan),
            }.items()
        },
    )


def _sorted(two: DecayFit) -> DecayFit:
    """Return a fit of two states with the faster first, NaN where a time is not determined."""
    swap = two.settings[0] > two.settings[1]
    known = np.isfinite(two.settings).all(axis=0)
    settings = np.where(known, np.where(swap, two.settings[::-1], two.settings), np.nan)
    decays = np.where(swap, two.factors[:0:-1], two.factors[1:])
    factors = np.where(known, np.vstack([two.factors[:1], decays]), np.nan)
    return DecayFit(settings, two.setting_errors, factors, two.factor_errors, two.squares)


def _outcome(
    settings: RelaxationAfterSettings, found: RelaxationFigures, first_s: float
) -> Outcome:
    """Return the outcome; ``first_s``: at which the latest of the first reads ended."""
    known = np.isfinite(found.settled_conductance_s)
    fitted = known & np.isfinite(found.tau_s)
    return Outcome(
        bool(fitted.any()),
        f"tau of {int(fitted.sum())} of {int(known.sum())} cells: {median_text(found.tau_s, 's')},"
        f" beta {median_text(found.beta, '')}; of it relaxes"
        f" {median_text(found.decay_conductance_s, 'S')}{_late_text(settings, first_s)}",
    )


def _late_text(settings: RelaxationAfterSettings, first_s: float) -> str:
    if first_s <= (1 + LATE) * settings.first_s:
        return ""
    return (
        f"; first_s {format_quantity(settings.first_s, 's')} was missed: the first read ended"
        f" {format_quantity(first_s, 's')} after the train"
    )


def plan(settings: RelaxationAfterSettings, array: ArraySettings) -> Plan:
    """Return the plan: the train, the waits, and the reads."""
    times_s = settings.times_s()
    waits = [
        planned_rests(array, settings.cells, float(wait_s), 1)
        for wait_s in np.diff(times_s, prepend=0.0)
    ]
    train = _train(settings, chosen(settings.cells, array.geometry.shape))
    reads = planned_read(array, settings.cells, 1 + len(times_s))
    return Plan(
        [reads, PlannedOperation(train, 1), *waits],
        rows=len(times_s),
        by_group=True,
        remark=says_groups("the waits", settings.cells),
    )


RELAXATION_AFTER = Step(
    name="relaxation_after",
    summary="Decay of the conductance after a train of pulses, on a logarithmic scale of time",
    settings=RelaxationAfterSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.plasticity.relaxation_after:figures",
    libraries=("scipy.optimize",),
)
