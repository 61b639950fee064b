"""Effects of emulated arrays, found again in records of retention, read noise and endurance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop_sim.calibrate.operations.effects_found import effects_of
from hwloop_sim.calibrate.operations.endurance_found import closing, worn
from hwloop_sim.calibrate.operations.found_effect import FoundEffect
from hwloop_sim.effects.flicker_noise import FlickerNoiseSettings
from tests.sim.calibrate.characterised_truth import characterise

FULL = {"amplitude_v": 2.0, "width_s": 1e-3}
BACK = {"amplitude_v": -2.0, "width_s": 1e-3}
WHOLE = {
    "model": "soft_bounds",
    "min_conductance_s": 1e-4,
    "max_conductance_s": 3e-3,
    "up": FULL,
    "down": BACK,
}
WHOLE |= {"up_pulses": 0.1, "down_pulses": 0.1}
"""Goes from end to end with every pulse."""


def found(
    effect: dict[str, Any], step: str, settings: dict[str, Any], folder: Path, **of: Any
) -> list[FoundEffect]:
    options = {"seed": 1, "population": 30, "effects": [effect], **of}
    path = folder / "a.h5"
    device = {**WHOLE, "initial": 1e-3}
    return effects_of(
        [characterise(path, device, [{"step": step, "settings": settings}], **options)]
    )


@pytest.mark.parametrize("t0_s", [0.01, 1.0, 30.0, 300.0])
def test_drift_is_found_whenever_it_begins(t0_s: float, tmp_path: Path) -> None:
    truth = {"effect": "drift", "nu": 0.05, "nu_sigma": 0.01, "t0_s": t0_s}
    settings = {"first_s": 1.0, "last_s": 1e4, "program": FULL}
    (drift,) = found(truth, "retention", settings, tmp_path)
    for name in ("nu", "nu_sigma"):
        assert drift.settings[name] == pytest.approx(truth[name], abs=3 * drift.uncertainty[name])
        assert drift.uncertainty[name] < 0.2 * 0.05
    off = np.log(drift.settings["t0_s"] / t0_s)
    assert abs(off) <= 3 * drift.uncertainty.get("t0_s", 0.0) / drift.settings["t0_s"]


def test_no_drift_is_found_where_there_is_none(tmp_path: Path) -> None:
    settings = {"first_s": 1.0, "last_s": 1e4, "program": FULL}
    still = {"effect": "white_noise", "fraction": 0.002}
    assert found(still, "retention", settings, tmp_path) == []


@pytest.mark.parametrize(("low_hz", "high_hz"), [(1e-3, 1e5), (0.5, 1e3)])
def test_flicker_noise_has_the_density_that_was_given(
    low_hz: float, high_hz: float, tmp_path: Path
) -> None:
    truth = {"effect": "flicker_noise", "fraction": 0.02, "low_hz": low_hz, "high_hz": high_hz}
    settings = {"read_voltages_v": [0.1, 0.2], "reads": 512}
    (flicker,) = found(truth, "read_noise", settings, tmp_path)
    given, seen = (
        FlickerNoiseSettings.parse({k: v for k, v in one.items() if k != "effect"})
        for one in (truth, flicker.settings)
    )
    # f S(f) of a sum of processes: its variance over the number of them, each √10 wide or so.
    expected = seen.processes * np.log(seen.high_hz / seen.low_hz) / (seen.processes - 1)
    expected /= given.processes * np.log(high_hz / low_hz) / (given.processes - 1)
    error = flicker.uncertainty["fraction"]
    assert seen.fraction == pytest.approx(0.02 * np.sqrt(expected), abs=3 * error)
    assert error < 0.04 * seen.fraction


def test_the_closing_of_the_window_is_found(tmp_path: Path) -> None:
    truth = {
        "min_conductance_s": 2e-4,
        "max_conductance_s": 2e-3,
        "closes_at_conductance_s": 7e-4,
        "half_cycles": 150.0,
        "beta": 1.5,
    }
    settings = {"up": FULL, "down": BACK, "pulses": 1, "cycles": 500, "per_decade": 8}
    (wear,) = found({"effect": "endurance", **truth}, "endurance", settings, tmp_path, population=4)
    for name, value in truth.items():
        assert wear.settings[name] == pytest.approx(value, abs=4 * wear.uncertainty[name])
        assert wear.uncertainty[name] < 0.05 * value


def test_no_wear_is_found_in_a_window_that_stays(tmp_path: Path) -> None:
    settings = {"up": FULL, "down": BACK, "pulses": 1, "cycles": 200, "per_decade": 8}
    still = {"effect": "white_noise", "fraction": 0.002}
    assert found(still, "endurance", settings, tmp_path, population=4) == []


def test_wear_is_that_of_pulse_after_pulse() -> None:
    half, beta, wear, every = 40.0, 1.3, 0.0, []
    for _ in range(1000):
        wear += 0.5 / (1 + (wear / half) ** beta)
        every.append(wear)
    np.testing.assert_allclose(worn(np.arange(1, 1001) / 2, half, beta), every, rtol=1e-3)


def test_the_states_of_a_closing_window_give_its_settings_exactly() -> None:
    cycles = np.unique(np.geomspace(1, 1000, 25).round())
    left = [1 / (1 + worn(c, 100.0, 2.0) ** 2 / 1e4) for c in (cycles, cycles - 0.5)]
    values, _ = closing(cycles, 5e-5 - left[0] * 4e-5, 5e-5 + left[1] * 5e-5)
    expected = {
        "min_conductance_s": 1e-5,
        "max_conductance_s": 1e-4,
        "closes_at_conductance_s": 5e-5,
        "half_cycles": 100,
        "beta": 2,
    }
    assert values == pytest.approx(expected, rel=1e-3)
