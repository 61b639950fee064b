"""The tables of a training that its record makes before the first operation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typing_extensions import override

from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.reader import Record
from hwloop.record.storage import file as record_file
from hwloop.record.writer import RecordSink
from hwloop.steps.manhattan.settings import ManhattanSettings
from hwloop.steps.manhattan.train_manhattan import TRAIN_MANHATTAN
from hwloop.steps.rows import Row

PROCEDURE = Path(__file__).parents[4] / "procedures" / "manhattan_4x4.yaml"
SHORT = "steps.0.settings.max_updates=3"


class _Kept(RecordSink):
    """The first row of each table."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.rows: dict[str, Row] = {}

    @override
    def row(self, label: str, row: Row) -> None:
        self.rows.setdefault(row.table, row)


@pytest.mark.parametrize("population", [None, 5])
@pytest.mark.parametrize("held_out", ["null", '["0000", "1111"]'])
def test_tables_of_a_training_said_beforehand_are_of_the_kinds_and_shapes_that_come(
    tmp_path: Path, population: int | None, held_out: str
) -> None:
    changed = [SHORT, f"steps.0.settings.held_out_patterns={held_out}"]
    procedure = load_procedure(PROCEDURE, changed)
    kept = _Kept(tmp_path / "none.h5")
    run_procedure(procedure, RunOptions("sim", kept.path, population), sink=lambda *_: kept)
    assert TRAIN_MANHATTAN.tables is not None
    settings = procedure.steps[0].settings
    assert isinstance(settings, ManhattanSettings)
    outer = () if population is None else (population,)
    said = {row.table: row for row in TRAIN_MANHATTAN.tables(settings, (*outer, 4, 4))}
    assert set(said) == set(kept.rows)
    for table, row in said.items():
        for name, value in kept.rows[table].columns().items():
            come, before = np.asarray(value), np.asarray(row.columns()[name])
            assert (name, come.dtype, come.shape) == (name, before.dtype, before.shape)


def test_record_of_a_training_of_many_arrays_has_room_for_all_of_it_from_the_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies, copy = [], record_file.copy_of_open
    monkeypatch.setattr(
        record_file, "copy_of_open", lambda *given: copies.append(0) or copy(*given)
    )
    path = tmp_path / "run.h5"
    procedure = load_procedure(PROCEDURE, ["steps.0.settings.max_updates=20"])
    run_procedure(procedure, RunOptions("sim", path, 300))
    assert not copies
    with Record(path) as record:
        assert len(record.results("train_manhattan")["epoch"]) == 20
        assert len(record.results("train_manhattan", "predictions")["pattern"]) == 10
