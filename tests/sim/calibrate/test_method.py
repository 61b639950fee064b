"""All calibrations have one interface: the method that is chosen, the file, the ranking."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from hwloop.datasets.measurement import Measurement, train_columns, write_measurement
from hwloop.errors import ConfigError
from hwloop_sim.calibrate.method import HeldOut, Task
from hwloop_sim.calibrate.operations.calibrate import OPERATIONS
from hwloop_sim.calibrate.operations.held_out import PredictedReads
from hwloop_sim.calibrate.rank import rank
from hwloop_sim.calibrate.run import METHODS, calibrate, method_of, models
from hwloop_sim.calibrate.trains.calibrate import TRAINS
from hwloop_sim.calibrate.trains.pulse_table import TABLE
from tests.sim.calibrate.characterised_truth import characterise
from tests.sim.calibrate.truths import trains, truth_of


@pytest.fixture(scope="module")
def both_ways(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six trains of 15 pulses each way, with 10 nS of noise."""
    rng = np.random.default_rng(4)
    up_conductance_s = 3e-6 - 2e-6 * np.exp(-np.arange(16) / 5)
    down_conductance_s = 1e-6 + 2e-6 * np.exp(-np.arange(16) / 5)
    measured_conductance_s = [
        path_conductance_s + 1e-8 * rng.normal(size=16)
        for path_conductance_s in (up_conductance_s, down_conductance_s) * 6
    ]
    columns = train_columns(
        measured_conductance_s, cells=[0] * 12, amplitudes_v=[1.0, -1.0] * 6, widths_s=[1e-3] * 12
    )
    path = tmp_path_factory.mktemp("method") / "trains.h5"
    written = Measurement(
        kind="trains", title="t", source="lab book 3", device="cell 7", columns=columns
    )
    write_measurement(written, path)
    return path


def test_every_model_is_fitted_by_a_method_and_only_one_by_two() -> None:
    every = [model for method in METHODS for model in method.models()]
    assert sorted({*every}) == models()
    assert {model for model in every if every.count(model) > 1} == {"soft_bounds"}


def test_a_model_of_two_methods_is_fitted_to_trains_or_to_the_operations_of_a_record(
    both_ways: Path, tmp_path: Path
) -> None:
    truth = truth_of("linear_ion_drift", 1)
    device = {"model": "linear_ion_drift", **truth.parameters}
    record = characterise(tmp_path / "run.h5", device, [trains([1.0], [-1.0])], seed=1)
    assert method_of(Task("soft_bounds", [both_ways])) is TRAINS
    assert method_of(Task("soft_bounds", [both_ways, record])) is OPERATIONS
    # What only one method fits is fitted by it, whatever the files are.
    assert method_of(Task("step_response", [record])) is TRAINS
    assert method_of(Task("pulse_table", [record])) is TABLE
    assert method_of(Task("vteam", [both_ways])) is OPERATIONS


def test_a_file_names_its_data_with_their_checksum(both_ways: Path) -> None:
    data = calibrate([both_ways], model="step_response").as_data([both_ways], "mine")
    assert list(data)[:8] == [
        "format",
        "format_version",
        "model",
        "title",
        "device",
        "source",
        "doi",
        "files",
    ]
    assert data["model"] == "step_response"
    assert data["title"] == "mine"
    assert data["device"] == "cell 7"
    assert data["source"] == "lab book 3"
    checksum = hashlib.sha256(both_ways.read_bytes()).hexdigest()
    assert data["files"] == [{"name": "trains.h5", "sha256": checksum}]
    assert len(data["held_out"]) == 2


def test_the_ranking_and_the_result_state_the_same_error(both_ways: Path) -> None:
    (first, *_) = rank(Task("", [both_ways]), among=["pulse_table", "step_response"])
    assert first.found is not None
    assert first.error == first.found.predict().error
    # 10 nS of noise in a range of 1.9 µS.
    assert first.error == pytest.approx(1e-8 / 1.9e-6, rel=0.5)


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ("step_response", {"fixed": {"scale": "linear"}}, "--fix is for models that are run on"),
        ("pulse_table", {"spread": True}, "--spread is for models that are run on"),
        ("one_transistor", {"cell": 1}, "one_transistor is fitted to all cells: leave it out"),
    ],
)
def test_an_option_that_a_method_does_not_take_is_refused(
    model: str, options: dict[str, object], words: str, both_ways: Path
) -> None:
    with pytest.raises(ConfigError, match=words):
        calibrate([both_ways], model=model, **options)  # type: ignore[arg-type]


def test_a_prediction_over_decades_is_judged_by_logarithms_too() -> None:
    held_conductance_s = np.logspace(-8, -3, 11)
    # Right at the largest, and a decade to four too high below it.
    wrong = np.maximum(held_conductance_s, 1e-4)
    fitted = held_conductance_s[::2]
    seen = PredictedReads("every second read", wrong, held_conductance_s, fitted).held_out()
    # Of eleven reads in the range of a millisiemens, eight are off by up to 0.1 mS.
    assert 0.05 < seen.error < 0.1
    assert not HeldOut(seen.error, [], seen.error_of_mean).fails
    assert seen.decades == pytest.approx(np.sqrt(np.sum(np.arange(0.5, 4.1, 0.5) ** 2) / 11))
    assert seen.decades_of_mean == pytest.approx(np.sqrt(2.5))  # of -2.5, -2, … 2.5
    assert seen.fails
    assert "decades" in seen.compared()


def test_a_prediction_within_a_decade_is_judged_by_its_range_alone() -> None:
    held_conductance_s = np.linspace(1e-6, 5e-6, 9)
    seen = PredictedReads(
        "x", held_conductance_s, held_conductance_s, held_conductance_s
    ).held_out()
    assert seen.decades is None
    assert not seen.fails
