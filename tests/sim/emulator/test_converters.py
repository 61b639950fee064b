"""DAC and ADC as plain functions: levels, ranges, errors, and nothing silently clipped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.array.converter_range import Levels
from hwloop.errors import ConfigError, Unsupported
from hwloop_sim.emulator.converters import Adc, Dac

FIXED = {"kind": "fixed", "low_a": -1e-6, "high_a": 1e-6}


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def adc(**settings: object) -> Adc:
    return Adc.parse({"bits": 8, "range": FIXED} | settings)


def test_a_symmetric_range_has_zero_among_its_levels_and_leaves_one_code() -> None:
    levels = Levels(-1.0, 1.0, 3)
    np.testing.assert_allclose(levels.values(np.arange(7)), np.arange(-3, 4) / 3, atol=1e-16)
    assert levels.values(np.array([3]))[0] == 0.0
    assert levels.top == 6


def test_another_range_uses_every_code() -> None:
    levels = Levels(0.0, 0.7, 3)
    np.testing.assert_allclose(levels.values(np.arange(8)), np.arange(8) / 10, atol=1e-16)
    assert levels.top == 7


@settings(max_examples=50, deadline=None)
@given(
    st.integers(2, 16),
    st.just(0.0) | st.floats(-0.3, -1e-9) | st.floats(1e-9, 0.29),
    st.integers(0, 2**31),
)
def test_a_voltage_within_the_range_is_never_wrong_by_more_than_half_a_step(
    bits: int, low_v: float, seed: int
) -> None:
    dac = Dac.parse({"bits": bits, "low_v": low_v, "high_v": 0.3})
    asked_v = np.random.default_rng(seed).uniform(low_v, 0.3, (5, 7))
    error_v = dac.convert(asked_v, rng()) - asked_v
    assert np.abs(error_v).max() <= dac.levels.step * (0.5 + 1e-6)


def test_offset_gain_and_noise_of_a_dac() -> None:
    dac = Dac.parse(
        {"bits": 12, "low_v": -1, "high_v": 1, "offset_v": 0.01, "gain_error": 0.02, "noise_v": 0.1}
    )
    driven_v = dac.convert(np.full((100, 100), 0.5), rng())
    assert driven_v.mean() == pytest.approx(0.5 * 1.02 + 0.01, abs=4.5 * 0.1 / 100 + 3e-4)
    assert driven_v.std() == pytest.approx(0.1, rel=0.03)


def test_a_voltage_beyond_the_dac_is_refused_with_its_place() -> None:
    dac = Dac.parse({"bits": 8, "low_v": "-0.2 V", "high_v": "0.2 V"})
    with pytest.raises(
        Unsupported, match=r"vector 1, row 2: voltage_v 0\.25 is outside"
    ) as refusal:
        dac.convert(np.array([[0.0, 0.1, 0.2], [0.0, 0.0, 0.25]]), rng())
    assert str(refusal.value).endswith(
        "-0.2 to 0.2 V: widen converters.dac low_v and high_v, or lower read.read_v"
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 16), st.integers(0, 2**31))
def test_an_adc_is_within_half_a_step_or_says_over_range(bits: int, seed: int) -> None:
    converter = adc(bits=bits)
    levels = converter.levels(np.zeros(1))
    current_a = np.random.default_rng(seed).uniform(-2e-6, 2e-6, (6, 9))
    done = converter.convert(current_a, levels, rng())
    inside = np.abs(current_a) <= 1e-6
    assert not done.over_range[inside].any()
    assert done.over_range[np.abs(current_a) > 1e-6 + levels.step * 0.51].all()
    assert (np.isnan(done.value_a) == done.over_range).all()
    error_a = np.abs(done.value_a - current_a)[~done.over_range]
    assert (error_a <= levels.step * (0.5 + 1e-6)).all()
    low = done.over_range & (current_a < 0)
    assert (done.codes[low] == 0).all()
    assert (done.codes[done.over_range & ~low] == levels.top).all()


def test_what_was_no_number_is_over_range() -> None:
    converter = adc()
    done = converter.convert(np.array([[np.nan, 0.0]]), converter.levels(np.zeros(1)), rng())
    assert done.over_range.tolist() == [[True, False]]


def test_the_noise_of_many_conversions_averages_to_the_value_between_levels() -> None:
    converter = adc(bits=6, noise_a=5e-8)
    levels = converter.levels(np.zeros(1))
    current_a = levels.step * 3.3
    done = converter.convert(np.full((200, 200), current_a), levels, rng())
    sigma_a = np.sqrt(5e-8**2 + levels.step**2 / 12)
    assert done.value_a.mean() == pytest.approx(current_a, abs=4.5 * sigma_a / 200)
    assert done.value_a.std() == pytest.approx(sigma_a, rel=0.03)


def test_offset_and_gain_act_before_the_conversion_and_spread_over_converters() -> None:
    converter = adc(bits=16, offset_a=2e-8, gain_error=0.1)
    done = converter.convert(np.array([[5e-7]]), converter.levels(np.zeros(1)), rng())
    assert done.value_a[0, 0] == pytest.approx(5.7e-7, rel=1e-4)
    spread = adc(gain_sigma=0.02, offset_sigma_a=1e-8)
    assert spread.draw_gain((100, 100), rng()).std() == pytest.approx(0.02, rel=0.03)
    assert spread.draw_offset_a((100, 100), rng()).std() == pytest.approx(1e-8, rel=0.03)


@pytest.mark.parametrize(
    ("data", "settings_", "expected"),
    [
        ([-1.0, 3.0], {"kind": "calibrated"}, (-3.0, 3.0)),
        ([1.0, 3.0, np.nan], {"kind": "calibrated", "margin": 0.1}, (0.0, 3.3)),
        ([-1.0, -3.0], {"kind": "calibrated"}, (-3.0, 0.0)),
        (np.arange(101.0), {"kind": "percentile", "percent": 90}, (0.0, 90.0)),
    ],
)
def test_a_range_is_fitted_to_data(
    data: list[float], settings_: dict[str, object], expected: tuple[float, float]
) -> None:
    levels = adc(range=settings_).levels(np.array(data))
    assert (levels.low, levels.high) == pytest.approx(expected)


def test_data_that_say_nothing_cannot_calibrate() -> None:
    with pytest.raises(Unsupported, match="every current of the data is 0 A"):
        adc(range={"kind": "calibrated"}).levels(np.zeros(4))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"bits": 1}, "greater than or equal to 2"),
        ({"bits": 8.5}, "integer"),
        ({"range": {"kind": "fixed", "low_a": 1, "high_a": 0}}, "must be below high_a"),
        ({"range": {"kind": "calibrated", "percent": 90}}, "kind: percentile"),
        ({"range": {"kind": "percentile", "percent": 0}}, "greater than 0"),
        ({"gain_error": 0.6}, "less than 0.5"),
    ],
)
def test_an_adc_outside_its_validity_is_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        adc(**wrong)
