"""Inference of a placed network whose hidden units fire by chance, over several time steps.

In each time step every layer is multiplied by the array. A hidden unit with the sum u puts
V = V_0 (u + ln(τ_0/t)) on a binary cell for t; the cell switches with 1 − exp(−t/τ(V)) =
1 − exp(−exp(u)), and is opened again before the next time step. The next layer is driven by the
spikes, and its sums are added up: the largest names the class. Trained is the mean, an activation
``switching``. Source: P. Wijesinghe, A. Ankit, A. Sengupta and K. Roy, IEEE Trans. Emerg. Topics
Comput. Intell. 2, 345 (2018), arXiv:1712.01472. The neurons' cells are not cells of the array:
their switching is drawn by the law of the device model ``stochastic_switch``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from hwloop.array.blocks import Keep
from hwloop.array.operations import VectorBatch
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError, StepError
from hwloop.settings.bulk import LabelledData
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, Fraction, Number, PositiveSecond, PositiveVolt
from hwloop.statistics import wilson_interval
from hwloop.steps.array import Array
from hwloop.steps.contract import Plan, PlannedOperation, Step
from hwloop.steps.network.entries import Entry, FiringUnits
from hwloop.steps.network.infer import placed_network
from hwloop.steps.network.inference.forethought import (
    UNKNOWN,
    arrays_of,
    known_network,
    planned_products,
)
from hwloop.steps.network.inference.sizes import layer_sizes, sample_batches, samples_at_once
from hwloop.steps.network.inference.stream import RangeRules, Stream
from hwloop.steps.network.network import Function, LayerSettings, Network, predicted
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import FloatArray


class SwitchingNeuron(Settings):
    """Binary cell of a hidden unit: P = 1 − exp(−t/τ), τ = ``time_s`` · exp(−V/``scale_v``).

    ``width_s``: t, how long the unit's voltage is on the cell in a time step.
    """

    time_s: PositiveSecond = 2.85e5
    scale_v: PositiveVolt = 0.156
    width_s: PositiveSecond = 1e-6


class InferSpikingSettings(Settings):
    """Settings of a spiking inference; ``data``: samples and their classes.

    ``time_steps``: of every sample. ``random_inputs``: an input from 0 to 1 is the chance of a
    pulse in a time step; else it is driven as it is. ``calibration``, ``input_margin``,
    ``over_range``, ``record``, ``memory_mb``: as of ``infer``.
    """

    data: LabelledData
    time_steps: Count = 5
    random_inputs: bool = False
    neuron: SwitchingNeuron = SwitchingNeuron()
    record: Keep = "answers"
    calibration: Count = 200
    input_margin: Fraction = 0.1
    over_range: Annotated[Fraction, Field(le=1)] = 1e-3
    memory_mb: Annotated[Number, Field(ge=1, le=1e6)] = 50.0


@dataclass(frozen=True, eq=False)
class SpikingRow(Row):
    """Accuracy by the sums of all time steps so far; (...) is the population."""

    time_step: int = column("1", "time steps so far")
    samples: int = column("1", "samples")
    correct: NDArray[np.int64] = column("1", "right answers of the array; (...)")
    accuracy: FloatArray = column("1", "fraction of them; (...)")
    accuracy_low: FloatArray = column("1", "95 % Wilson interval, lower end; (...)")
    accuracy_high: FloatArray = column("1", "upper end; (...)")
    analogue_accuracy: float = column("1", "of the wanted weights and mean activations in NumPy")
    firing: float = column("1", "share of the hidden units that fired in this time step")
    highest_v: float = column("V", "highest voltage on a neuron's cell in this time step")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"time step": self.time_step, "accuracy": float(np.mean(self.accuracy))}


def run(settings: InferSpikingSettings, array: Array) -> Iterator[Yield]:
    """Send all samples through the array once for each time step, and add up the outputs.

    Raises :class:`StepError` where no network is mapped, it has no ``switching`` units, or a
    current could not be measured.
    """
    placed = placed_network(array, step="infer_spiking")
    x, y = _samples(settings)
    _refuse_unfit(y, placed.network)
    neuron = settings.neuron
    units = FiringUnits(array.rng, neuron.width_s, neuron.time_s, neuron.scale_v)
    stream = Stream(
        array,
        firing(placed.as_driven, units),
        placed.on_tiles,
        rules=RangeRules(settings.input_margin, settings.over_range, placed.unit_v),
        total=len(x) * settings.time_steps,
        keep=settings.record,
    )
    sizes = layer_sizes(sample_batches(placed.network, placed.on_tiles, x[0]))
    at_once = samples_at_once(
        sizes,
        arrays=arrays_of(array.backend.description, array.settings.tiles),
        memory_bytes=int(settings.memory_mb * 1_000_000),
    )
    analogue = float((predicted(placed.network.forward(x)) == y).mean())
    summed: FloatArray = np.zeros(())
    for time_step in range(1, settings.time_steps + 1):
        units.begin()
        driven = _driven(settings, x, array.rng)
        summed = summed + _outputs(settings, stream, driven, first=time_step == 1, at_once=at_once)
        row = _row(time_step, summed, y, analogue=analogue, units=units)
        yield row
    yield Outcome(
        True,
        f"accuracy {float(row.accuracy.mean()):.4g} of {row.samples} samples after"
        f" {settings.time_steps} time steps; {analogue:.4g} of the analogue network in software",
    )


def firing(network: Network, units: FiringUnits) -> Network:
    """Return the network with units that fire in place of the activation ``switching``."""
    order: list[int | LayerSettings | Entry] = [
        units if isinstance(entry, Function) and entry.kind == "switching" else entry
        for entry in network.order
    ]
    return replace(network, order=tuple(order))


def _outputs(
    settings: InferSpikingSettings, stream: Stream, x: FloatArray, *, first: bool, at_once: int
) -> FloatArray:
    """Return the outputs of one time step, (..., samples, outputs)."""
    begin, parts = 0, []
    if first:
        begin = min(settings.calibration, len(x))
        parts.append(stream.calibrate(x[:begin], lambda *_: None))
    parts += [stream.outputs(x[at : at + at_once]) for at in range(begin, len(x), at_once)]
    return np.concatenate(parts, axis=-2)


def _driven(settings: InferSpikingSettings, x: FloatArray, rng: np.random.Generator) -> FloatArray:
    if not settings.random_inputs:
        return x
    return np.asarray(rng.random(x.shape) < x, dtype=np.float64)


def _row(
    time_step: int, summed: FloatArray, y: FloatArray, *, analogue: float, units: FiringUnits
) -> SpikingRow:
    correct = np.asarray((predicted(summed) == y).sum(axis=-1))
    ends = np.array([wilson_interval(int(one), len(y)) for one in np.ravel(correct)])
    return SpikingRow(
        time_step=time_step,
        samples=len(y),
        correct=correct,
        accuracy=np.asarray(correct / len(y)),
        accuracy_low=ends[:, 0].reshape(correct.shape),
        accuracy_high=ends[:, 1].reshape(correct.shape),
        analogue_accuracy=analogue,
        firing=units.fired / max(units.asked, 1),
        highest_v=units.highest_v,
    )


def _samples(settings: InferSpikingSettings) -> tuple[FloatArray, FloatArray]:
    x, y = settings.data.load()
    if settings.random_inputs and not ((x >= 0) & (x <= 1)).all():
        raise ConfigError(
            f"inputs go from {x.min():g} to {x.max():g}; a chance is from 0 to 1",
            key="random_inputs",
        )
    return x, y


def _refuse_unfit(y: FloatArray, network: Network) -> None:
    if not any(isinstance(one, Function) and one.kind == "switching" for one in network.order):
        raise StepError(
            "infer_spiking: the network has no layer of kind switching, whose units could fire"
        )
    outputs = network.matrices[-1].weights.shape[-1]
    if y.max() >= max(2, outputs):
        raise ConfigError(
            f"class {int(y.max())}, but the network has {outputs} outputs", key="data.classes"
        )


def plan(
    settings: InferSpikingSettings,
    array: ArraySettings,
    before: Mapping[type, object] | None = None,
) -> Plan:
    """Return the plan: for each sample and time step a multiplication of each layer.

    ``before``: with the network that an earlier step will leave, where it is known. Raises
    :class:`ConfigError` where the samples do not fit it.
    """
    x, y = _samples(settings)
    steps = settings.time_steps
    known = known_network(before)
    if known is None:
        vector = VectorBatch(np.full((1, array.rows), array.limits.read_v))
        operation = PlannedOperation(vector, len(x) * steps)
        return Plan([operation], rows=steps, remark=lambda _: UNKNOWN)
    try:
        _refuse_unfit(y, known.network)
    except StepError as exc:
        raise ConfigError(str(exc), key="data") from None
    products, _ = planned_products(known, x, level_v=array.limits.read_v)
    return Plan([replace(one, at_most=one.at_most * steps) for one in products], rows=steps)


INFER_SPIKING = Step(
    name="infer_spiking",
    summary="Answers of a mapped network whose hidden units fire by chance, over time steps",
    settings=InferSpikingSettings,
    run=run,
    plan=plan,
    plan_after=plan,
    figures="hwloop.figures.spiking:figures",
)
