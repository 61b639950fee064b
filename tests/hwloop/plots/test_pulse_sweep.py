"""What the figures of a pulse sweep are drawn from."""

from __future__ import annotations

import numpy as np

from hwloop.plots.pulse_sweep import carried_on

NAN = np.nan


def test_sweeps_that_ended_go_on_at_their_last_value_and_groups_are_joined() -> None:
    # Two groups of a cell each, two cycles, three levels; cell 1 ends early and once at once.
    rows = {
        "pulse": np.array([1, 2, 3, 1, 2, 1, 2, 1]),
        "cycle": np.array([1, 1, 1, 2, 2, 1, 2, 2]),
        "swept_v": np.array([1.0, 1.5, 2.0, 1.0, 1.5, 1.0, 1.5, 1.0]),
        "before_s": np.array(
            [[9, NAN], [8, NAN], [7, NAN], [9, NAN], [6, NAN], [NAN, 5], [NAN, 3], [NAN, 4]]
        ),
        "after_s": np.array(
            [[8, NAN], [7, NAN], [6, NAN], [6, NAN], [5, NAN], [NAN, NAN], [NAN, 2], [NAN, 3]]
        ),
    }
    volts, seen_s = carried_on(rows)
    np.testing.assert_array_equal(volts, [1.0, 1.5, 2.0])
    np.testing.assert_array_equal(seen_s[:, 0, 0], [8, 7, 6])
    np.testing.assert_array_equal(seen_s[:, 1, 0], [6, 5, 5])
    np.testing.assert_array_equal(seen_s[:, 0, 1], [5, 5, 5])
    np.testing.assert_array_equal(seen_s[:, 1, 1], [3, 2, 2])
