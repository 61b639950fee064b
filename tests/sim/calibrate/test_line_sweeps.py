"""Sweeps of gate and source line: a known cell found again, the measured ones as measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.errors import ConfigError, NotConverged
from hwloop.importing import import_table, write_imported
from hwloop.measurement import Measurement, write_measurement
from hwloop.operations import PulseMap
from hwloop_sim.backend import SimSettings
from hwloop_sim.calibrate.growth_fit import fit_growth, follow
from hwloop_sim.calibrate.line_sweeps import Sweeps, load_sweeps
from hwloop_sim.calibrate.one_transistor import (
    cycling_spread,
    read_noise,
    settings,
)
from hwloop_sim.calibrate.rank import prediction_error
from hwloop_sim.calibrate.redraw_fit import fit_redraw
from hwloop_sim.calibrate.run import calibrate, write_calibration
from hwloop_sim.calibrate.words import lines
from hwloop_sim.calibration import Calibration, flat, load_calibration
from tests.sim.devices.models import make

TRUE: dict[str, Any] = {
    "r_series_ohm": 3800.0,
    "v_transistor_v": 1.96,
    "growth": {
        "exponent": 1.6,
        "k_s_per_v": 1.15e-3,
        "width_s": 2e-7,
        "step_sigma": 0.12,
        "cycle_ratio": 0.5,
    },
    "unsteadiness": 0.2,
    "v_reset_v": 1.6,
    "v_slope_v": 0.09,
    "v_follower_v": 1.0,
    "reset_floor_s": 1.4e-5,
    "redraw": {"cycle_sigma": 0.3, "pulse_sigma": 0.5, "correlation": 0.5, "v_sigma_v": 0.08},
    "spread": {
        "r_series_ohm": {"sigma": 0.03},
        "unsteadiness": {"sigma": 0.5},
        "v_reset_v": {"sigma": 0.06},
        "reset_floor_s": {"sigma": 0.4},
    },
}
CELLS, CYCLES = 24, 6
GATES_V = np.round(np.arange(1.5, 2.71, 0.05), 2)
LINES_V = np.round(np.arange(1.0, 2.41, 0.05), 2)


def emulated(*, seed: int = 3) -> tuple[Sweeps, Sweeps]:
    """Cycles of a sweep of the gate after a strong RESET, and of the source line after a SET."""
    device = make("one_transistor", (1, CELLS), seed=seed, **TRUE)
    of_gate, of_line = [], []

    def pulse(volts: float, gate_v: float) -> np.ndarray:
        device.pulse(PulseMap(np.full((1, CELLS), volts), 2e-7, gate_v=gate_v))
        return np.array(device.conductance_s[0])

    for _ in range(CYCLES):
        pulse(-2.9, 4.0)
        of_gate.append([device.conductance_s[0], *(pulse(2.0, volt) for volt in GATES_V)])
        of_line.append([device.conductance_s[0], *(pulse(-volt, 4.0) for volt in LINES_V)])
    return _sweeps(of_gate, GATES_V, 2.0), _sweeps(of_line, LINES_V, 4.0)


def _sweeps(seen: list[list[np.ndarray]], volts: np.ndarray, held_v: float) -> Sweeps:
    table = np.array(seen).transpose(2, 0, 1).reshape(CELLS * CYCLES, -1)
    cell = np.repeat(np.arange(float(CELLS)), CYCLES)
    return Sweeps("emulated", cell, volts, table[:, :-1], table[:, 1:], 2e-7, held_v)


def test_the_cells_that_made_the_sweeps_are_found_again() -> None:
    gate, line = emulated()
    growth = fit_growth(gate)
    redraw = fit_redraw(line, growth.path.r_series_ohm)
    found = settings(growth, redraw, 2e-7, None)
    errors = {**growth.uncertainty, **redraw.uncertainty}
    for name, error in errors.items():
        outer, _, inner = name.partition(".")
        seen, true = found[outer], TRUE[outer] if outer != "spread" else TRUE["spread"]
        if inner:
            seen, true = seen[inner], true.get(inner, {"sigma": 0.0})
        if isinstance(seen, dict):
            seen, true = seen["sigma"], true["sigma"]
        # The threshold has no spread here: what is found of it is the noise of its fit.
        slack = 0.02 if name == "spread.v_transistor_v" else 0.1 * abs(true)
        assert seen == pytest.approx(true, abs=3 * error + slack), name


def written(sweeps: Sweeps, path: Path, *, of_gate: bool) -> Path:
    """As a dataset."""
    pulses = sweeps.volts.size
    swept_v = np.tile(sweeps.volts, len(sweeps.cell))
    held_v = np.full(swept_v.size, sweeps.held_v)
    columns = {
        "cell": np.repeat(sweeps.cell, pulses),
        "width_s": np.full(swept_v.size, sweeps.width_s),
        "amplitude_v": held_v if of_gate else -swept_v,
        "gate_v": swept_v if of_gate else held_v,
        "before_s": sweeps.before_s.ravel(),
        "after_s": sweeps.after_s.ravel(),
    }
    made = Measurement(kind="pulse_sweeps", title="emulated", source="emulated", columns=columns)
    write_measurement(made, path)
    return path


def test_a_calibration_is_written_whole_and_emulates_its_held_out_cells(tmp_path: Path) -> None:
    gate, line = emulated(seed=5)
    paths = [
        written(gate, tmp_path / "gate.h5", of_gate=True),
        written(line, tmp_path / "line.h5", of_gate=False),
    ]
    found = calibrate(paths, model="one_transistor")
    out = tmp_path / "twin.yaml"
    files = write_calibration(found, paths, out)
    assert [path.name for path in files] == [
        "twin.yaml",
        "twin_paths.png",
        "twin_distributions.png",
    ]
    told = list(lines(found))
    assert told[0] == "144 gate sweeps of 24 cells, 144 source-line sweeps of 24 cells"
    assert sum(line.startswith("held out, 12 cells") for line in told) == 2
    back = load_calibration(str(out), tmp_path)
    assert isinstance(back, Calibration)
    SimSettings.parse(back.twin())
    for one in back.held_out:
        # Cells made by the model itself: but for 12 of them a half, equal.
        assert one["mean_within_spread"] > 0.9
        assert one["final_conductance"]["ks_model"] < 2 * one["final_conductance"]["ks_95"]
    # Nothing was read between pulses but the state itself.
    assert (back.effects or ())[0]["fraction"] < 1e-6
    assert prediction_error(found) < 0.15


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> dict[str, Path]:
    """The measured files as datasets."""
    folder, source = tmp_path_factory.mktemp("sweeps"), shared_data / "rram_1t1r_mlc"
    found = {}
    for name, file, options in (
        ("gate", "set-sweep-wl-noreset-200ns-step-0.05-7-30-20.csv.gz", {"line": "bit"}),
        ("line", "reset-sweep-sl-200ns-step-0.05-7-30-20.csv.gz", {"line": "source"}),
        ("cycling", "cycling-5-1-20.csv.gz", {}),
    ):
        found[name] = folder / f"{name}.h5"
        given = {**options, "source": "measured"}
        write_imported(import_table(source / file, reader=None, given=given), found[name])
    return found


def test_the_measured_medians_are_met_by_the_fit(measured: dict[str, Path]) -> None:
    gate, line = load_sweeps([measured["line"], measured["gate"]])
    assert (gate.after_s.shape, gate.held_v, len(gate.cells)) == ((224, 61), 2.0, 25)
    assert (line.after_s.shape, line.held_v, len(line.cells)) == ((250, 61), 4.0, 25)
    growth = fit_growth(gate)
    places = np.searchsorted(gate.volts, growth.gates_v - 1e-6)
    median = np.nanmedian(np.log(gate.after_s[:, places]), axis=0)
    shown, _ = follow(growth.path, growth.gates_v, growth.begin_s)
    assert (growth.gates_v[0], growth.gates_v[-1]) == (2.0, 2.65)
    assert np.abs(shown - median).max() < 0.015
    assert np.sqrt(np.mean((shown - median) ** 2)) < 0.005
    redraw = fit_redraw(line, growth.path.r_series_ohm)
    # Half of the sweeps have lost half of their conductance by 1.65 V: counted in the file.
    assert 1.5 < redraw.v_reset_v < 1.65
    assert redraw.correlation > 10 * redraw.uncertainty["redraw.correlation"]
    shipped = load_calibration("levy2021_1t1r", Path())
    assert isinstance(shipped, Calibration)
    again = settings(growth, redraw, 2e-7, cycling_spread(measured["cycling"]))
    stated = dict(flat({k: v for k, v in shipped.parameters.items() if k != "forming"}))
    assert stated == pytest.approx(dict(flat(again)), rel=0.01)
    fraction, _ = read_noise((gate, line), growth.path.r_series_ohm)
    assert (shipped.effects or ())[0]["fraction"] == pytest.approx(fraction, rel=0.01)


def test_spread_and_scatter_of_the_cycling_test_are_those_of_the_file(
    measured: dict[str, Path],
) -> None:
    # Computed from the file by itself: within 0.739, standard deviation of the means 0.869 (ddof 1).
    found = cycling_spread(measured["cycling"])
    assert found.within == pytest.approx(0.740, abs=0.002)
    assert found.of_cells == pytest.approx(0.868, abs=0.002)
    assert found.of_cells_error == pytest.approx(0.868 / np.sqrt(2 * 99), rel=0.01)


def dataset(path: Path, *, amplitude_v: float, cells: int = 8, sweeps: int = 4) -> Path:
    """A small dataset of pulse sweeps."""
    volts = np.tile(np.arange(1.0, 2.0, 0.1), cells * sweeps)
    size = volts.size
    gate_v, line_v = volts, np.full(size, amplitude_v)
    if amplitude_v < 0:
        gate_v, line_v = np.full(size, 4.0), -volts
    columns = {
        "cell": np.repeat(np.arange(cells), size // cells),
        "width_s": np.full(size, 2e-7),
        "amplitude_v": line_v,
        "gate_v": gate_v,
        "before_s": np.full(size, 1e-5),
        "after_s": np.full(size, 1e-5),
    }
    write_measurement(
        Measurement(kind="pulse_sweeps", title="flat", source="made", columns=columns), path
    )
    return path


def test_what_cannot_be_fitted_is_refused_with_file_and_reason(tmp_path: Path) -> None:
    gate = dataset(tmp_path / "gate.h5", amplitude_v=2.0)
    line = dataset(tmp_path / "line.h5", amplitude_v=-1.0)
    for paths, words in (
        ([gate], "no sweep of the source line, which RESETs"),
        ([line], "no sweep of the gate, which SETs"),
        ([gate, gate], "second sweep of the gate"),
        ([gate, line], r"gate\.h5.*rises over fewer than 8 gate voltages"),
    ):
        with pytest.raises(ConfigError, match=words):
            calibrate(paths, model="one_transistor")
    few = dataset(tmp_path / "few.h5", amplitude_v=2.0, cells=3)
    with pytest.raises(ConfigError, match=r"few\.h5.*3 cells with 3 sweeps or more: expected 6"):
        calibrate([few, line], model="one_transistor")
    with pytest.raises(ConfigError, match=r"cell.*fitted to all cells"):
        calibrate([gate, line], model="one_transistor", cell=2)


def test_sweeps_that_begin_in_the_higher_resistance_are_not_fitted() -> None:
    _, line = emulated()
    stuck = Sweeps(
        "flat", line.cell, line.volts, 0 * line.before_s + 1e-5, 0 * line.after_s + 1e-5, 2e-7, 4.0
    )
    with pytest.raises((ConfigError, NotConverged), match=r"flat|0 sweeps begin"):
        fit_redraw(stuck, 3800.0)
