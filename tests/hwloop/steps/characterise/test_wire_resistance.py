"""Wire resistance against lines that are given."""

from __future__ import annotations

import pytest

from hwloop.errors import ConfigError, StepError
from hwloop.steps.characterise.wire_resistance import WIRE_RESISTANCE
from tests.characterised import emulated, results

DEVICE = {
    "model": "soft_bounds",
    "min_conductance_s": 1e-6,
    "max_conductance_s": 1e-3,
    "initial": 2e-5,
}


@pytest.mark.parametrize(
    ("row_ends", "col_ends"), [("left", "bottom"), ("right", "top"), ("left", "top")]
)
def test_ohm_per_segment_is_the_given_one(row_ends: str, col_ends: str) -> None:
    ends = {"row_ends": row_ends, "col_ends": col_ends, "driver_ohm": 20.0, "sense_ohm": 10.0}
    array = emulated(DEVICE, shape=(6, 8), sim={"wires": {"row_ohm": 2.0, "col_ohm": 5.0} | ends})
    figures = results(WIRE_RESISTANCE, ends, array)["figures"][0]
    assert figures.row_ohm == pytest.approx(2.0, rel=1e-4)
    assert figures.col_ohm == pytest.approx(5.0, rel=1e-4)
    assert figures.cell_conductance_s == pytest.approx(2e-5, rel=1e-6)


def test_large_drops_are_no_bias() -> None:
    wires = {"row_ohm": 10.0, "col_ohm": 1.0}
    array = emulated(DEVICE | {"initial": 5e-4}, shape=(12, 12), sim={"wires": wires})
    figures = results(WIRE_RESISTANCE, {}, array)["figures"][0]
    assert figures.apparent_conductance_s.min() < 0.8 * figures.apparent_conductance_s.max()
    assert figures.row_ohm == pytest.approx(10.0, rel=1e-3)
    assert figures.col_ohm == pytest.approx(1.0, rel=1e-3)


def test_what_stands_in_series_and_is_not_given_becomes_part_of_the_cell() -> None:
    wires = {"row_ohm": 2.0, "col_ohm": 5.0, "driver_ohm": 20.0, "sense_ohm": 10.0}
    array = emulated(DEVICE, shape=(6, 8), sim={"wires": wires})
    figures = results(WIRE_RESISTANCE, {}, array)["figures"][0]
    assert figures.row_ohm == pytest.approx(2.0, rel=0.05)
    assert figures.col_ohm == pytest.approx(5.0, rel=0.05)
    assert figures.cell_conductance_s < 2e-5


def test_noise_shows_in_the_standard_error_of_each_array() -> None:
    sim = {
        "wires": {"row_ohm": 2.0, "col_ohm": 5.0},
        "effects": [{"effect": "white_noise", "fraction": 1e-4}],
    }
    array = emulated(DEVICE, shape=(6, 8), population=40, sim=sim)
    figures = results(WIRE_RESISTANCE, {}, array)["figures"][0]
    assert figures.row_ohm.shape == (40,)
    assert figures.row_ohm.std(ddof=1) == pytest.approx(figures.row_error_ohm.mean(), rel=0.35)
    assert figures.col_ohm.mean() == pytest.approx(5.0, rel=0.05)


def test_a_small_array_is_refused_and_a_failed_read_is_an_error() -> None:
    with pytest.raises(ConfigError, match="2 × 4 is too small"):
        results(WIRE_RESISTANCE, {}, emulated(DEVICE, shape=(2, 4)))
    with pytest.raises(StepError, match="wire_resistance: "):
        results(WIRE_RESISTANCE, {}, emulated(DEVICE, current_a=1e-9))
