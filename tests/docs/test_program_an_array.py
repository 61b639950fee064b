"""The page on programming an array of one's own shows what the emulator and the bench answer."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.reader import Record
from tests.drivers.running_bench import copy_station, run_hosted

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "program-an-array.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture
def procedure(tmp_path: Path) -> Path:
    for name, body in re.findall(r'```\w+ title="([^"]+)"\n(.*?)```', TEXT, flags=re.DOTALL):
        (tmp_path / name).write_text(body, encoding="utf-8")
    return tmp_path / "program.yaml"


def test_own_targets_are_reached_as_the_page_shows(procedure: Path, tmp_path: Path) -> None:
    result = run_procedure(load_procedure(procedure), RunOptions("sim", tmp_path / "run.h5"))
    assert result.outcomes["program_verify"].reached
    assert f"{result.outcome_text('program_verify')}\n" in TEXT


def test_the_virtual_bench_programs_the_same_targets(procedure: Path, tmp_path: Path) -> None:
    station = copy_station(ROOT / "stations" / "virtual_4x4.yaml", tmp_path)
    loaded = load_procedure(procedure, [f"backends.bench.station={station.as_posix()}"])
    path = tmp_path / "bench.h5"
    assert run_hosted(loaded, station, "bench", path).outcomes["program_verify"].reached
    with Record(path) as record:
        cells = record.results("program_verify", "cells")
    error_conductance_s = np.abs(cells["verified_conductance_s"] - cells["target_conductance_s"])[
        np.isfinite(cells["target_conductance_s"])
    ]
    assert error_conductance_s.size == 13
    assert error_conductance_s.max() <= 0.02 * 9e-5
