"""Trains by their pulses, and their figures against calculation by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.datasets.measurement import Measurement, train_columns
from hwloop.recordings.trains import PulseTrains, trains_of


def measured(
    trains: list[list[float]],
    *,
    cells: list[int] | None = None,
    amplitudes_v: list[float] | None = None,
) -> Measurement:
    """Trains in microsiemens, of 1 V and 1 ms where nothing else is said."""
    return Measurement(
        kind="trains",
        title="by hand",
        source="test",
        columns=train_columns(
            [np.array(train) * 1e-6 for train in trains],
            cells=cells or [0] * len(trains),
            amplitudes_v=amplitudes_v or [1.0] * len(trains),
            widths_s=[1e-3] * len(trains),
        ),
    )


def one_group(trains: list[list[float]]) -> PulseTrains:
    (group,) = trains_of(measured(trains))
    return group


def test_trains_of_equal_pulses_are_one_group_in_their_order_and_keep_their_lengths() -> None:
    data = measured(
        [[1, 2, 3], [9, 8], [2, 4]], cells=[4, 4, 7], amplitudes_v=[1.0, -1.0, 1.0 + 1e-12]
    )
    up, down = trains_of(data)
    assert (up.name, down.name) == ("1 V, 1 ms", "-1 V, 1 ms")
    assert up.cells.tolist() == [4, 7]
    np.testing.assert_array_equal(up.conductance_s, [[1e-6, 2e-6], [2e-6, 4e-6], [3e-6, np.nan]])


def test_trains_of_growing_pulses_are_apart_from_those_of_equal_ones() -> None:
    data = measured([[1, 2, 3], [1, 2, 3]])
    amplitude_v = data.columns["amplitude_v"].copy()
    amplitude_v[-1] = 1.5
    grown = data.model_copy(update={"columns": {**data.columns, "amplitude_v": amplitude_v}})
    assert [one.name for one in trains_of(grown)] == [
        "1 V, 1 ms",
        "1 V … 1.5 V (2 pulses), 1 ms",
    ]


def test_figures_are_those_of_a_calculation_by_hand() -> None:
    group = one_group([[2, 4, 6], [4, 5, 12]])
    figures = {name: value for name, (value, _) in group.figures().items()}
    assert figures["before the first pulse"] == pytest.approx(3e-6)
    assert figures["after the last pulse"] == pytest.approx(9e-6)
    assert figures["range of the mean train"] == pytest.approx(6e-6)  # 3, 4.5, 9
    assert figures["on/off ratio"] == pytest.approx(3.0)  # of 3 and 3
    assert figures["mean step"] == pytest.approx(3e-6)  # of 2, 1, 2, 7
    assert figures["deviation of the steps"] == pytest.approx(np.sqrt(22 / 3) * 1e-6)
    assert figures["spread of the ends"] == pytest.approx(100 * np.sqrt(18) / 9)
    assert figures["nonlinearity"] == pytest.approx((4.5 - 6) / 6)


def test_one_train_has_no_spread_of_its_ends() -> None:
    assert np.isnan(one_group([[2, 4, 6]]).figures()["spread of the ends"][0])


def test_mean_train_ends_where_fewer_than_half_of_the_trains_go_on() -> None:
    group = one_group([[1, 2, 3, 4], [1, 2, 3], [3, 4, 5]])
    np.testing.assert_allclose(group.mean_conductance_s, np.array([5, 8, 11]) / 3 * 1e-6)
    np.testing.assert_allclose(group.ends_conductance_s, [4e-6, 3e-6, 5e-6])
