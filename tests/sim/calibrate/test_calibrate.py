"""Emulate trains of known parameters, calibrate, and find the parameters again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from hwloop.array.operations import PulseMap
from hwloop.datasets.measurement import Measurement, write_measurement
from hwloop.errors import ConfigError, RecordError
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.reader import Record
from hwloop_sim.calibrate.method import Task
from hwloop_sim.calibrate.run import calibrate, check_out, write_calibration
from hwloop_sim.calibrate.trains.calibrate import FITTERS, calibrate_trains
from hwloop_sim.calibrate.trains.data import Direction, TrainData, load_trains
from hwloop_sim.calibrate.trains.soft_bounds import fit_soft_bounds
from hwloop_sim.calibration.file import load_calibration
from tests.sim.devices.models import KNOWN, make

FITTED = ("min_conductance_s", "max_conductance_s", "up_pulses", "down_pulses", "cycle_to_cycle")
TRUTH = {
    "min_conductance_s": 2e-6,
    "max_conductance_s": 12e-6,
    "up_pulses": 10.0,
    "down_pulses": 8.0,
    "cycle_to_cycle": 0.01,
}


def emulated(
    truth: dict[str, float],
    *,
    noise_conductance_s: float,
    seed: int,
    trains: int = 12,
    pulses: int = 20,
) -> TrainData:
    """Trains up, then down, of so many cells alike, read with noise."""
    rng = np.random.default_rng(seed)
    down = {"amplitude_v": -1.0, "width_s": 1e-3}
    device = make("soft_bounds", (1, trains), seed=seed, **truth, up=KNOWN, down=down)
    directions = []
    for volts in (1.0, -1.0):
        path = [device.conductance_s]
        for _ in range(pulses):
            device.pulse(PulseMap(np.full((1, trains), volts), 1e-3))
            path.append(device.conductance_s)
        read_conductance_s = np.array(path)[:, 0, :].T
        read_conductance_s = read_conductance_s + noise_conductance_s * rng.normal(
            size=read_conductance_s.shape
        )
        directions.append(Direction(volts, 1e-3, list(read_conductance_s), rises=volts > 0))
    return TrainData(directions)


def random_truth(rng: np.random.Generator) -> tuple[dict[str, float], float]:
    """Parameters of a device, and read noise."""
    low_conductance_s, span_conductance_s = rng.uniform(1, 5) * 1e-6, rng.uniform(3, 20) * 1e-6
    values = (
        low_conductance_s,
        low_conductance_s + span_conductance_s,
        *rng.uniform(8, 25, size=2),
        rng.uniform(0.003, 0.02),
    )
    return dict(zip(FITTED, values, strict=True)), rng.uniform(0.002, 0.01) * span_conductance_s


def deviations(seed: int) -> np.ndarray:
    """By how many stated deviations each fitted parameter is from the truth."""
    truth, noise_conductance_s = random_truth(np.random.default_rng(1000 + seed))
    fit = fit_soft_bounds(emulated(truth, noise_conductance_s=noise_conductance_s, seed=seed))
    return np.array([(fit.settings[key] - truth[key]) / fit.uncertainty[key] for key in FITTED])


def dataset(data: TrainData, path: Path, *, cells: int = 1) -> Path:
    """The trains as `hwloop import` would write them."""
    trains = [(one, train) for one in data.directions for train in one.trains]
    sizes = [len(train) for _, train in trains]
    columns = {
        "cell": np.repeat(np.arange(len(sizes)) % cells, sizes),
        "train": np.repeat(np.arange(len(sizes)), sizes),
        "pulse": np.concatenate([np.arange(size) for size in sizes]),
        "amplitude_v": np.repeat([one.amplitude_v for one, _ in trains], sizes),
        "width_s": np.repeat([one.width_s for one, _ in trains], sizes),
        "conductance_s": np.concatenate([train for _, train in trains]),
    }
    measured = Measurement(kind="trains", title="emulated", source="emulated", columns=columns)
    write_measurement(measured, path)
    return path


@pytest.fixture(scope="module")
def trains() -> TrainData:
    return emulated(TRUTH, noise_conductance_s=3e-8, seed=3)


@pytest.mark.parametrize("seed", range(3))
def test_parameters_of_emulated_trains_are_found_again_within_their_uncertainty(seed: int) -> None:
    assert np.abs(deviations(seed)).max() < 3.5


@pytest.mark.slow
def test_stated_uncertainties_cover_fifty_random_truths() -> None:
    found = np.array([deviations(seed) for seed in range(50)])
    # 95 % is 47.5 of 50; three deviations of that count are 4.6.
    assert (np.abs(found) < 2).mean(axis=0).min() >= 0.86
    assert (np.abs(found) < 2).mean() >= 0.92


def test_read_noise_is_told_from_scatter() -> None:
    fit = fit_soft_bounds(emulated(TRUTH, noise_conductance_s=1e-7, seed=4))
    assert fit.read_noise_conductance_s == pytest.approx(
        1e-7, abs=3 * fit.uncertainty["read_noise_conductance_s"]
    )
    assert fit.uncertainty["read_noise_conductance_s"] < 2e-8


def test_straight_trains_do_not_identify_a_bound_and_the_parameter_is_named() -> None:
    rng = np.random.default_rng(1)
    line_conductance_s = 1e-6 + 1e-7 * np.arange(20)
    noisy = [
        [one + 1e-9 * rng.normal(size=20) for _ in range(4)]
        for one in (line_conductance_s, line_conductance_s[::-1])
    ]
    data = TrainData(
        [Direction(1.0, 1e-3, noisy[0], rises=True), Direction(-1.0, 1e-3, noisy[1], rises=False)]
    )
    fit = fit_soft_bounds(data)
    assert fit.covariance is not None
    # The bound that each way approaches, which no train bends towards.
    assert set(fit.covariance.undetermined) >= {"min_conductance_s", "max_conductance_s"}
    assert any(line.startswith("not separately determined: ") for line in fit.messages)
    # What shows is the step, (range)/ν: its logarithm is known far better than the range or ν.
    low, high, up = (
        float(fit.settings[name])
        for name in ("min_conductance_s", "max_conductance_s", "up_pulses")
    )
    assert (high - 1.5e-6) / up == pytest.approx(1e-7, rel=0.2)
    assert low < 1e-6 < 2.9e-6 < high


def test_a_calibration_is_written_whole_and_a_procedure_names_it(
    trains: TrainData, tmp_path: Path
) -> None:
    source = dataset(trains, tmp_path / "trains.h5")
    out = tmp_path / "cell.yaml"
    found = calibrate_trains(Task("soft_bounds", [source]))
    written = write_calibration(found, [source], out)
    assert [path.name for path in written] == [
        "cell.yaml",
        "cell_paths.png",
        "cell_residuals.png",
        "cell_distributions.png",
    ]
    with pytest.raises(RecordError, match="exists already"):
        write_calibration(found, [source], out)
    stated = yaml.safe_load(out.read_text("utf-8"))
    assert set(stated["uncertainty"]) == {*FITTED, "read_noise_conductance_s"}
    for one in stated["held_out"]:
        assert one["final_conductance"]["ks_model"] < one["final_conductance"]["ks_95"]
        assert one["mean_within_spread"] > 0.7
    procedure = load_procedure(
        Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml",
        [
            f"backends.sim.device={{model: soft_bounds, calibration: '{out.as_posix()}'}}",
            "steps.0.settings.pulse={amplitude_v: 1 V, width_s: 1 ms}",
        ],
    )
    device = procedure.resolved["backends"]["sim"]["device"]
    assert device["max_conductance_s"] == stated["parameters"]["max_conductance_s"]
    assert device["measured_range"]["low_conductance_s"] == stated["validity"]["low_conductance_s"]
    run_procedure(procedure, RunOptions("sim", tmp_path / "run.h5"))
    with Record(tmp_path / "run.h5") as record:
        assert record.status == "completed"


@pytest.mark.parametrize("model", sorted(FITTERS))
def test_every_fit_to_trains_that_differ_is_written_and_told(
    model: str, trains: TrainData, tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    differ = [
        Direction(
            one.amplitude_v,
            one.width_s,
            [
                train[: 20 - 2 * (i % 3)] * (1 + 0.02 * rng.normal())
                for i, train in enumerate(one.trains)
            ],
            one.rises,
        )
        for one in trains.directions
    ]
    source = dataset(TrainData(differ), tmp_path / "trains.h5")
    found = calibrate_trains(Task(model, [source]))
    out = tmp_path / "cell.yaml"
    write_calibration(found, [source], out)
    assert load_calibration(str(out), tmp_path).model == model
    said = "\n".join(found.summary())
    assert "12 trains of 1 V, 0.001 s, which raise the conductance" in said
    assert "valid from" in said


def test_leaving_the_measured_range_is_said_in_the_record(
    trains: TrainData, tmp_path: Path
) -> None:
    narrow = "measured_range: {low_conductance_s: 2.1e-6, high_conductance_s: 2.5e-6}"
    procedure = load_procedure(
        Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml",
        [
            f"backends.sim.device={{model: soft_bounds, min_conductance_s: 2e-6, max_conductance_s: 9e-6, {narrow},"
            " up: {amplitude_v: 2 V, width_s: 50 ms}}"
        ],
    )
    run_procedure(procedure, RunOptions("sim", tmp_path / "run.h5"))
    with Record(tmp_path / "run.h5") as record:
        assert any("extrapolates beyond the measured range" in line[2] for line in record.log)


def test_pulse_response_predicts_trains_that_were_left_out(
    trains: TrainData, tmp_path: Path
) -> None:
    source = dataset(trains, tmp_path / "trains.h5")
    found = calibrate_trains(Task("pulse_response", [source]))
    for one in found.predictions:
        assert one.mean_within_spread > 0.6
        assert one.step.figures()["ks_model"] < 0.2
    assert found.fit.goodness["read_noise_conductance_s"] == pytest.approx(3e-8, rel=1.0)


def test_what_cannot_be_calibrated_is_refused_in_one_line(
    trains: TrainData, tmp_path: Path
) -> None:
    source = dataset(trains, tmp_path / "trains.h5")
    mixed = dataset(trains, tmp_path / "mixed.h5", cells=3)
    up = TrainData(trains.directions[:1])
    one_way = dataset(up, tmp_path / "up.h5")
    falling = [train if i % 2 else train[::-1] for i, train in enumerate(up.directions[0].trains)]
    both = TrainData([Direction(1.0, 1e-3, falling, rises=True)])
    torn = dataset(both, tmp_path / "both.h5")
    text = tmp_path / "text.h5"
    text.write_text("no HDF5")
    for paths, model, words in (
        ([source], "vteam", "'vteam' cannot be fitted to trains"),
        ([mixed], "pulse_response", "holds trains of 3 cells"),
        ([one_way], "soft_bounds", "none lowers the conductance"),
        ([torn], "soft_bounds", "go against the others"),
        ([text], "soft_bounds", "has nothing measured in it"),
        ([tmp_path / "none.h5"], "soft_bounds", "there is no such file"),
    ):
        with pytest.raises(ConfigError) as refusal:
            calibrate_trains(Task(model, paths))
        assert words in str(refusal.value)
        assert "\n" not in str(refusal.value)
    assert len(load_trains([mixed], cell=2).directions) == 2


def test_nothing_is_half_written(
    trains: TrainData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = dataset(trains, tmp_path / "trains.h5")
    found = calibrate_trains(Task("step_response", [source]))

    def full(*_: object) -> None:
        raise RecordError("no space left on the device")

    monkeypatch.setattr("hwloop_sim.calibrate.run.appear_complete", full)
    with pytest.raises(RecordError, match="no space left"):
        write_calibration(found, [source], tmp_path / "cell.yaml")
    assert list(tmp_path.iterdir()) == [source]


def test_a_figure_that_is_there_is_seen_before_anything_is_fitted(tmp_path: Path) -> None:
    (tmp_path / "cell_residuals.png").touch()
    with pytest.raises(RecordError, match=r"cell_residuals\.png: exists already"):
        check_out(tmp_path / "cell.yaml")


def test_what_is_not_determined_is_said_with_the_file(tmp_path: Path) -> None:
    rng, n = np.random.default_rng(5), np.arange(15)
    straight = [
        Direction(volts, 1e-3, [path + 1e-9 * rng.normal(size=15) for _ in range(4)], volts > 0)
        for volts, path in ((1.0, 2e-6 + 1e-7 * n), (-1.0, 4e-6 - 1e-7 * n))
    ]
    source = dataset(TrainData(straight), tmp_path / "straight.h5")
    found = calibrate([source], model="soft_bounds")
    stated = found.as_data([source], "straight")
    assert {"min_conductance_s", "max_conductance_s"} <= set(stated["undetermined"])
    assert any(line.startswith("not separately determined: ") for line in stated["remarks"])
    assert np.shape(stated["covariance"]["matrix"]) == (4, 4)
    assert found.predict().error < 0.02  # of the range


def test_a_calibration_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(
        "{format: hwloop-calibration, format_version: 1, model: vteam,"
        " parameters: {r_on_ohm: 100.0}, validity: {low_conductance_s: 1.0e-6, high_conductance_s: 2.0e-6}}"
    )
    with pytest.raises(ConfigError, match="is of 'vteam', not 'soft_bounds'"):
        load_procedure(
            Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml",
            [f"backends.sim.device={{model: soft_bounds, calibration: '{path.as_posix()}'}}"],
        )
