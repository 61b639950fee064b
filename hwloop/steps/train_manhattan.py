"""In-situ training of a single-layer perceptron by the Manhattan rule.

Each neuron is a pair of columns, G⁺ (even) and G⁻ (odd). Equation numbers are those of the
method's description for the 4×4 spintronic array (after M. Prezioso et al., Nature 521, 61
(2015), doi:10.1038/nature14441).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hwloop.array import Array, ArraySettings
from hwloop.datafile import BitTable
from hwloop.errors import ConfigError, StepError
from hwloop.operations import BoolArray, FloatArray, PulseMap, Reading, ReadMap, VectorBatch
from hwloop.settings import Settings
from hwloop.statistics import wilson_interval
from hwloop.step import NamedFigure, Outcome, Plan, PlannedOperation, Row, Step, Yield, column
from hwloop.units import Count, PerAmpere, PositiveSecond, PositiveVolt, Volt

if TYPE_CHECKING:
    from hwloop.record_reader import Record

IntArray = NDArray[np.int64]
SignArray = NDArray[np.int8]
UNDECIDED = -1


class PulseSettings(Settings):
    """The one pulse that the Manhattan rule applies."""

    amplitude_v: PositiveVolt
    width_s: PositiveSecond


class ManhattanSettings(Settings):
    """What to learn, and how.

    ``patterns``: (patterns, rows) bits; ``outputs``: (patterns, neurons) bits;
    ``held_out_patterns``: bits to predict after the training. ``bit_0_v``, ``bit_1_v``: the row
    voltages that code the bits. ``target_0``, ``target_1``: what an activation must reach.
    ``beta_per_a``: slope of the activation. ``currents``: from one ``multiply`` a pattern, or
    summed from a ``read`` of every cell; ``auto`` takes multiply where the backend has it.
    """

    patterns: BitTable
    outputs: BitTable
    held_out_patterns: BitTable | None = None
    bit_0_v: Volt = -0.1
    bit_1_v: Volt = 0.1
    target_0: float = Field(default=-0.8, gt=-1, lt=1)
    target_1: float = Field(default=0.8, gt=-1, lt=1)
    beta_per_a: PerAmpere = Field(gt=0)
    max_updates: Count = 50
    pulse: PulseSettings
    scheme: Literal["potentiate_only"] = "potentiate_only"
    currents: Literal["auto", "multiply", "read"] = "auto"

    @model_validator(mode="after")
    def _consistent(self) -> ManhattanSettings:
        if self.target_0 >= self.target_1:
            raise ValueError(f"target_0 {self.target_0:g} must be below target_1 {self.target_1:g}")
        if self.bit_0_v == self.bit_1_v:
            raise ValueError(f"bit_0_v and bit_1_v are both {self.bit_0_v:g} V")
        if len(self.patterns) != len(self.outputs):
            raise ValueError(f"{len(self.patterns)} patterns but {len(self.outputs)} outputs")
        return self

    def voltage_v(self, patterns: BitTable) -> FloatArray:
        """Row voltages that code ``patterns``, (patterns, rows)."""
        return np.where(np.array(patterns) == 1, self.bit_1_v, self.bit_0_v)

    @property
    def target(self) -> FloatArray:
        """What each activation must reach, (patterns, neurons)."""
        return np.where(np.array(self.outputs) == 1, self.target_1, self.target_0)


@dataclass(frozen=True, eq=False)
class EpochRow(Row):
    """An array as it was judged in one epoch, before that epoch's update."""

    epoch: int = column("1", "epoch, counted from 1")
    total_error: FloatArray = column(
        "1", "how far the activations fall short of their targets, summed; (...)"
    )
    activation: FloatArray = column("1", "tanh(beta I), Eq. 1; (..., patterns, neurons)")
    current_a: FloatArray = column("A", "differential current I+ - I-; (..., patterns, neurons)")
    conductance_s: FloatArray = column("S", "conductance of every cell; (..., rows, cols)")
    weight_s: FloatArray = column("S", "G+ - G-; (..., rows, neurons)")
    update: SignArray = column("1", "sign of the update that follows, Eq. 5; (..., rows, neurons)")
    pulses: IntArray = column("1", "pulses given to the array before this epoch; (...)")
    converged: BoolArray = column("1", "every activation at or past its target; (...)")

    def headline(self) -> dict[str, str | float | int]:
        """Epoch, error, pulses; in a population their means, and how many have converged."""
        figures: dict[str, str | float | int] = {
            "epoch": self.epoch,
            "error": float(f"{np.mean(self.total_error):.3g}"),
            "pulses": round(float(np.mean(self.pulses))),
        }
        if self.converged.size > 1:
            figures["converged"] = f"{int(self.converged.sum())}/{self.converged.size}"
        return figures


@dataclass(frozen=True, eq=False)
class PredictionRow(Row):
    """What the trained array says of one held-out pattern."""

    table: ClassVar[str] = "predictions"

    pattern: SignArray = column("1", "bits of the held-out pattern; (rows,)")
    activation: FloatArray = column("1", "tanh(beta I); (..., neurons)")
    prediction: SignArray = column("1", "1, 0, or -1 for undecided; (..., neurons)")


@dataclass(frozen=True, eq=False)
class SummaryRow(Row):
    """How the training of each array ended."""

    table: ClassVar[str] = "summary"

    converged: BoolArray = column("1", "whether every activation reached its target; (...)")
    epoch: IntArray = column("1", "epoch of convergence, or the last one; (...)")
    pulses: IntArray = column("1", "pulses given to the array; (...)")


@dataclass(frozen=True)
class _Judgement:
    """Activations of an epoch, and what the rule makes of them."""

    current_a: FloatArray
    activation: FloatArray
    shortfall: FloatArray
    update: SignArray

    @property
    def converged(self) -> BoolArray:
        reached: BoolArray = (self.shortfall == 0).all(axis=(-2, -1))
        return reached


def run(settings: ManhattanSettings, array: Array) -> Iterator[Yield]:
    """Train until every activation is at or past its target, or the updates are used up.

    Each epoch reads, judges, and then updates the arrays of the population that have not
    converged. Yields an :class:`EpochRow` an epoch, a :class:`PredictionRow` a held-out pattern,
    a :class:`SummaryRow` and an outcome.
    """
    scheme = _SCHEMES[settings.scheme]
    voltage_v = settings.voltage_v(settings.patterns)
    pulses = np.zeros(array.population, dtype=np.int64)
    converged = np.zeros(array.population, dtype=np.bool_)
    epochs = np.full(array.population, settings.max_updates, dtype=np.int64)
    for epoch in range(1, settings.max_updates + 1):
        cells = array.read_all()
        conductance_s = _measured(array.conductance_s(cells), "cell")
        currents_a = _currents(settings, array, voltage_v, conductance_s)
        judgement = _judge(settings, currents_a)
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
            weight_s=_differential(conductance_s),
            update=update,
            pulses=pulses.copy(),
            converged=converged,
        )
        if converged.all():
            break
        for pulse in scheme(update, settings.pulse):
            array.backend.pulse(pulse)
            pulses = pulses + pulse.addressed.sum(axis=(-2, -1))
    yield from _predictions(settings, array)
    yield SummaryRow(converged=converged, epoch=epochs, pulses=pulses)
    yield _outcome(settings, converged, epochs, judgement)


def plan(settings: ManhattanSettings, array: ArraySettings) -> Plan:
    """Every update used up, and in each of them one pulse for each pair of columns."""
    _check_widths(settings, array)
    amplitude_v = np.zeros(array.geometry.shape)
    amplitude_v[:, 0::2] = settings.pulse.amplitude_v
    read = array.read
    operations = [
        PlannedOperation(
            ReadMap.every_cell(
                array.geometry.shape, read_v=read.read_v, both_polarities=read.both_polarities
            ),
            settings.max_updates + (settings.held_out_patterns is not None),
        ),
        PlannedOperation(PulseMap(amplitude_v, settings.pulse.width_s), settings.max_updates),
    ]
    if settings.currents != "read":
        batch = VectorBatch(settings.voltage_v(settings.patterns))
        operations.insert(1, PlannedOperation(batch, settings.max_updates))
        if settings.held_out_patterns is not None:
            held_out = VectorBatch(settings.voltage_v(settings.held_out_patterns))
            operations.append(PlannedOperation(held_out, 1))
    return Plan(operations, rows=settings.max_updates)


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """The figures of a training, from its record."""
    from hwloop.plots.manhattan import figures as draw

    return draw(record, label)


def _check_widths(settings: ManhattanSettings, array: ArraySettings) -> None:
    if array.cols % 2:
        raise ConfigError(
            f"the array has {array.cols} columns; a neuron is a pair, so it needs an even number"
        )
    _check_width(settings.patterns, array.rows, "patterns", "rows")
    _check_width(settings.outputs, array.cols // 2, "outputs", "pairs of columns")
    if settings.held_out_patterns is not None:
        _check_width(settings.held_out_patterns, array.rows, "held_out_patterns", "rows")


def _check_width(table: BitTable, width: int, key: str, lines: str) -> None:
    if len(table[0]) != width:
        raise ConfigError(
            f"{len(table[0])} bits an entry, but the array has {width} {lines}", key=key
        )


def _currents(
    settings: ManhattanSettings, array: Array, voltage_v: FloatArray, conductance_s: FloatArray
) -> FloatArray:
    """Column currents, (..., patterns, cols): measured at once, or summed from the cells'."""
    mode = array.backend.description.multiply
    if settings.currents == "read" or (settings.currents == "auto" and mode == "none"):
        return voltage_v @ conductance_s
    return _measured_currents(array.backend.multiply(VectorBatch(voltage_v)))


def _measured_currents(reading: Reading) -> FloatArray:
    return _measured(reading.current_a, "pattern and column")


def _measured(values: FloatArray, what: str) -> FloatArray:
    """The values, if all of them were measured: a failed read is an error, not a zero."""
    if np.isnan(values).any():
        place = tuple(int(i) for i in np.argwhere(np.isnan(values))[0])
        raise StepError(
            f"train_manhattan: {what} {place} could not be measured (over-range or compliance):"
            " raise limits.current_a or lower the read voltage"
        )
    return values


def _differential(values: FloatArray) -> FloatArray:
    return values[..., 0::2] - values[..., 1::2]


def _judge(settings: ManhattanSettings, column_current_a: FloatArray) -> _Judgement:
    """Eqs. 1 to 5: activations (..., patterns, neurons) and the update's sign."""
    current_a = _differential(column_current_a)
    phase = settings.beta_per_a * current_a
    activation = np.tanh(phase)
    target = settings.target
    wants_one = np.array(settings.outputs) == 1
    shortfall = np.maximum(np.where(wants_one, target - activation, activation - target), 0.0)
    delta = (target - activation) * settings.beta_per_a * _sech_squared(phase)
    voltage_v = settings.voltage_v(settings.patterns)
    summed = np.einsum("...pn,pr->...rn", delta, voltage_v)
    return _Judgement(current_a, activation, shortfall, np.sign(summed).astype(np.int8))


def _sech_squared(phase: FloatArray) -> FloatArray:
    """1/cosh², which neither overflows nor rounds to 0 where tanh rounds to 1."""
    decay = np.exp(-2.0 * np.abs(phase))
    return 4.0 * decay / (1.0 + decay) ** 2


def _potentiate_only(update: SignArray, pulse: PulseSettings) -> Iterator[PulseMap]:
    """One pulse on G⁺ where the weight shall rise, on G⁻ where it shall fall."""
    *outer, neurons = update.shape
    amplitude_v = np.zeros((*outer, 2 * neurons))
    amplitude_v[..., 0::2] = pulse.amplitude_v * (update > 0)
    amplitude_v[..., 1::2] = pulse.amplitude_v * (update < 0)
    if amplitude_v.any():
        yield PulseMap(amplitude_v, pulse.width_s)


_SCHEMES: dict[str, Callable[[SignArray, PulseSettings], Iterator[PulseMap]]] = {
    "potentiate_only": _potentiate_only,
}


def _predictions(settings: ManhattanSettings, array: Array) -> Iterator[PredictionRow]:
    if settings.held_out_patterns is None:
        return
    voltage_v = settings.voltage_v(settings.held_out_patterns)
    conductance_s = _measured(array.conductance_s(array.read_all()), "cell")
    currents_a = _currents(settings, array, voltage_v, conductance_s)
    activation = np.tanh(settings.beta_per_a * _differential(currents_a))
    decided = np.where(activation <= settings.target_0, 0, UNDECIDED)
    prediction = np.where(activation >= settings.target_1, 1, decided).astype(np.int8)
    for index, pattern in enumerate(settings.held_out_patterns):
        yield PredictionRow(
            pattern=np.array(pattern, dtype=np.int8),
            activation=activation[..., index, :],
            prediction=prediction[..., index, :],
        )


def _outcome(
    settings: ManhattanSettings, converged: BoolArray, epochs: IntArray, last: _Judgement
) -> Outcome:
    if converged.ndim:
        return Outcome(bool(converged.any()), _population_words(converged, epochs))
    if converged:
        return Outcome(True, f"converged at epoch {int(epochs)}")
    pattern, neuron = np.unravel_index(last.shortfall.argmax(), last.shortfall.shape)
    bits = "".join(map(str, settings.patterns[int(pattern)]))
    return Outcome(
        False,
        f"did not converge in {settings.max_updates} updates: total error"
        f" {last.shortfall.sum():.3g}; furthest off is pattern {bits}, neuron {int(neuron)}, with"
        f" activation {last.activation[pattern, neuron]:.3f} for target"
        f" {settings.target[pattern, neuron]:g}",
    )


def _population_words(converged: BoolArray, epochs: IntArray) -> str:
    total, reached = converged.size, int(converged.sum())
    low, high = wilson_interval(reached, total)
    words = (
        f"{reached} of {total} arrays converged ({reached / total:.1%};"
        f" 95 % interval {low:.1%} to {high:.1%})"
    )
    if reached:
        first, middle, last = np.percentile(epochs[converged], (0, 50, 100)).astype(int)
        words += f", at epochs {first} to {last}, median {middle}"
    return words


TRAIN_MANHATTAN = Step(
    name="train_manhattan",
    summary="In-situ training of a single-layer perceptron by the Manhattan rule",
    settings=ManhattanSettings,
    run=run,
    plan=plan,
    figures=figures,
)
