"""One record of both sweeps and one fit to it, which takes half a minute, for all who look at it."""

from __future__ import annotations

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
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of both sweeps of 24 known cells."""
    folder = tmp_path_factory.mktemp("swept")
    return sweep(folder / "both.h5", step(GATE, "gate"), READ_MAP, step(LINE, "line"))


@pytest.fixture(scope="session")
def twin(both: Path) -> Twin:
    """The twin that the command makes of that record."""
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
