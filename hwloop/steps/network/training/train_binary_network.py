"""Training of a network of two layers of binary cells (on or off), for a later step to map.

Nothing is done to the array. The network that is left has the conductances G_ON and G_OFF as its
weights (``map_network`` with ``arrangement: direct``), and the circuit's amplifiers between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.array.conductance_bounds import refuse_unreadable
from hwloop.array.settings import ArraySettings
from hwloop.settings.bulk import LabelledData
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, Number, PositiveOhm, PositiveSiemens, PositiveVolt, Volt
from hwloop.statistics import wilson_interval
from hwloop.steps.array import Array
from hwloop.steps.contract import Plan, Step
from hwloop.steps.network.inference.forethought import UntrainedNetwork
from hwloop.steps.network.network import Amplifier, LayerSettings, Matrix, Network, Scale
from hwloop.steps.network.training.binary_gradient_descent import (
    BinaryCircuit,
    BinaryDescent,
    BinaryTrained,
    hard_conductance_s,
    soft_conductance_s,
    train_binary,
)
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import FloatArray

_AT_THE_RAIL = 0.99


class CircuitSettings(Settings):
    """Settings of the cells and of the inverting amplifiers.

    ``on_conductance_s``, ``off_conductance_s``: conductances of a cell. ``rail_v``,
    ``feedback_ohm``: of the amplifiers. ``high_v``, ``low_v``: voltage of a row whose input is 1 or
    0. ``last_feedback_ohm``: of the amplifiers of the last layer; as of the first, if left out.
    """

    on_conductance_s: PositiveSiemens
    off_conductance_s: PositiveSiemens
    rail_v: PositiveVolt
    feedback_ohm: PositiveOhm
    last_feedback_ohm: PositiveOhm | None = None
    high_v: Volt
    low_v: Volt

    @model_validator(mode="after")
    def _ordered(self) -> CircuitSettings:
        if self.off_conductance_s >= self.on_conductance_s:
            raise ValueError(
                f"off_conductance_s {self.off_conductance_s:g} must be below on_conductance_s"
                f" {self.on_conductance_s:g}"
            )
        if self.high_v == self.low_v:
            raise ValueError(f"high_v and low_v are both {self.low_v:g} V")
        return self

    def circuit(self) -> BinaryCircuit:
        """Return the circuit that the training computes with."""
        ohm = (self.feedback_ohm, self.last_feedback_ohm or self.feedback_ohm)
        return BinaryCircuit(
            self.on_conductance_s,
            self.off_conductance_s,
            self.rail_v,
            ohm,
            high_v=self.high_v,
            low_v=self.low_v,
        )


class TrainBinaryNetworkSettings(Settings):
    """Settings of the training.

    ``data``, ``test``: inputs of 0 and 1 and their classes. ``hidden``: number of hidden neurons.
    ``sharpness``: of the soft step between off and on during the training. ``initial_factor``: of
    the random initial weights. ``rate``: reached after ten epochs of doubling and halved after
    every ``halve_every``. ``input_noise``: standard deviation of the noise added to the inputs of
    each batch.
    """

    data: LabelledData
    test: LabelledData | None = None
    hidden: Count = 8
    circuit: CircuitSettings
    sharpness: Annotated[Number, Field(gt=0)]
    initial_factor: Annotated[Number, Field(gt=0)]
    rate: Annotated[Number, Field(gt=0)] = 1.0
    epochs: Count = 500
    batch: Count = 10
    halve_every: Count | None = None
    input_noise: Annotated[Number, Field(ge=0)] = 0.1

    def descent(self) -> BinaryDescent:
        """Return the parameters of the gradient descent."""
        return BinaryDescent(
            self.rate,
            self.epochs,
            self.batch,
            self.input_noise,
            self.sharpness,
            self.initial_factor,
            self.halve_every,
        )


@dataclass(frozen=True, eq=False)
class BinaryTrainingRow(Row):
    """Accuracies and loss of the whole training."""

    accuracy: FloatArray = column("1", "on noisy training samples, in each epoch; (epochs,)")
    loss: FloatArray = column("1", "cross-entropy in each epoch; (epochs,)")
    soft_accuracy: float = column("1", "training samples, conductances between off and on")
    train_accuracy: float = column("1", "training samples, every cell on or off")
    soft_test_accuracy: float = column("1", "test samples, between; NaN without any")
    test_accuracy: float = column("1", "test samples, every cell on or off; NaN without any")
    between: float = column("1", "fraction of cells that are 1 to 99 % on when training ends")
    at_the_rail: float = column("1", "fraction of amplifier outputs beyond 99 % of the rail")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"accuracy": self.train_accuracy}


@dataclass(frozen=True, eq=False)
class LatentWeights(Row):
    """Trained latent weights; a cell is on where its latent weight is positive."""

    table: ClassVar[str] = "latent"

    first: FloatArray = column("1", "(inputs, hidden)")
    last: FloatArray = column("1", "(hidden, outputs)")


def run(settings: TrainBinaryNetworkSettings, array: Array) -> Iterator[Yield]:
    """Train, and leave the network with every cell on or off.

    Raises :class:`ConfigError` where classes are not 0, 1, ….
    """
    x, y = _classes(settings.data, "data")
    circuit = settings.circuit.circuit()
    trained = train_binary(
        x, y, hidden=settings.hidden, circuit=circuit, descent=settings.descent(), rng=array.rng
    )
    array.leave(network_of(trained.latent, circuit))
    test = None if settings.test is None else _classes(settings.test, "test")
    row = _row(settings, trained, (x, y), test)
    yield row
    yield LatentWeights(first=trained.latent[0], last=trained.latent[1])
    yield Outcome(True, _summary(row, test))


def _classes(data: LabelledData, key: str) -> tuple[FloatArray, FloatArray]:
    x, y = data.load(key)
    return x.reshape(len(x), -1), y


def _row(
    settings: TrainBinaryNetworkSettings,
    trained: BinaryTrained,
    samples: tuple[FloatArray, FloatArray],
    test: tuple[FloatArray, FloatArray] | None,
) -> BinaryTrainingRow:
    circuit = settings.circuit.circuit()
    soft = [soft_conductance_s(one, circuit, settings.sharpness) for one in trained.latent]
    hard = [hard_conductance_s(one, circuit) for one in trained.latent]

    def accuracy(
        of: tuple[FloatArray, FloatArray] | None, cells_conductance_s: list[FloatArray]
    ) -> float:
        if of is None:
            return float("nan")
        answer = circuit.answer(
            circuit.row_v(of[0]), cells_conductance_s[0], cells_conductance_s[1]
        )
        return float(np.mean(answer.output_v.argmax(axis=1) == of[1]))

    answer = circuit.answer(circuit.row_v(samples[0]), soft[0], soft[1])
    swing = np.abs(np.concatenate([answer.hidden_v.ravel(), answer.output_v.ravel()]))
    on = (np.concatenate([one.ravel() for one in soft]) - circuit.off_conductance_s) / (
        circuit.on_conductance_s - circuit.off_conductance_s
    )
    return BinaryTrainingRow(
        accuracy=trained.accuracy,
        loss=trained.loss,
        soft_accuracy=accuracy(samples, soft),
        train_accuracy=accuracy(samples, hard),
        soft_test_accuracy=accuracy(test, soft),
        test_accuracy=accuracy(test, hard),
        between=float(np.mean((on > 0.01) & (on < 0.99))),
        at_the_rail=float(np.mean(swing > _AT_THE_RAIL * circuit.rail_v)),
    )


def _summary(row: BinaryTrainingRow, test: tuple[FloatArray, FloatArray] | None) -> str:
    summary = (
        f"training accuracy {row.train_accuracy:.4f} with every cell on or off,"
        f" {row.soft_accuracy:.4f} before"
    )
    if test is not None:
        low, high = wilson_interval(round(row.test_accuracy * len(test[1])), len(test[1]))
        summary += f"; test accuracy {row.test_accuracy:.3f} (95 %: {low:.3f} to {high:.3f})"
    if row.at_the_rail > 0.5:
        summary += (
            f"; {row.at_the_rail:.0%} of the amplifier outputs are at the rail, where their"
            " gradient is 0: lower feedback_ohm"
        )
    return summary


def network_of(latent: Sequence[FloatArray], circuit: BinaryCircuit) -> Network:
    """Return the network of latent weights: rows at their voltages, cells on or off, amplifiers.

    Its outputs are in volts.
    """
    first, last = (hard_conductance_s(one, circuit) for one in latent)
    order: tuple[int | LayerSettings, ...] = (
        Scale(kind="scale", factor=circuit.high_v - circuit.low_v, offset=circuit.low_v),
        0,
        Amplifier(kind="amplifier", rail=circuit.rail_v, gain=circuit.feedback_ohm[0]),
        1,
        Amplifier(kind="amplifier", rail=circuit.rail_v, gain=circuit.feedback_ohm[1]),
    )
    return Network((Matrix("first", first, bias=False), Matrix("last", last, bias=False)), order)


def plan(settings: TrainBinaryNetworkSettings, array: ArraySettings) -> Plan:
    """Return the plan: nothing is done to the array; the sizes of the network are known.

    Raises :class:`ConfigError` for data that cannot be used, and for a conductance that no read
    could show.
    """
    refuse_unreadable(settings.circuit.on_conductance_s, array, key="circuit.on_conductance_s")
    x, y = _classes(settings.data, "data")
    sizes = (x.shape[1], settings.hidden), (settings.hidden, int(y.max()) + 1)
    network = network_of([np.zeros(size) for size in sizes], settings.circuit.circuit())
    return Plan([], rows=1, leaves={UntrainedNetwork: UntrainedNetwork(network)})


TRAIN_BINARY_NETWORK = Step(
    name="train_binary_network",
    summary="Train two layers in software for cells that are only on or off, for map_network",
    settings=TrainBinaryNetworkSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.networks:binary_training",
)
