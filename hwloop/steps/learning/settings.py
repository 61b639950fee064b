"""Settings of a training in the array: layers, samples, rule and pulses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from hwloop.array.blocks import Keep
from hwloop.array.conductance_range import ConductanceRange
from hwloop.errors import ConfigError
from hwloop.messages import first_place
from hwloop.settings.bulk import LabelledData
from hwloop.settings.model import Settings
from hwloop.settings.tables import NumberTable
from hwloop.settings.units import Count, Fraction, Number, PositiveVolt
from hwloop.steps.learning.activations import ACTIVATIONS, ActivationName, LossName
from hwloop.steps.learning.pulses import CellPulses
from hwloop.steps.learning.rules import AnyRule
from hwloop.types import FloatArray


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs (samples, inputs), targets (samples, outputs) and classes (samples,)."""

    inputs: FloatArray
    targets: FloatArray
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.inputs)

    def part(self, chosen: NDArray[np.int64] | slice) -> Samples:
        """Return some of the samples."""
        return Samples(self.inputs[chosen], self.targets[chosen], self.classes[chosen])


class NeuronLayer(Settings):
    """A layer of ``outputs`` neurons: y = activation(gain · Σ w x)."""

    outputs: Count
    activation: ActivationName = "tanh"
    gain: Annotated[Number, Field(gt=0)] = 1.0


class WrittenSamples(Settings):
    """Samples written out: ``inputs`` (samples, inputs), ``targets`` (samples, outputs)."""

    inputs: NumberTable
    targets: NumberTable


class StopRule(Settings):
    """End of a training: one of the two.

    ``within``: every answer to the samples is nearer than this to its target. ``accuracy``: this
    fraction of the samples is classified right.
    """

    within: Annotated[Number, Field(gt=0)] | None = None
    accuracy: Annotated[Fraction, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _one(self) -> StopRule:
        if (self.within is None) == (self.accuracy is None):
            raise ValueError("give one of within and accuracy")
        return self


class TrainInSituSettings(Settings):
    """Settings of a training in the array.

    ``layers``: one or two. ``samples`` written out, or ``data`` with classes, whose targets are
    ``target_1`` at the neuron of the class and ``target_0`` at the others. ``test``: other data, on
    which the accuracy is judged. ``bias``: one more input of 1 in every layer. ``range``: of the
    cells; a weight is (G⁺ − G⁻) / (high − low). ``input_v``: on the row of an input of 1.
    ``batch``: samples of an update; ``shuffle``: in a new order in each epoch. ``judge_every``:
    epochs between two judgements of all samples. ``record``: what a record keeps of each
    multiplication.
    """

    layers: Annotated[tuple[NeuronLayer, ...], Field(min_length=1, max_length=2)]
    samples: WrittenSamples | None = None
    data: LabelledData | None = None
    test: LabelledData | None = None
    target_0: Number = 0.0
    target_1: Number = 1.0
    bias: bool = True
    loss: LossName = "squared"
    rule: AnyRule
    pulses: CellPulses
    range: ConductanceRange
    input_v: PositiveVolt = 0.1
    batch: Count = 1
    shuffle: bool = True
    max_epochs: Count = 100
    judge_every: Count = 1
    stop: StopRule | None = None
    record: Keep = "answers"

    @model_validator(mode="after")
    def _consistent(self) -> TrainInSituSettings:
        if (self.samples is None) == (self.data is None):
            raise ValueError("give one of samples and data")
        if self.test is not None and self.data is None:
            raise ValueError("test needs data, of the same kind")
        *hidden, last = self.layers
        if any(layer.activation == "softmax" for layer in hidden):
            raise ValueError("layers.0.activation softmax is for the last layer")
        if last.activation == "softmax" and last.outputs == 1:
            raise ValueError("activation softmax needs two outputs or more: of one it is always 1")
        if self.target_0 >= self.target_1:
            raise ValueError(f"target_0 {self.target_0:g} must be below target_1 {self.target_1:g}")
        self.rule.refuse_pulses(self.pulses)
        if last.activation == "softmax" and self.loss != "cross_entropy":
            raise ValueError("activation softmax needs loss: cross_entropy")
        if self.loss == "cross_entropy" and last.activation not in ("softmax", "sigmoid"):
            raise ValueError(
                f"loss cross_entropy needs softmax or sigmoid at the output, not {last.activation}"
            )
        return self

    @property
    def span_conductance_s(self) -> float:
        """Return the difference of the bounds of a cell, siemens."""
        return self.range.high_conductance_s - self.range.low_conductance_s

    def training(self) -> Samples:
        """Return the samples to train with."""
        if self.data is not None:
            return self._labelled(self.data, "data")
        given = self.samples
        if given is None:
            raise ConfigError("there are no samples", key="samples")
        inputs, targets = np.array(given.inputs), np.array(given.targets)
        if not inputs.size or not targets.size:
            raise ConfigError("there are no samples", key="samples")
        if len(inputs) != len(targets):
            raise ConfigError(f"{len(inputs)} inputs, but {len(targets)} targets", key="samples")
        return self._checked(Samples(inputs, targets, predicted(targets, targets)), "samples")

    def judged(self, training: Samples) -> Samples:
        """Return the samples by which the training is judged."""
        return training if self.test is None else self._labelled(self.test, "test")

    def _labelled(self, data: LabelledData, key: str) -> Samples:
        inputs, classes = data.load(key)
        inputs = inputs.reshape(len(inputs), -1)
        outputs = self.layers[-1].outputs
        if classes.max() >= outputs:
            raise ConfigError(
                f"class {int(classes.max())}, but the last layer has {outputs} outputs",
                key=f"{key}.classes",
            )
        targets = np.where(classes[:, None] == np.arange(outputs), self.target_1, self.target_0)
        return self._checked(Samples(inputs, targets, classes.astype(np.int64)), key)

    def _checked(self, samples: Samples, key: str) -> Samples:
        last = self.layers[-1]
        width = samples.targets.shape[-1]
        if width != last.outputs:
            raise ConfigError(
                f"{width} targets a sample, but the last layer has {last.outputs} outputs",
                key=f"{key}.targets",
            )
        for name, values, low, high, why in (
            ("inputs", samples.inputs, -1.0, 1.0, "an input is between"),
            (
                "targets",
                samples.targets,
                ACTIVATIONS[last.activation].low,
                ACTIVATIONS[last.activation].high,
                f"{last.activation} answers between",
            ),
        ):
            outside = (values < low) | (values > high)
            if outside.any():
                place = first_place(outside)
                raise ConfigError(
                    f"{name} at {place} is {values[place]:g}; {why} {low:g} and {high:g}",
                    key=key,
                )
        self._check_classes(samples, key)
        return samples

    def _check_classes(self, samples: Samples, key: str) -> None:
        sums = samples.targets.sum(axis=-1)
        off = np.abs(sums - 1) > 1e-9
        if self.layers[-1].activation == "softmax" and off.any():
            index = int(np.flatnonzero(off)[0])
            raise ConfigError(
                f"targets of sample {index} add up to {sums[index]:g}; those of softmax to 1",
                key=f"{key}.targets",
            )
        by_accuracy = self.stop is not None and self.stop.accuracy is not None
        if by_accuracy and samples.targets.shape[-1] == 1 and np.ptp(samples.targets) == 0:
            raise ConfigError(
                f"every target is {samples.targets[0, 0]:g}: there are no classes to tell apart",
                key="stop.accuracy",
            )


def predicted(answers: FloatArray, targets: FloatArray) -> NDArray[np.int64]:
    """Return the class of each answer, (..., samples): the largest output.

    Of one output, whether it is nearer to the higher of its targets, (samples, 1).
    """
    if answers.shape[-1] > 1:
        largest: NDArray[np.int64] = np.argmax(answers, axis=-1)
        return largest
    middle = (targets.min() + targets.max()) / 2
    upper: NDArray[np.int64] = (answers[..., 0] > middle).astype(np.int64)
    return upper
