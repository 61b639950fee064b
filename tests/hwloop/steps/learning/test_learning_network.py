"""What the layers hand to their rule, against the slopes of the loss, taken numerically."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from typing_extensions import override

from hwloop.errors import ConfigError, StepError
from hwloop.steps.array import Array
from hwloop.steps.learning.activations import ACTIVATIONS, mean_loss
from hwloop.steps.learning.learning_network import LearningNetwork, places
from hwloop.steps.learning.rules import LayerRule, mean_gradient
from hwloop.steps.learning.settings import TrainInSituSettings
from hwloop.types import FloatArray
from tests.hwloop.steps.learning.learners import (
    RANGE,
    array_settings,
    emulated_array,
    training,
)


class Noting(LayerRule):
    """Keeps the gradient that an update would follow."""

    @override
    def update(self, inputs: FloatArray, errors: FloatArray) -> None:
        self.gradient = mean_gradient(inputs, errors)


def _weights(array: Array, network: LearningNetwork) -> list[FloatArray]:
    conductance_s = array.conductance_s(array.read_all())
    span_s = RANGE["high_conductance_s"] - RANGE["low_conductance_s"]
    found = []
    for layer in network.layers:
        own_s = conductance_s[(..., *layer.place.cells)]
        found.append((own_s[..., 0::2] - own_s[..., 1::2]) / span_s)
    return found


def _loss(settings: TrainInSituSettings, weights: list[FloatArray]) -> float:
    """The network written out in NumPy."""
    samples = settings.training()
    values = samples.inputs
    for layer, weight in zip(settings.layers, weights, strict=True):
        ones = np.ones((len(values), 1))
        sums = np.concatenate([values, ones], axis=-1) @ weight
        values = ACTIVATIONS[layer.activation].of(layer.gain * sums)
    return float(mean_loss(settings.loss, values, samples.targets))


ONE_OF_THREE = {
    "inputs": [[0.2, -0.7], [1.0, 0.4], [-0.3, 0.9]],
    "targets": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
}
CASES: dict[str, dict[str, Any]] = {
    "tanh, squared": {},
    "relu and softmax, cross entropy": {
        "samples": ONE_OF_THREE,
        "layers": [
            {"outputs": 4, "activation": "relu", "gain": 5},
            {"outputs": 3, "activation": "softmax", "gain": 2},
        ],
        "loss": "cross_entropy",
    },
    "one layer of sigmoids": {
        "samples": ONE_OF_THREE,
        "layers": [{"outputs": 3, "activation": "sigmoid", "gain": 2}],
    },
}


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_every_layer_follows_the_slope_of_the_loss(changes: dict[str, Any]) -> None:
    settings = training(**changes)
    array, _ = emulated_array(9, 16)
    network = LearningNetwork(settings, array, 2)
    notes = [Noting() for _ in network.layers]
    network._rules = list(notes)
    weights = _weights(array, network)
    network.update(settings.training())
    step = 1e-6
    for number, note in enumerate(notes):
        for place in np.ndindex(*weights[number].shape):
            ends = []
            for sign in (1, -1):
                moved = [weight.copy() for weight in weights]
                moved[number][place] += sign * step
                ends.append(_loss(settings, moved))
            slope = (ends[0] - ends[1]) / (2 * step)
            assert note.gradient[place] == pytest.approx(-slope, rel=1e-4, abs=1e-7)


def test_answers_larger_than_1_are_scaled_for_the_array_and_back() -> None:
    settings = training(**CASES["relu and softmax, cross entropy"])
    array, backend = emulated_array(9, 16)
    network = LearningNetwork(settings, array, 2)
    layer = network.layers[1]
    inputs = np.array([[7.0, 0.0, 3.0, 1.0, 1.0]])
    expected = inputs @ _weights(array, network)[1]
    np.testing.assert_allclose(layer.forward(inputs), expected, rtol=1e-9)
    del backend


def test_layers_stand_on_the_diagonal_of_the_array() -> None:
    first, second = (own[0] for own in places(training(), array_settings(8, 10), 2))
    assert first.cells == (slice(0, 3), slice(0, 8))
    assert second.cells == (slice(3, 8), slice(8, 10))


@pytest.mark.parametrize(("rows", "cols"), [(7, 10), (8, 9)])
def test_a_second_layer_that_does_not_fit_is_refused_by_its_place(rows: int, cols: int) -> None:
    message = rf"layers\.1: needs 5 rows and 2 columns.*array has {rows} rows, {cols} columns"
    with pytest.raises(ConfigError, match=message):
        places(training(), array_settings(rows, cols), 2)


def test_a_current_that_was_not_measured_names_layer_line_and_vector() -> None:
    settings = training()
    array, _ = emulated_array(
        8,
        10,
        converters={"adc": {"bits": 8, "range": {"kind": "fixed", "low_a": -1e-9, "high_a": 1e-9}}},
    )
    network = LearningNetwork(settings, array, 2)
    with pytest.raises(StepError, match=r"layers\.0: column 0 of vector 0 could not be measured"):
        network.answers(settings.training().inputs)


def test_a_gradient_that_is_not_finite_names_its_weight() -> None:
    with pytest.raises(StepError, match=r"gradient of weight \(1, 0\) is inf"):
        mean_gradient(np.array([[0.0, 1e300]]), np.array([[1e300]]))


def test_an_error_that_is_not_finite_names_its_layer() -> None:
    steep = {"activation": "linear", "gain": 1e100}
    settings = training(layers=[{"outputs": 4, **steep}, {"outputs": 1, **steep}])
    array, _ = emulated_array(9, 16)
    network = LearningNetwork(settings, array, 2)
    with pytest.raises(StepError, match=r"layers\.0: an answer or its error is not finite"):
        network.update(settings.training())
