"""The page on a lab's own data can be followed as it stands, from a file to a comparison."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from hwloop import plugins
from hwloop.array.operations import PulseMap
from hwloop.cli import main as cli
from hwloop_sim.calibrate.run import models
from tests.sim.devices.models import KNOWN, make

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "use-your-own-data.md").read_text("utf-8")
COMMANDS = re.findall(r"^hwloop (.*)$", PAGE, re.MULTILINE)


def hwloop(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command as the shell would; 6 is a training that missed its aim."""
    monkeypatch.setattr(sys, "argv", ["hwloop", *shlex.split(command)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code in ((0, 6) if command.startswith("run") else (0,))


def write_trains(folder: Path) -> None:
    """Trains up and down of an emulated device, as columns of microsiemens, and one series."""
    down = {"amplitude_v": -1.0, "width_s": 1e-3}
    device = make(
        "soft_bounds",
        (1, 10),
        min_conductance_s=2e-6,
        max_conductance_s=12e-6,
        up_pulses=10,
        down_pulses=8,
        cycle_to_cycle=0.01,
        up=KNOWN,
        down=down,
    )
    header = ",".join(f"train {i}" for i in range(10))
    for name, volts in (("trains.csv", 1.0), ("down.csv", -1.0)):
        path = [device.conductance_s[0] * 1e6]
        for _ in range(20):
            device.pulse(PulseMap(np.full((1, 10), volts), 1e-3))
            path.append(device.conductance_s[0] * 1e6)
        np.savetxt(folder / name, path, delimiter=",", header=header, comments="", fmt="%.6g")
    series_conductance_s = 4.5e-7 + 2e-7 * (1 - np.exp(-np.arange(51) / 20))
    np.savetxt(folder / "datafile.csv", series_conductance_s, header="Conductance(S)", comments="")


def test_the_commands_of_the_page_work_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_trains(tmp_path)
    (tmp_path / "procedures").mkdir()
    shutil.copy(ROOT / "procedures" / "manhattan_4x4.yaml", tmp_path / "procedures")
    falling = COMMANDS[0].replace("trains.csv", "down.csv").replace("up.h5", "down.h5")
    hwloop(falling.replace("'1 V'", "'-1 V'"), monkeypatch)
    for command in COMMANDS:
        if command.startswith("run"):
            hwloop(f"{command} --population 5 --out emulated.h5", monkeypatch)
            hwloop(COMMANDS[1].replace("table.h5", "measured.h5"), monkeypatch)
        elif not command.startswith("import`"):
            hwloop(command, monkeypatch)
    assert (tmp_path / "cell.yaml").is_file()
    assert (tmp_path / "cell_distributions.png").is_file()
    assert "first: measured, imported (measured.h5)" in capsys.readouterr().out
    assert (tmp_path / "figures" / "trains.png").is_file()


def test_every_reader_is_on_the_page() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert set(plugins.names(plugins.READERS)) <= named


@pytest.mark.parametrize("page", ["how-to/use-your-own-data.md", "reference/calibration.md"])
def test_every_model_that_can_be_fitted_is_in_the_table_of_the_page(page: str) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    rows = re.findall(r"^\| ([a-z_`, ]+) \|", text, re.MULTILINE)
    named = set(re.findall(r"\w+", " ".join(rows)))
    assert set(models()) <= named
