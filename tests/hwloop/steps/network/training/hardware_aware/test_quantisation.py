"""Weights on the levels of cells, against the mapping and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.errors import ConfigError
from hwloop.steps.network.mapping.mapping import WeightColumns, map_weights
from hwloop.steps.network.network import ConvLayer, DenseLayer, build
from hwloop.steps.network.training.hardware_aware.quantisation import folded, on_levels
from hwloop.steps.network.training.hardware_aware.settings import Quantisation


def test_four_levels_of_a_pair_hold_thirds_of_the_largest_weight() -> None:
    layer = DenseLayer(kind="dense", weight="w", bias="b")
    weight = np.array([[0.9, -0.4], [0.16, -0.1]])
    held, bias = on_levels(layer, weight, np.array([-0.7, 0.3]), Quantisation(levels=4).columns())
    np.testing.assert_allclose(held, [[0.9, -0.3], [0.3, 0.0]], atol=1e-12)  # multiples of 0.3
    np.testing.assert_allclose(bias, [-0.6, 0.3], atol=1e-12)


@given(
    levels=st.integers(2, 9),
    scale=st.sampled_from(["layer", "column"]),
    arrangement=st.sampled_from(["differential", "symmetric", "offset"]),
    seed=st.integers(0, 99),
)
def test_weights_on_levels_are_mapped_to_any_cells_unchanged(
    levels: int, scale: str, arrangement: str, seed: int
) -> None:
    """What is trained is what ``map_network`` places, whichever conductances the cells have."""
    layer = ConvLayer(kind="conv", weight="w", bias="b")
    rng = np.random.default_rng(seed)
    weight, bias = rng.normal(size=(3, 2, 2, 2)), rng.normal(size=3)
    given_ = {"levels": levels, "scale": scale, "arrangement": arrangement}
    held, held_bias = on_levels(layer, weight, bias, Quantisation.parse(given_).columns())
    assert held_bias is not None
    matrix = np.concatenate([held.reshape(3, -1).T, held_bias[None]])
    ends = {"min_conductance_s": 1e-5, "max_conductance_s": 1.1e-4}
    mapped = map_weights(
        np.concatenate([weight.reshape(3, -1).T, bias[None]]), WeightColumns.parse(given_ | ends)
    )
    np.testing.assert_allclose(mapped.weights(), matrix, atol=1e-9)


@pytest.mark.parametrize("bias", [None, "0.bias"])
def test_folding_changes_no_answer_and_leaves_an_identity(bias: str | None) -> None:
    rng = np.random.default_rng(4)
    layer = ConvLayer(kind="conv", weight="0.weight", bias=bias, norm="1", padding=1)
    arrays = {
        "0.weight": rng.normal(size=(3, 2, 3, 3)),
        "0.bias": rng.normal(size=3),
        "1.weight": rng.normal(size=3),
        "1.bias": rng.normal(size=3),
        "1.running_mean": rng.normal(size=3),
        "1.running_var": rng.uniform(0.1, 2, 3),
    }
    made = folded([layer], arrays)
    x = rng.normal(size=(4, 2, 5, 5))
    expected = build([layer], arrays).forward(x)
    np.testing.assert_allclose(build([layer], made).forward(x), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(made["1.weight"], 1.0)
    np.testing.assert_array_equal(made["1.running_mean"], 0.0)


def test_conductances_as_weights_are_refused() -> None:
    with pytest.raises(ConfigError, match="direct is for weights that are conductances"):
        Quantisation.parse({"levels": 4, "arrangement": "direct"})
