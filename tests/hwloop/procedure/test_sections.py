"""A calibration in place of what a procedure emulates: what gives way, and what stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hwloop.datasets.importing import import_measurement
from hwloop.datasets.measurement import write_measurement
from hwloop.errors import ConfigError
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.plugins import calibration_files
from hwloop.procedure.procedure import load_procedure

PROCEDURES = Path(__file__).parents[3] / "procedures"
MANHATTAN = PROCEDURES / "manhattan_4x4.yaml"
TWIN = """
format: hwloop-calibration
format_version: 1
model: soft_bounds
validity: {low_conductance_s: 1.0e-7, high_conductance_s: 1.0e-6}
parameters:
  min_conductance_s: 1.0e-7
  max_conductance_s: 1.0e-6
  up: {amplitude_v: 2.0, width_s: 0.05}
  down: {amplitude_v: -2.8, width_s: 0.05}
effects:
- {effect: white_noise, fraction: 0.01}
"""


def _sim(calibration: str, *overrides: str, procedure: Path = MANHATTAN) -> dict[str, Any]:
    loaded = load_procedure(procedure, overrides, calibration=calibration)
    found: dict[str, Any] = loaded.resolved["backends"]["sim"]
    return found


def test_a_device_of_the_same_model_keeps_where_its_cells_begin() -> None:
    found = _sim("shumilin2024_2V_1ms")["device"]
    own = load_procedure(MANHATTAN).resolved["backends"]["sim"]["device"]
    assert found["model"] == "pulse_table"
    assert (found["shift"], found["gain"]) == (own["shift"], own["gain"])


def test_a_device_of_another_model_gives_way_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(TWIN, encoding="utf-8")
    found = _sim(str(file), procedure=PROCEDURES / "manhattan_4x4_noisy.yaml")
    assert found["device"]["model"] == "soft_bounds"
    assert [effect["effect"] for effect in found["effects"]] == ["white_noise"]
    assert "shift" not in found["device"]


def test_an_imported_train_is_a_table_to_emulate(tmp_path: Path) -> None:
    train = tmp_path / "train.csv"
    train.write_text("Conductance(S)\n5e-7\n6e-7\n6.5e-7\n", encoding="utf-8")
    given = {"amplitude_v": "2 V", "width_s": "50 ms", "source": "lab book"}
    imported = import_measurement(train, reader=None, given=given)
    write_measurement(imported.measurement, tmp_path / "train.h5")
    found = _sim(str(tmp_path / "train.h5"))["device"]
    assert found["model"] == "pulse_table"
    assert found["calibration"]["conductance_s"] == [5e-7, 6e-7, 6.5e-7]
    assert found["gain"] == 10


@pytest.mark.parametrize("name", sorted(file.name[:-5] for file in calibration_files()))
def test_every_shipped_calibration_can_be_put_in_place(name: str) -> None:
    # Normalised data have no siemens: their ends are the user's to give.
    ends = (
        ["backends.sim.device={low_conductance_s: 1 uS, high_conductance_s: 2 uS}"]
        if "gong" in name
        else []
    )
    assert _sim(name, *ends)["device"]["model"]


def test_a_recording_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    run_procedure(
        load_procedure(MANHATTAN, ("steps.0.settings.max_updates=1",)), RunOptions("sim", path)
    )
    words = (
        r"run\.h5 is a recording: `hwloop calibrate .*run\.h5 -o twin\.yaml` makes a calibration"
    )
    with pytest.raises(ConfigError, match=words):
        _sim(str(path))


def test_settings_of_the_command_line_come_after_the_calibration(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(TWIN, encoding="utf-8")
    found = _sim(str(file), "backends.sim.device={max_conductance_s: 2e-6}")
    assert found["device"]["max_conductance_s"] == 2e-6
    assert found["device"]["min_conductance_s"] == 1e-7


def test_a_run_on_a_calibration_runs_again_from_its_record(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(TWIN, encoding="utf-8")
    procedure = load_procedure(
        MANHATTAN, ("steps.0.settings.max_updates=2",), calibration=str(file)
    )
    path = tmp_path / "run.h5"
    run_procedure(procedure, RunOptions("sim", path))
    from hwloop.execution.reproduce import reproduce

    assert reproduce(path).complete


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("gone.h5", r"calibration gone\.h5: there is no such file"),
        ("bench.dat", r"no calibration 'bench\.dat'.*a file of your own ends in \.yaml"),
        ("shumilin2024_2V_1m", "did you mean 'shumilin2024_2V_1ms'"),
        ("gone.yaml", r"gone\.yaml: cannot be read: No such file"),
    ],
)
def test_what_is_no_calibration_is_said(reference: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        _sim(reference)
