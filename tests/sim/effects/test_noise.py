"""Read noise, 1/f noise, telegraph noise: variance, spectrum, switching times."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import signal, stats

from hwloop.array.operations import ReadMap, VectorBatch
from hwloop.errors import ConfigError
from hwloop_sim.effects.dependence import Dependence
from hwloop_sim.effects.flicker_noise import FlickerNoiseSettings
from hwloop_sim.emulator.backend import SimSettings
from tests.emulated import DEVICE, emulated, non_ideal

START_CONDUCTANCE_S = 1e-6  # of the emulated arrays


def test_white_noise_has_its_variance_in_single_and_in_double_reads() -> None:
    backend = emulated(100, 100, effects=[{"effect": "white_noise", "fraction": 0.05}])
    for both, sigma in ((False, 0.05), (True, 0.05 / np.sqrt(2))):
        read = ReadMap.every_cell((100, 100), read_v=0.1, both_polarities=both)
        current_a = backend.read(read).current_a.ravel()
        assert stats.kstest(current_a / 1e-7 - 1, "norm", (0, sigma)).pvalue > 1e-3


def test_white_noise_depends_on_the_conductance_as_asked() -> None:
    for exponent in (-0.5, 1.0):
        noise = {"effect": "white_noise", "fraction": 0.02, "exponent": exponent}
        noise |= {"reference_conductance_s": "4 uS"}
        current_a = emulated(100, 100, effects=[noise]).read(
            ReadMap.every_cell((100, 100), read_v=0.1)
        )
        sigma = 0.02 * (1e-6 / 4e-6) ** exponent
        # The relative standard error of a deviation of 10,000 values is 0.7 %.
        assert current_a.current_a.std() / 1e-7 == pytest.approx(sigma, rel=0.03)


def test_the_noise_of_a_column_is_that_of_its_cells_in_quadrature_and_of_the_amplifier() -> None:
    noise = {"effect": "white_noise", "fraction": 0.05, "amplifier_a": "3 nA"}
    backend = emulated(4, 100, effects=[noise])
    vector_v = np.array([0.1, -0.1, 0.05, 0.0])
    current_a = backend.multiply(VectorBatch(np.tile(vector_v, (200, 1)))).current_a.ravel()
    sigma_a = np.sqrt((0.05 * START_CONDUCTANCE_S) ** 2 * (vector_v**2).sum() + 3e-9**2)
    mean_a = START_CONDUCTANCE_S * vector_v.sum()
    assert stats.kstest((current_a - mean_a) / sigma_a, "norm").pvalue > 1e-3


def test_an_amplifier_alone_scatters_every_current_alike() -> None:
    noise = {"effect": "white_noise", "fraction": 0, "amplifier_a": "2 nA"}
    backend = emulated(3, 100, effects=[noise])
    current_a = backend.multiply(VectorBatch(np.zeros((200, 3)))).current_a.ravel()
    assert stats.kstest(current_a / 2e-9, "norm").pvalue > 1e-3


def test_two_white_noises_add_in_quadrature() -> None:
    noises = [{"effect": "white_noise", "fraction": part} for part in (0.03, 0.04)]
    current_a = emulated(100, 100, effects=noises).read(ReadMap.every_cell((100, 100), read_v=0.1))
    assert stats.kstest(current_a.current_a.ravel() / 1e-7 - 1, "norm", (0, 0.05)).pvalue > 1e-3


def series(effect: dict[str, object], samples: int, step_s: float, cells: int) -> np.ndarray:
    """What ``cells`` show, sampled in time, (samples, cells)."""
    device = non_ideal(effect, shape=(1, cells), seed=4)
    shown = np.empty((samples, cells))
    for index in range(samples):
        device.wait(step_s)
        shown[index] = device.conductance_s[0]
    return shown


def test_flicker_noise_has_its_variance_and_falls_with_frequency() -> None:
    effect = {"effect": "flicker_noise", "fraction": 0.02, "low_hz": 0.01, "high_hz": 10.0}
    samples, step_s = 4096, 0.5
    shown = series(effect, samples, step_s, 300) / 1e-4 - 1
    # Correlated in time: judge the ensemble at moments longer apart than 1/(2π f_low) = 16 s.
    apart = shown[::200].ravel()
    assert apart.std() == pytest.approx(0.02, rel=4.5 / np.sqrt(2 * apart.size))
    settings = FlickerNoiseSettings.parse({k: v for k, v in effect.items() if k != "effect"})
    frequency_hz, density = signal.welch(shown, 1 / step_s, nperseg=1024, axis=0)
    band = (frequency_hz > 0.02) & (frequency_hz < 0.3)
    mean = density[band].mean(axis=1)
    # 15 half-overlapping segments of 300 cells: each bin has a standard error of about 2.2 %.
    aliased = sum(
        0.02**2 / settings.processes * 4 * tau / (1 + (2 * np.pi * f * tau) ** 2)
        for tau in settings.times_s()
        for f in np.abs(frequency_hz[band] - np.arange(-40, 41)[:, None] / step_s)
    )
    np.testing.assert_allclose(mean, aliased, rtol=0.1)
    # The window lets about 1 % leak from the low frequencies into the others.
    assert (mean / aliased).mean() == pytest.approx(1, abs=0.02)


def test_the_spectrum_of_the_sum_is_1_over_f_between_its_ends() -> None:
    settings = FlickerNoiseSettings.parse({"fraction": 1.0, "low_hz": 1e-3, "high_hz": 1e3})
    frequency_hz = np.geomspace(1e-2, 1e2, 400)
    tau = settings.times_s()[:, None]
    density = (4 * tau / (1 + (2 * np.pi * frequency_hz * tau) ** 2)).mean(axis=0)
    # 13 processes of a twelfth of the band each: its ends reach beyond by half a process.
    expected = 12 / 13 / np.log(1e6) / frequency_hz
    np.testing.assert_allclose(density, expected, rtol=0.08)


def test_flicker_noise_depends_on_the_conductance() -> None:
    effect = {
        "effect": "flicker_noise",
        "fraction": 0.02,
        "exponent": -1.0,
        "reference_conductance_s": 5e-5,
    }
    shown_conductance_s = non_ideal(effect).conductance_s
    assert shown_conductance_s.std() / 1e-4 == pytest.approx(0.01, rel=0.03)


@pytest.mark.parametrize("step_s", [0.02, 0.7, 40.0])
def test_a_trap_is_filled_as_often_as_its_times_say_at_any_step(step_s: float) -> None:
    effect = {"effect": "random_telegraph", "amplitude": 0.1, "capture_s": 3.0, "emission_s": 1.0}
    device = non_ideal(effect, shape=(100, 100))
    filled = device.conductance_s < 0.95e-4
    device.wait(step_s)
    after = device.conductance_s < 0.95e-4
    np.testing.assert_allclose(np.unique(device.conductance_s), [0.9e-4, 1e-4], rtol=1e-12)
    left = np.exp(-step_s * (1 / 3.0 + 1))
    for before, probability in ((False, 0.25 * (1 - left)), (True, 0.25 + 0.75 * left)):
        of = after[filled == before]
        assert stats.binomtest(int(of.sum()), of.size, probability).pvalue > 1e-3


def test_a_trap_stays_for_exponential_times() -> None:
    effect = {"effect": "random_telegraph", "amplitude": 0.1, "capture_s": 2.0, "emission_s": 1.0}
    step_s = 0.01
    filled = series(effect, 3000, step_s, 50) < 0.95e-4
    change = np.diff(filled.astype(int), axis=0)
    dwell = {1: [], -1: []}
    for cell in range(50):
        (moments,) = np.nonzero(change[:, cell])
        for begin, end in pairwise(moments):
            dwell[change[begin, cell]].append((end - begin) * step_s)
    # Sampled: steps shorter than 10 ms are not seen, which costs about half a step in the mean.
    for kind, mean_conductance_s in ((1, 1.0), (-1, 2.0)):
        times_s = np.array(dwell[kind])
        error_conductance_s = mean_conductance_s / np.sqrt(times_s.size)
        # 30 s of 3 s cycles: the last, unfinished stay is left out, which shortens the mean.
        assert (
            abs(times_s.mean() - mean_conductance_s)
            < 4.5 * error_conductance_s + 0.1 * mean_conductance_s
        )


def test_a_trap_blocks_less_of_a_thicker_filament_behind_a_resistance() -> None:
    trap = {"amplitude": 0.3, "capture_s": 1e-9, "emission_s": 1e9}  # always filled
    cells = non_ideal({"effect": "random_telegraph", **trap, "series_ohm": 4000.0}, shape=(1, 2))
    cells.set_conductance(np.array([[5e-5, 2e-4]]))
    cells.wait(1.0)
    # 1 - G R_s is 0.8 and 0.2: of 0.3 the square of it is left.
    wanted_conductance_s = [5e-5 * (1 - 0.3 * 0.64), 2e-4 * (1 - 0.3 * 0.04)]
    np.testing.assert_allclose(cells.conductance_s[0], wanted_conductance_s, rtol=1e-12)


@pytest.mark.parametrize("series_exponent", [1.0, 2.0])
def test_noise_behind_a_resistance_falls_with_the_power_of_what_is_not_the_resistance(
    series_exponent: float,
) -> None:
    law = Dependence(fraction=0.02, series_ohm=4000.0, series_exponent=series_exponent)
    sigma_conductance_s = law.sigma_conductance_s(np.array([5e-5, 2e-4, 3e-4]))
    wanted_conductance_s = [5e-5 * 0.02 * 0.8**series_exponent, 2e-4 * 0.02 * 0.2**series_exponent]
    np.testing.assert_allclose(sigma_conductance_s, [*wanted_conductance_s, 0.0], rtol=1e-12)


def test_only_a_part_of_the_cells_has_a_trap_and_amplitudes_spread() -> None:
    effect = {"effect": "random_telegraph", "trapped": 0.3, "amplitude": 0.05}
    effect |= {"amplitude_sigma": 0.5, "capture_s": 1e-9, "emission_s": 1e9}
    shown = 1 - non_ideal(effect).conductance_s / 1e-4
    trapped = shown[shown > 0]
    assert stats.binomtest(trapped.size, 10_000, 0.3).pvalue > 1e-3
    assert stats.kstest(np.log(trapped / 0.05), "norm", (0, 0.5)).pvalue > 1e-3


def test_cells_move_from_one_vector_of_a_batch_to_the_next() -> None:
    effect = {"effect": "random_telegraph", "amplitude": 0.2, "capture_s": 1e-3, "emission_s": 1e-3}
    backend = emulated(1, 200, effects=[effect])
    current_a = backend.multiply(VectorBatch(np.full((50, 1), 0.1))).current_a
    switched = np.diff(current_a, axis=0) != 0
    probability = 0.5 * (1 - np.exp(-2))
    assert stats.binomtest(int(switched.sum()), switched.size, probability).pvalue > 1e-3
    assert backend.now_s() == pytest.approx(50e-3)


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        ({"effect": "white_noise", "fraction": 2}, "less than or equal to 1"),
        ({"effect": "white_noise", "fraction": 0.1, "exponent": -0.5}, "exponent needs"),
        ({"effect": "white_noise", "fraction": 0.1, "amplifier_a": -1}, "greater than or equal"),
        ({"effect": "flicker_noise", "fraction": 0.1, "low_hz": 5, "high_hz": 7}, "at least ten"),
        ({"effect": "random_telegraph", "amplitude": 2, "capture_s": 1, "emission_s": 1}, "less"),
        (
            {"effect": "random_telegraph", "amplitude": 1, "capture_s": 0, "emission_s": 1},
            "greater",
        ),
    ],
)
def test_a_parameter_outside_its_validity_is_refused(effect: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=r"^effects\.0") as refusal:
        SimSettings.parse({"device": DEVICE, "effects": [effect]})
    assert words in str(refusal.value)
