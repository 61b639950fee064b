"""One or two layers in the array: forwards, backwards, and an update of both.

The four steps of a training of two layers (R. Hasan and T. M. Taha, IJCNN 2014, 21,
doi:10.1109/IJCNN.2014.6889893): forwards through both arrays; the error at the output; the output's
error driven backwards through the second array, which is the error of the hidden neurons; pulses
into both arrays. Every sum of products is a measured current.
"""

from __future__ import annotations

import numpy as np

from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError, StepError
from hwloop.steps.array import Array
from hwloop.steps.learning.activations import ACTIVATIONS, output_error
from hwloop.steps.learning.placed_layer import Place, PlacedLayer
from hwloop.steps.learning.pulses import IntArray
from hwloop.steps.learning.rules import LayerRule
from hwloop.steps.learning.settings import NeuronLayer, Samples, TrainInSituSettings
from hwloop.types import BoolArray, FloatArray


def places(
    settings: TrainInSituSettings, array: ArraySettings, inputs: int
) -> tuple[tuple[Place, ...], ...]:
    """Return the cells of each layer, with those of its copies, on the diagonal of the array.

    Rows and columns of one layer are those of no other, so that what drives one reads nothing of
    the other. Raises :class:`ConfigError` where they do not fit.
    """
    top = left = 0
    found = []
    for number, layer in enumerate(settings.layers):
        rows = inputs + settings.bias
        own = []
        for _ in range(settings.rule.copies):
            own.append(Place(top, left, rows, layer.outputs))
            left += 2 * layer.outputs
        top, inputs = top + rows, layer.outputs
        if top > array.rows or left > array.cols:
            raise ConfigError(
                f"needs {rows} rows and {2 * layer.outputs * settings.rule.copies} columns, up to"
                f" row {top}, column {left}; the array has {array.rows} rows, {array.cols} columns",
                key=f"layers.{number}",
            )
        found.append(tuple(own))
    return tuple(found)


class LearningNetwork:
    """The layers of a training on an array, and a rule at work on each."""

    def __init__(self, settings: TrainInSituSettings, array: Array, inputs: int) -> None:
        self._settings = settings
        self.layers: list[PlacedLayer] = []
        self._copies: list[PlacedLayer] = []
        self._rules: list[LayerRule] = []
        for number, own in enumerate(places(settings, array.settings, inputs)):
            copies = [
                PlacedLayer(
                    array=array,
                    place=place,
                    pulses=settings.pulses,
                    input_v=settings.input_v,
                    span_conductance_s=settings.span_conductance_s,
                    keep=settings.record,
                    label=f"layers.{number}",
                )
                for place in own
            ]
            self.layers.append(copies[0])
            self._copies += copies
            self._rules.append(settings.rule.begin(copies, array.rng))

    @property
    def pulsed(self) -> IntArray:
        """Return the pulses given to each array so far, (...)."""
        return np.asarray(np.sum([layer.pulsed for layer in self._copies], axis=0), dtype=np.int64)

    @property
    def cut(self) -> IntArray:
        """Return how many updates of a weight ``most_pulses`` has cut so far, (...)."""
        return np.asarray(np.sum([layer.cut for layer in self._copies], axis=0), dtype=np.int64)

    def rest(self, ended: BoolArray) -> None:
        """Give no pulses any more to the arrays that have ended, (...)."""
        for layer in self._copies:
            layer.at_work = ~ended

    def answers(self, inputs: FloatArray) -> FloatArray:
        """Return the answers, (..., samples, outputs), of inputs (samples, inputs)."""
        return self._forward(inputs)[-1]

    def update(self, samples: Samples) -> None:
        """Update both layers for a batch of samples."""
        settings = self._settings
        values = self._forward(samples.inputs)
        last = settings.layers[-1]
        with np.errstate(over="ignore", invalid="ignore"):
            errors = last.gain * output_error(
                settings.loss, last.activation, values[-1], samples.targets
            )
        _refuse_infinite(errors, len(self.layers) - 1)
        found = [errors]
        for number in range(len(self.layers) - 1, 0, -1):
            behind = self.layers[number].backward(errors)[
                ..., : settings.layers[number - 1].outputs
            ]
            layer = settings.layers[number - 1]
            with np.errstate(over="ignore", invalid="ignore"):
                errors = layer.gain * ACTIVATIONS[layer.activation].slope(values[number]) * behind
            _refuse_infinite(errors, number - 1)
            found.insert(0, errors)
        for rule, inputs, own in zip(self._rules, values[:-1], found, strict=True):
            rule.update(self._with_bias(inputs), own)

    def _forward(self, inputs: FloatArray) -> list[FloatArray]:
        """Return the inputs of every layer, without the bias, and at the end the answers."""
        values = [inputs]
        for layer, placed in zip(self._settings.layers, self.layers, strict=True):
            sums = placed.forward(self._with_bias(values[-1]))
            with np.errstate(over="ignore", invalid="ignore"):
                values.append(_activated(layer, sums))
            _refuse_infinite(values[-1], len(values) - 2)
        return values

    def _with_bias(self, inputs: FloatArray) -> FloatArray:
        if not self._settings.bias:
            return inputs
        return np.concatenate([inputs, np.ones((*inputs.shape[:-1], 1))], axis=-1)


def _activated(layer: NeuronLayer, sums: FloatArray) -> FloatArray:
    return ACTIVATIONS[layer.activation].of(layer.gain * sums)


def _refuse_infinite(values: FloatArray, number: int) -> None:
    if not np.isfinite(values).all():
        raise StepError(
            f"train_in_situ: layers.{number}: an answer or its error is not finite: lower gain"
        )
