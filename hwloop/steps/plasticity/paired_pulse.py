"""Paired-pulse facilitation: the response to the second of two equal pulses against the interval.

The response to a pulse is the change of conductance from just before it to the first read after it.
A trial gives one pulse alone and, after a rest, two pulses an interval apart; the index is the
change after both over the change after the single one (R. S. Zucker, W. G. Regehr, Annu. Rev.
Physiol. 64, 355 (2002), who measure the second response from the same rest).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.array.settings import ArraySettings
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, PositiveSecond
from hwloop.steps.array import Array
from hwloop.steps.common.cells import Cells, chosen, conductance_s, filled, groups, planned_read
from hwloop.steps.common.pulses import Pulse, planned_pulse
from hwloop.steps.common.summaries import median_text
from hwloop.steps.contract import Plan, PlannedOperation, Step
from hwloop.steps.plasticity.decay_fit import double_exponential, exponential, fit_decays
from hwloop.steps.plasticity.rhythm import flat, planned_rests, says_groups
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import BoolArray, FloatArray


class PairedPulseSettings(Settings):
    """Settings of a paired-pulse test.

    ``pulse``: both of a pair. ``intervals_s``: from the end of the first to the begin of the
    second, made by the instrument. ``rest_s``: before every single pulse and pair, in which the
    cell relaxes. ``repeats``: trials of each interval.
    """

    pulse: Pulse
    intervals_s: tuple[PositiveSecond, ...] = Field(min_length=1)
    rest_s: PositiveSecond
    repeats: Count = 1
    cells: Cells | None = None


@dataclass(frozen=True, eq=False)
class PairedPulseRow(Row):
    """One trial of a group of cells: conductances (..., rows, cols), NaN outside of the group."""

    group: int = column("1", "which group of cells, counted from 0")
    repeat: int = column("1", "counted from 1")
    interval_s: float = column("s", "between the pulses of the pair")
    time_s: float = column("s", "end of the trial on the array's clock")
    read_after_s: float = column("s", "from the end of the single pulse to the end of its read")
    before_conductance_s: FloatArray = column("S", "before the single pulse")
    single_conductance_s: FloatArray = column("S", "after the single pulse")
    between_conductance_s: FloatArray = column("S", "after a rest, before the pair")
    pair_conductance_s: FloatArray = column("S", "after the pair")
    settled_conductance_s: FloatArray = column("S", "after another rest")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"interval": f"{self.interval_s:.3g} s", "repeat": self.repeat}


@dataclass(frozen=True, eq=False)
class FacilitationRow(Row):
    """Facilitation at one interval, the mean of the trials."""

    table: ClassVar[str] = "facilitation"

    interval_s: float = column("s", "between the pulses of the pair")
    facilitation: FloatArray = column(
        "1", "change after the pair over change after one pulse; (..., rows, cols)"
    )
    volatile: FloatArray = column(
        "1", "what relaxes after the pair over what relaxes after one pulse; (..., rows, cols)"
    )


@dataclass(frozen=True, eq=False)
class FacilitationFigures(Row):
    """Fits of facilitation against the interval; maps (..., rows, cols)."""

    table: ClassVar[str] = "figures"

    lasting: FloatArray = column(
        "1", "c of c + A exp(-interval/tau), least squares: 1 where nothing of a pulse lasts"
    )
    lasting_error: FloatArray = column("1", "standard error of c")
    amplitude: FloatArray = column("1", "A of that fit")
    amplitude_error: FloatArray = column("1", "standard error of A")
    tau_s: FloatArray = column("s", "tau of that fit; NaN where the intervals do not determine it")
    tau_error_s: FloatArray = column("s", "standard error of tau")
    fast_amplitude: float = column(
        "1", "C1 of c + C1 exp(-interval/tau1) + C2 exp(-interval/tau2), of the mean over cells"
    )
    fast_tau_s: float = column("s", "tau1 of that fit; NaN where the intervals do not determine it")
    slow_amplitude: float = column("1", "C2 of that fit")
    slow_tau_s: float = column("s", "tau2 of that fit")


def run(settings: PairedPulseSettings, array: Array) -> Iterator[Yield]:
    """Give each group of cells a single pulse and a pair at each interval, with rests between.

    Raises :class:`hwloop.errors.StepError` where a read failed.
    """
    shape = (*array.population, *array.geometry.shape)
    seen = np.full((2, settings.repeats, len(settings.intervals_s), *shape), np.nan)
    for number, mask in enumerate(groups(array, settings.cells)):
        for place, row in _group(settings, array, number, mask):
            for index, of in enumerate((facilitation, volatile_facilitation)):
                seen[index][place] = filled(seen[index][place], of(row), mask)
            yield row
    mean, volatile = seen.mean(axis=1)
    for interval_s, whole, own in zip(settings.intervals_s, mean, volatile, strict=True):
        yield FacilitationRow(interval_s=interval_s, facilitation=whole, volatile=own)
    found = facilitation_figures(np.array(settings.intervals_s), mean)
    yield found
    yield _outcome(settings, mean, found)


def _group(
    settings: PairedPulseSettings, array: Array, group: int, mask: BoolArray
) -> Iterator[tuple[tuple[int, int], PairedPulseRow]]:
    def read() -> FloatArray:
        return conductance_s(array, mask, step="paired_pulse")

    single = _pulse(settings, mask, None)
    array.clock.sleep(settings.rest_s)
    settled_conductance_s = read()
    for repeat in range(settings.repeats):
        for index, interval_s in enumerate(settings.intervals_s):
            before_conductance_s = settled_conductance_s
            array.backend.pulse(single)
            pulsed_s = array.clock.now_s()
            single_conductance_s = read()
            read_after_s = array.clock.now_s() - pulsed_s
            array.clock.sleep(settings.rest_s)
            between_conductance_s = read()
            array.backend.pulse(_pulse(settings, mask, interval_s))
            pair_conductance_s = read()
            array.clock.sleep(settings.rest_s)
            settled_conductance_s = read()
            yield (
                (repeat, index),
                PairedPulseRow(
                    group=group,
                    repeat=repeat + 1,
                    interval_s=interval_s,
                    time_s=array.clock.now_s(),
                    read_after_s=read_after_s,
                    before_conductance_s=before_conductance_s,
                    single_conductance_s=single_conductance_s,
                    between_conductance_s=between_conductance_s,
                    pair_conductance_s=pair_conductance_s,
                    settled_conductance_s=settled_conductance_s,
                ),
            )


def _pulse(settings: PairedPulseSettings, mask: BoolArray, interval_s: float | None) -> PulseMap:
    pulse = settings.pulse
    amplitude_v = np.where(mask, pulse.amplitude_v, 0.0)
    count = 1 if interval_s is None else 2
    return PulseMap(amplitude_v, pulse.width_s, count, pulse.gate_v, interval_s)


def facilitation(row: PairedPulseRow) -> FloatArray:
    """Return the change after the pair over that after one pulse; NaN where one changes nothing."""
    alone = row.single_conductance_s - row.before_conductance_s
    both = row.pair_conductance_s - row.between_conductance_s
    index: FloatArray = np.full(both.shape, np.nan)
    return np.divide(both, alone, out=index, where=alone != 0)


def volatile_facilitation(row: PairedPulseRow) -> FloatArray:
    """Return what relaxes after the pair over what relaxes after one pulse; NaN where nothing does.

    Of a volatile part that decays as one exponential it does not depend on when the read comes.
    """
    alone = row.single_conductance_s - row.between_conductance_s
    both = row.pair_conductance_s - row.settled_conductance_s
    index: FloatArray = np.full(both.shape, np.nan)
    return np.divide(both, alone, out=index, where=alone != 0)


def facilitation_figures(intervals_s: FloatArray, mean: FloatArray) -> FacilitationFigures:
    """Fit each cell by an exponential and a constant, and the mean over cells by two of them.

    ``intervals_s``: (intervals,). ``mean``: facilitation, (intervals, ..., rows, cols).
    """
    values, shape = flat(mean), mean.shape[1:]
    one = fit_decays(exponential(intervals_s), intervals_s, values)
    known = values[:, np.isfinite(values).all(axis=0)]
    average = known.mean(axis=1, keepdims=True) if known.size else values[:, :1]
    two = fit_decays(double_exponential(intervals_s), intervals_s, average)
    settled = np.isfinite(two.settings[:, 0]).all()
    amplitudes = two.factors[1:, 0] if settled else np.full(2, np.nan)
    taus_s = two.settings[:, 0] if settled else np.full(2, np.nan)
    order = np.argsort(taus_s)
    return FacilitationFigures(
        lasting=one.factors[0].reshape(shape),
        lasting_error=one.factor_errors[0].reshape(shape),
        amplitude=one.factors[1].reshape(shape),
        amplitude_error=one.factor_errors[1].reshape(shape),
        tau_s=one.settings[0].reshape(shape),
        tau_error_s=one.setting_errors[0].reshape(shape),
        fast_amplitude=float(amplitudes[order[0]]),
        fast_tau_s=float(taus_s[order[0]]),
        slow_amplitude=float(amplitudes[order[1]]),
        slow_tau_s=float(taus_s[order[1]]),
    )


def _outcome(
    settings: PairedPulseSettings, mean: FloatArray, found: FacilitationFigures
) -> Outcome:
    at_first = mean[int(np.argmin(settings.intervals_s))]
    known, fitted = np.isfinite(at_first), np.isfinite(found.tau_s)
    return Outcome(
        bool(known.any()),
        f"facilitation at {min(settings.intervals_s):.3g} s: {median_text(at_first, '')};"
        f" tau of {int(fitted.sum())} of {int(known.sum())} cells:"
        f" {median_text(found.tau_s, 's')}",
    )


def plan(settings: PairedPulseSettings, array: ArraySettings) -> Plan:
    """Return the plan: single pulses, pairs, rests and reads."""
    trials = settings.repeats * len(settings.intervals_s)
    mask = chosen(settings.cells, array.geometry.shape)
    pairs = [
        PlannedOperation(_pulse(settings, mask, interval_s), settings.repeats)
        for interval_s in settings.intervals_s
    ]
    return Plan(
        [
            planned_read(array, settings.cells, 1 + 4 * trials),
            planned_pulse(array, settings.cells, settings.pulse, trials),
            *pairs,
            planned_rests(array, settings.cells, settings.rest_s, 1 + 2 * trials),
        ],
        rows=trials,
        by_group=True,
        remark=says_groups("the rests", settings.cells),
    )


PAIRED_PULSE = Step(
    name="paired_pulse",
    summary="Facilitation of the second of two equal pulses against the interval between them",
    settings=PairedPulseSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.plasticity.paired_pulse:figures",
    libraries=("scipy.optimize",),
)
