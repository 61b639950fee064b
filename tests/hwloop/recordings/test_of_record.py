"""Runs in the columns of an import: what the steps have recorded, and no other number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import from_data
from hwloop.record.reader import Record
from hwloop.recordings import of_record
from hwloop.recordings.of_record import _CellReads, _trains_of_cell, measurements_of
from hwloop.recordings.of_steps import reads_of_retention
from hwloop.recordings.recording import open_recording
from hwloop.recordings.trains import trains_of
from tests.characterised import LIMITS

SOFT: dict[str, Any] = {"model": "soft_bounds", "up_pulses": 8, "down_pulses": 14}
UP: dict[str, Any] = {"amplitude_v": 3.2, "width_s": 3e-4}
DOWN: dict[str, Any] = {"amplitude_v": -2.8, "width_s": 3e-4}


def run(path: Path, *steps: dict[str, Any]) -> Path:
    procedure = from_data(
        {
            "name": "small",
            "seed": 2,
            "array": {
                "rows": 1,
                "cols": 2,
                "biasing": "V/2",
                "cell": "1R",
                "limits": LIMITS,
                "read": {"read_v": 0.1},
            },
            "backends": {"sim": {"device": SOFT}},
            "steps": list(steps),
        },
        folder=path.parent,
    )
    run_procedure(procedure, RunOptions("sim", path))
    return path


def response(pulses: int = 4, cycles: int = 2) -> dict[str, Any]:
    return {
        "step": "pulse_response",
        "settings": {
            "up": {"amplitudes_v": [3.2], "widths_s": [3e-4]},
            "down": {"amplitudes_v": [-2.8], "widths_s": [3e-4]},
            "pulses": pulses,
            "cycles": cycles,
        },
    }


def test_trains_are_those_that_the_step_recorded(tmp_path: Path) -> None:
    path = run(tmp_path / "a.h5", response())
    up, down = trains_of(open_recording(path).measured["trains"])
    assert (up.name, down.name) == ("3.2 V, 300 µs", "-2.8 V, 300 µs")
    with Record(path) as record:
        rows = record.results("pulse_response")
    for group, direction in ((up, 1), (down, -1)):
        assert group.cells.tolist() == [0, 0, 1, 1]
        for train, (cell, cycle) in enumerate([(0, 1), (0, 2), (1, 1), (1, 2)]):
            chosen = (rows["direction"] == direction) & (rows["cycle"] == cycle)
            seen = rows["conductance_s"][chosen][:, 0, cell]
            np.testing.assert_allclose(
                group.conductance_s[:, train], seen[np.isfinite(seen)], rtol=1e-12
            )


def test_several_pulses_before_a_read_are_no_train(tmp_path: Path) -> None:
    cycling = {
        "step": "endurance",
        "settings": {"up": UP, "down": DOWN, "pulses": 3, "cycles": 5},
    }
    measured = open_recording(run(tmp_path / "a.h5", cycling)).measured
    assert set(measured) == {"cycling"}
    with Record(tmp_path / "a.h5") as record:
        rows = record.results("endurance")
    chosen = measured["cycling"].columns
    high = rows["high_conductance_s"]
    np.testing.assert_array_equal(chosen["set_conductance_s"], high[np.isfinite(high)])


def test_direct_sweeps_and_retention_become_iv_and_reads(tmp_path: Path) -> None:
    sweep = {
        "step": "iv_sweep",
        "settings": {"positive_v": 0.4, "negative_v": -0.4, "step_v": 0.1, "mode": "direct"},
    }
    kept = {
        "step": "retention",
        "settings": {"first_s": 1.0, "last_s": 100.0, "per_decade": 2, "program": UP},
    }
    with Record(run(tmp_path / "a.h5", sweep, kept)) as record:
        measured = measurements_of(record)
        levels_v, current_a = (record.results("iv_sweep")[n] for n in ("level_v", "current_a"))
        seen = record.results("retention")["conductance_s"]
    assert {"iv", "reads"} <= set(measured)
    iv = measured["iv"].columns
    for cell in (0, 1):
        of_cell = iv["cell"] == cell
        np.testing.assert_allclose(iv["voltage_v"][of_cell], levels_v)
        np.testing.assert_array_equal(iv["current_a"][of_cell], current_a[:, 0, cell])
    reads = measured["reads"].columns
    np.testing.assert_array_equal(reads["conductance_s"][reads["cell"] == 1], seen[:, 0, 1])


def test_one_pulse_is_no_train(tmp_path: Path) -> None:
    assert open_recording(run(tmp_path / "a.h5", response(pulses=1, cycles=1))).measured == {}


def test_a_train_goes_on_over_reads_without_a_pulse_and_ends_at_several_pulses() -> None:
    seen = _CellReads(
        conductance_s=np.array([[1.0, 2, 3, 3.5, 4, 6, 7, 8]]).T,
        pulses=np.array([[0, 1, 1, 0, 1, 2, 1, 1]]).T,
        which=np.zeros((8, 1), dtype=np.int64),
        kinds=[(1.0, 1e-3)],
    )
    found = [train.tolist() for _, train in _trains_of_cell(seen, 0)]
    assert found == [[1, 2, 3, 4], [6, 7, 8]]


def test_reads_of_nothing_are_left_out_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = run(tmp_path / "a.h5", response())
    rows = {
        "time_s": np.array([1.0, 2.0]),
        "conductance_s": np.array([[[1e-6, 0.0]], [[2e-6, -1e-9]]]),
    }
    monkeypatch.setattr(Record, "results", lambda *_: rows)
    monkeypatch.setattr(of_record, "_of_step", lambda *_: reads_of_retention(Record(path), ""))
    with Record(path) as record:
        reads = measurements_of(record)["reads"]
    np.testing.assert_array_equal(reads.columns["conductance_s"], [1e-6, 2e-6])
    assert reads.conditions.note == "2 reads of 0 S or less left out"
