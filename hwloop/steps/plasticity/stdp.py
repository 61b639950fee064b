"""Spike-timing-dependent plasticity: what a pair of pulses leaves, against their time difference.

The row's side gives the pulse ``pre``, the column's the pulse ``post``; each is the voltage that
the cell sees. Δt > 0: ``pre`` first. The lasting change Δg/g on either side is fitted by the window
A± · exp(−|Δt|/τ±) (G. Q. Bi, M. M. Poo, J. Neurosci. 18, 10464 (1998)) and a constant: what two
pulses that are not of equal effect leave however far apart they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.array.operations import PulsePair
from hwloop.array.settings import ArraySettings
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, PositiveSecond
from hwloop.steps.array import Array
from hwloop.steps.common.cells import Cells, chosen, conductance_s, filled, groups, planned_read
from hwloop.steps.common.pulses import Pulse
from hwloop.steps.common.summaries import median_text
from hwloop.steps.contract import Plan, PlannedOperation, Step
from hwloop.steps.plasticity.decay_fit import exponential, fit_decays
from hwloop.steps.plasticity.rhythm import flat, planned_rests, says_groups
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import BoolArray, FloatArray


class StdpSettings(Settings):
    """Settings of a test of spike timing.

    ``pre``, ``post``: the two pulses at the cell. ``delays_s``: from the end of one to the begin of
    the other, made by the instrument; each is tried in both orders. ``pairs``: given in a trial.
    ``rest_s``: after each pair, in which what does not last relaxes. ``repeats``: trials of each
    delay and order. ``order`` of the trials: at random anew in each repeat, by the run's seed;
    interleaved, short and long delays by turns and every second repeat backwards, in which a steady
    drift cancels; or as given.
    """

    pre: Pulse
    post: Pulse
    delays_s: tuple[PositiveSecond, ...] = Field(min_length=1)
    rest_s: PositiveSecond
    pairs: Count = 1
    repeats: Count = 1
    order: Literal["random", "interleaved", "given"] = "random"
    cells: Cells | None = None

    @model_validator(mode="after")
    def _one_gate(self) -> StdpSettings:
        if self.pre.gate_v != self.post.gate_v:
            raise ValueError(
                f"pre has gate_v {self.pre.gate_v}, post {self.post.gate_v}: a gate keeps one"
                " level during a pair"
            )
        return self

    def orders(self, rng: np.random.Generator) -> list[NDArray[np.int64]]:
        """Return the order of the trials of each repeat, numbers of the signed delays."""
        delays_s = self.signed_delays_s()
        given = np.arange(len(delays_s))
        if self.order == "given":
            return [given] * self.repeats
        if self.order == "random":
            return [rng.permutation(given) for _ in range(self.repeats)]
        by_length = np.argsort(np.abs(delays_s), kind="stable")
        turns = np.empty_like(given)
        half = len(given) // 2
        turns[0::2], turns[1::2] = by_length[:half], by_length[: half - 1 : -1]
        return [turns[::-1] if repeat % 2 else turns for repeat in range(self.repeats)]

    def signed_delays_s(self) -> list[float]:
        """Return every delay in both orders, seconds, positive where ``pre`` comes first."""
        return [sign * delay_s for delay_s in self.delays_s for sign in (1.0, -1.0)]


@dataclass(frozen=True, eq=False)
class StdpRow(Row):
    """One trial of a group of cells: conductances (..., rows, cols), NaN outside of the group."""

    group: int = column("1", "which group of cells, counted from 0")
    repeat: int = column("1", "counted from 1")
    delay_s: float = column("s", "between the pulses; positive where pre comes first")
    time_s: float = column("s", "end of the trial on the array's clock")
    before_conductance_s: FloatArray = column("S", "before the pairs")
    after_conductance_s: FloatArray = column("S", "after the last pair and its rest")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"delay": f"{self.delay_s:.3g} s", "repeat": self.repeat}


@dataclass(frozen=True, eq=False)
class WindowRow(Row):
    """Lasting change at one delay, the mean of the trials."""

    table: ClassVar[str] = "window"

    delay_s: float = column("s", "between the pulses; positive where pre comes first")
    change: FloatArray = column("1", "of the conductance, relative to it; (..., rows, cols)")


@dataclass(frozen=True, eq=False)
class WindowFigures(Row):
    """Exponential windows of each cell; maps (..., rows, cols)."""

    table: ClassVar[str] = "figures"

    pre_first_change: FloatArray = column("1", "A of c + A exp(-delay/tau), pre first")
    pre_first_error: FloatArray = column("1", "standard error of that A")
    pre_first_far: FloatArray = column("1", "c of it: the change by pulses far apart")
    pre_first_tau_s: FloatArray = column("s", "tau of it; NaN where the delays do not determine it")
    pre_first_tau_error_s: FloatArray = column("s", "standard error of that tau")
    post_first_change: FloatArray = column("1", "A of c + A exp(-|delay|/tau), post first")
    post_first_error: FloatArray = column("1", "standard error of that A")
    post_first_far: FloatArray = column("1", "c of it: the change by pulses far apart")
    post_first_tau_s: FloatArray = column("s", "tau of it; NaN as above")
    post_first_tau_error_s: FloatArray = column("s", "standard error of that tau")


def run(settings: StdpSettings, array: Array) -> Iterator[Yield]:
    """Give each group of cells pairs of pulses at each delay, in both orders.

    Raises :class:`hwloop.errors.StepError` where a read failed.
    """
    shape = (*array.population, *array.geometry.shape)
    delays_s = settings.signed_delays_s()
    seen = np.full((settings.repeats, len(delays_s), *shape), np.nan)
    for number, mask in enumerate(groups(array, settings.cells)):
        for place, row in _group(settings, array, number, mask):
            change = relative_change(row.before_conductance_s, row.after_conductance_s)
            seen[place] = filled(seen[place], change, mask)
            yield row
    mean = seen.mean(axis=0)
    for index in np.argsort(delays_s):
        yield WindowRow(delay_s=delays_s[index], change=mean[index])
    found = window_figures(np.array(delays_s), mean)
    yield found
    yield _outcome(mean, found)


def _group(
    settings: StdpSettings, array: Array, group: int, mask: BoolArray
) -> Iterator[tuple[tuple[int, int], StdpRow]]:
    after_conductance_s = conductance_s(array, mask, step="stdp")
    delays_s = settings.signed_delays_s()
    for repeat, order in enumerate(settings.orders(array.rng)):
        for index in map(int, order):
            delay_s = delays_s[index]
            before_conductance_s = after_conductance_s
            for _ in range(settings.pairs):
                array.backend.pair(pair_of(settings, mask, delay_s))
                array.clock.sleep(settings.rest_s)
            after_conductance_s = conductance_s(array, mask, step="stdp")
            yield (
                (repeat, index),
                StdpRow(
                    group=group,
                    repeat=repeat + 1,
                    delay_s=delay_s,
                    time_s=array.clock.now_s(),
                    before_conductance_s=before_conductance_s,
                    after_conductance_s=after_conductance_s,
                ),
            )


def pair_of(settings: StdpSettings, mask: BoolArray, delay_s: float) -> PulsePair:
    """Return the pair of a signed delay for the cells of ``mask``."""
    first, second = settings.pre, settings.post
    if delay_s < 0:
        first, second = second, first
    first_v, second_v = (np.where(mask, one.amplitude_v, 0.0) for one in (first, second))
    return PulsePair(
        first_v, second_v, first.width_s, second.width_s, abs(delay_s), settings.pre.gate_v
    )


def relative_change(
    before_conductance_s: FloatArray, after_conductance_s: FloatArray
) -> FloatArray:
    """Return Δg/g; NaN where g is not above 0."""
    known = before_conductance_s > 0
    change = after_conductance_s - before_conductance_s
    relative: FloatArray = np.full(change.shape, np.nan)
    return np.divide(change, before_conductance_s, out=relative, where=known)


def window_figures(delays_s: FloatArray, change: FloatArray) -> WindowFigures:
    """Fit the window of either order to each cell.

    ``delays_s``: (delays,), signed. ``change``: (delays, ..., rows, cols).
    """
    shape = change.shape[1:]
    columns: dict[str, FloatArray] = {}
    for name, sign in (("pre_first", 1.0), ("post_first", -1.0)):
        chosen_delays = sign * delays_s > 0
        times_s = np.abs(delays_s[chosen_delays])
        fit = fit_decays(exponential(times_s), times_s, flat(change[chosen_delays]))
        columns[f"{name}_far"] = fit.factors[0].reshape(shape)
        columns[f"{name}_change"] = fit.factors[1].reshape(shape)
        columns[f"{name}_error"] = fit.factor_errors[1].reshape(shape)
        columns[f"{name}_tau_s"] = fit.settings[0].reshape(shape)
        columns[f"{name}_tau_error_s"] = fit.setting_errors[0].reshape(shape)
    return WindowFigures(**columns)


def _outcome(mean: FloatArray, found: WindowFigures) -> Outcome:
    known = np.isfinite(mean).all(axis=0)
    return Outcome(
        bool(known.any()),
        f"pre first: A {median_text(found.pre_first_change, '')},"
        f" tau {median_text(found.pre_first_tau_s, 's')};"
        f" post first: A {median_text(found.post_first_change, '')},"
        f" tau {median_text(found.post_first_tau_s, 's')}",
    )


def plan(settings: StdpSettings, array: ArraySettings) -> Plan:
    """Return the plan: the pairs in both orders, the rests, and the reads."""
    delays_s = settings.signed_delays_s()
    trials = settings.repeats * len(delays_s)
    mask = chosen(settings.cells, array.geometry.shape)
    pairs = [
        PlannedOperation(pair_of(settings, mask, delay_s), settings.repeats * settings.pairs)
        for delay_s in delays_s
    ]
    return Plan(
        [
            planned_read(array, settings.cells, 1 + trials),
            *pairs,
            planned_rests(array, settings.cells, settings.rest_s, trials * settings.pairs),
        ],
        rows=trials,
        by_group=True,
        remark=says_groups("the rests", settings.cells),
    )


STDP = Step(
    name="stdp",
    summary="Lasting change by pairs of pulses against the time between them, in both orders",
    settings=StdpSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.plasticity.stdp:figures",
    libraries=("scipy.optimize",),
)
