"""Signed weights as conductances, there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwloop.errors import ConfigError
from hwloop_sim.weights import WeightColumns, map_weights

weights = arrays(
    np.float64, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=st.floats(-3, 3)
)


@given(weights, st.sampled_from(["differential", "offset"]))
def test_currents_of_mapped_weights_give_the_weighted_sums_back(
    values: np.ndarray, arrangement: str
) -> None:
    columns = WeightColumns.parse({"arrangement": arrangement, "min_s": 1e-6, "max_s": 1e-4})
    mapped = map_weights(values, columns)
    voltage_v = np.linspace(-0.2, 0.2, 3 * len(values)).reshape(3, -1)
    sums = mapped.sums(voltage_v @ mapped.conductance_s)
    np.testing.assert_allclose(sums, voltage_v @ values, atol=1e-12)
    assert mapped.conductance_s.min() >= 1e-6 * (1 - 1e-12)
    assert mapped.conductance_s.max() <= 1e-4 * (1 + 1e-12)


def test_a_pair_holds_a_weight_in_its_even_or_in_its_odd_column() -> None:
    columns = WeightColumns.parse({"min_s": "1 uS", "max_s": "11 uS"})
    mapped = map_weights(np.array([[2.0, -1.0]]), columns)
    np.testing.assert_allclose(mapped.conductance_s, [[11e-6, 1e-6, 1e-6, 6e-6]])


def test_an_offset_column_stands_last_and_in_the_middle() -> None:
    columns = WeightColumns.parse({"arrangement": "offset", "min_s": "1 uS", "max_s": "11 uS"})
    mapped = map_weights(np.array([[2.0, -1.0]]), columns)
    np.testing.assert_allclose(mapped.conductance_s, [[11e-6, 3.5e-6, 6e-6]])


def test_a_column_that_was_not_measured_makes_its_output_none() -> None:
    columns = WeightColumns.parse({"min_s": 0, "max_s": 1})
    mapped = map_weights(np.eye(2), columns)
    sums = mapped.sums(np.array([1.0, np.nan, 3.0, 1.0]))
    assert np.isnan(sums[0])
    assert sums[1] == 2


def test_conductances_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ConfigError, match="must be below max_s"):
        WeightColumns.parse({"min_s": 2e-6, "max_s": 1e-6})
