"""A filament that grows from pulse to pulse, and RESETs that draw it anew: by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.array.operations import PulseMap
from hwloop.errors import ConfigError
from hwloop_sim.cells.device import Device
from hwloop_sim.devices.common.filament import (
    cell_conductance_s,
    filament_conductance_s,
    grown_conductance_s,
)
from tests.sim.devices.models import make

R_OHM, DIVIDER_OHM = 4000.0, 3000.0
GROWTH = {"exponent": 2.0, "conductance_s_per_v": 1e-3, "width_s": 2e-7}
REDRAW = {"cycle_sigma": 0.0, "pulse_sigma": 0.5, "correlation": 0.6}
CELL = {
    "r_series_ohm": R_OHM,
    "v_transistor_v": 2.0,
    "v_follower_v": 1.0,
    "v_reset_v": 0.3,
    "v_slope_v": 0.3,
    "divider_share": DIVIDER_OHM / R_OHM,
    "growth": GROWTH,
    "redraw": REDRAW,
    "initial": 2e-5,
}


def cells(count: int = 1, **settings: object) -> Device:
    return make("one_transistor", (1, count), **{**CELL, **settings})


def set_by(device: Device, gate_v: float, width_s: float = 2e-7, count: int = 1) -> np.ndarray:
    device.pulse(PulseMap(np.full(device.conductance_s.shape, 2.0), width_s, count, gate_v))
    return np.array(device.conductance_s)


def reset_by(device: Device, volts: float, gate_v: float = 4.0) -> np.ndarray:
    device.pulse(PulseMap(np.full(device.conductance_s.shape, -volts), 2e-7, gate_v=gate_v))
    return np.array(device.conductance_s)


def test_a_set_adds_to_the_power_of_the_filament_as_by_hand() -> None:
    # G = 20 µS is a filament of 21.739 µS behind 4 kΩ; with (1 mS/V · 0.1 V)² 102.335 µS in all.
    own_conductance_s = np.hypot(20e-6 / (1 - 20e-6 * 4e3), 1e-4)
    assert own_conductance_s == pytest.approx(102.335e-6, rel=1e-5)
    after_conductance_s = set_by(cells(), 2.1)
    assert after_conductance_s[0, 0] == pytest.approx(1 / (4e3 + 1 / own_conductance_s), rel=1e-12)


def test_equal_pulses_go_on_raising_it_by_the_root_of_their_number() -> None:
    device = cells(initial=1e-6)
    own_conductance_s = [
        filament_conductance_s(set_by(device, 2.1), np.asarray(R_OHM))[0, 0] for _ in range(100)
    ]
    assert own_conductance_s[99] / own_conductance_s[24] == pytest.approx(2.0, rel=1e-3)


def test_width_and_number_of_pulses_count_alike() -> None:
    many_conductance_s = set_by(cells(), 2.1, 2e-7, 5)
    assert set_by(cells(), 2.1, 1e-6) == pytest.approx(many_conductance_s, rel=1e-12)


@given(st.floats(1e-9, 1e-1), st.floats(1e-9, 1e-1), st.floats(0.5, 10), st.floats(1e2, 1e4))
def test_growth_is_upwards_to_less_than_the_sum_and_never_beyond_the_series_resistance(
    before_conductance_s: float, drive_conductance_s: float, exponent: float, r_ohm: float
) -> None:
    after_conductance_s, share = grown_conductance_s(
        np.asarray(before_conductance_s), np.asarray(drive_conductance_s), exponent
    )
    bound_conductance_s = 2 ** (1 / exponent) * max(before_conductance_s, drive_conductance_s)
    assert max(before_conductance_s, drive_conductance_s) <= after_conductance_s * (1 + 1e-12)
    assert after_conductance_s <= bound_conductance_s * (1 + 1e-12)
    assert 0 <= share <= 1
    assert cell_conductance_s(after_conductance_s, np.asarray(r_ohm)) < 1 / r_ohm


def test_cell_and_filament_are_inverse() -> None:
    seen_conductance_s = np.geomspace(1e-7, 2.49e-4, 50)
    back_conductance_s = cell_conductance_s(
        filament_conductance_s(seen_conductance_s, np.asarray(R_OHM)), np.asarray(R_OHM)
    )
    np.testing.assert_allclose(back_conductance_s, seen_conductance_s, rtol=1e-9)


def test_a_small_rise_scatters_alike_in_one_step_and_in_many() -> None:
    begin_conductance_s = cell_conductance_s(np.asarray(2e-4), np.asarray(R_OHM)).item()
    for width_s, count in ((2e-7, 1), (1e-8, 20)):
        device = cells(40000, unsteadiness=0.1, initial=begin_conductance_s)
        own_conductance_s = filament_conductance_s(
            set_by(device, 2.1, width_s, count), np.asarray(R_OHM)
        )
        # Of (2² + 1²)·10⁻⁸ S² a fifth is new; many steps dilute what the earlier ones scattered,
        # which leaves half of 1 − 0.8², 5 % less.
        assert np.log(own_conductance_s).std() == pytest.approx(0.1 * np.sqrt(0.2), rel=0.07)


@pytest.mark.parametrize("redraw", [REDRAW, None])
def test_the_scatter_of_a_cycle_is_common_to_its_pulses_and_new_after_a_reset(
    redraw: dict[str, float] | None,
) -> None:
    growth = {**GROWTH, "cycle_ratio": 2.0}
    device = cells(4000, growth=growth, unsteadiness=0.2, redraw=redraw)
    device.set_conductance(np.full((1, 4000), 1e-6))
    speeds = []
    for _ in range(2):
        own_conductance_s = [
            filament_conductance_s(set_by(device, gate_v), np.asarray(R_OHM))[0]
            for gate_v in (2.1, 3.0)
        ]
        speeds.append(np.log(own_conductance_s))
        reset_by(device, 2.5)
    assert np.corrcoef(speeds[0])[0, 1] > 0.7
    assert abs(np.corrcoef(speeds[0][1], speeds[1][1])[0, 1]) < 0.06
    assert speeds[0][1].std() == pytest.approx(np.hypot(0.4, 0.2), rel=0.08)


def test_cells_of_one_unsteadiness_differ_where_it_is_spread() -> None:
    spread = {"unsteadiness": {"sigma": 0.5}}
    device = cells(20000, unsteadiness=0.2, spread=spread, initial=1e-6)
    own_conductance_s = filament_conductance_s(set_by(device, 2.5), np.asarray(R_OHM))
    # The mean square of a lognormal is its median's, times e^(2 σ²).
    assert np.log(own_conductance_s).std() == pytest.approx(0.2 * np.exp(0.25), rel=0.03)


def quiet_reset_s(passed_v: float, initial: float = 2e-4) -> float:
    """Conductance after a RESET without scatter."""
    quiet = {"redraw": {**REDRAW, "pulse_sigma": 0.0}, "initial": initial}
    return float(reset_by(cells(**quiet), passed_v)[0, 0])


def off_law_v(conductance_s: np.ndarray, passed_v: float, initial: float) -> np.ndarray:
    """Voltage that the filament takes, less that at which the law leaves so much of it."""
    own, start, floor = (one / (1 - DIVIDER_OHM * one) for one in (conductance_s, initial, 21.2e-6))
    wanted_v = 0.3 - 0.3 * np.log((own - floor) / (start - floor))
    return np.asarray(passed_v / (1 + own * DIVIDER_OHM) - wanted_v)


@pytest.mark.parametrize("initial", [1e-4, 2e-4, 2.45e-4])
@pytest.mark.parametrize("passed_v", [0.9, 1.3, 1.6, 2.5])
def test_a_reset_ends_where_a_scan_from_above_first_meets_its_law(
    passed_v: float, initial: float
) -> None:
    scan_conductance_s = np.linspace(initial, 21.21e-6, 200_001)
    met = off_law_v(scan_conductance_s, passed_v, initial) <= 0
    wanted_conductance_s = scan_conductance_s[int(np.argmax(met))]
    assert quiet_reset_s(passed_v, initial) == pytest.approx(wanted_conductance_s, rel=0.01)


def test_a_thick_filament_begins_late_and_falls_at_once_and_a_thin_one_early_and_slowly() -> None:
    # The onset is 0.3 V (1 + g R_d): 0.46 V for 117 µS, 1.13 V for 245 µS.
    assert quiet_reset_s(0.46, 1.17e-4) == pytest.approx(1.17e-4, rel=1e-9)
    assert quiet_reset_s(1.13, 2.45e-4) == pytest.approx(2.45e-4, rel=1e-9)
    assert quiet_reset_s(0.5, 1.17e-4) > 0.85 * 1.17e-4
    assert quiet_reset_s(1.25, 2.45e-4) < 0.6 * 2.45e-4


def test_a_train_of_resets_ends_as_the_strongest_alone() -> None:
    device = cells(redraw={**REDRAW, "pulse_sigma": 0.0}, initial=2.2e-4)
    for passed_v in np.arange(0.5, 2.01, 0.05):
        stepped_conductance_s = reset_by(device, passed_v)[0, 0]
        alone_conductance_s = quiet_reset_s(float(passed_v), 2.2e-4)
        assert stepped_conductance_s == pytest.approx(alone_conductance_s, rel=0.01)


def test_resets_of_equal_strength_draw_the_level_anew_with_their_correlation() -> None:
    device = cells(20000, initial=2e-4)
    first, second = (
        np.log(filament_conductance_s(reset_by(device, 2.5)[0], np.asarray(DIVIDER_OHM)))
        for _ in range(2)
    )
    level = np.log(filament_conductance_s(np.asarray(quiet_reset_s(2.5)), np.asarray(DIVIDER_OHM)))
    scale = 0.5 * (1 - np.exp(level) / 5e-4)  # 200 µS is a filament of 500 µS
    assert np.median(first) == pytest.approx(float(level), abs=0.01)
    assert first.std() == pytest.approx(scale, rel=0.03)
    assert second.std() == pytest.approx(scale, rel=0.03)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0.6, abs=0.02)
    assert (second > first).mean() == pytest.approx(0.5, abs=0.02)


def test_a_weaker_reset_does_nothing_and_one_after_a_set_only_lowers() -> None:
    device = cells(2000, initial=2e-4)
    deep_conductance_s = reset_by(device, 2.5)
    np.testing.assert_array_equal(reset_by(device, 2.2), deep_conductance_s)
    np.testing.assert_array_equal(reset_by(device, 1.5), deep_conductance_s)
    little_conductance_s = set_by(device, 2.001)
    assert (reset_by(device, 2.5) <= little_conductance_s * (1 + 1e-12)).all()


def test_the_gate_less_the_followers_threshold_limits_a_reset() -> None:
    quiet = {"redraw": {**REDRAW, "pulse_sigma": 0.0}, "initial": 2e-4}
    assert reset_by(cells(**quiet), 3.0, 2.9) == pytest.approx(reset_by(cells(**quiet), 1.9))
    # 0.7 V is below the onset of 0.3 V (1 + 500 µS · 3 kΩ).
    assert reset_by(cells(**quiet), 3.0, 1.7)[0, 0] == 2e-4


def test_where_a_reset_begins_scatters_from_cycle_to_cycle() -> None:
    redraw = {**REDRAW, "v_sigma_v": 0.1}
    device = cells(4000, redraw=redraw, initial=2e-4)
    begun = reset_by(device, 0.875)[0] < 1.99999e-4
    # The filament takes 0.35 V, half a deviation above 0.3 V: 69 % of a normal distribution.
    assert begun.mean() == pytest.approx(0.69, abs=0.03)


FORMING = {"voltage_v": 3.0, "sigma": 0.05, "formed_conductance_s": 1e-4, "begin": "pristine"}


def test_a_pristine_cell_does_nothing_until_its_own_voltage_forms_it() -> None:
    device = make(
        "one_transistor",
        (1, 4000),
        **{**CELL, "forming": FORMING, "initial": None},
        min_conductance_s=1e-6,
    )
    assert (set_by(device, 4.0) == 1e-6).all()
    assert (reset_by(device, 3.0) == 1e-6).all()
    volts = np.full((1, 4000), 3.0)
    device.pulse(PulseMap(volts, 2e-7, gate_v=0.9))
    assert (device.conductance_s == 1e-6).all()
    device.pulse(PulseMap(volts, 2e-7, gate_v=2.0))
    formed = device.conductance_s > 1e-6
    assert formed.mean() == pytest.approx(0.5, abs=0.03)
    np.testing.assert_allclose(device.conductance_s[formed], 1e-4, rtol=1e-12)
    after_conductance_s = set_by(device, 3.0)
    assert (after_conductance_s[formed] > 1e-4).all()
    assert (after_conductance_s[~formed] == 1e-6).all()
    device.pulse(PulseMap(1.5 * volts, 2e-7, gate_v=2.0))
    assert (device.conductance_s > 9e-5).all()


def test_pristine_cells_take_no_other_beginning() -> None:
    with pytest.raises(ConfigError, match="pristine cells begin at min_conductance_s"):
        cells(forming=FORMING)
