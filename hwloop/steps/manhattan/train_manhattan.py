"""In-situ training of a single-layer perceptron by the Manhattan rule.

Each neuron is a pair of columns, G⁺ (even) and G⁻ (odd). Equation numbers are those of the
method's description for the 4×4 spintronic array (after M. Prezioso et al., Nature 521, 61
(2015), doi:10.1038/nature14441).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.array.operations import Reading, ReadMap, VectorBatch
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError, StepError
from hwloop.messages import first_place
from hwloop.settings.tables import BitTable
from hwloop.statistics import wilson_interval
from hwloop.steps.array import Array
from hwloop.steps.contract import Plan, PlannedOperation, Step
from hwloop.steps.manhattan.rows import UNDECIDED, EpochRow, IntArray, PredictionRow, SummaryRow
from hwloop.steps.manhattan.rule import Judgement, differential, judge
from hwloop.steps.manhattan.schemes import SCHEMES
from hwloop.steps.manhattan.settings import ManhattanSettings, PulseSettings
from hwloop.steps.rows import Outcome, Row, Yield
from hwloop.types import BoolArray, FloatArray

__all__ = [
    "TRAIN_MANHATTAN",
    "EpochRow",
    "ManhattanSettings",
    "PredictionRow",
    "PulseSettings",
    "SummaryRow",
    "plan",
    "run",
    "tables",
]


def run(settings: ManhattanSettings, array: Array) -> Iterator[Yield]:
    """Train until the stop criterion is met or ``max_updates`` are done.

    Each epoch reads, judges, and then updates the arrays of the population that have not converged.
    Yields an :class:`EpochRow` per epoch, a :class:`PredictionRow` per held-out pattern, a
    :class:`SummaryRow` and an outcome. Raises :class:`StepError` where a read failed.
    """
    scheme = SCHEMES[settings.scheme]
    voltage_v = settings.voltage_v(settings.patterns)
    pulses = np.zeros(array.population, dtype=np.int64)
    converged = np.zeros(array.population, dtype=np.bool_)
    epochs = np.full(array.population, settings.max_updates, dtype=np.int64)
    for epoch in range(1, settings.max_updates + 1):
        cells = array.read_all()
        conductance_s = _measured(array.conductance_s(cells), "cell")
        currents_a = _currents(settings, array, voltage_v, conductance_s)
        judgement = judge(settings, currents_a)
        newly = judgement.converged & ~converged
        epochs[newly] = epoch
        converged = converged | newly
        update = np.where(converged[..., None, None], 0, judgement.update).astype(np.int8)
        yield EpochRow(
            epoch=epoch,
            total_error=judgement.shortfall.sum(axis=(-2, -1)),
            activation=judgement.activation,
            current_a=judgement.current_a,
            conductance_s=conductance_s,
            weight_conductance_s=differential(conductance_s),
            update=update,
            pulses=pulses.copy(),
            converged=converged,
        )
        if converged.all():
            break
        for pulse in scheme.pulses(settings, update):
            array.backend.pulse(pulse)
            pulses = pulses + pulse.addressed.sum(axis=(-2, -1))
    yield from _predictions(settings, array)
    yield SummaryRow(converged=converged, epoch=epochs, pulses=pulses)
    yield _outcome(settings, converged, epochs, judgement)


def plan(settings: ManhattanSettings, array: ArraySettings) -> Plan:
    """Return the plan: every update, each at the worst case of its scheme.

    Raises :class:`ConfigError` where patterns or outputs do not fit the array.
    """
    _check_widths(settings, array)
    read = array.read
    every_cell = ReadMap.every_cell(
        array.geometry.shape, read_v=read.read_v, both_polarities=read.both_polarities
    )
    reads = settings.max_updates + (settings.held_out_patterns is not None)
    operations = [PlannedOperation(every_cell, reads)]
    if settings.currents != "read":
        batch = VectorBatch(settings.voltage_v(settings.patterns))
        operations.append(PlannedOperation(batch, settings.max_updates))
    worst = SCHEMES[settings.scheme].worst(settings, array.geometry.shape)
    operations += [PlannedOperation(pulse, settings.max_updates) for pulse in worst]
    if settings.currents != "read" and settings.held_out_patterns is not None:
        held_out = VectorBatch(settings.voltage_v(settings.held_out_patterns))
        operations.append(PlannedOperation(held_out, 1))
    return Plan(operations, rows=settings.max_updates, any_cell=True)


def tables(settings: ManhattanSettings, shape: tuple[int, ...]) -> tuple[Row, ...]:
    """Return a row of each table, in final types and shapes, before anything is measured."""
    *population, rows, cols = shape
    neurons = np.zeros((*population, cols // 2))
    answers = np.zeros((*population, len(settings.patterns), cols // 2))
    weights = np.zeros((*population, rows, cols // 2))
    each = np.zeros(population)
    number, truth = each.astype(np.int64), each.astype(np.bool_)
    epoch = EpochRow(
        epoch=0,
        total_error=each,
        activation=answers,
        current_a=answers,
        conductance_s=np.zeros(shape),
        weight_conductance_s=weights,
        update=weights.astype(np.int8),
        pulses=number,
        converged=truth,
    )
    summary = SummaryRow(converged=truth, epoch=number, pulses=number)
    if settings.held_out_patterns is None:
        return epoch, summary
    pattern = np.array(settings.held_out_patterns[0], dtype=np.int8)
    return epoch, PredictionRow(pattern, neurons, neurons.astype(np.int8)), summary


def _check_widths(settings: ManhattanSettings, array: ArraySettings) -> None:
    if array.cols % 2:
        raise ConfigError(
            f"the array has {array.cols} columns; a neuron is a pair, so it needs an even number"
        )
    rows = array.rows - len(settings.bias_v)
    lines = f"rows besides {len(settings.bias_v)} of bias" if settings.bias_v else "rows"
    _check_width(settings.patterns, rows, "patterns", lines)
    _check_width(settings.outputs, array.cols // 2, "outputs", "pairs of columns")
    if settings.held_out_patterns is not None:
        _check_width(settings.held_out_patterns, rows, "held_out_patterns", lines)


def _check_width(table: BitTable, width: int, key: str, lines: str) -> None:
    if len(table[0]) != width:
        raise ConfigError(
            f"{len(table[0])} bits an entry, but the array has {width} {lines}", key=key
        )


def _currents(
    settings: ManhattanSettings, array: Array, voltage_v: FloatArray, conductance_s: FloatArray
) -> FloatArray:
    """Return column currents (..., patterns, cols), measured or summed from those of the cells."""
    mode = array.backend.description.multiply
    if settings.currents == "read" or (settings.currents == "auto" and mode == "none"):
        return voltage_v @ conductance_s
    return _measured_currents(array.backend.multiply(VectorBatch(voltage_v)))


def _measured_currents(reading: Reading) -> FloatArray:
    return _measured(reading.current_a, "pattern and column")


def _measured(values: FloatArray, what: str) -> FloatArray:
    """Return ``values``; raise :class:`StepError` at the first NaN: a failed read is not a zero."""
    if np.isnan(values).any():
        place = first_place(np.isnan(values))
        raise StepError(
            f"train_manhattan: {what} {place} could not be measured (over-range or compliance):"
            " raise limits.current_a or lower the read voltage"
        )
    return values


def _predictions(settings: ManhattanSettings, array: Array) -> Iterator[PredictionRow]:
    if settings.held_out_patterns is None:
        return
    voltage_v = settings.voltage_v(settings.held_out_patterns)
    conductance_s = _measured(array.conductance_s(array.read_all()), "cell")
    currents_a = _currents(settings, array, voltage_v, conductance_s)
    activation = np.tanh(settings.beta_per_a * differential(currents_a))
    decided = np.where(activation <= settings.target_0, 0, UNDECIDED)
    prediction = np.where(activation >= settings.target_1, 1, decided).astype(np.int8)
    for index, pattern in enumerate(settings.held_out_patterns):
        yield PredictionRow(
            pattern=np.array(pattern, dtype=np.int8),
            activation=activation[..., index, :],
            prediction=prediction[..., index, :],
        )


def _outcome(
    settings: ManhattanSettings, converged: BoolArray, epochs: IntArray, last: Judgement
) -> Outcome:
    if converged.ndim:
        return Outcome(bool(converged.any()), _population_words(converged, epochs))
    if converged:
        return Outcome(True, f"converged at epoch {int(epochs)}")
    return Outcome(
        False, f"did not converge in {settings.max_updates} updates: {_missed(settings, last)}"
    )


def _missed(settings: ManhattanSettings, last: Judgement) -> str:
    """Describe how one array missed the stop criterion in its last epoch."""
    if settings.stop == "classified":
        patterns = np.flatnonzero(last.wrong)
        bits = "".join(map(str, settings.patterns[int(patterns[0])]))
        return (
            f"{patterns.size} of {last.wrong.size} patterns are classified wrong, the first of"
            f" them {bits}"
        )
    pattern, neuron = np.unravel_index(last.shortfall.argmax(), last.shortfall.shape)
    bits = "".join(map(str, settings.patterns[int(pattern)]))
    return (
        f"total error {last.shortfall.sum():.3g}; furthest off is pattern {bits}, neuron"
        f" {int(neuron)}, with activation {last.activation[pattern, neuron]:.3f} for target"
        f" {settings.target[pattern, neuron]:g}"
    )


def _population_words(converged: BoolArray, epochs: IntArray) -> str:
    total, reached = converged.size, int(converged.sum())
    low, high = wilson_interval(reached, total)
    summary = (
        f"{reached} of {total} arrays converged ({reached / total:.1%};"
        f" 95 % interval {low:.1%} to {high:.1%})"
    )
    if reached:
        first, middle, last = np.percentile(epochs[converged], (0, 50, 100)).astype(int)
        summary += f", at epochs {first} to {last}, median {middle}"
    return summary


TRAIN_MANHATTAN = Step(
    name="train_manhattan",
    summary="In-situ training of a single-layer perceptron by the Manhattan rule",
    settings=ManhattanSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.manhattan.figures:figures",
    tables=tables,
)
