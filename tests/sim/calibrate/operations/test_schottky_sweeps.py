"""A Schottky interface from its sweep: known parameters again, refusals, and measured files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.shipped import sweeps
from hwloop.errors import ConfigError, NotConverged
from hwloop.types import FloatArray
from hwloop_sim.calibrate.operations.calibrate import load_histories
from hwloop_sim.calibrate.operations.fit import fit_operations, problem_of
from hwloop_sim.calibrate.operations.history import History
from hwloop_sim.calibrate.operations.imported import of_text
from hwloop_sim.calibrate.operations.models import operation_models
from hwloop_sim.calibration.file import Calibration, load_calibration
from hwloop_sim.cells.voltage_sweep import iv_sweep
from tests.sim.devices.models import make

STEP_S = 1.0


def truth_of(seed: int) -> dict[str, float]:
    """Near the measured devices."""
    rng = np.random.default_rng([seed, 11])
    return {
        "i_on_a": 1e-7 * rng.uniform(0.5, 2),
        "i_off_a": 1e-9 * rng.uniform(0.5, 2),
        "e_forward_v": rng.uniform(0.045, 0.055),
        "e_reverse_on_v": rng.uniform(0.07, 0.09),
        "e_reverse_off_v": rng.uniform(0.1, 0.13),
        "r_series_ohm": rng.uniform(30, 60),
        "k_set_per_s": rng.uniform(0.05, 0.2),
        "v_set_v": rng.uniform(0.3, 0.5),
        "k_reset_per_s": rng.uniform(0.005, 0.02),
        "v_reset_v": rng.uniform(0.45, 0.65),
    }


def swept(seed: int, folder: Path, truth: Mapping[str, float] | None = None) -> Path:
    """A file as an instrument writes it, with 1 % of noise and 50 pA."""
    rng = np.random.default_rng([seed, 12])
    ramp = np.concatenate(
        [np.arange(0, 1, 0.05), np.arange(1, -2.5, -0.05), np.arange(-2.5, 0, 0.05)]
    )
    volts = np.round(ramp, 3)
    device = make("schottky", **(truth or truth_of(seed)))
    true_a: FloatArray = iv_sweep(device, volts, step_s=STEP_S)[:, 0, 0]
    seen_a = true_a * (1 + 0.01 * rng.normal(size=volts.size)) + 5e-11 * rng.normal(size=volts.size)
    path = folder / f"{seed}.csv"
    rows = zip(STEP_S * np.arange(volts.size), volts, seen_a, strict=True)
    text = "\n".join(f"{t:.6g},{v:.6g},{i:.9g}" for t, v, i in rows)
    path.write_text(f"Smu1.Time[1][1],Smu1.V[1][1],Smu1.I[1][1]\n{text}\n", encoding="utf-8")
    return path


def deviations(seed: int, folder: Path) -> FloatArray:
    """By how many stated deviations each parameter is off, from a start that is off by 10 %."""
    histories = of_text(swept(seed, folder), cell=None)
    truth = truth_of(seed)
    factors = np.random.default_rng([seed, 13]).uniform(0.9, 1.1, size=len(truth))
    begin = {name: value * f for (name, value), f in zip(truth.items(), factors, strict=True)}
    start = problem_of(operation_models()["schottky"], histories, {}, None).at(begin)
    fit = fit_operations("schottky", histories, fixed={}, start=start).fit
    return np.array([(fit.settings[n] - v) / fit.uncertainty[n] for n, v in truth.items()])


def test_parameters_of_an_emulated_sweep_are_found_again(tmp_path: Path) -> None:
    assert np.abs(deviations(1, tmp_path)).max() < 4


@pytest.mark.slow
def test_stated_uncertainties_cover_fifty_emulated_sweeps(tmp_path: Path) -> None:
    found = []
    for seed in range(50):
        try:
            found.append(deviations(seed, tmp_path))
        except NotConverged:  # a sweep that does not determine its device is refused by name
            continue
    off = np.abs(found)
    assert len(off) >= 45
    for width, share in ((1, 0.683), (2, 0.954)):
        assert np.all((off < width).sum(axis=0) >= binom.ppf(1e-4, len(off), share))


def test_a_bound_that_does_not_show_is_named(tmp_path: Path) -> None:
    # With one reverse slope and no motion, I_0 shows, but not of which bounds it is made.
    still = {"k_set_per_s": 1e-12, "k_reset_per_s": 1e-12}
    truth = truth_of(2) | still | {"e_reverse_on_v": 0.1, "e_reverse_off_v": 0.1}
    histories = of_text(swept(2, tmp_path, truth), cell=None)
    fixed = {name: value for name, value in truth.items() if name not in {"i_on_a", "r_series_ohm"}}
    start = problem_of(operation_models()["schottky"], histories, fixed, None).at(truth)
    fit = fit_operations("schottky", histories, fixed=fixed, start=start).fit
    assert fit.covariance is not None
    assert "i_on_a" in fit.covariance.undetermined
    assert any(line.startswith("not separately determined: i_on_a") for line in fit.messages)


def _history(path: Path) -> History:
    (history,) = load_histories([path], cell=None)
    return history


def test_a_measured_file_is_read_as_it_is(shared_data: Path) -> None:
    history = _history(shared_data / "nbsto_iv" / "radius10um_m2V.csv")
    # The columns of the file: 601 points, of which those within 2 mV of 0 V say nothing.
    assert 590 < len(history.reads) < 601
    assert np.isfinite(history.current_a).all()
    # The first current whose sign can be.
    assert history.first_conductance_s[0] == pytest.approx(
        5.06540143163647e-10 / 0.00999945, rel=1e-6
    )


@pytest.mark.parametrize("name", ["large_m2V.csv", "small_m2V.csv", "radius100um_m3V.csv"])
def test_a_measured_file_without_times_is_refused(name: str, shared_data: Path) -> None:
    with pytest.raises(ConfigError, match=f"{name}: cell 0, sweep 0 has no times"):
        _history(shared_data / "nbsto_iv" / name)


def test_points_at_which_the_source_held_its_limit_do_not_count(tmp_path: Path) -> None:
    volts = np.round(np.concatenate([np.arange(0.1, 1, 0.1), np.arange(-0.1, -2, -0.1)]), 3)
    current_a = np.clip(volts * 1e-3, -1e-3, 1e-3)
    path = tmp_path / "held.csv"
    text = "\n".join(
        f"{n},{v},{i:.9g}" for n, (v, i) in enumerate(zip(volts, current_a, strict=True))
    )
    path.write_text(f"Smu1.Time[1][1],Smu1.V[1][1],Smu1.I[1][1]\n{text}\n", encoding="utf-8")
    history = _history(path)
    held = np.array([read.read_v <= -1.0 for read in history.reads])
    assert held.sum() == 10
    assert np.array_equal(np.isnan(history.current_a[:, 0]), held)


@pytest.mark.parametrize(
    ("radius_um", "name"),
    [(10, "radius10um_m3V.csv"), (32, "radius32um_m2V.csv"), (32, "radius32um_m3V.csv")],
)
def test_a_shipped_calibration_follows_its_sweep_over_decades(
    radius_um: int, name: str, shared_data: Path
) -> None:
    shipped = load_calibration(f"tiotto2021_nbsto_{radius_um}um", Path())
    assert isinstance(shipped, Calibration)
    history = _history(shared_data / "nbsto_iv" / name)
    problem = problem_of(operation_models()["schottky"], [history], {}, None)
    theta = problem.at(shipped.parameters).theta[: len(problem.free)]
    beginnings = np.linspace(-24, -10, 71)  # logarithms of siemens
    thetas = np.hstack([np.tile(theta, (71, 1)), beginnings[:, None]])
    shown_a = problem.shown_a(thetas)[0][:, :, 0]
    seen_a = history.current_a[:, 0]
    above = np.abs(seen_a) > 5e-9
    off = np.log10(np.abs(shown_a[:, above] / seen_a[above]))
    error = np.sqrt(np.mean(np.square(off), axis=1)).min()
    (stated,) = [one for one in shipped.goodness["sweeps"] if one["of"] == name]
    assert np.ptp(np.log10(np.abs(seen_a[above]))) > 5
    # Where it begins is tried in steps of a fifth of e.
    assert error == pytest.approx(stated["rms_decades"], rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("device", sweeps.DEVICES, ids=lambda one: f"{one.radius_um} um")
def test_a_shipped_file_is_what_a_fit_to_the_sweeps_gives(
    device: sweeps.Device, shared_data: Path
) -> None:
    shipped = load_calibration(f"tiotto2021_nbsto_{device.radius_um}um", Path())
    assert isinstance(shipped, Calibration)
    again = sweeps.made(device, shared_data)
    for name, error in shipped.uncertainty.items():
        assert again["parameters"][name] == pytest.approx(shipped.parameters[name], abs=0.3 * error)
