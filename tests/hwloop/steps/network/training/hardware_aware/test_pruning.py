"""What a pruning keeps, by hand calculation."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.errors import ConfigError, StepError
from hwloop.steps.network.network import ConvLayer, DenseLayer, Flatten, Function, build
from hwloop.steps.network.training.hardware_aware.pruning import kept_after
from hwloop.steps.network.training.hardware_aware.settings import Pruning

FIRST = DenseLayer(kind="dense", weight="a")
LAST = DenseLayer(kind="dense", weight="b", order="in_out")
ARRAYS = {"a": np.array([[0.1, -4.0], [3.0, 0.2]]), "b": np.array([[-0.3, 5.0], [6.0, 7.0]])}


def test_smallest_magnitudes_of_the_whole_network_are_pruned() -> None:
    masks = kept_after(Pruning(fraction=0.375), 0.375, [FIRST, LAST], ARRAYS)  # 3 of 8
    np.testing.assert_array_equal(masks["a"], [[False, True], [True, False]])
    np.testing.assert_array_equal(masks["b"], [[False, True], [True, True]])


def test_within_each_layer_every_layer_loses_the_same_fraction() -> None:
    masks = kept_after(Pruning(fraction=0.5, within="layer"), 0.5, [FIRST, LAST], ARRAYS)
    np.testing.assert_array_equal(masks["a"], [[False, True], [True, False]])
    np.testing.assert_array_equal(masks["b"], [[False, False], [True, True]])


def test_a_pruning_that_leaves_nothing_of_a_layer_is_refused_with_its_name() -> None:
    with pytest.raises(
        StepError, match=r"0\.9 of the weights taken away leaves nothing of a: lower"
    ):
        kept_after(Pruning(fraction=0.9, within="layer"), 0.9, [FIRST, LAST], ARRAYS)
    with pytest.raises(StepError, match=r"0\.9 of the channels taken away leaves nothing of a"):
        kept_after(Pruning(kind="channels", fraction=0.9), 0.9, [FIRST, LAST], ARRAYS)


def test_whole_kernels_of_the_least_norm_are_pruned_and_dense_layers_left() -> None:
    conv = ConvLayer(kind="conv", weight="c")
    weight = np.ones((2, 2, 2, 2)) * np.array([[1.0, 4.0], [2.0, 3.0]])[:, :, None, None]
    weight[0, 0, 0, 0] = 10.0  # norm 10.1 against 4.0 of the next: one large weight counts
    masks = kept_after(
        Pruning(kind="kernels", fraction=0.5), 0.5, [conv, FIRST], {**ARRAYS, "c": weight}
    )
    assert set(masks) == {"c"}
    kept = masks["c"].all(axis=(2, 3))
    np.testing.assert_array_equal(kept, [[True, True], [False, False]])
    np.testing.assert_array_equal(masks["c"].any(axis=(2, 3)), kept)


def test_a_pruned_channel_answers_as_a_network_without_it() -> None:
    """Right values: the same network built without the channels, in NumPy."""
    rng = np.random.default_rng(2)
    conv = ConvLayer(kind="conv", weight="c", bias="d", norm="n")
    last = DenseLayer(kind="dense", weight="b", order="in_out")
    layers = (conv, Function(kind="relu"), Flatten(kind="flatten"), last)
    norm = {"n.weight": rng.uniform(1, 2, 4), "n.bias": rng.normal(size=4)}
    arrays = {
        "c": rng.normal(size=(4, 2, 2, 2)),
        "d": rng.normal(size=4),
        "b": rng.normal(size=(4 * 9, 3)),
        **norm,
        "n.running_mean": rng.normal(size=4),
        "n.running_var": rng.uniform(1, 2, 4),
    }
    masks = kept_after(Pruning(kind="channels", fraction=0.5), 0.5, [conv, last], arrays)
    assert masks["b"].sum() == 2 * 9 * 3  # what is multiplied with pruned channels goes as well
    kept = np.sort(np.argsort(np.square(arrays["c"]).sum(axis=(1, 2, 3)))[2:])
    pruned = {name: value * masks.get(name, True) for name, value in arrays.items()}
    small = {name: value[kept] for name, value in arrays.items() if name != "b"}
    small["b"] = arrays["b"].reshape(4, 9, 3)[kept].reshape(18, 3)
    x = rng.normal(size=(5, 2, 4, 4))
    expected = build(layers, small).forward(x)
    np.testing.assert_allclose(build(layers, pruned).forward(x), expected, rtol=1e-12)


def test_each_step_takes_the_same_part_of_what_is_left() -> None:
    # 1 − 0.25^(1/2) = 0.5 and then 0.75, by hand.
    np.testing.assert_allclose(Pruning(fraction=0.75, steps=2).fractions(), [0.5, 0.75])


def test_structures_are_not_ranked_over_the_whole_network() -> None:
    with pytest.raises(ConfigError, match="within: kernels are pruned within each layer"):
        Pruning.parse({"kind": "kernels", "fraction": 0.5, "within": "network"})
