"""Numbers of pulses become maps that give each cell just as many, of the right sign."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hwloop.errors import ConfigError
from hwloop.steps.learning.pulses import CellPulses, IntArray, on_pairs, pulse_maps, worst_maps

UP, DOWN = {"amplitude_v": 1.2, "width_s": 1e-3}, {"amplitude_v": -1.1, "width_s": 1e-3}
SLOW_DOWN = {"amplitude_v": -1.1, "width_s": 3e-3}
COUNTS = hnp.arrays(np.int64, (3, 4), elements=st.integers(-200, 200))


def _given(maps: object) -> tuple[IntArray, IntArray, int]:
    """Pulses up and down that maps give to each cell, and how many maps there are."""
    up, down, number = np.zeros((3, 4), np.int64), np.zeros((3, 4), np.int64), 0
    for pulse in maps:  # type: ignore[attr-defined]
        up += (pulse.amplitude_v == UP["amplitude_v"]) * pulse.count
        down += (pulse.amplitude_v == DOWN["amplitude_v"]) * pulse.count
        number += 1
    return up, down, number


@given(counts=COUNTS, down=st.sampled_from([DOWN, SLOW_DOWN]))
def test_every_cell_gets_its_number_of_pulses(counts: IntArray, down: dict[str, float]) -> None:
    pulses = CellPulses.parse({"up": UP, "down": down})
    up, fallen, number = _given(pulse_maps(counts, pulses))
    np.testing.assert_array_equal(up, np.maximum(counts, 0))
    np.testing.assert_array_equal(fallen, np.maximum(-counts, 0))
    bits = int(np.abs(counts).max()).bit_length()
    assert number <= bits * (1 if down is DOWN else 2)


@given(counts=COUNTS)
def test_by_width_every_cell_is_pulsed_as_many_times_as_long(counts: IntArray) -> None:
    pulses = CellPulses.parse({"up": UP, "down": SLOW_DOWN, "by": "width"})
    long_s = np.zeros((3, 4))
    for pulse in pulse_maps(counts, pulses):
        assert pulse.count == 1
        long_s += np.sign(pulse.amplitude_v) * pulse.width_s
    expected_s = np.where(counts > 0, counts * 1e-3, counts * 3e-3)
    np.testing.assert_allclose(long_s, expected_s, rtol=1e-12, atol=1e-15)


def test_a_step_moves_both_cells_of_a_pair_or_one_where_nothing_lowers() -> None:
    steps = np.array([[2, -3, 0]])
    both = on_pairs(steps, CellPulses.parse({"up": UP, "down": DOWN}))
    np.testing.assert_array_equal(both, [[2, -2, -3, 3, 0, 0]])
    rises = on_pairs(steps, CellPulses.parse({"up": UP}))
    np.testing.assert_array_equal(rises, [[2, 0, 0, 3, 0, 0]])
    with pytest.raises(ConfigError, match=r"needs pulses\.down"):
        list(pulse_maps(both, CellPulses.parse({"up": UP})))


@pytest.mark.parametrize("most", [1, 5, 64])
@pytest.mark.parametrize("down", [DOWN, None])
def test_the_worst_case_covers_any_update(most: int, down: dict[str, float] | None) -> None:
    pulses = CellPulses.parse({"up": UP, "down": down})
    up, fallen, _ = _given(worst_maps(most, (3, 4), pulses))
    assert (up >= most).all()
    assert (fallen >= (most if down else 0)).all()
