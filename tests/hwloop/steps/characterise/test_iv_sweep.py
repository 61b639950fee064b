"""Sweeps against devices whose thresholds are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwloop.errors import ConfigError, StepError
from hwloop.steps.characterise.iv_sweep import IV_SWEEP, IvSweepSettings, sweep_figures
from tests.characterised import emulated, results

# So strong above its thresholds that the first pulse beyond one switches the cell.
DEVICE: dict[str, Any] = {
    "model": "vteam",
    "flipped": True,
    "v_on_v": -0.2,
    "v_off_v": 0.05,
    "k_on_m_per_s": -1e6,
    "k_off_m_per_s": 1e6,
    "alpha_on": 1,
}
SWEEP = {"positive_v": 0.3, "negative_v": -0.1, "step_v": 0.01, "width_s": 1e-3, "cycles": 2}


def test_set_and_reset_are_found_within_a_step_beyond_the_thresholds() -> None:
    found = results(IV_SWEEP, SWEEP, emulated(DEVICE, shape=(2, 3), population=2))
    second = found["figures"][1]
    assert second.set_v.shape == (2, 2, 3)
    assert np.all((second.set_v > 0.2) & (second.set_v <= 0.21 + 1e-9))
    assert np.all((second.reset_v < -0.05) & (second.reset_v >= -0.06 - 1e-9))
    np.testing.assert_allclose(second.high_conductance_s, 1 / 50, rtol=1e-6)
    np.testing.assert_allclose(second.low_conductance_s, 1 / 1000, rtol=1e-6)
    assert found["outcome"][0].reached


def test_levels_reach_both_ends_once_and_leave_out_0_volts() -> None:
    data = {"positive_v": 0.25, "negative_v": -0.3, "step_v": 0.1, "width_s": 1}
    levels = IvSweepSettings.parse(data).levels_v()
    assert levels == [0.1, 0.2, 0.25, 0.2, 0.1, -0.1, -0.2, -0.3, -0.2, -0.1]


def test_a_crossing_between_two_levels_is_found_on_a_logarithmic_scale() -> None:
    levels = np.array([1.0, 2.0, 3.0, -1.0])
    seen = np.array([1.0, 1.0, 100.0, 1.0]).reshape(-1, 1, 1)  # through 10 half-way from 1 to 100
    row = sweep_figures(1, levels, seen)
    assert row.set_v[0, 0] == pytest.approx(2.5)
    assert row.reset_v[0, 0] == -1.0  # the polarity changed: the first level of the new one


def test_a_cell_that_does_not_switch_has_no_voltages() -> None:
    sweep = SWEEP | {"positive_v": 0.1, "negative_v": -0.04}
    found = results(IV_SWEEP, sweep, emulated(DEVICE, shape=(2, 2)))
    assert np.isnan(found["figures"][0].set_v).all()
    assert not found["outcome"][0].reached
    assert "no cell both set and reset" in found["outcome"][0].message


def test_a_direct_sweep_measures_at_the_level() -> None:
    device = {"model": "soft_bounds", "initial": 2e-8}
    sweep = {"positive_v": 0.4, "negative_v": -0.4, "step_v": 0.1, "mode": "direct"}
    rows = results(IV_SWEEP, sweep, emulated(device, shape=(1, 2)))[""]
    np.testing.assert_allclose(
        [row.current_a[0, 1] for row in rows], [2e-8 * row.level_v for row in rows], rtol=1e-12
    )


def test_a_direct_sweep_beyond_the_read_limit_is_refused() -> None:
    sweep = {"positive_v": 0.6, "negative_v": -0.4, "step_v": 0.1, "mode": "direct"}
    with pytest.raises(ConfigError, match=r"positive_v: 0\.6: .* limits\.read_v 0\.5"):
        results(IV_SWEEP, sweep, emulated(DEVICE))


def test_a_pulsed_sweep_needs_a_width() -> None:
    with pytest.raises(ConfigError, match="width_s goes with mode pulsed"):
        IvSweepSettings.parse({"positive_v": 1, "negative_v": -1, "step_v": 0.1})


def test_a_sweep_of_more_levels_than_anyone_wants_is_refused_before_they_are_listed() -> None:
    sweep = {"negative_v": -1, "step_v": 0.1, "width_s": 1e-3}
    with pytest.raises(ConfigError, match=r"6\.55e\+05 levels by steps of 0\.1 V; at most 100000"):
        IvSweepSettings.parse(sweep | {"positive_v": 65536})


def test_a_failed_read_is_an_error() -> None:
    with pytest.raises(StepError, match=r"iv_sweep: .*could not be measured"):
        results(IV_SWEEP, SWEEP, emulated(DEVICE, current_a=1e-3))


@pytest.mark.parametrize("mode", ["pulsed", "direct"])
def test_cells_that_cannot_switch_have_no_voltages_however_they_scatter(mode: str) -> None:
    # 50 arrays of 16 cells: as many seeds.
    device = {"model": "vteam", "flipped": True, "v_on_v": -5.0, "v_off_v": 5.0}
    sim = {"effects": [{"effect": "white_noise", "fraction": 0.02}]}
    sweep = SWEEP | {"mode": mode, "width_s": 1e-3 if mode == "pulsed" else None, "cycles": 1}
    found = results(IV_SWEEP, sweep, emulated(device, population=50, sim=sim))
    (figures,) = found["figures"]
    assert (figures.high_conductance_s > 1.02 * figures.low_conductance_s).all()
    assert np.isnan(figures.set_v).all()
    assert np.isnan(figures.reset_v).all()
    assert (figures.chance > 1e-5).all()
    assert found["outcome"][0].reached == (mode == "direct")
    assert "beyond the scatter of 0 of 800 cells" in found["outcome"][0].message


def test_noise_loses_no_cell_that_switches() -> None:
    sim = {"effects": [{"effect": "white_noise", "fraction": 0.02}]}
    found = results(IV_SWEEP, SWEEP, emulated(DEVICE, population=50, sim=sim))
    for figures in found["figures"]:
        assert np.all((figures.set_v > 0.2) & (figures.set_v <= 0.22))
        assert (figures.chance < 1e-20).all()
    assert np.all((found["figures"][1].reset_v < -0.05) & (found["figures"][1].reset_v >= -0.07))


def test_a_cell_that_switches_after_pulses_that_compliance_cut_has_no_voltage_of_switching() -> (
    None
):
    levels = np.array([1.0, 2.0, 3.0, -1.0])
    seen = np.array([1.0, 1.0, 100.0, 1.0])[:, None, None] * np.ones((1, 1, 3))
    cut = np.zeros(seen.shape, np.bool_)
    cut[2, 0, 1] = True  # the pulse that turned the cell on met the compliance: as is intended
    cut[1:, 0, 2] = True  # it was limited before already: the cell did not see the levels
    row = sweep_figures(1, levels, seen, cut=cut)
    assert row.set_v[0, :2].tolist() == pytest.approx([2.5, 2.5])
    assert np.isnan(row.set_v[0, 2])
    assert row.reset_v[0, 0] == -1.0
    assert np.isnan(row.reset_v[0, 1:]).all()


def test_a_sweep_keeps_its_limited_points_flagged_and_finds_no_set_voltage_behind_them() -> None:
    # A row of two cells of 1.905 mS, the other one at half the voltage: 110 µA flow at 38.5 mV.
    found = results(IV_SWEEP, SWEEP, emulated(DEVICE, shape=(1, 2), current_a=0.11e-3, read_v=1e-3))
    rows = [row for row in found[""] if row.cycle == 1]
    low = [row.level_v for row in rows[:20] if not row.limited.any()]
    assert low == pytest.approx([0.01, 0.02, 0.03])
    assert all(row.limited.all() for row in rows[3:20])
    assert np.isnan(found["figures"][0].set_v).all()
    assert not found["outcome"][0].reached
