"""Grey levels as series of pulses, and columns that fire."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hwloop.steps.learning.lms.spike_counts import FiringColumns, pulse_series


@given(grey=st.floats(0, 1), time_steps=st.integers(1, 300))
def test_a_grey_level_has_its_share_of_pulses_and_never_two_in_one_step(
    grey: float, time_steps: int
) -> None:
    series = np.array(list(pulse_series(np.array([grey]), time_steps)))
    assert series.shape == (time_steps, 1)
    assert abs(series.sum() - grey * time_steps) <= 0.5 + 1e-9
    # Evenly spread: after any number of steps no more than half a pulse from the straight line.
    line = grey * np.arange(1, time_steps + 1)
    assert np.abs(np.cumsum(series[:, 0]) - line).max() <= 0.5 + 1e-9


@given(charges=st.lists(st.floats(0, 5), min_size=1, max_size=50), charge=st.floats(0.1, 3))
def test_a_column_fires_as_often_as_its_charge_goes_into_the_sum(
    charges: list[float], charge: float
) -> None:
    columns = FiringColumns(charge)
    for one in charges:
        columns.take(np.array([one]))
    total = sum(charges)
    assert abs(columns.pulses[0] * charge + columns.left[0] - total) < 1e-9 * max(total, 1)
    assert -1e-9 <= columns.left[0] <= charge * (1 + 1e-9)
