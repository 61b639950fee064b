"""JART VCM v1b against numbers of its authors' implementation, and its variability by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from hwloop.errors import ConfigError, Unsupported
from hwloop_sim.devices.common.state_device import StateDevice
from hwloop_sim.devices.filament_physics.jart_vcm import JART_VCM, JartVcmSettings
from hwloop_sim.devices.filament_physics.vcm_motion import filament
from tests.sim.devices.models import make, pulses

LOW, SPAN = 0.004, np.log(22 / 0.004)
MODEL = JART_VCM.make.args[0]  # type: ignore[attr-defined]


def state(n: float) -> float:
    """x at a concentration in 1e26/m³."""
    return float(np.log(n / LOW) / SPAN)


def record(**settings: Any) -> SimpleNamespace:
    return SimpleNamespace(**MODEL.parameters(JartVcmSettings.parse(settings)))


def cells(n: float, shape: tuple[int, ...] = (1, 1), **settings: Any) -> StateDevice:
    device = make("jart_vcm", shape, initial=None, **settings)
    assert isinstance(device, StateDevice)
    device._state = np.full(shape, state(n))
    return device


def concentration(device: StateDevice) -> np.ndarray:
    return np.asarray(LOW * np.exp(SPAN * device.state))


# Volts, N in 1e26/m³, radius, length, amperes, dN/dt in 1e26/(m³ s), as printed by Python of
# doi:10.1109/SMACD58065.2023.10192107 with N_min 0.004 and N_max 22.
PUBLISHED = [
    (-1.5, 0.008, 45e-9, 0.40e-9, -1.8316473395035376e-05, 1054994352.37),
    (-1.5, 0.3, 41e-9, 0.37e-9, -0.0002074031257734205, 7.52761304681e12),
    (-1.5, 5.0, 49e-9, 0.43e-9, -0.0008238319079907101, 351802928771),
    (-0.6, 0.008, 45e-9, 0.40e-9, -6.740531611911401e-06, 0.0305983817496),
    (-0.6, 0.3, 41e-9, 0.37e-9, -0.0001418839756988128, 6464294145.87),
    (-0.6, 5.0, 49e-9, 0.43e-9, -0.00036225577035516683, 73650.899288),
    (-0.05, 0.3, 41e-9, 0.37e-9, -1.3984653194047316e-05, 5.04789802176e-09),
    (0.2, 0.3, 41e-9, 0.37e-9, 5.68469411449447e-05, -1.97010730374e-07),
    (0.8, 0.008, 45e-9, 0.40e-9, 1.2134780557738544e-05, -4.59184492303e-06),
    (0.8, 0.3, 41e-9, 0.37e-9, 0.0002341037820050465, -2050880.37872),
    (0.8, 5.0, 49e-9, 0.43e-9, 0.0004796893359442377, -2.21416080259),
    (1.5, 0.008, 45e-9, 0.40e-9, 2.3321039442333628e-05, -0.904660343457),
    (1.5, 5.0, 49e-9, 0.43e-9, 0.0008600949813105558, -2830582.27065),
]

# Volts, N from, N to, seconds: quadrature of dN/(dN/dt) of that Python by SciPy, and the figures
# of the same Python in steps of 1 % of N, which are 5 % and 0.7 % too long.
SWITCHING = [
    (-0.6, 0.008, 10.0, 0.030136234365, 31.6e-3),
    (-0.7, 0.008, 10.0, 0.000500172854714, 527e-6),
    (-0.8, 0.008, 10.0, 1.14977363516e-05, 12.1e-6),
    (-0.9, 0.008, 10.0, 4.11024388116e-07, 434e-9),
    (-1.0, 0.008, 10.0, 2.34432289250e-08, 24.7e-9),
    (-1.2, 0.008, 10.0, 2.89390126003e-10, 0.30e-9),
    (0.8, 19.9, 0.1, 1.23140698973, 1.24),
    (1.0, 19.9, 0.1, 0.00600902464113, 6.05e-3),
    (1.2, 19.9, 0.1, 0.000104250835140, 105e-6),
    (1.5, 19.9, 0.1, 1.33017720449e-06, 1.34e-6),
]


@pytest.mark.parametrize(("v", "n", "radius_m", "length_m", "amperes", "motion"), PUBLISHED)
def test_current_and_motion_are_those_of_the_published_implementation(
    v: float, n: float, radius_m: float, length_m: float, amperes: float, motion: float
) -> None:
    own: dict[str, Any] = {
        "radius_m": radius_m,
        "length_m": length_m,
        "min_per_m3": 4e23,
        "max_per_m3": 22e26,
    }
    shown_a = cells(n, **own).current_a(np.full((1, 1), v))
    assert shown_a[0, 0] == pytest.approx(amperes, rel=1e-12)
    moved = MODEL.rate(state(n), v, record(**own)) * SPAN * n
    # e^z − 1 of small z costs the published one some digits.
    assert moved == pytest.approx(motion, rel=1e-8)


@pytest.mark.parametrize(("n", "micro"), [(0.008, 14.4), (0.2, 243), (1, 478), (20, 622)])
def test_the_conductance_at_200_millivolts_is_the_published_one(n: float, micro: float) -> None:
    shown_a = cells(n).current_a(np.full((1, 1), 0.2))
    assert shown_a[0, 0] / 0.2 * 1e6 == pytest.approx(micro, rel=3e-3)


@pytest.mark.parametrize(("v", "begin", "end", "seconds", "_"), SWITCHING)
def test_a_pulse_of_the_switching_time_switches(
    v: float, begin: float, end: float, seconds: float, _: float
) -> None:
    device = cells(begin)
    device.pulse(pulses(device, v, seconds))
    assert concentration(device)[0, 0] == pytest.approx(end, rel=1e-6)


@pytest.mark.parametrize(("v", "begin", "end", "_", "stepped_s"), SWITCHING)
def test_steps_of_one_percent_of_the_concentration_give_the_figures_of_the_literature(
    v: float, begin: float, end: float, _: float, stepped_s: float
) -> None:
    p, n, spent_s = record(), begin, 0.0
    while (n - end) * (begin - end) > 0:
        moved = MODEL.rate(state(n), v, p) * SPAN * n
        spent_s += 0.01 * n / abs(moved)
        n *= 1 + 0.01 * np.sign(moved)
    assert spent_s == pytest.approx(stepped_s, rel=5e-3)


@pytest.mark.parametrize(
    ("v", "begin", "width_s"),
    [
        (-1.5, 0.008, 5e-13),
        (-1.2, 0.3, 1e-12),
        (-0.6, 0.008, 0.03),
        (0.8, 19.9, 1.0),
        (1.8, 15, 1e-10),
    ],
)
def test_it_agrees_with_an_independent_integrator_from_picoseconds_to_seconds(
    v: float, begin: float, width_s: float
) -> None:
    p = record()
    device = cells(begin)
    device.pulse(pulses(device, v, width_s))
    solution = solve_ivp(
        lambda _, x: [MODEL.rate(x[0], v, p)],
        (0, width_s),
        [state(begin)],
        method="LSODA",
        rtol=1e-11,
        atol=1e-14,
    )
    expected = solution.y[0, -1]
    assert abs(expected - state(begin)) > 1e-4
    assert device.state[0, 0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("v", "width_s"), [(-0.8, 1.149e-5), (-1.2, 2.8939e-10), (1.2, 1e-4)])
def test_halving_the_pulses_changes_nothing(v: float, width_s: float) -> None:
    begin = 0.008 if v < 0 else 19.9
    whole, halves = cells(begin), cells(begin)
    whole.pulse(pulses(whole, v, width_s))
    for _ in range(64):
        halves.pulse(pulses(halves, v, width_s / 64))
    np.testing.assert_allclose(concentration(halves), concentration(whole), rtol=1e-7)


def test_at_its_bounds_a_cell_stays_and_leaves_in_the_other_direction() -> None:
    for n, towards_v, away_v in ((0.008, 1.5, -1.5), (20.0, -1.5, 1.5)):
        device = cells(n)
        before = device.state.copy()
        device.pulse(pulses(device, towards_v, 10.0))
        np.testing.assert_allclose(device.state, before, rtol=1e-14)
        device.pulse(pulses(device, away_v, 1e-3))
        assert abs(device.state - before)[0, 0] > 0.1


def test_no_voltage_and_almost_no_time_change_nothing() -> None:
    device = cells(0.2)
    before = device.state.copy()
    device.pulse(pulses(device, 0.0, 1e3))
    assert (device.state == before).all()
    device.pulse(pulses(device, -1.0, 1e-30))
    np.testing.assert_allclose(device.state, before, rtol=1e-12)


@pytest.mark.parametrize("volts", [1.81, -3.0, 1e6])
def test_a_voltage_beyond_the_fit_of_the_current_is_refused(volts: float) -> None:
    device = cells(0.2)
    before = device.state.copy()
    line = r"jart_vcm: .*V was asked for, but this device model covers up to 1\.8 V"
    with pytest.raises(Unsupported, match=line):
        device.pulse(pulses(device, volts, 1e-9))
    with pytest.raises(Unsupported, match=line):
        device.current_a(np.full((1, 1), volts))
    assert (device.state == before).all()


def test_parameters_outside_of_the_bounds_of_the_source_are_refused() -> None:
    for setting, line in (
        ({"radius_m": 50e-9}, "radius_m: 5e-08: .*less than or equal to 0.0000000495"),
        ({"min_per_m3": 0.0}, "min_per_m3: 0.*greater than or equal to 4"),
        ({"cycle_to_cycle": {"radius": {"sigma": 0.1}}}, "'radius' is not drawn at a reversal"),
    ):
        with pytest.raises(ConfigError, match=line):
            make("jart_vcm", **setting)


FOUR = {
    "radius_m": {"sigma": 0.05},
    "length_m": {"sigma": 0.05},
    "min_per_m3": {"sigma": 0.5},
    "max_per_m3": {"sigma": 0.05},
}


def test_the_spread_from_cell_to_cell_keeps_within_the_bounds_of_the_source() -> None:
    device = make("jart_vcm", (40, 40), initial=None, spread=FOUR)
    assert isinstance(device, StateDevice)
    p = device._p
    for values, low, high in (
        (p.radius_m, 40.5e-9, 49.5e-9),
        (p.length_m, 0.36e-9, 0.44e-9),
        (p.min_per_m3, 4e23, 25e24),
        (p.max_per_m3, 18e26, 22e26),
    ):
        assert low <= values.min() < low * 1.02
        assert high >= values.max() > high * (0.1 if low == 4e23 else 0.98)
    # Each cell begins at its own lowest concentration.
    np.testing.assert_allclose(concentration(device) * 1e26, p.min_per_m3, rtol=1e-12)
    # A normal of 5 % cut at 10 %, two deviations: 0.880 of its deviation, hand calculation.
    assert np.log(p.radius_m).std() == pytest.approx(0.880 * 0.05, rel=0.05)


def test_a_reversal_draws_a_filament_and_pulses_of_one_sign_do_not() -> None:
    device = cells(0.008, (3, 3), cycle_to_cycle=FOUR)
    device.pulse(pulses(device, -0.8, 1e-7))
    first = device._p.radius_to.copy()
    assert np.unique(first).size == 9
    device.pulse(pulses(device, -0.8, 1e-7))
    assert (device._p.radius_to == first).all()
    device.pulse(pulses(device, 0.8, 1e-7))
    assert (device._p.radius_to != first).all()


def test_radius_and_length_are_reached_as_the_concentration_reaches_its_bound() -> None:
    device = cells(0.008, (3, 3), cycle_to_cycle=FOUR)
    device.pulse(pulses(device, -1.2, 1e-6))
    p = device._p
    r_old, l_old = p.radius_to * 45e-9, p.length_to * 0.4e-9
    begin = concentration(device)
    device.pulse(pulses(device, 1.0, 3e-3))
    # Equations 23 and 24 of the source.
    part = (begin - concentration(device)) / (begin - p.min_per_m3 * p.min_part / 1e26)
    assert ((part > 0.01) & (part < 0.9999)).all()
    assert part.max() > 10 * part.min()
    radius_m, length_m = filament(device.state, p)
    np.testing.assert_allclose(radius_m, r_old + (p.radius_to * 45e-9 - r_old) * part, rtol=1e-4)
    np.testing.assert_allclose(length_m, l_old + (p.length_to * 4e-10 - l_old) * part, rtol=1e-4)


def test_no_cycle_to_cycle_leaves_every_cycle_alike() -> None:
    same, varied = cells(0.008), cells(0.008, cycle_to_cycle=FOUR)
    low: dict[int, set[int]] = {id(same): set(), id(varied): set()}
    for _ in range(4):
        for device in (same, varied):
            device.pulse(pulses(device, -1.2, 1e-6))
            device.pulse(pulses(device, 1.2, 1e-2))
            low[id(device)].add(round(float(device.conductance_s[0, 0]) * 1e9))
    assert len(low[id(same)]) == 1
    assert len(low[id(varied)]) == 4


def test_a_cell_with_a_cycle_can_be_set_to_a_conductance() -> None:
    device = cells(0.008, (2, 2), cycle_to_cycle=FOUR)
    device.pulse(pulses(device, -1.2, 1e-6))
    device.pulse(pulses(device, 1.0, 3e-3))
    wanted = device.conductance_s * 0.9
    device.set_conductance(wanted)
    np.testing.assert_allclose(device.conductance_s, wanted, rtol=1e-12)


def test_the_time_to_a_state_is_the_integral_of_the_slowness() -> None:
    # Another filament than the nominal one, whose time is not in the literature.
    p = record(radius_m=42e-9, length_m=0.43e-9)
    expected, _ = quad(lambda x: 1 / MODEL.rate(x, -0.9, p), state(0.008), state(0.05))
    device = cells(0.008, radius_m=42e-9, length_m=0.43e-9)
    device.pulse(pulses(device, -0.9, expected))
    assert concentration(device)[0, 0] == pytest.approx(0.05, rel=1e-6)
