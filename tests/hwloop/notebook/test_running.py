"""Runs from Python: the record is the one of the command line."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import hwloop
from hwloop.errors import ConfigError, NotConverged
from hwloop.record.comparison import differences
from tests.command_line import hwloop as command

FILE = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"


def test_a_run_records_what_the_command_records(tmp_path: Path) -> None:
    run = hwloop.run(
        FILE,
        seed=3,
        out=tmp_path / "python.h5",
        overrides={"steps.train_manhattan.settings.max_updates": 4},
    )
    done = command(
        *("run", str(FILE), "--seed", "3", "--out", str(tmp_path / "command.h5")),
        *("--set", "steps.train_manhattan.settings.max_updates=4"),
    )
    assert done.returncode == NotConverged.exit_code
    assert list(differences(run.path, tmp_path / "command.h5")) == []
    assert run.status == "completed"
    assert run.outcomes["train_manhattan"].message in done.stdout + done.stderr
    assert "train_manhattan" in repr(run)


def test_overrides_are_values_of_python(tmp_path: Path) -> None:
    loaded = hwloop.load(
        FILE,
        seed=np.int64(7),
        **{"array.limits.positive_v": "3 V", "array.limits.read_v": np.float64(0.25)},
    )
    assert (loaded.seed, loaded.array.limits.positive_v) == (7, 3.0)
    assert loaded.array.limits.read_v == 0.25
    with pytest.raises(ConfigError, match=r"positive_v"):
        hwloop.load(FILE, **{"array.limits.positive_v": "3 furlongs"})


def test_files_belong_to_the_file_of_a_procedure(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"station: give the file of the procedure"):
        hwloop.run(hwloop.load(FILE), station=tmp_path / "station.yaml", out=tmp_path)


def test_the_package_itself_loads_nothing_before_it_is_asked() -> None:
    heavy = "{'h5py', 'numpy', 'pydantic', 'hwloop.notebook'} & set(sys.modules)"
    asked = f"import hwloop, sys; assert not {heavy}, {heavy}; print(hwloop.__version__)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == version("hwloop")


def test_every_public_name_is_there_and_no_other() -> None:
    for name in hwloop.__all__:
        assert getattr(hwloop, name) is not None
    assert set(hwloop.__all__) <= set(dir(hwloop))
    with pytest.raises(AttributeError, match=r"no attribute 'runs'"):
        hwloop.runs  # noqa: B018
