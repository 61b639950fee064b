"""Every procedure that is shipped runs on the emulator, and replays."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwloop.procedure.procedure import load_procedure
from hwloop.record.comparison import differences
from hwloop.record.reader import Record
from hwloop.run.reproduce import reproduce
from hwloop.run.runner import RunOptions, run_procedure

PROCEDURES = sorted((Path(__file__).parents[2] / "procedures").glob("*.yaml"))


@pytest.mark.parametrize("file", PROCEDURES, ids=lambda file: file.stem)
def test_procedure_reaches_its_aim_on_the_emulator_and_replays_to_the_last_bit(
    file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "run.h5"
    result = run_procedure(load_procedure(file), RunOptions("sim", path))
    assert all(outcome.reached for outcome in result.outcomes.values())
    with Record(path) as record:
        assert record.status == "completed"
        operations = len(record)
    same = reproduce(path)
    assert (same.operations, same.complete) == (operations, True)


@pytest.mark.parametrize("file", PROCEDURES, ids=lambda file: file.stem)
@pytest.mark.parametrize("population", [None, pytest.param(1, marks=pytest.mark.slow), 7])
def test_two_runs_with_one_seed_give_identical_records(
    file: Path, population: int | None, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{name}.h5" for name in "ab"]
    for path in paths:
        run_procedure(load_procedure(file), RunOptions("sim", path, population=population))
    assert differences(*paths) == []


def test_another_seed_gives_another_record(tmp_path: Path) -> None:
    paths = [tmp_path / f"{seed}.h5" for seed in (1, 2)]
    for seed, path in enumerate(paths):
        run_procedure(load_procedure(PROCEDURES[0]), RunOptions("sim", path, seed=seed))
    assert "operations/read/current_a: values" in differences(*paths)
