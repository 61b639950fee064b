"""Every procedure that is shipped runs on the emulator, and replays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hwloop.execution.open_run import RunResult
from hwloop.execution.reproduce import reproduce
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.comparison import differences
from hwloop.record.reader import Record

PROCEDURES = sorted((Path(__file__).parents[2] / "procedures").glob("*.yaml"))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], tuple[Path, RunResult]]:
    """Run a procedure on the emulator, once for all tests that look at it and change nothing."""
    done: dict[Path, tuple[Path, RunResult]] = {}

    def run(file: Path) -> tuple[Path, RunResult]:
        if file not in done:
            path = tmp_path_factory.mktemp(file.stem) / "run.h5"
            done[file] = path, run_procedure(load_procedure(file), RunOptions("sim", path))
        return done[file]

    return run


@pytest.mark.parametrize("file", PROCEDURES, ids=lambda file: file.stem)
def test_procedure_reaches_its_aim_on_the_emulator_and_replays_to_the_last_bit(
    file: Path, ran: Callable[[Path], tuple[Path, RunResult]]
) -> None:
    path, result = ran(file)
    assert all(outcome.reached for outcome in result.outcomes.values())
    with Record(path) as record:
        assert record.status == "completed"
        operations = len(record)
    same = reproduce(path)
    assert (same.operations, same.complete) == (operations, True)


@pytest.mark.parametrize("file", PROCEDURES, ids=lambda file: file.stem)
def test_two_runs_with_one_seed_give_identical_records(
    file: Path, ran: Callable[[Path], tuple[Path, RunResult]], tmp_path: Path
) -> None:
    again = tmp_path / "again.h5"
    run_procedure(load_procedure(file), RunOptions("sim", again))
    assert differences(ran(file)[0], again) == []


@pytest.mark.parametrize("file", PROCEDURES, ids=lambda file: file.stem)
@pytest.mark.parametrize("population", [pytest.param(1, marks=pytest.mark.slow), 7])
def test_two_runs_of_a_population_with_one_seed_give_identical_records(
    file: Path, population: int, tmp_path: Path
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
