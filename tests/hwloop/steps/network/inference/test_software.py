"""Answers in software beside the array's: those of the whole network, and errors of its layers."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.errors import StepError
from hwloop.steps.network.inference.software import SoftwareAnswers
from hwloop.steps.network.network import DenseLayer, LayerSettings, MeasuredActivation, build

RNG = np.random.default_rng(3)
WEIGHTS = RNG.normal(size=(4, 5))
DENSE = DenseLayer.parse({"kind": "dense", "weight": "w"})


def test_parts_of_the_samples_are_taken_for_the_class_of_the_largest_sum() -> None:
    x = RNG.normal(size=(23, 5))
    with SoftwareAnswers(build([DENSE], {"w": WEIGHTS})) as software:
        for begin in range(0, 23, 4):
            software.add(x[begin : begin + 4])
        found = software.all()
    np.testing.assert_array_equal(found, np.argmax(x @ WEIGHTS.T, axis=1))


def test_what_a_layer_refuses_is_raised_where_the_answers_are_asked_for() -> None:
    measured: LayerSettings = MeasuredActivation.parse(
        {"kind": "measured", "x": [-1e-9, 1e-9], "y": [0.0, 1.0]}
    )
    with SoftwareAnswers(build([DENSE, measured], {"w": WEIGHTS})) as software:
        software.add(np.ones((3, 5)))
        with pytest.raises(StepError, match="outside the measured"):
            software.all()
