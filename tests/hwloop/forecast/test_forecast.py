"""A forecast: runs on twins are runs, and what they come to is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner, Result

from hwloop.errors import RecordError
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.forecast.command import forecast as command
from hwloop.forecast.figures import draw
from hwloop.forecast.forecast import forecast
from hwloop.plotting.style import save_figures
from hwloop.procedure.procedure import from_data, load_procedure
from hwloop.record.reader import Record
from tests.characterised import LIMITS

ROOT = Path(__file__).parents[3]
MANHATTAN = ROOT / "procedures" / "manhattan_4x4.yaml"
STATION = ROOT / "stations" / "virtual_4x4.yaml"


def _procedure(step: str, settings: dict[str, object], *, current_a: float = 1.0) -> object:
    return {
        "name": "planned",
        "seed": 5,
        "array": {
            "rows": 4,
            "cols": 4,
            "limits": LIMITS | {"current_a": current_a},
            "read": {"read_v": 0.1, "both_polarities": True},
        },
        "backends": {
            "sim": {"device": {"model": "linear_ion_drift", "initial": 2e-4}},
            "bench": {"station": STATION.as_posix()},
        },
        "steps": [{"step": step, "settings": settings}],
    }


def test_a_twin_is_the_run_of_its_seed(tmp_path: Path) -> None:
    procedure = load_procedure(MANHATTAN)
    found = forecast(procedure, twins=3, seed=21)
    for twin in found.twins:
        path = tmp_path / f"{twin.seed}.h5"
        run_procedure(procedure, RunOptions("sim", path, seed=twin.seed))
        with Record(path) as record:
            summary = record.results("train_manhattan", "summary")
            assert int(summary["pulses"][0]) == twin.pulses.sum()
            assert bool(summary["converged"][0]) == twin.reached


def test_one_in_five_of_the_published_arrays_is_foreseen() -> None:
    # 203 of 1,000 random arrays: trainings made with the source's own program, 50 ms table.
    low, high = forecast(load_procedure(MANHATTAN), twins=100).interval
    assert low < 0.203 < high


def test_time_is_that_of_the_station() -> None:
    procedure = from_data(_procedure("read_map", {"repeats": 3}), folder=ROOT)
    found = forecast(procedure, twins=1, timed_on="bench")
    # Three maps, and those before and after, of 16 cells: two readings of a power line cycle each,
    # and the relays.
    assert found.station == "virtual_4x4"
    assert found.duration_s == pytest.approx([5 * 16 * (2 * 0.02 + 0.02)])


def test_cells_that_miss_the_target_are_named_with_how_often() -> None:
    ramp = {"start_v": 0.1, "stop_v": 0.2, "step_v": 0.1}
    settings = {
        "amplitude": ramp,
        "width_s": 1e-6,
        "target_ohm": 1.0,
        "pulses_per_cell": 2,
        "cells": [[0, 1], [2, 3]],
    }
    found = forecast(from_data(_procedure("form", settings), folder=ROOT), twins=2)
    wanted = np.zeros((4, 4))
    wanted[0, 1] = wanted[2, 3] = 1.0
    np.testing.assert_array_equal(found.failed_fraction, wanted)
    assert found.successes == 0
    assert found.reasons()[0][0] == 2


def test_an_error_of_a_step_is_a_run_that_missed() -> None:
    procedure = from_data(_procedure("read_map", {"repeats": 1}, current_a=1e-9), folder=ROOT)
    found = forecast(procedure, twins=2)
    assert found.successes == 0
    assert "could not be measured" in found.reasons()[0][1]


def test_command_prints_success_pulses_time_and_reasons(tmp_path: Path) -> None:
    import typer

    app = typer.Typer()
    app.command()(command)
    words = [str(MANHATTAN), "--station", str(STATION), "--twins", "4", "-o", str(tmp_path)]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, shown.output
    assert "manhattan_4x4: 4 twins, seeds 22 to 25" in shown.output
    assert "success: 2 of 4 (50.0%; 95 % interval" in shown.output
    assert "time on station virtual_4x4: median" in shown.output
    assert "missed in 2 of 4, for example: train_manhattan: did not converge" in shown.output
    assert {file.name for file in tmp_path.glob("*.png")} == {"cost.png", "cells.png"}


def test_a_folder_that_is_a_file_is_seen_before_a_twin_runs(tmp_path: Path) -> None:
    (tmp_path / "figures").touch()
    result = _invoked(MANHATTAN, "--twins", "1", "-o", tmp_path / "figures")
    assert isinstance(result.exception, RecordError)
    assert result.output == ""


def test_figures_are_drawn_where_all_twins_are_alike(tmp_path: Path) -> None:
    procedure = from_data(_procedure("read_map", {"repeats": 1}), folder=ROOT)
    found = forecast(procedure, twins=2)
    assert len(save_figures(draw(found), tmp_path, origin="emulated")) == 2


def test_a_forecast_hands_results_from_step_to_step_and_counts_every_tile(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", w=np.random.default_rng(1).normal(size=(3, 4)))
    train = {"amplitude": 3.2, "width_s": 3e-4}
    data = {
        "name": "network",
        "seed": 1,
        "array": {"rows": 4, "cols": 4, "tiles": 2, "limits": LIMITS, "read": {"read_v": 0.1}},
        "backends": {
            "sim": {
                "device": {
                    "model": "soft_bounds",
                    "min_conductance_s": 1e-5,
                    "max_conductance_s": 1e-4,
                    "up": {"amplitude_v": 3.2, "width_s": 3e-4},
                    "down": {"amplitude_v": -2.8, "width_s": 3e-4},
                },
                "effects": [{"effect": "stuck", "low_fraction": 0.2, "low_conductance_s": 1e-5}],
            }
        },
        "steps": [
            {
                "step": "map_network",
                "settings": {
                    "weights": "w.npz",
                    "layers": [{"kind": "dense", "weight": "w"}],
                    "mapping": {"min_conductance_s": 2e-5, "max_conductance_s": 8e-5},
                },
            },
            {
                "step": "program_verify",
                "settings": {
                    "target": {"kind": "step"},
                    "tolerance": {"kind": "relative", "fraction": 0.05},
                    "algorithm": {
                        "name": "alibart",
                        "up": train,
                        "down": {**train, "amplitude": -2.8},
                    },
                },
            },
        ],
    }
    found = forecast(from_data(data, folder=tmp_path), twins=4)
    assert found.pulses.shape == (4, 2, 4, 4)
    assert found.failed_fraction.shape == (2, 4, 4)
    assert 0 < found.failed_fraction.max() <= 1
    assert found.reasons()[0][1].startswith("program_verify:")
    (tmp_path / "planned.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    shown = _shown(tmp_path / "planned.yaml", "--twins", "3")
    assert "pulses of a cell: at most" in shown
    assert len(save_figures(draw(found), tmp_path, origin="emulated")) == 2


def _invoked(*words: object) -> Result:
    import typer

    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(word) for word in words])


def _shown(*words: object) -> str:
    shown = _invoked(*words)
    assert shown.exit_code == 0, shown.output
    return shown.output
