"""Records to be found again, and an index of the test's own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from tests.command_line import hwloop

PROCEDURE = Path(__file__).parents[3] / "procedures/manhattan_4x4.yaml"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the index, which no other test uses."""
    folder = tmp_path / "cache"
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(folder))
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the record of a training that converges at epoch 23 with 176 pulses."""
    path = tmp_path_factory.mktemp("trained") / "run.h5"
    done = hwloop("run", PROCEDURE, "--seed", 22, "--out", path)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def copy_of(trained: Path, tmp_path: Path) -> Callable[..., Path]:
    """``copy_of(name, seed=7, started_utc="…")``: a copy of the record with other attributes."""

    def copy(name: str, **attributes: object) -> Path:
        path = tmp_path / "runs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(trained, path)
        with h5py.File(path, "r+") as file:
            for key, value in attributes.items():
                if key == "seed":
                    file.attrs.modify(key, value)
                else:
                    file.attrs[key] = value
        return path

    return copy
