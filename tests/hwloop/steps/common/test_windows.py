"""Windows of conductance against scatter, by brute force and by the rate of false ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hwloop.steps.common.windows import FALSE_POSITIVES, chance_of_window, stands_out


def _scattered(reads: int, cells: int, seed: int) -> np.ndarray:
    return 1e-5 * (1 + 0.05 * np.random.default_rng(seed).standard_normal((reads, cells)))


def test_chance_is_the_smallest_of_all_two_sample_tests_times_their_number() -> None:
    seen = _scattered(9, 4, seed=1)
    seen[3:6] += np.array([0.0, 1e-6, 2e-6, 5e-6])
    for cell, found in enumerate(chance_of_window(seen, np.ones(9))):
        smallest = min(
            stats.ttest_ind(seen[i:j, cell], np.delete(seen[:, cell], slice(i, j))).pvalue
            for i in range(9)
            for j in range(i + 1, 10)
            if j - i < 9
        )
        assert found == pytest.approx(min(36 * smallest, 1.0), rel=1e-6)


@pytest.mark.parametrize("reads", [5, 20, 80])
def test_scatter_alone_shows_no_more_windows_than_the_stated_rate(reads: int) -> None:
    chance = chance_of_window(_scattered(reads, 20_000, seed=reads), np.ones(reads))
    for rate in (0.1, 0.01, 0.001):
        # Three standard deviations of the count of 20 000 cells.
        assert (chance <= rate).mean() <= rate + 3 * np.sqrt(rate / 20_000)
    assert not stands_out(chance).any()


def test_a_map_of_scattering_cells_shows_a_window_in_one_cycle_of_a_hundred_at_most() -> None:
    maps = chance_of_window(_scattered(30, 64_000, seed=2), np.ones(30)).reshape(1000, 64)
    false = np.mean([stands_out(one).any() for one in maps])
    assert false <= FALSE_POSITIVES + 3 * np.sqrt(FALSE_POSITIVES / 1000)


@pytest.mark.parametrize("reads", [20, 80])
def test_no_window_of_twenty_times_the_scatter_is_lost(reads: int) -> None:
    seen = _scattered(reads, 2000, seed=3)
    seen[reads // 4 : 3 * reads // 4] += 20 * 0.05 * 1e-5
    assert stands_out(chance_of_window(seen, np.ones(reads))).all()


def test_a_gradual_change_up_and_down_is_a_window() -> None:
    ramp = np.abs(np.linspace(-1, 1, 41))
    seen = _scattered(41, 200, seed=4) + 1e-5 * ramp[:, None]
    assert stands_out(chance_of_window(seen, np.ones(41))).all()


def test_reads_at_small_levels_scatter_more_and_count_less() -> None:
    levels_v = np.concatenate([np.arange(1, 21), np.arange(20, 0, -1)]) * 0.01
    scatter_a = 1e-9 * np.random.default_rng(5).standard_normal((40, 20_000))
    seen = 1e-6 + scatter_a / levels_v[:, None]
    weighted = chance_of_window(seen, levels_v**2)
    assert (weighted <= 0.01).mean() <= 0.012
    assert (chance_of_window(seen, np.ones(40)) <= 0.01).mean() > 0.1


def test_equal_reads_and_their_rounding_are_no_window() -> None:
    seen = np.full((20, 2), 1e-5)
    seen[7:, 1] *= 1 + 4e-16
    np.testing.assert_array_equal(chance_of_window(seen, np.ones(20)), 1.0)


def test_two_states_without_any_scatter_are_a_window() -> None:
    seen = np.array([1e-6, 1e-6, 1e-4, 1e-6])[:, None]
    assert stands_out(chance_of_window(seen, np.ones(4)))[0]


def test_a_cell_with_a_gap_or_too_few_reads_has_no_chance() -> None:
    seen = np.full((5, 2), 1e-5)
    seen[2, 1] = np.nan
    assert np.isnan(chance_of_window(seen, np.ones(5))).tolist() == [False, True]
    assert np.isnan(chance_of_window(seen[:2], np.ones(2))).all()
    assert not stands_out(chance_of_window(seen, np.ones(5)))[1]
