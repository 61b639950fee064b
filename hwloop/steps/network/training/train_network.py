"""Training of a network of one or two layers in software, for a later step to map.

Nothing is done to the array. The bias is an input of 1, the last row of the first matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, NonNegativeInt

from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError
from hwloop.settings.bulk import LabelledData
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, Number
from hwloop.statistics import wilson_interval
from hwloop.steps.array import Array
from hwloop.steps.contract import Plan, Step
from hwloop.steps.network.inference.forethought import UntrainedNetwork
from hwloop.steps.network.network import Function, LayerSettings, Matrix, Network, predicted
from hwloop.steps.network.training.gradient_descent import Descent, start, train
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import FloatArray


class TrainNetworkSettings(Settings):
    """Settings of the training.

    ``hidden``: number of hidden neurons; if left out, there is one layer and its weights start at
    0. ``seed``, ``scale``: of the normal numbers that two layers start from. The training stops at
    ``stop_accuracy`` on the training samples, or after ``iterations``. ``test``: samples for
    evaluation only.
    """

    data: LabelledData
    test: LabelledData | None = None
    hidden: Count | None = None
    rate: Annotated[Number, Field(gt=0)]
    iterations: Count = 10_000
    stop_accuracy: Annotated[Number, Field(gt=0, le=1)] | None = None
    seed: NonNegativeInt = 0
    scale: Number = 0.01


@dataclass(frozen=True, eq=False)
class TrainingRow(Row):
    """Accuracies and loss of the whole training."""

    iterations: int = column("1", "updates done")
    train_accuracy: float = column("1", "on the training samples, after the last update")
    test_accuracy: float = column("1", "on the test samples; NaN without any")
    accuracy: FloatArray = column("1", "on the training samples before each update; (iterations,)")
    loss: FloatArray = column("1", "binary cross-entropy before each update; (iterations,)")


@dataclass(frozen=True, eq=False)
class FirstWeights(Row):
    """Trained weights of the first layer."""

    table: ClassVar[str] = "weights"

    weights: FloatArray = column("1", "trained weights of the first layer; (rows, outputs)")


def run(settings: TrainNetworkSettings, array: Array) -> Iterator[Yield]:
    """Train, and leave the network for later steps.

    Raises :class:`ConfigError` where classes are not 0 and 1.
    """
    x, y = _binary(settings.data, "data")
    if settings.test is not None:
        test_x, test_y = _binary(settings.test, "test")
    began = start(x.shape[1] + 1, settings.hidden, seed=settings.seed, scale=settings.scale)
    descent = Descent(settings.rate, settings.iterations, settings.stop_accuracy)
    trained = train(np.concatenate([x, np.ones((len(x), 1))], axis=1), y, began, descent)
    network = network_of(trained.weights)
    array.leave(network)
    test_accuracy = float("nan")
    summary = f"{len(trained.loss)} iterations"
    if settings.test is not None:
        right = int((predicted(network.forward(test_x)) == test_y).sum())
        test_accuracy = right / len(test_y)
        low, high = wilson_interval(right, len(test_y))
        summary += f"; test accuracy {test_accuracy:.3f} (95 %: {low:.3f} to {high:.3f})"
    train_accuracy = float((predicted(network.forward(x)) == y).mean())
    yield TrainingRow(
        iterations=len(trained.loss),
        train_accuracy=train_accuracy,
        test_accuracy=test_accuracy,
        accuracy=trained.accuracy,
        loss=trained.loss,
    )
    yield FirstWeights(weights=trained.weights[0])
    missed = settings.stop_accuracy is not None and trained.accuracy[-1] < settings.stop_accuracy
    yield Outcome(not missed, f"training accuracy {train_accuracy:.4f} after {summary}")


def _binary(data: LabelledData, key: str) -> tuple[FloatArray, FloatArray]:
    x, y = data.load(key)
    if not np.isin(y, (0, 1)).all():
        raise ConfigError(f"classes up to {y.max():g}: they must be 0 and 1", key=key)
    return x, y


def network_of(weights: Sequence[FloatArray]) -> Network:
    """Return one or two matrices with the functions between them as a network."""
    matrices = [Matrix("first", weights[0], bias=True)]
    order: list[int | LayerSettings] = [0]
    if len(weights) == 2:
        matrices.append(Matrix("last", weights[1], bias=False))
        order += [Function(kind="relu"), 1]
    return Network(tuple(matrices), (*order, Function(kind="sigmoid")))


def plan(settings: TrainNetworkSettings, array: ArraySettings) -> Plan:  # noqa: ARG001
    """Return the plan: nothing is done to the array; the sizes of the network are known.

    Raises :class:`ConfigError` for data that cannot be used.
    """
    x, _ = _binary(settings.data, "data")
    began = start(x.shape[1] + 1, settings.hidden, seed=settings.seed, scale=settings.scale)
    return Plan([], rows=1, leaves={UntrainedNetwork: UntrainedNetwork(network_of(began))})


TRAIN_NETWORK = Step(
    name="train_network",
    summary="Train one or two layers in software, for map_network",
    settings=TrainNetworkSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.networks:training",
)
