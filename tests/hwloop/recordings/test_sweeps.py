"""Branches of I-V sweeps, their windows and distances, against calculation by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.datasets.measurement import Measurement
from hwloop.recordings.sweeps import distance_decades, sweeps_of
from hwloop.types import FloatArray

TRIANGLE_V = np.concatenate([np.arange(0, 11), np.arange(9, -11, -1), np.arange(-9, 1)]) / 10.0


def loop(
    out_conductance_s: float = 1e-6, back_conductance_s: float = 5e-6, *, factor: float = 1.0
) -> Measurement:
    """Sweep of a cell that switches on at +1 V and off at −1 V; ``factor``: of its currents."""
    on = np.zeros(TRIANGLE_V.size, dtype=np.bool_)
    on[11 : np.argmin(TRIANGLE_V) + 1] = True
    conductance_s: FloatArray = np.where(on, back_conductance_s, out_conductance_s)
    zeros = np.zeros(TRIANGLE_V.size)
    return Measurement(
        kind="iv",
        title="by hand",
        source="test",
        columns={
            "cell": zeros,
            "sweep": zeros,
            "time_s": np.full(TRIANGLE_V.size, np.nan),
            "voltage_v": TRIANGLE_V,
            "current_a": TRIANGLE_V * conductance_s * factor,
        },
    )


def test_window_is_the_ratio_of_both_branches_and_the_cell_switches_where_it_does() -> None:
    sweeps = sweeps_of(loop())
    assert sweeps.window(1) == pytest.approx(5)
    assert sweeps.window(-1) == pytest.approx(5)
    assert 0.9 <= sweeps.set_v[0] <= 1.0
    assert -1.0 <= sweeps.reset_v[0] <= -0.9
    figures = sweeps.figures()
    assert figures["largest current"] == (pytest.approx(5e-6), "A")
    assert figures["highest voltage"] == (1.0, "V")


def test_a_resistor_has_no_window_and_no_voltage_of_switching() -> None:
    sweeps = sweeps_of(loop(2e-6, 2e-6))
    assert sweeps.window(1) == pytest.approx(1)
    assert np.isnan(sweeps.set_v[0])


def test_ten_times_the_current_is_one_decade_on_every_branch() -> None:
    found = list(distance_decades(sweeps_of(loop()), sweeps_of(loop(factor=10))))
    assert [name for name, *_ in found] == ["0 to +V", "+V to 0", "0 to −V", "−V to 0"]
    np.testing.assert_allclose([decades for *_, decades in found], 1.0)
