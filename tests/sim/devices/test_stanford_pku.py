"""Stanford-PKU against its published equations, an independent integrator and its random walk."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.constants import Boltzmann, elementary_charge
from scipy.integrate import solve_ivp

from hwloop.errors import ConfigError, Unsupported
from hwloop_sim.cells.voltage_sweep import iv_sweep
from hwloop_sim.devices.common.state_device import StateDevice
from hwloop_sim.devices.filament_physics import stanford_pku
from tests.sim.devices.models import make, pulses


def amperes(gap_m: float, v: float) -> float:
    return float(1e-3 * np.exp(-gap_m / 0.25e-9) * np.sinh(v / 0.25))


def motion(gap_m: float, v: float, **changed: float) -> float:
    """dg/dt as MemTorch writes it, with the values of the Verilog-A and the SI's constants."""
    own = {"velocity": 10.0, "e_a": 0.6, "beta": 0.8, "field": 1.4e9, **changed}
    kelvin = 298 + abs(v * amperes(gap_m, v) * 2.1e3)
    gamma = 16 - own["beta"] * (gap_m / 1e-9) ** 3
    if gamma * abs(v) / 12e-9 < own["field"]:
        return 0.0
    per_v = elementary_charge / Boltzmann / kelvin
    return float(
        -own["velocity"] * np.exp(-own["e_a"] * per_v) * np.sinh(gamma * 0.25 / 12 * per_v * v)
    )


def cells(gap_m: float, shape: tuple[int, ...] = (1, 1), **settings: Any) -> StateDevice:
    device = make("stanford_pku", shape, initial=4e-3 * np.exp(-gap_m / 0.25e-9), **settings)
    assert isinstance(device, StateDevice)
    return device


def gaps_m(device: StateDevice) -> np.ndarray:
    return np.asarray(0.2e-9 + 1.5e-9 * device.state)


@pytest.mark.parametrize(
    ("gap_m", "v", "width_s"),
    [
        (1.7e-9, 1.6, 3e-7),
        (1.0e-9, 1.4, 1e-6),
        (1.0e-9, 2.5, 1e-12),
        (0.2e-9, -1.5, 1e-9),
        (0.5e-9, -1.2, 1e-6),
        (0.2e-9, -2.0, 1e-3),
    ],
)
def test_it_agrees_with_an_independent_integrator(gap_m: float, v: float, width_s: float) -> None:
    device = cells(gap_m)
    device.pulse(pulses(device, v, width_s))
    moved_m = abs(gaps_m(device)[0, 0] - gap_m)
    assert moved_m > 1e-12

    def at_a_bound(_: float, gap: np.ndarray) -> float:
        return float((gap[0] - 0.2e-9 + 1e-16) * (1.7e-9 - gap[0] + 1e-16))

    at_a_bound.terminal = True  # type: ignore[attr-defined]
    solution = solve_ivp(
        lambda _, gap: [motion(gap[0], v)],
        (0, width_s),
        [gap_m],
        method="LSODA",
        rtol=1e-10,
        atol=1e-20,
        events=at_a_bound,
    )
    assert gaps_m(device)[0, 0] == pytest.approx(solution.y[0, -1], rel=1e-6)


def test_its_current_is_a_hyperbolic_sine_that_falls_exponentially_with_the_gap() -> None:
    for gap_m in (0.3e-9, 1.2e-9):
        for v in (-1.5, -0.1, 0.1, 2.0):
            shown_a = cells(gap_m).current_a(np.full((1, 1), v))
            assert shown_a[0, 0] == pytest.approx(amperes(gap_m, v), rel=1e-12)


def test_below_the_lowest_field_nothing_moves() -> None:
    # gamma 16 at 12 nm: 1.4e9 V/m need 1.05 V and more, the more the larger the gap.
    device = cells(1.7e-9)
    before = device.state.copy()
    device.pulse(pulses(device, 1.39, 1e3))  # gamma 12.07: 1.392 V
    assert (device.state == before).all()
    device.pulse(pulses(device, 1.395, 1e-3))
    assert (device.state < before).all()


def test_reset_ends_where_the_field_at_the_tip_falls_below_the_lowest() -> None:
    device = cells(0.2e-9)
    device.pulse(pulses(device, -1.2, 10.0))
    # gamma = 1.4e9 · 12e-9 / 1.2 = 14 at (2/0.8)^(1/3) nm.
    assert gaps_m(device)[0, 0] == pytest.approx(2.5 ** (1 / 3) * 1e-9, rel=1e-12)
    device.pulse(pulses(device, -1.2, 10.0))
    assert gaps_m(device)[0, 0] == pytest.approx(2.5 ** (1 / 3) * 1e-9, rel=1e-12)


def test_without_beta_the_field_does_not_depend_on_the_gap() -> None:
    device = cells(0.2e-9, beta=0.0)
    device.pulse(pulses(device, -1.2, 10.0))
    assert device.state[0, 0] == 1.0


def test_a_sweep_sets_at_a_positive_and_resets_at_a_negative_voltage() -> None:
    voltage_v = 2.0 * np.sin(np.linspace(0, 2 * np.pi, 401))
    device = make("stanford_pku")
    current_a = iv_sweep(device, voltage_v, step_s=1e-8)[:, 0, 0]
    rising, falling = abs(current_a[20]), abs(current_a[180])
    assert falling > 10 * rising
    assert abs(current_a[380]) < 0.2 * abs(current_a[220])


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ({"gap_min_m": 2e-9}, "gap_min_m 2e-09 must be below gap_max_m 1.7e-09"),
        ({"gap_max_m": 13e-9}, "gap_max_m 1.3e-08 must be below oxide_m 1.2e-08"),
        ({"fluctuation_m_per_s": -1.0}, "fluctuation_m_per_s: -1.*greater than or equal to 0"),
    ],
)
def test_settings_without_sense_are_refused(setting: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        make("stanford_pku", **setting)


def test_voltages_beyond_its_validity_are_refused() -> None:
    device = cells(1e-9)
    with pytest.raises(Unsupported, match=r"stanford_pku: 5\.1 V was asked for.* up to 5 V"):
        device.pulse(pulses(device, -5.1, 1e-9))


WALK = {"fluctuation_m_per_s": 0.02}


def test_the_gap_walks_by_the_variance_of_its_source_at_the_temperature_of_the_cell() -> None:
    # 0.5 V is below the lowest field: the walk alone. 100 steps of 1 ns, T = 298 K.
    device = cells(0.95e-9, (60, 60), **WALK)
    device.pulse(pulses(device, 0.5, 25e-9, 4))
    walked_m = gaps_m(device) - 0.95e-9
    step_m = 0.02 * 1e-9 / (1 + np.exp((450 - 298) / 500))
    # 3,600 cells: deviation to 1.2 %, mean to 1.7 % of it; three of each.
    assert walked_m.std() == pytest.approx(step_m * 10, rel=0.036)
    assert abs(walked_m.mean()) < 0.05 * step_m * 10


def test_a_hot_cell_walks_further_and_one_without_voltage_not_at_all() -> None:
    device = cells(0.95e-9, (60, 60), thermal_k_per_w=5e7, **WALK)
    device.pulse(pulses(device, 0.5, 1e-9))
    kelvin = 298 + 0.5 * amperes(0.95e-9, 0.5) * 5e7
    assert kelvin > 1000
    expected_m = 0.02 * 1e-9 / (1 + np.exp((450 - kelvin) / 500))
    assert (gaps_m(device) - 0.95e-9).std() == pytest.approx(expected_m, rel=0.036)
    before = device.state.copy()
    device.pulse(pulses(device, 0.0, 1e-9))
    assert (device.state == before).all()


def test_the_walk_does_not_depend_on_the_length_of_its_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = []
    for fine in (0.1, 0.03):
        monkeypatch.setattr(stanford_pku, "_FINE", fine)
        device = cells(1.4e-9, (40, 40), **WALK)
        device.pulse(pulses(device, 1.4, 3e-8))
        shown.append(gaps_m(device))
    steady = cells(1.4e-9)
    steady.pulse(pulses(steady, 1.4, 3e-8))
    assert gaps_m(steady)[0, 0] < 1.39e-9
    assert shown[1].min() > 0.25e-9  # at a bound the walk of the source depends on its step
    error_m = shown[0].std() / np.sqrt(1600 / 2)
    assert shown[0].mean() == pytest.approx(shown[1].mean(), abs=3 * error_m)
    assert shown[0].std() == pytest.approx(shown[1].std(), rel=3 / np.sqrt(1600))


def test_a_walk_longer_than_the_gap_is_refused() -> None:
    device = cells(1e-9, **WALK)
    # (1.5 nm)² over (0.02 m/s)² · 1 ns
    with pytest.raises(Unsupported, match=r"10 µs was asked for, .*covers up to 5\.625 µs"):
        device.check(pulses(device, 0.5, 1e-6, 10))
    device.check(pulses(device, 0.5, 5.6e-6))
