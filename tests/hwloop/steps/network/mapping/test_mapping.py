"""Signed weights as conductances, there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwloop.errors import ConfigError
from hwloop.steps.network.mapping.mapping import WeightColumns, map_weights
from hwloop.steps.network.mapping.placement import (
    around_faults,
    beside_faults,
    fault_cost,
    harm_left,
    place,
)
from hwloop.steps.network.mapping.two_phase import second_phase

ARRANGEMENTS = ["differential", "symmetric", "offset"]
weights = arrays(
    np.float64,
    st.tuples(st.integers(1, 9), st.integers(1, 5)),
    elements=st.floats(-3, 3).map(lambda v: 0.0 if abs(v) < 1e-100 else v),
)


def columns(**settings: object) -> WeightColumns:
    return WeightColumns.parse({"min_conductance_s": 1e-6, "max_conductance_s": 1e-4, **settings})


@given(
    weights,
    st.sampled_from(ARRANGEMENTS),
    st.sampled_from(["layer", "column"]),
    st.floats(1e-6, 1e6),
    st.tuples(st.integers(1, 7), st.integers(2, 7)),
)
def test_weights_come_back_exactly_over_scales_and_tilings(
    values: np.ndarray, arrangement: str, scale: str, factor: float, tile: tuple[int, int]
) -> None:
    wanted = values * factor
    mapped = map_weights(wanted, columns(arrangement=arrangement, scale=scale))
    placement = place([wanted.shape], mapped.arrangement, tiles=60, shape=tile)
    tiles = placement.on_tiles([mapped.conductance_s])
    back_conductance_s = placement.layer_map(tiles, 0, mapped.conductance_s.shape)
    np.testing.assert_allclose(
        mapped.weights(back_conductance_s), wanted, rtol=1e-12, atol=1e-12 * np.abs(wanted).max()
    )
    assert mapped.clipped == 0
    assert 1e-6 <= mapped.conductance_s.min() <= mapped.conductance_s.max() <= 1e-4


@given(weights, st.sampled_from(ARRANGEMENTS))
def test_currents_of_mapped_weights_give_the_weighted_sums_back(
    values: np.ndarray, arrangement: str
) -> None:
    mapped = map_weights(values, columns(arrangement=arrangement))
    voltage_v = np.linspace(-0.2, 0.2, 3 * len(values)).reshape(3, -1)
    sums = mapped.sums(voltage_v @ mapped.conductance_s)
    np.testing.assert_allclose(sums, voltage_v @ values, atol=1e-12)


def test_a_pair_holds_a_weight_in_its_even_or_in_its_odd_column() -> None:
    mapped = map_weights(np.array([[2.0, -1.0]]), columns(max_conductance_s="11 uS"))
    np.testing.assert_allclose(mapped.conductance_s, [[11e-6, 1e-6, 1e-6, 6e-6]])


def test_a_symmetric_pair_stands_about_the_middle() -> None:
    mapped = map_weights(
        np.array([[2.0, -1.0]]), columns(max_conductance_s="11 uS", arrangement="symmetric")
    )
    np.testing.assert_allclose(mapped.conductance_s, [[11e-6, 1e-6, 3.5e-6, 8.5e-6]])


def test_an_offset_column_stands_last_and_in_the_middle() -> None:
    mapped = map_weights(
        np.array([[2.0, -1.0]]), columns(max_conductance_s="11 uS", arrangement="offset")
    )
    np.testing.assert_allclose(mapped.conductance_s, [[11e-6, 3.5e-6, 6e-6]])


def test_a_column_that_was_not_measured_makes_its_output_none() -> None:
    mapped = map_weights(np.eye(2), columns(min_conductance_s=0, max_conductance_s=1))
    sums = mapped.sums(np.array([1.0, np.nan, 3.0, 1.0]))
    assert np.isnan(sums[0])
    assert sums[1] == 2


def test_conductances_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ConfigError, match="must be below max_conductance_s"):
        WeightColumns.parse({"min_conductance_s": 2e-6, "max_conductance_s": 1e-6})


def test_a_weight_that_is_no_number_is_named() -> None:
    with pytest.raises(ConfigError, match=r"weight \(1, 0\) is nan: .* \(1 of 4 are not\)"):
        map_weights(np.array([[1.0, 2.0], [np.nan, 3.0]]), columns())


def test_clipped_weights_are_counted_and_levels_are_equally_spaced() -> None:
    values = np.arange(1.0, 101.0)[:, None]
    mapped = map_weights(values, columns(clip_percentile=90, levels=4))
    assert (mapped.clipped, mapped.largest_clipped) == (10, 100.0)
    np.testing.assert_allclose(np.unique(mapped.conductance_s), np.linspace(1e-6, 1e-4, 4))
    with pytest.raises(ConfigError, match="nothing would be left of weights up to 5"):
        map_weights(np.array([[0.0], [0.0], [5.0]]), columns(clip_percentile=30))


def test_a_network_that_does_not_fit_is_refused_with_its_sizes() -> None:
    with pytest.raises(ConfigError, match=r"12289 × 1 weights.*needs 2 tiles of 128 × 128; there"):
        place([(12289, 1)], "differential", tiles=1, shape=(128, 128))


def test_blocks_of_several_layers_share_a_tile_without_overlap() -> None:
    placement = place([(5, 3), (3, 2)], "differential", tiles=1, shape=(8, 8))
    used = np.zeros((1, 8, 8), dtype=int)
    for block in placement.blocks:
        used[(block.tile, *block.place)] += 1
    assert used.max() == 1
    assert used.sum() == 5 * 6 + 3 * 4


@given(st.integers(0, 10**6), st.sampled_from(ARRANGEMENTS))
def test_swaps_never_make_the_harm_of_stuck_cells_worse_and_keep_the_network(
    seed: int, arrangement: str
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(6, 3)) * (rng.random((6, 3)) < 0.5)
    mapped = map_weights(values, columns(arrangement=arrangement))
    plain = place([values.shape], mapped.arrangement, tiles=1, shape=(6, 6))
    stuck = np.where(rng.random((1, 6, 6)) < 0.1, 1e-6, np.nan)
    swapped = around_faults(plain, [mapped.conductance_s], stuck)
    before, after = (
        fault_cost(one.on_tiles([mapped.conductance_s]), stuck) for one in (plain, swapped)
    )
    assert after <= before * (1 + 1e-9) + 1e-18
    back_conductance_s = swapped.layer_map(
        swapped.on_tiles([mapped.conductance_s]), 0, mapped.conductance_s.shape
    )
    np.testing.assert_array_equal(back_conductance_s, mapped.conductance_s)


def test_a_large_weight_leaves_a_cell_that_is_stuck_at_the_floor() -> None:
    values = np.array([[3.0], [0.0], [0.0]])
    mapped = map_weights(values, columns())
    plain = place([values.shape], "differential", tiles=1, shape=(3, 2))
    stuck = np.full((1, 3, 2), np.nan)
    stuck[0, 0, 0] = 1e-6
    swapped = around_faults(plain, [mapped.conductance_s], stuck)
    assert fault_cost(plain.on_tiles([mapped.conductance_s]), stuck) == pytest.approx(99e-6)
    assert fault_cost(swapped.on_tiles([mapped.conductance_s]), stuck) == pytest.approx(0)


def test_small_values_on_zero_weights_undo_most_of_the_error_of_the_large_ones() -> None:
    rng = np.random.default_rng(1)
    wanted = rng.normal(size=(60, 4)) * (rng.random((60, 4)) < 0.3)
    achieved = np.where(wanted != 0, wanted * rng.normal(1, 0.1, wanted.shape), 0.0)
    inputs = rng.random((40, 60))
    extra = second_phase(wanted, achieved, inputs, largest=0.5)
    assert np.abs(extra).max() <= 0.5
    assert not extra[wanted != 0].any()
    before = np.abs(inputs @ (wanted - achieved)).mean()
    after = np.abs(inputs @ (wanted - achieved - extra)).mean()
    assert after < 0.1 * before


def test_direct_weights_are_conductances_in_columns_of_their_own() -> None:
    weights_conductance_s = np.array([[2e-6, 7e-5, 3e-5], [1e-6, 1e-4, 5e-5]])
    mapped = map_weights(weights_conductance_s, columns(arrangement="direct"))
    np.testing.assert_array_equal(mapped.conductance_s, weights_conductance_s)
    np.testing.assert_array_equal(mapped.weights(), weights_conductance_s)
    placement = place([weights_conductance_s.shape], "direct", tiles=4, shape=(1, 2))
    tiles = placement.on_tiles([mapped.conductance_s])
    assert np.isfinite(tiles).sum() == weights_conductance_s.size
    back_conductance_s = placement.layer_map(tiles, 0, weights_conductance_s.shape)
    np.testing.assert_array_equal(back_conductance_s, weights_conductance_s)


def test_direct_weights_outside_the_range_are_refused_by_place_and_value() -> None:
    with pytest.raises(
        ConfigError, match=r"weight \(0, 1\) is 0\.001 S, outside min_conductance_s 1e-06"
    ):
        map_weights(np.array([[2e-6, 1e-3]]), columns(arrangement="direct"))
    with pytest.raises(ConfigError, match="conductances are not scaled"):
        columns(arrangement="direct", scale="column")


@given(weights, st.sampled_from(["differential", "symmetric"]), st.integers(0, 10_000))
def test_the_healthy_cell_of_a_pair_holds_the_weight_as_far_as_its_range_goes(
    values: np.ndarray, arrangement: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    chosen = columns(arrangement=arrangement)
    mapped = map_weights(values, chosen)
    placement = place([values.shape], mapped.arrangement, tiles=1, shape=(9, 10))
    stuck_conductance_s = np.full((1, 9, 10), np.nan)
    at = tuple(rng.integers(0, size) for size in mapped.conductance_s.shape)
    stuck_conductance_s[(0, *at)] = rng.uniform(1e-6, 1e-4)
    (held,) = beside_faults(placement, [mapped], stuck_conductance_s, (1e-6, 1e-4))
    real_conductance_s = held.conductance_s.copy()
    real_conductance_s[at] = stuck_conductance_s[(0, *at)]
    signed_conductance_s = values[at[0], at[1] // 2] * mapped.slope_conductance_s[at[1] // 2]
    needed_conductance_s = (
        real_conductance_s[at] - signed_conductance_s
        if at[1] % 2 == 0
        else real_conductance_s[at] + signed_conductance_s
    )
    partner = (at[0], at[1] ^ 1)
    assert held.conductance_s[partner] == pytest.approx(
        np.clip(needed_conductance_s, 1e-6, 1e-4), rel=1e-9
    )
    others = np.ones(real_conductance_s.shape, bool)
    others[at] = others[partner] = False
    np.testing.assert_array_equal(real_conductance_s[others], mapped.conductance_s[others])
    left_conductance_s = harm_left(placement, [mapped], [held], stuck_conductance_s)
    missing_conductance_s = abs(needed_conductance_s - np.clip(needed_conductance_s, 1e-6, 1e-4))
    assert left_conductance_s == pytest.approx(missing_conductance_s, rel=1e-6, abs=1e-15)
