"""Soft bounds: the exponential, and the scatter of its pulses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.errors import ConfigError
from tests.sim.devices.models import make, pulses

LOW_CONDUCTANCE_S, HIGH_CONDUCTANCE_S = 3.08e-9, 38.5e-9


@given(
    train=st.lists(
        st.tuples(st.sampled_from([1.0, -1.0]), st.integers(1, 5000)), min_size=1, max_size=6
    )
)
@settings(max_examples=30, deadline=None)
def test_it_is_the_recursion_of_a_fixed_fraction_of_what_is_left(
    train: list[tuple[float, int]],
) -> None:
    device = make("soft_bounds", up_pulses=30.0, down_pulses=50.0)
    expected_conductance_s = LOW_CONDUCTANCE_S
    for volts, count in train:
        device.pulse(pulses(device, volts, 1e-3, count))
        for _ in range(count):
            if volts > 0:
                expected_conductance_s += (HIGH_CONDUCTANCE_S - expected_conductance_s) * (
                    1 - np.exp(-1 / 30)
                )
            else:
                expected_conductance_s -= (expected_conductance_s - LOW_CONDUCTANCE_S) * (
                    1 - np.exp(-1 / 50)
                )
    assert device.conductance_s[0, 0] == pytest.approx(expected_conductance_s, rel=1e-9)


def test_its_own_pulses_are_those_of_the_published_device() -> None:
    from hwloop import plugins

    kind = plugins.load(plugins.DEVICES, "soft_bounds")
    device = kind.make(kind.settings.parse({}), (1, 1), np.random.default_rng(1))
    device.pulse(pulses(device, 3.2, 300e-6, 30))
    assert device.conductance_s[0, 0] == pytest.approx(
        HIGH_CONDUCTANCE_S - (HIGH_CONDUCTANCE_S - LOW_CONDUCTANCE_S) / np.e
    )


@pytest.mark.parametrize("count", [1, 10])
def test_the_scatter_of_a_train_is_that_of_its_pulses_one_by_one(count: int) -> None:
    begin_conductance_s = 20e-9
    device = make("soft_bounds", (150, 150), cycle_to_cycle=0.01, initial=begin_conductance_s)
    device.pulse(pulses(device, 1.0, 1e-3, count))
    left = np.exp(-1 / 30)
    deviation_conductance_s = (
        0.01
        * (HIGH_CONDUCTANCE_S - LOW_CONDUCTANCE_S)
        * np.sqrt(sum(left ** (2 * k) for k in range(count)))
    )
    mean_conductance_s = (
        HIGH_CONDUCTANCE_S - (HIGH_CONDUCTANCE_S - begin_conductance_s) * left**count
    )
    # 22,500 values: the relative standard error of a deviation is 0.5 %.
    assert device.conductance_s.std() == pytest.approx(deviation_conductance_s, rel=0.02)
    assert device.conductance_s.mean() == pytest.approx(
        mean_conductance_s, abs=4 * deviation_conductance_s / 150
    )


def test_scatter_is_held_between_the_bounds() -> None:
    device = make("soft_bounds", (50, 50), cycle_to_cycle=0.5)
    device.pulse(pulses(device, 1.0, 1e-3, 3))
    assert device.conductance_s.min() >= LOW_CONDUCTANCE_S
    assert device.conductance_s.max() <= HIGH_CONDUCTANCE_S


def test_two_directions_by_one_pulse_are_refused() -> None:
    with pytest.raises(ConfigError, match="are one pulse within 2%"):
        make("soft_bounds", down={"amplitude_v": 1.01, "width_s": 1e-3})


@pytest.mark.parametrize(
    ("down", "flipped"),
    [
        ({"amplitude_v": 2.0, "width_s": 1e-3}, False),
        ({"amplitude_v": 2.0, "width_s": 1e-3}, True),
        ({"amplitude_v": 1.0, "width_s": 4e-3}, False),
        ({"amplitude_v": 2.0, "width_s": 4e-3}, False),
    ],
)
def test_unipolar_cells_go_up_and_down_by_pulses_of_one_sign(
    down: dict[str, float], flipped: bool
) -> None:
    device = make("soft_bounds", (1, 2), up_pulses=7, down_pulses=5, down=down, flipped=flipped)
    sign = -1 if flipped else 1
    device.pulse(pulses(device, sign * 1.0, 1e-3, 3))
    span_conductance_s = HIGH_CONDUCTANCE_S - LOW_CONDUCTANCE_S
    high_conductance_s = HIGH_CONDUCTANCE_S - span_conductance_s * np.exp(-3 / 7)
    np.testing.assert_allclose(device.conductance_s, high_conductance_s, rtol=1e-12)
    device.pulse(pulses(device, sign * down["amplitude_v"], down["width_s"], 2))
    low_conductance_s = LOW_CONDUCTANCE_S + (high_conductance_s - LOW_CONDUCTANCE_S) * np.exp(
        -2 / 5
    )
    np.testing.assert_allclose(device.conductance_s, low_conductance_s, rtol=1e-12)
