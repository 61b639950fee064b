"""Programming of an array by least mean squares, and its read-out by counted pulses.

The array is taken to its low conductance; then every cell gets a pulse in proportion to its error,
Δw = μ · (target − read), until the mean of |target − read| is small enough. Images are then series
of pulses on the rows, and the column that fires most names the class. Source: steps i to v of
H. Ling, "Research on Memristor-Based Neural Networks", section 3, whose own source of the rule is
not named there; the proportional update is that of B. Widrow and M. E. Hoff, IRE WESCON Convention
Record 4, 96 (1960).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.array.blocks import BlockBatch, CellBlock
from hwloop.array.conductance_bounds import refuse_span
from hwloop.array.operations import PulseMap
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError, StepError
from hwloop.messages import cell_name, first_place
from hwloop.statistics import wilson_interval
from hwloop.steps.array import Array
from hwloop.steps.common.cells import conductance_s, planned_read
from hwloop.steps.common.pulses import planned_pulse, pulse_of
from hwloop.steps.contract import Plan, PlannedOperation, Step
from hwloop.steps.learning.lms.rows import IntArray, LmsRow, ProgrammedRow, ReadoutRow
from hwloop.steps.learning.lms.settings import ProgramLmsSettings, SpikingReadout
from hwloop.steps.learning.lms.spike_counts import FiringColumns, pulse_series
from hwloop.steps.rows import Outcome, Row, Yield
from hwloop.types import BoolArray, FloatArray

AT_ONCE = 2000
"""Samples that are read out together: for 784 rows 12 MB a time step."""


def run(settings: ProgramLmsSettings, array: Array) -> Iterator[Yield]:
    """Erase, update until every array has converged or updates are over, and read out.

    Raises :class:`StepError` where a cell could not be measured, or an update exceeds the range.
    """
    target = settings.wanted(array.settings)
    if settings.erase is not None:
        one = settings.erase
        array.backend.pulse(
            pulse_of(
                _whole(array.settings),
                one.amplitude_v,
                one.width_s,
                gate_v=one.gate_v,
                count=one.count,
            )
        )
    converged = np.zeros(array.population, dtype=np.bool_)
    updates = np.full(array.population, settings.max_updates, dtype=np.int64)
    pulses = np.zeros(array.population, dtype=np.int64)
    for number in range(settings.max_updates + 1):
        error = target - _weight(settings, array)
        mean_error = np.asarray(np.abs(error).mean(axis=(-2, -1)))
        now = (mean_error <= settings.stop_error) & ~converged
        updates, converged = np.where(now, number, updates), converged | now
        yield LmsRow(update=number, error=mean_error, converged=converged)
        if converged.all() or number == settings.max_updates:
            break
        pulses = pulses + _update(settings, array, error, converged)
    final_weight = sum(_weight(settings, array) for _ in range(settings.final_reads))
    weight = np.asarray(final_weight / settings.final_reads)
    yield ProgrammedRow(
        converged=converged,
        updates=updates,
        pulses=pulses,
        final_error=np.asarray(np.abs(target - weight).mean(axis=(-2, -1))),
        weight=weight,
    )
    summary = _summary(settings, converged, updates, mean_error)
    if settings.readout is not None:
        row = read_out(settings, settings.readout, array, target)
        yield row
        summary += (
            f"; accuracy {float(row.accuracy.mean()):.4g} of {row.samples} samples by counted"
            f" pulses, {row.software_accuracy:.4g} in software"
        )
    yield Outcome(bool(converged.any()), summary)


def _whole(array: ArraySettings) -> BoolArray:
    return np.ones((array.rows, array.cols), dtype=np.bool_)


def _weight(settings: ProgramLmsSettings, array: Array) -> FloatArray:
    """Read every cell: weights (..., rows, cols), 0 at the low and 1 at the high conductance."""
    seen_conductance_s = conductance_s(array, _whole(array.settings), step="program_lms")
    low_conductance_s = settings.range.low_conductance_s
    span_conductance_s = settings.range.high_conductance_s - low_conductance_s
    return np.asarray((seen_conductance_s - low_conductance_s) / span_conductance_s)


def _update(
    settings: ProgramLmsSettings, array: Array, error: FloatArray, converged: BoolArray
) -> IntArray:
    """Pulse the cells of arrays that have not converged; return how many pulses each got, (...)."""
    update = np.where(converged[..., None, None], 0.0, settings.rate * error)
    beyond = ~(np.abs(update) <= 1)
    if beyond.any():
        place = first_place(beyond)
        raise StepError(
            f"program_lms: {cell_name(place)}: an update of {update[place]:.4g} of the range; at"
            " most 1 is planned: check range, or lower rate"
        )
    pulse = PulseMap(settings.pulse.amplitude_v(update), settings.pulse.width_s)
    array.backend.pulse(pulse)
    return np.asarray(pulse.addressed.sum(axis=(-2, -1)), dtype=np.int64)


def _summary(
    settings: ProgramLmsSettings, converged: BoolArray, updates: IntArray, error: FloatArray
) -> str:
    count, reached = converged.size, int(converged.sum())
    if not converged.ndim:
        if reached:
            return f"mean error {float(error):.3g} of the range after {int(updates)} updates"
        return (
            f"mean error {float(error):.3g} of the range after {settings.max_updates} updates,"
            f" above stop_error {settings.stop_error:g}"
        )
    text = f"{reached} of {count} arrays came down to {settings.stop_error:g} of the range"
    return (
        f"{text}, after a median of {np.median(updates[converged]):g} updates" if reached else text
    )


def read_out(
    settings: ProgramLmsSettings, readout: SpikingReadout, array: Array, target: FloatArray
) -> ReadoutRow:
    """Send every sample as a series of pulses, and classify it by the column that fires most.

    Of columns that fire equally often the first is taken. Raises :class:`StepError` where a current
    could not be measured.
    """
    greys, classes = _samples(readout, array.settings)
    counts = np.concatenate(
        [
            _output_pulses(settings, readout, array, greys[begin : begin + AT_ONCE])
            for begin in range(0, len(greys), AT_ONCE)
        ],
        axis=-2,
    )
    most = counts.max(axis=-1, keepdims=True)
    correct = (counts.argmax(axis=-1) == classes).sum(axis=-1)
    ends = np.array([wilson_interval(int(one), len(classes)) for one in np.ravel(correct)])
    return ReadoutRow(
        samples=len(classes),
        correct=np.asarray(correct),
        accuracy=np.asarray(correct / len(classes)),
        accuracy_low=ends[:, 0].reshape(np.shape(correct)),
        accuracy_high=ends[:, 1].reshape(np.shape(correct)),
        tied=np.asarray(((counts == most).sum(axis=-1) > 1).sum(axis=-1)),
        software_accuracy=float(((greys @ target).argmax(axis=-1) == classes).mean()),
        output_pulses=np.asarray(counts.sum(axis=-1).mean(axis=-1)),
    )


def _output_pulses(
    settings: ProgramLmsSettings, readout: SpikingReadout, array: Array, greys: FloatArray
) -> IntArray:
    """Return how often each column fires, (..., samples, cols)."""
    read_v = array.settings.read.read_v
    full_a = read_v * settings.range.high_conductance_s
    columns = FiringColumns(readout.charge)
    for there in pulse_series(greys, readout.time_steps):
        batch = _batch(array.settings, np.where(there, read_v, 0.0), readout)
        reading = array.backend.multiply_blocks(batch)
        if np.isnan(reading.current_a).any():
            *_, sample, col = first_place(np.isnan(reading.current_a))
            raise StepError(
                f"program_lms: readout: column {col} of sample {sample} could not be measured"
                " (over-range or compliance): raise limits.current_a or lower read.read_v"
            )
        columns.take(reading.current_a / full_a)
    return columns.pulses


def _batch(array: ArraySettings, voltage_v: FloatArray, readout: SpikingReadout) -> BlockBatch:
    block = CellBlock(0, 0, 0, array.cols, tuple(range(array.rows)))
    return BlockBatch(voltage_v, (block,), keep=readout.record)


def _samples(readout: SpikingReadout, array: ArraySettings) -> tuple[FloatArray, FloatArray]:
    """Return grey levels (samples, rows) and classes.

    Raises :class:`ConfigError` where they do not fit the array.
    """
    greys, classes = readout.data.load("readout.data")
    greys = greys.reshape(len(greys), -1)
    if greys.shape[-1] != array.rows:
        raise ConfigError(
            f"{greys.shape[-1]} grey levels a sample, but the array has {array.rows} rows",
            key="readout.data.inputs",
        )
    outside = ~((greys >= 0) & (greys <= 1))
    if outside.any():
        place = first_place(outside)
        raise ConfigError(
            f"the grey level at {place} is {greys[place]:g}; it must be from 0 to 1",
            key="readout.data.inputs",
        )
    if classes.max() >= array.cols:
        raise ConfigError(
            f"class {int(classes.max())}, but the array has {array.cols} columns",
            key="readout.data.classes",
        )
    return greys, classes


def plan(settings: ProgramLmsSettings, array: ArraySettings) -> Plan:
    """Return the plan: erasing, every update at the whole range either way, reads, and read-out.

    Raises :class:`ConfigError` where targets or samples do not fit the array.
    """
    if array.tiles > 1:
        raise ConfigError(f"the step works on one tile, the array has {array.tiles}", key="range")
    settings.wanted(array)
    refuse_span(settings.range, array, key="range")
    operations = [
        planned_read(array, None, settings.max_updates + 1 + settings.final_reads),
    ]
    for sign in (1.0, -1.0) if settings.max_updates else ():
        amplitude_v = settings.pulse.amplitude_v(np.full((array.rows, array.cols), sign))
        worst = PulseMap(amplitude_v, settings.pulse.width_s)
        operations.append(PlannedOperation(worst, settings.max_updates))
    given = settings.max_updates
    if settings.erase is not None:
        erase = settings.erase
        operations.append(planned_pulse(array, None, erase, 1, count=erase.count))
        given += erase.count
    if settings.readout is not None:
        greys, _ = _samples(settings.readout, array)
        level_v = np.full((min(len(greys), AT_ONCE), array.rows), array.read.read_v)
        times = -(-len(greys) // AT_ONCE) * settings.readout.time_steps
        operations.append(PlannedOperation(_batch(array, level_v, settings.readout), times))
    return Plan(operations, rows=settings.max_updates + 1, pulses_per_cell=given)


def tables(settings: ProgramLmsSettings, shape: tuple[int, ...]) -> tuple[Row, ...]:
    """Return a row of each table, in final types and shapes, before anything is measured."""
    each = np.zeros(shape[:-2])
    number, truth = each.astype(np.int64), each.astype(np.bool_)
    found: tuple[Row, ...] = (
        LmsRow(0, each, truth),
        ProgrammedRow(truth, number, number, each, np.zeros(shape)),
    )
    if settings.readout is not None:
        found += (ReadoutRow(0, number, each, each, each, number, 0.0, each),)
    return found


PROGRAM_LMS = Step(
    name="program_lms",
    summary="Program an array by updates in proportion to its error; read it out by spikes",
    settings=ProgramLmsSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.lms:figures",
    tables=tables,
)
