"""The sum over patterns of Eq. 5; right values by the definition, and by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hwloop.steps.manhattan.rule import _over_patterns

FEW = st.integers(1, 5)


@given(
    outer=st.lists(st.integers(0, 4), max_size=2),
    patterns=FEW,
    rows=FEW,
    neurons=FEW,
    seed=st.integers(0, 2**32),
)
def test_update_sums_delta_times_voltage_over_patterns_in_every_array(
    outer: list[int], patterns: int, rows: int, neurons: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    delta = rng.normal(size=(*outer, patterns, neurons))
    voltage_v = rng.normal(size=(patterns, rows))
    expected = np.zeros((*outer, rows, neurons))
    for pattern in range(patterns):
        expected += delta[..., pattern, None, :] * voltage_v[pattern][:, None]
    np.testing.assert_allclose(_over_patterns(delta, voltage_v), expected, atol=1e-13)


def test_patterns_that_pull_alike_in_opposite_ways_leave_a_weight_alone() -> None:
    # 0.3 · 0.1 is not exact: a fused multiplication would leave its rounding error, and a sign.
    delta = np.array([[0.3], [-0.3]])
    assert _over_patterns(delta, np.array([[0.1], [0.1]])) == 0
