"""The forward pass in PyTorch, against the network in NumPy that the array multiplies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from hwloop.errors import StepError
from hwloop.steps.network.network import LayerSettings, build
from hwloop.steps.network.training.hardware_aware.torch_network import forward, normalise

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make test-torch")
pytestmark = pytest.mark.torch
RNG = np.random.default_rng(7)
ARRAYS = {
    "c": RNG.normal(size=(3, 2, 3, 2)),
    "d": RNG.normal(size=3),
    "n.weight": RNG.normal(size=3),
    "n.bias": RNG.normal(size=3),
    "n.running_mean": RNG.normal(size=3),
    "n.running_var": RNG.uniform(0.5, 2, 3),
    "w": RNG.normal(size=(4, 24)),
    "v": RNG.normal(size=(24, 4)),
    "b": RNG.normal(size=4),
}
CONV = {"kind": "conv", "weight": "c", "bias": "d", "norm": "n", "padding": 1, "stride": 2}
FLAT = {"kind": "flatten"}


def _answers(layers: list[dict[str, Any]], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By NumPy and by PyTorch, in double precision."""
    parsed = [TypeAdapter(LayerSettings).validate_python(layer) for layer in layers]
    tensors = {name: torch.from_numpy(value) for name, value in ARRAYS.items()}
    found = forward(
        torch,
        parsed,
        torch.from_numpy(x),
        lambda layer: (tensors[layer.weight], layer.bias and tensors[layer.bias]),
        lambda layer, sums: normalise(torch, layer, tensors, sums, training=False),
    )
    return build(parsed, ARRAYS).forward(x), found.numpy()


@pytest.mark.parametrize(
    "function",
    [
        {"kind": "relu"},
        {"kind": "tanh"},
        {"kind": "sigmoid"},
        {"kind": "softmax"},
        {"kind": "scale", "factor": -2.0, "offset": 0.5},
        {"kind": "amplifier", "rail": 2.0, "gain": 3.0},
        {"kind": "measured", "x": [-99, -1, 0.3, 99], "y": [0, 1, -2, 5]},
    ],
)
def test_every_layer_answers_as_in_numpy(function: dict[str, Any]) -> None:
    x = RNG.normal(size=(5, 2, 8, 7))
    pool = {"kind": "max_pool", "size": 2}
    dense = {"kind": "dense", "weight": "v", "bias": "b", "order": "in_out"}
    last = {"kind": "dense", "weight": "w", "bias": "b"}
    for layers in ([CONV, function, FLAT], [CONV, pool, function, FLAT]):
        expected, found = _answers(layers, x)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    for one in (dense, last):
        expected, found = _answers([one, function], RNG.normal(size=(5, 24)))
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_an_input_outside_a_measured_activation_is_refused() -> None:
    measured = {"kind": "measured", "x": [-1, 1], "y": [0, 1]}
    with pytest.raises(
        StepError, match=r"1 of 2 inputs, such as 3, are outside the measured -1 to 1"
    ):
        forward(
            torch,
            [TypeAdapter(LayerSettings).validate_python(measured)],
            torch.tensor([[0.5, 3.0]]),
            lambda _: (None, None),
            lambda _, sums: sums,
        )
