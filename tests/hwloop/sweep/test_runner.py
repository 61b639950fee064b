"""A sweep's points are ordinary runs; what is finished is known by its content."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hwloop.errors import ConfigError, LimitError, Unsupported
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.comparison import differences
from hwloop.record.reader import Record
from hwloop.sweep.grid import read_axis
from hwloop.sweep.point import Ended
from hwloop.sweep.runner import SweepOptions, prepare, run_tasks, workers_of

MANHATTAN = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"
BETA = "steps.train_manhattan.settings.beta_per_a"
OVER = [f"{BETA}=6e6,8e6", "seed=21:23"]


def _swept(folder: Path, workers: int) -> list[Ended]:
    options = SweepOptions(MANHATTAN, folder, "sim", workers=workers)
    ended = run_tasks(prepare(options, OVER).tasks, options)
    return sorted(ended, key=lambda one: one.index)


def test_values_are_yaml_or_ranges_without_their_end() -> None:
    assert read_axis("seed=0:3,7").values == (0, 1, 2, 7)
    assert read_axis("a=0:10:4").values == (0, 4, 8)
    assert read_axis("a=0.01,50 ms,[1, 2]").values == (0.01, "50 ms", [1, 2])
    with pytest.raises(ConfigError, match="the value 1 stands twice"):
        read_axis("a=1,2,1")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_point_is_the_run_that_its_overrides_give(tmp_path: Path, workers: int) -> None:
    ended = _swept(tmp_path / "swept", workers)
    assert [one.status for one in ended] == ["completed"] * 4
    last = Path(ended[-1].record)
    again = tmp_path / last.name
    run_procedure(load_procedure(MANHATTAN, [f'{BETA}="8e6"', "seed=22"]), RunOptions("sim", again))
    assert differences(last, again) == []


def test_a_finished_point_is_known_by_its_content_and_a_broken_record_is_redone(
    tmp_path: Path,
) -> None:
    ended = _swept(tmp_path, 1)
    Path(ended[0].record).rename(tmp_path / "another name.h5")
    broken = Path(ended[1].record)
    broken.write_bytes(broken.read_bytes()[:1000])
    options = SweepOptions(MANHATTAN, tmp_path, "sim", workers=1)
    prepared = prepare(options, OVER)
    assert [task.point.index for task in prepared.tasks] == [1]
    assert [one.status for one in run_tasks(prepared.tasks, options)] == ["completed"]
    with Record(broken) as record:
        assert record.status == "completed"


def test_one_invalid_point_is_named_and_nothing_runs(tmp_path: Path) -> None:
    options = SweepOptions(MANHATTAN, tmp_path, "sim", workers=1)
    with pytest.raises(LimitError, match=r"point 1 \(.*amplitude_v=9 V\): .*exceeds"):
        prepare(options, ["steps.0.settings.pulse.amplitude_v=2 V,9 V"])
    with pytest.raises(ConfigError, match=r"point 0 .*nope: unknown key"):
        prepare(options, ["steps.0.settings.nope=1,2"])
    with pytest.raises(ConfigError, match=r"point 1 \(seed=-1\)"):
        prepare(options, ["seed=1,-1"])
    with pytest.raises(Unsupported, match=r"point 1 \(.*width_s=20 ms\): .*does not cover 20 ms"):
        prepare(options, ["steps.0.settings.pulse.width_s=50 ms,20 ms"])
    assert list(tmp_path.iterdir()) == []


def test_a_bench_is_refused_to_several_workers(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is one array"):
        prepare(SweepOptions(MANHATTAN, tmp_path, backend="bench", workers=2), ["seed=0:2"])


def test_processes_are_one_a_core_unless_said_and_one_for_a_bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert workers_of(SweepOptions(MANHATTAN, tmp_path, "sim")) == 3
    assert workers_of(SweepOptions(MANHATTAN, tmp_path, "sim", workers=2)) == 2
    assert workers_of(SweepOptions(MANHATTAN, tmp_path, "bench")) == 1


def test_every_point_counts_in_one_ledger_beside_the_finished_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunOptions] = []

    def refuse(_procedure: object, options: RunOptions) -> None:
        asked.append(options)
        raise LimitError("no further")

    monkeypatch.setattr("hwloop.execution.runner.run_procedure", refuse)
    ended = _swept(tmp_path, 1)
    assert [one.error for one in ended] == ["LimitError: no further"] * 4
    assert [options.life_folder for options in asked] == [tmp_path] * 4
