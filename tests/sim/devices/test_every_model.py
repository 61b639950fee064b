"""What holds for every device model that stands in the entry points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop import plugins
from hwloop.array.operations import PulseMap
from hwloop.errors import ConfigError, Unsupported
from hwloop_sim.cells.device import Device
from hwloop_sim.cells.voltage_sweep import iv_sweep
from hwloop_sim.devices.common.state_device import StateDevice
from tests.sim.devices.models import (
    BINARY,
    HIGHEST_V,
    LOWERED_BY_POSITIVE,
    SETTINGS,
    STATE_EQUATIONS,
    WITH_THRESHOLD,
    gate_v,
    make,
    names,
    one,
    pulses,
)

ANY_PULSE = [*STATE_EQUATIONS, "one_transistor", "stochastic_switch"]
GRADED = [name for name in names() if name not in ("pulse_table", *BINARY)]
SWEPT_V = {
    "jart_vcm": 1.0,
    "stanford_pku": 1.5,
    "linear_ion_drift": 1.0,
    "sbt": 1.0,
    "schottky": 1.0,
    "team": 1.0,
    "vteam": 0.5,
    "yakopcic": 0.5,
    "one_transistor": 2.5,
    "proportional": 1.0,
    "stochastic_switch": 3.6,
}
PERIOD_S = {
    "jart_vcm": 1e-3,
    "stanford_pku": 1e-7,
    "linear_ion_drift": 1.0,
    "sbt": 0.1,
    "schottky": 10.0,
    "team": 20.0,
    "vteam": 1e-6,
    "yakopcic": 0.01,
    "one_transistor": 1e-6,
    "proportional": 1e-3,
    "stochastic_switch": 0.01,
}


def shape_of(array: np.ndarray) -> tuple[int, ...]:
    return array.shape[-2:]


def voltages(device: Device, volts: float) -> PulseMap:
    return pulses(device, volts, 1e-3)


def test_all_models_of_the_package_are_tested_here() -> None:
    assert set(names()) == {*ANY_PULSE, *SETTINGS}


@pytest.mark.parametrize("name", names())
def test_a_population_of_one_is_a_run_of_one_to_the_last_bit(name: str) -> None:
    alone, population = make(name, (3, 4), seed=5), make(name, (1, 3, 4), seed=5)
    for volts in (1.0, 1.0) if name == "pulse_table" else (1.0, 1.0, -1.0):
        for device in (alone, population):
            device.pulse(pulses(device, volts * one(name), 1e-3, gate_v=gate_v(name)))
        assert (alone.conductance_s == population.conductance_s[0]).all()


@pytest.mark.parametrize("name", names())
def test_the_same_seed_gives_the_same_cells(name: str) -> None:
    first, second = (make(name, (2, 2), seed=9) for _ in range(2))
    for device in (first, second):
        device.pulse(pulses(device, one(name), 1e-3, 3, gate_v(name)))
    assert (first.conductance_s == second.conductance_s).all()


@pytest.mark.parametrize("name", names())
def test_cells_that_are_not_addressed_stay_as_they_are(name: str) -> None:
    device = make(name, (2, 2))
    before = device.conductance_s.copy()
    amplitude_v = np.array([[one(name), 0.0], [0.0, 0.0]])
    device.pulse(PulseMap(amplitude_v, 1e-3, 2, gate_v(name)))
    assert (device.conductance_s != before).tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize("name", names())
def test_a_conductance_that_was_handed_out_is_not_changed_afterwards(name: str) -> None:
    device = make(name, (2, 2))
    handed_out = device.conductance_s
    kept = handed_out.copy()
    device.pulse(pulses(device, one(name), 1e-3, 2, gate_v(name)))
    assert (handed_out == kept).all()


@pytest.mark.parametrize("name", names())
def test_a_map_for_each_array_of_a_population_is_applied_to_that_array(name: str) -> None:
    device = make(name, (2, 1, 1))
    before = device.conductance_s.copy()
    device.pulse(PulseMap(np.array([[[0.0]], [[one(name)]]]), 1e-3, gate_v=gate_v(name)))
    assert (device.conductance_s != before).ravel().tolist() == [False, True]


@pytest.mark.parametrize("name", GRADED)
def test_a_model_can_be_put_at_a_conductance_that_it_has(name: str) -> None:
    device = make(name, (2, 2))
    wanted = device.conductance_s * 1.001
    device.set_conductance(wanted)
    np.testing.assert_allclose(device.conductance_s, wanted, rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in names() if name != "one_transistor"])
def test_a_gate_is_refused_by_a_device_that_has_none(name: str) -> None:
    device = make(name)
    with pytest.raises(Unsupported, match=r"a gate at 1\.5 V"):
        device.check(pulses(device, 1.0, 1e-3, gate_v=1.5))


def test_a_transistor_without_a_gate_voltage_is_refused() -> None:
    device = make("one_transistor")
    with pytest.raises(Unsupported, match="without gate_v"):
        device.check(pulses(device, 1.0, 1e-3))


@pytest.mark.parametrize("name", sorted(SETTINGS))
@pytest.mark.parametrize(("volts", "width_s", "asked"), [(1.1, 1e-3, "1.1 V"), (1.0, 2e-3, "2 ms")])
def test_a_model_of_counted_pulses_refuses_other_ones(
    name: str, volts: float, width_s: float, asked: str
) -> None:
    device = make(name)
    with pytest.raises(Unsupported, match=f"does not cover {asked}"):
        device.check(pulses(device, volts, width_s))


@pytest.mark.parametrize("name", WITH_THRESHOLD)
@given(volts=st.floats(-0.999, 0.999), width_s=st.floats(1e-9, 1e4))
@settings(max_examples=40, deadline=None)
def test_below_the_threshold_nothing_changes(name: str, volts: float, width_s: float) -> None:
    device = make(name)
    highest_v, lowest_v = {
        "proportional": (0.6, -0.6),
        "sbt": (0.3, -0.3),
        # Currents of 115 µA and −8.9 µA at the 525 ohm in which cells begin.
        "team": (115e-6 * 525, -8.9e-6 * 525),
        "vteam": (0.02, -0.2),
        "yakopcic": (0.16, -0.15),
        "one_transistor": (1.0, -1.56),
    }[name]
    before = device.conductance_s.copy()
    amplitude_v = volts * highest_v if volts > 0 else -volts * lowest_v
    device.pulse(pulses(device, amplitude_v, width_s, 1000, gate_v(name)))
    assert (device.conductance_s == before).all()


@pytest.mark.parametrize("name", ANY_PULSE)
@given(
    train=st.lists(
        st.tuples(
            st.floats(-1.0, 1.0).filter(lambda part: part != 0),
            st.floats(-9, 4).map(lambda exponent: 10.0**exponent),
            st.integers(1, 5),
            st.floats(-1e3, 1e3),
        ),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=40, deadline=None)
def test_states_stay_in_bounds_for_any_pulse(
    name: str, train: list[tuple[float, float, int, float]]
) -> None:
    device = make(name)
    lowest_conductance_s, highest_conductance_s = {
        "jart_vcm": (13.904e-6, 621.21e-6),
        "stanford_pku": (4e-3 * np.exp(-6.8), 4e-3 * np.exp(-0.8)),
        "linear_ion_drift": (1 / 16e3, 1 / 100),
        "proportional": (1e-6, 1e-4),
        "stochastic_switch": (1e-9, 1e-6),
        "sbt": (1 / 16e3, 1 / 100),
        "schottky": (122e-12 / 0.0516, 94e-9 / 0.0515),
        "team": (1 / 1000, 1 / 50),
        "vteam": (1 / 1000, 1 / 50),
        "yakopcic": (0.0, 0.17 * 0.05),
        "one_transistor": (1e-6, 1 / 3970),
    }[name]
    for part, width_s, count, gate in train:
        volts = part * HIGHEST_V.get(name, 1e3)
        device.pulse(pulses(device, volts, width_s, count, gate_v(name, gate)))
        assert np.isfinite(device.conductance_s).all()
        assert (device.conductance_s >= lowest_conductance_s * (1 - 1e-12)).all()
        assert (device.conductance_s <= highest_conductance_s * (1 + 1e-12)).all()
        if isinstance(device, StateDevice):
            assert ((device.state >= 0) & (device.state <= 1)).all()


@pytest.mark.parametrize("name", STATE_EQUATIONS)
@given(exponent=st.floats(-9, 0), factor=st.floats(1, 100), volts=st.floats(0.5, 3))
@settings(max_examples=25, deadline=None)
def test_a_longer_pulse_never_does_less(
    name: str, exponent: float, factor: float, volts: float
) -> None:
    short, long = make(name), make(name)
    begin_conductance_s = short.conductance_s.copy()
    volts = min(volts, HIGHEST_V.get(name, volts))
    short.pulse(pulses(short, volts, 10.0**exponent))
    long.pulse(pulses(long, volts, factor * 10.0**exponent))
    sign = -1 if name in LOWERED_BY_POSITIVE else 1
    assert (sign * (short.conductance_s - begin_conductance_s) >= 0).all()
    assert (sign * (long.conductance_s - short.conductance_s) >= -1e-12 * begin_conductance_s).all()


@pytest.mark.parametrize("name", STATE_EQUATIONS)
def test_a_train_is_its_pulses_one_by_one(name: str) -> None:
    whole, parts = make(name), make(name)
    width_s = PERIOD_S[name] / 1000
    whole.pulse(pulses(whole, SWEPT_V[name], width_s, 50))
    for _ in range(50):
        parts.pulse(pulses(parts, SWEPT_V[name], width_s))
    np.testing.assert_allclose(whole.conductance_s, parts.conductance_s, rtol=1e-11)


@pytest.mark.parametrize("name", STATE_EQUATIONS)
def test_a_flipped_device_answers_the_opposite_voltage(name: str) -> None:
    straight, flipped = make(name), make(name, flipped=True)
    straight.pulse(pulses(straight, SWEPT_V[name], PERIOD_S[name] / 100))
    flipped.pulse(pulses(flipped, -SWEPT_V[name], PERIOD_S[name] / 100))
    assert (straight.conductance_s == flipped.conductance_s).all()
    volts = np.full((1, 1), 0.1)
    np.testing.assert_allclose(flipped.current_a(volts), -straight.current_a(-volts), rtol=1e-15)


@pytest.mark.parametrize("name", ANY_PULSE)
def test_the_loop_is_pinched_at_the_origin_and_open_beside_it(name: str) -> None:
    device = make(name)
    phase = np.linspace(0, 2 * np.pi, 401)
    voltage_v = SWEPT_V[name] * np.sin(phase)
    voltage_v[[0, 200, 400]] = 0.0
    current_a = iv_sweep(device, voltage_v, step_s=PERIOD_S[name] / 400, gate_v=gate_v(name))[
        :, 0, 0
    ]
    assert (current_a[voltage_v == 0] == 0).all()
    assert (current_a * voltage_v >= 0).all()  # passive
    up, down = current_a[50], current_a[150]
    assert voltage_v[50] == pytest.approx(voltage_v[150])
    assert abs(up - down) > 0.01 * abs(up)


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_a_model_without_a_current_voltage_relation_refuses_a_sweep(name: str) -> None:
    device = make(name)
    before = device.conductance_s.copy()
    with pytest.raises(Unsupported, match=name):
        iv_sweep(device, [0.0, 0.1, 0.2], step_s=1e-3)
    assert (device.conductance_s == before).all()


@pytest.mark.parametrize("name", GRADED)
def test_initial_states_are_given_uniform_or_lognormal(name: str) -> None:
    middle_conductance_s = float(make(name).conductance_s[0, 0]) * 1.05
    if name == "pulse_response":
        middle_conductance_s = 1.5e-6
    same = make(name, (2, 3), initial=middle_conductance_s)
    np.testing.assert_allclose(same.conductance_s, middle_conductance_s, rtol=1e-12)
    values = [
        [middle_conductance_s * (1 + 0.01 * (3 * row + col)) for col in range(3)]
        for row in range(2)
    ]
    given_ = make(
        name, (4, 2, 3), initial={"distribution": "given", "values_conductance_s": values}
    )
    np.testing.assert_allclose(given_.conductance_s, np.broadcast_to(values, (4, 2, 3)), rtol=1e-12)
    uniform = {
        "distribution": "uniform",
        "min_conductance_s": middle_conductance_s,
        "max_conductance_s": 1.1 * middle_conductance_s,
    }
    drawn = make(name, (40, 40), initial=uniform).conductance_s
    assert (drawn >= middle_conductance_s * (1 - 1e-9)).all()
    assert (drawn <= 1.1 * middle_conductance_s * (1 + 1e-9)).all()
    # Mean and deviation of a uniform distribution, 1,600 values.
    assert drawn.mean() == pytest.approx(1.05 * middle_conductance_s, rel=3e-3)
    assert drawn.std() == pytest.approx(0.1 * middle_conductance_s / np.sqrt(12), rel=0.05)
    lognormal = {
        "distribution": "lognormal",
        "median_conductance_s": 1.05 * middle_conductance_s,
        "sigma": 0.01,
    }
    logs = np.log(
        make(name, (40, 40), initial=lognormal).conductance_s / (1.05 * middle_conductance_s)
    )
    assert logs.mean() == pytest.approx(0, abs=1e-3)
    assert logs.std() == pytest.approx(0.01, rel=0.08)


@pytest.mark.parametrize("name", [name for name in names() if name != "pulse_table"])
def test_an_initial_state_that_the_model_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(
        ConfigError, match=r"initial: cell \(0, 0\): 100 S is outside the range of the model"
    ):
        make(name, initial=100.0)


@pytest.mark.parametrize("name", [*STATE_EQUATIONS, "one_transistor", "soft_bounds"])
def test_a_parameter_that_cannot_be_spread_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match="spread: 'weather' is no parameter that can be spread"):
        make(name, spread={"weather": {"sigma": 0.1}})


@pytest.mark.parametrize(
    ("name", "parameter", "opposite"),
    [
        ("linear_ion_drift", "mobility_m2_per_vs", False),
        ("sbt", "mobility_m2_per_s_ohm", False),
        ("vteam", "k_off_m_per_s", True),
        ("team", "k_off_m_per_s", True),
        ("yakopcic", "a_p_per_s", False),
        ("schottky", "k_set_per_s", False),
        ("jart_vcm", "attempt_frequency_per_s", False),
        ("stanford_pku", "velocity_m_per_s", True),
    ],
)
def test_a_spread_speed_gives_every_cell_the_step_of_its_own_speed(
    name: str, parameter: str, opposite: bool
) -> None:
    device = make(name, (30, 30), spread={parameter: {"distribution": "lognormal", "sigma": 0.3}})
    assert isinstance(device, StateDevice)
    before = device.state.copy()
    device.pulse(pulses(device, SWEPT_V[name], PERIOD_S[name] * 1e-7))
    factors = np.log((device.state - before) / np.median(device.state - before))
    assert factors.std() == pytest.approx(0.3, rel=0.08)  # 900 values: 2.4 % standard error


@pytest.mark.parametrize("name", STATE_EQUATIONS)
def test_every_parameter_that_can_be_spread_is_spread_to_both_sides_of_its_value(name: str) -> None:
    """Whatever its sign: a threshold of RESET is negative."""
    for parameter in plugins.load(plugins.DEVICES, name).settings.spreadable:
        device = make(name, (20, 20), spread={parameter: {"sigma": 0.01}})
        assert isinstance(device, StateDevice)
        drawn = getattr(device._p, parameter)
        assert np.quantile(drawn / np.median(drawn), [0.16, 0.84]) == pytest.approx(
            [0.99, 1.01], abs=0.002
        )


def test_a_spread_that_reverses_bounds_is_refused_with_the_cell() -> None:
    with pytest.raises(
        ConfigError, match=r"spread: cell \(.*\): the spread makes r_on_ohm .* below r_off_ohm"
    ):
        make("vteam", (40, 40), spread={"r_on_ohm": {"sigma": 2.0}})


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("vteam", {"v_off_v": -0.1}, r"v_off_v: -0\.1: .*greater than 0"),
        ("team", {"i_on_a": 1e-6}, r"i_on_a: 1e-06: .*less than 0"),
        ("linear_ion_drift", {"r_on_ohm": 2e4}, "r_on_ohm 20000 must be below r_off_ohm 16000"),
        ("linear_ion_drift", {"window": {"name": "kvatinsky"}}, "window"),
        ("yakopcic", {"x_p": 1.0}, r"x_p: 1\.0: .*less than 1"),
        (
            "sbt",
            {"i_0_a": 1e-3},
            r"i_0_a 0\.001 must be below v_positive_v / r_off_ohm = 1\.875e-05",
        ),
        ("schottky", {"i_off_a": 1e-6}, r"i_off_a 1e-06 must be below i_on_a 9\.4e-08"),
        (
            "one_transistor",
            {"reset_floor_conductance_s": 1.0},
            "reset_floor_conductance_s 1 must be from min_conductance_s",
        ),
        (
            "soft_bounds",
            {"min_conductance_s": 1.0},
            r"min_conductance_s 1 must be below max_conductance_s 3\.85e-08",
        ),
        ("pulse_response", {"neighbours": 0}, "neighbours: 0: .*greater than or equal to 1"),
    ],
)
def test_a_parameter_outside_its_validity_is_one_line_with_the_bound(
    name: str, setting: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as refusal:
        make(name, **setting)
    assert "\n" not in str(refusal.value)
