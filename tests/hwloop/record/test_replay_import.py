"""Imported trains answer a procedure with what was measured, or the run stops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.datasets.measurement import Measurement, train_columns, write_measurement
from hwloop.errors import ConfigError, ReplayMismatch
from hwloop.execution.reproduce import replay_import, reproduce
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import from_data
from hwloop.procedure.sections import file_override
from hwloop.record.reader import Record
from tests.characterised import LIMITS

TRAINS = {1.0: [[10.0, 14, 17], [11.0, 16, 18]], -1.0: [[16.5, 12, 11], [17.5, 13, 12]]}
"""Microsiemens of two cells, up and then down; each begins with a read of its own."""


def import_file(folder: Path, *, read_v: float | None = 0.1) -> Path:
    data = Measurement.parse(
        {
            "kind": "trains",
            "title": "two cells",
            "source": "test",
            "conditions": {} if read_v is None else {"read_v": read_v},
            "columns": train_columns(
                [np.array(train) * 1e-6 for trains in TRAINS.values() for train in trains],
                cells=[3, 8, 3, 8],
                amplitudes_v=[1, 1, -1, -1],
                widths_s=[1e-3] * 4,
            ),
        }
    )
    write_measurement(data, folder / "trains.h5")
    return folder / "trains.h5"


def procedure_data(up_v: float = 1.0, pulses: int = 2, cols: int = 2) -> dict[str, Any]:
    return {
        "name": "both_ways",
        "seed": 1,
        "array": {
            "rows": 1,
            "cols": cols,
            "biasing": "V/2",
            "cell": "1R",
            "limits": LIMITS,
            "read": {"read_v": 0.1},
        },
        "steps": [
            {
                "step": "pulse_response",
                "settings": {
                    "up": {"amplitudes_v": [up_v], "widths_s": [1e-3]},
                    "down": {"amplitudes_v": [-1.0], "widths_s": [1e-3]},
                    "pulses": pulses,
                },
            }
        ],
    }


def replay(imported: Path, **changes: Any) -> Path:
    out = imported.with_name("replayed.h5")
    override = file_override("recording", imported, "replay")
    procedure = from_data(procedure_data(**changes), folder=imported.parent, overrides=[override])
    run_procedure(procedure, RunOptions("replay", out))
    return out


def test_a_procedure_sees_what_was_measured_and_its_record_says_so(tmp_path: Path) -> None:
    with Record(replay(import_file(tmp_path))) as record:
        rows = record.results("pulse_response")
        assert record.origin == "replayed, measured"
    for volts, trains in TRAINS.items():
        of_way = rows["direction"] == np.sign(volts)
        for cell, train in enumerate(trains):
            seen = rows["conductance_s"][of_way][:, 0, cell]
            np.testing.assert_allclose(seen[np.isfinite(seen)], np.array(train) * 1e-6)
    assert reproduce(tmp_path / "replayed.h5").complete


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"up_v": 1.1}, r"cell \(0, 0\) gets a pulse of 1.1 V.* the import has 1 V, 0.001 s"),
        ({"pulses": 3}, r"cell \(0, 0\) is pulsed before the first value of its next train"),
    ],
)
def test_a_pulse_that_was_not_measured_stops_the_run(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ReplayMismatch, match=message):
        replay(import_file(tmp_path), **changes)


def test_an_import_that_cannot_answer_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="trains of 2 cells; the procedure asks for 1 × 3"):
        replay(import_file(tmp_path), cols=3)
    (tmp_path / "other").mkdir()
    with pytest.raises(ConfigError, match="at which voltage its conductances were read"):
        replay(import_file(tmp_path / "other", read_v=None))


def test_the_command_needs_a_procedure_and_counts_what_was_answered(tmp_path: Path) -> None:
    imported = import_file(tmp_path)
    with pytest.raises(ConfigError, match="name one with --procedure"):
        replay_import(imported, None)
    (tmp_path / "p.yaml").write_text(json.dumps(procedure_data()))
    # Both reads of the whole array, and 3 reads and 2 pulses of each way.
    assert replay_import(imported, tmp_path / "p.yaml") == 2 + 2 * (3 + 2)
