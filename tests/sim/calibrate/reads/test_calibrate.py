"""Series of reads drawn by a known law, and the effects that are found in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from hwloop.datasets.measurement import Measurement, write_measurement
from hwloop.errors import ConfigError
from hwloop.types import FloatArray
from hwloop_sim.calibrate.method import Task
from hwloop_sim.calibrate.reads.calibrate import ReadsCalibration, are_reads, calibrate_reads
from hwloop_sim.calibrate.run import write_calibration
from hwloop_sim.calibration.file import Calibration, load_calibration
from hwloop_sim.effects.flicker_noise import FlickerNoise, FlickerNoiseSettings

READS = 4000
TIME_S: FloatArray = 0.05 * np.arange(READS, dtype=np.float64)


def dataset(path: Path, cells: list[FloatArray], time_s: FloatArray = TIME_S) -> Path:
    """Write a dataset of reads, each cell at the same times."""
    columns = {
        "cell": np.repeat(np.arange(float(len(cells))), time_s.size),
        "time_s": np.tile(time_s, len(cells)),
        "conductance_s": np.concatenate(cells),
    }
    write_measurement(Measurement(kind="reads", title="t", source="drawn", columns=columns), path)
    return path


def found(calibration: ReadsCalibration) -> dict[str, dict[str, float]]:
    """Return the settings of the effects by name."""
    return {str(one.settings["effect"]): one.settings for one in calibration.effects}


def white(rng: np.random.Generator) -> FloatArray:
    """Reads with 2 % of white noise."""
    return 1e-5 * (1 + 0.02 * rng.normal(size=READS))


def test_white_noise_is_found_alone(tmp_path: Path) -> None:
    path = dataset(tmp_path / "a.h5", [white(np.random.default_rng(1))])
    effects = found(calibrate_reads(Task("", [path])))
    assert set(effects) == {"white_noise"}
    assert effects["white_noise"]["fraction"] == pytest.approx(0.02, rel=0.04)


def test_drift_is_found_with_its_exponent_and_uncertainty(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    path = dataset(tmp_path / "a.h5", [white(rng) * (1 + TIME_S) ** -0.02])
    calibration = calibrate_reads(Task("", [path]))
    effects = found(calibration)
    assert set(effects) == {"drift", "white_noise"}
    assert abs(effects["drift"]["nu"] - 0.02) < 3 * calibration.effects[0].uncertainty["nu"]
    assert calibration.effects[0].uncertainty["nu"] < 0.002


def test_telegraph_noise_is_found_with_its_levels_and_times(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    low = np.zeros(READS, dtype=np.bool_)
    for i in range(1, READS):  # leaves the upper level after 2 s, the lower after 1 s, on average
        low[i] = low[i - 1] ^ (rng.random() < (0.05 if low[i - 1] else 0.025))
    noisy = 1e-5 * np.where(low, 0.8, 1.0) * (1 + 0.01 * rng.normal(size=READS))
    effects = found(calibrate_reads(Task("", [dataset(tmp_path / "a.h5", [noisy])])))
    telegraph = effects["random_telegraph"]
    assert telegraph["amplitude"] == pytest.approx(0.2, abs=0.005)
    assert telegraph["capture_s"] == pytest.approx(2.0, rel=0.35)
    assert telegraph["emission_s"] == pytest.approx(1.0, rel=0.35)
    assert effects["white_noise"]["fraction"] == pytest.approx(0.01, rel=0.1)


def test_one_over_f_noise_that_the_emulator_made_is_found_beside_white_noise(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(4)
    settings = FlickerNoiseSettings(fraction=0.02, low_hz=0.04, high_hz=10.0)
    noise, cells = FlickerNoise(settings, (1, 6), rng), []
    for _ in range(READS):
        noise.elapsed(np.ones((1, 6)), 0.05)
        cells.append(noise.seen(np.full((1, 6), 1e-5))[0])
    reads = np.array(cells).T * (1 + 0.01 * rng.normal(size=(6, READS)))
    effects = found(calibrate_reads(Task("", [dataset(tmp_path / "a.h5", list(reads))])))
    assert "random_telegraph" not in effects
    assert effects["flicker_noise"]["fraction"] == pytest.approx(0.02, rel=0.2)
    assert effects["white_noise"]["fraction"] == pytest.approx(0.01, rel=0.3)


def test_the_file_is_one_of_effects_that_any_device_takes(tmp_path: Path) -> None:
    path = dataset(tmp_path / "a.h5", [white(np.random.default_rng(5))])
    assert are_reads([path])
    calibration = calibrate_reads(Task("", [path]))
    out, *figures = write_calibration(calibration, [path], tmp_path / "noise.yaml")
    assert [one.name for one in figures] == ["noise_paths.png"]
    assert "model" not in yaml.safe_load(out.read_text("utf-8"))
    loaded = load_calibration("noise.yaml", tmp_path)
    assert isinstance(loaded, Calibration)
    assert set(loaded.twin()) == {"effects"}


@pytest.mark.parametrize(
    ("reads", "words"),
    [
        (lambda: np.full(30, 1e-5), "neither noise nor drift"),
        (lambda: np.linspace(1e-5, 2e-5, 7), "7 reads: expected 20"),
    ],
    ids=["all the same", "few"],
)
def test_reads_that_show_nothing_are_refused_in_a_line(
    reads: Callable[[], FloatArray], words: str, tmp_path: Path
) -> None:
    values = reads()
    path = dataset(tmp_path / "a.h5", [values], np.arange(float(values.size)))
    with pytest.raises(ConfigError, match=words):
        calibrate_reads(Task("", [path]))


def test_uneven_times_leave_the_spectrum_out_and_it_is_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    path = dataset(tmp_path / "a.h5", [white(rng)], np.geomspace(1.0, 1e4, READS))
    calibration = calibrate_reads(Task("", [path]))
    assert set(found(calibration)) == {"white_noise"}
    assert any("uneven" in line for line in calibration.remarks)
