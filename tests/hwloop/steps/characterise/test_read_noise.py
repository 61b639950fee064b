"""Read noise against the noise that was put in."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.array.limits import check_operation
from hwloop.errors import LimitError, StepError
from hwloop.steps.characterise.read_noise import (
    READ_NOISE,
    ReadNoiseSettings,
    plan,
    relative_spectrum,
)
from tests.characterised import array_settings, emulated, results

DEVICE = {"model": "soft_bounds", "initial": 2e-8}
SETTINGS = {"read_voltages_v": [0.1, 0.2], "reads": 200}
WHITE = {"effects": [{"effect": "white_noise", "fraction": 0.02}]}


def test_white_noise_is_found_with_its_size_and_its_flat_spectrum() -> None:
    found = results(READ_NOISE, SETTINGS, emulated(DEVICE, sim=WHITE, population=5))
    first, second = found["figures"]
    assert first.relative_sigma.shape == (5, 4, 4)
    for row, read_v in ((first, 0.1), (second, 0.2)):
        assert np.sqrt((row.relative_sigma**2).mean()) == pytest.approx(0.02, rel=0.02)
        np.testing.assert_allclose(row.mean_a, 2e-8 * read_v, rtol=0.01)
    spectrum = found["spectrum"][0]
    assert spectrum.slope == pytest.approx(0, abs=0.05)
    # Flat to the frequency of Nyquist, 1 / (2 · 16 ms): 0.02² / 31.25 Hz.
    assert spectrum.density_per_hz.mean() == pytest.approx(0.02**2 / 31.25, rel=0.03)


def test_the_spectrum_integrates_to_the_variance() -> None:
    current_a = 1 + 0.1 * np.random.default_rng(1).normal(size=(64, 3))
    frequency_hz, density = relative_spectrum(np.arange(64) * 0.5, current_a)
    expected = (current_a.var(axis=0) / current_a.mean(axis=0) ** 2).mean()
    assert density.sum() * frequency_hz[0] == pytest.approx(expected)
    assert frequency_hz[-1] == pytest.approx(1.0)


def test_a_sine_stands_at_its_frequency() -> None:
    time_s = np.arange(100) * 0.01
    current_a = 5 + np.sin(2 * np.pi * 10 * time_s)[:, None]
    frequency_hz, density = relative_spectrum(time_s, current_a)
    assert frequency_hz[density.argmax()] == pytest.approx(10)


def test_flicker_noise_falls_with_the_frequency() -> None:
    flicker = {"effect": "flicker_noise", "fraction": 0.05, "low_hz": 1e-3, "high_hz": 30}
    found = results(READ_NOISE, SETTINGS, emulated(DEVICE, sim={"effects": [flicker]}))
    assert found["spectrum"][0].slope == pytest.approx(1.0, abs=0.2)


def test_a_failed_read_is_an_error_and_a_voltage_beyond_the_limit_is_refused() -> None:
    with pytest.raises(StepError, match="read_noise: "):
        results(READ_NOISE, SETTINGS, emulated(DEVICE, current_a=1e-12))
    array = array_settings(2, 2)
    parsed = ReadNoiseSettings.parse(SETTINGS | {"read_voltages_v": [0.1, 0.6]})
    worst = plan(parsed, array).operations[1].operation
    with pytest.raises(LimitError, match=r"read_v 0\.6 exceeds limits\.read_v 0\.5"):
        check_operation(worst, array.limits, array.biasing)
