"""One record of both sweeps and one fit to it, for all processes that look at it."""

from __future__ import annotations

import fcntl
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hwloop_sim.calibrate import run
from hwloop_sim.calibrate.command import calibrate as command
from hwloop_sim.calibrate.method import FittedCalibration
from hwloop_sim.calibrate.one_transistor.calibrate import SweepCalibration
from tests.sim.calibrate.one_transistor.swept_truth import GATE, LINE, READ_MAP, step, sweep


@dataclass(frozen=True, eq=False)
class Twin:
    """What ``hwloop calibrate`` made of a record: its fit, its file, what it printed."""

    found: SweepCalibration
    file: Path
    shown: str


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the workers of one run share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "swept"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def both(swept: Path) -> Path:
    """A record of both sweeps of 24 known cells, made by the first process that asks for it."""
    with (swept / "record.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = swept / "both.h5"
        if not path.exists():
            sweep(path, step(GATE, "gate"), READ_MAP, step(LINE, "line"))
        return path


@pytest.fixture(scope="session")
def twin(both: Path) -> Twin:
    """The twin that the command makes of that record, in the first process that asks for it."""
    kept = both.with_name("twin.pickle")
    with both.with_name("twin.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_bytes(pickle.dumps(_calibrated(both)))
        return pickle.loads(kept.read_bytes())  # noqa: S301, of this run


def _calibrated(both: Path) -> Twin:
    found: list[FittedCalibration] = []
    fit = run.fit_task

    def note(*arguments: object, **options: object) -> FittedCalibration:
        found.append(fit(*arguments, **options))  # type: ignore[arg-type]
        return found[0]

    app = typer.Typer()
    app.command()(command)
    out = both.with_name("twin.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "fit_task", note)
        shown = CliRunner().invoke(app, [str(both), "--model", "one_transistor", "-o", str(out)])
    assert shown.exit_code == 0, shown.output
    assert isinstance(found[0], SweepCalibration)
    return Twin(found[0], out, shown.output)
