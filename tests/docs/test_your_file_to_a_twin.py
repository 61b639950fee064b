"""The page from a file to a twin can be followed as it stands, with a file of each kind."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from hwloop.array.operations import PulseMap
from hwloop.cli import main as cli
from hwloop_sim.cells.device import Device
from hwloop_sim.cells.voltage_sweep import iv_sweep
from hwloop_sim.devices.schottky import SchottkySettings
from tests.sim.devices.models import KNOWN, make

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "your-file-to-a-twin.md"
COMMANDS = re.findall(r"^hwloop (.*)$", PAGE.read_text("utf-8"), re.MULTILINE)
TRUTH = {
    "min_conductance_s": 2e-6,
    "max_conductance_s": 12e-6,
    "up_pulses": 8.0,
    "down_pulses": 6.0,
}


def cells(count: int) -> Device:
    down = {"amplitude_v": -1.0, "width_s": 1e-3}
    return make("soft_bounds", (1, count), **TRUTH, cycle_to_cycle=0.02, up=KNOWN, down=down)


def trained(device: Device, volts: float, pulses: int) -> list[np.ndarray]:
    """Microsiemens of all cells before a train and after each of its pulses."""
    found = [device.conductance_s[0] * 1e6]
    for _ in range(pulses):
        device.pulse(PulseMap(np.full((1, found[0].size), volts), 1e-3))
        found.append(device.conductance_s[0] * 1e6)
    return found


def write_log(folder: Path) -> None:
    device, rows = cells(1), []
    for volts in [1.0, -1.0] * 8:
        rows += [(volts, float(one[0])) for one in trained(device, volts, 20)[1:]]
    lines = [f"{n},{volts:g},1,{value:.6g}" for n, (volts, value) in enumerate(rows, 1)]
    header = "pulse,Pulse voltage (V),Pulse width (ms),Conductance (uS)"
    (folder / "log.csv").write_text("\n".join([header, *lines, ""]), encoding="utf-8")


def write_columns(folder: Path) -> None:
    device = cells(8)
    header = ",".join(f"train {n}" for n in range(1, 9))
    for name, volts in (("up.csv", 1.0), ("down.csv", -1.0)):
        path = trained(device, volts, 20)
        np.savetxt(folder / name, path, delimiter=",", header=header, comments="", fmt="%.6g")


def write_loops(folder: Path) -> None:
    rng = np.random.default_rng(3)
    lines = ["Sweep,Time (s),Voltage (V),Current (A)"]
    for number, least_v in enumerate((-1.5, -2.0, -2.5), 1):
        down = np.arange(1, least_v, -0.05)
        volts = np.concatenate([np.arange(0, 1, 0.05), down, np.arange(least_v, 0, 0.05)])
        seen_a = iv_sweep(make("schottky"), volts, step_s=1.0)[:, 0, 0]
        seen_a = seen_a * (1 + 0.005 * rng.normal(size=seen_a.size))
        rows = zip(volts, seen_a, strict=True)
        lines += [f"{number},{t},{v:.6g},{i:.9g}" for t, (v, i) in enumerate(rows)]
    (folder / "loops.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")


def write_retention(folder: Path) -> None:
    times_s = np.arange(60.0)
    values = 50.0 * (1 + times_s) ** -0.02
    text = "\n".join(f"{t:g},{g:.6g}" for t, g in zip(times_s, values, strict=True))
    (folder / "retention.csv").write_text(f"Time (s),Conductance (uS)\n{text}\n", encoding="utf-8")


def hwloop(command: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["hwloop", *shlex.split(command)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert isinstance(end.value.code, int)
    return end.value.code


def parameters(path: str) -> dict[str, float]:
    found: dict[str, float] = yaml.safe_load(Path(path).read_text("utf-8"))["parameters"]
    return found


@pytest.fixture(autouse=True)
def _in_a_folder_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for write in (write_log, write_columns, write_loops, write_retention):
        write(tmp_path)
    monkeypatch.chdir(tmp_path)


def test_the_commands_of_the_page_make_twins_of_the_cells_that_were_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in COMMANDS:
        assert hwloop(command, monkeypatch) == 0, (command, capsys.readouterr().err)
    soft = parameters("log-twin.yaml")
    for name, value in TRUTH.items():
        assert soft[name] == pytest.approx(value, rel=0.15)
    barrier, truth = parameters("loops-twin.yaml"), SchottkySettings()
    for name in SchottkySettings.spreadable:
        assert barrier[name] == pytest.approx(getattr(truth, name), rel=0.15)
    assert Path("columns-twin.yaml").is_file()


def test_a_model_of_reads_alone_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hwloop("import retention.csv -o reads.h5 --set source=x", monkeypatch) == 0
    capsys.readouterr()
    assert hwloop("calibrate reads.h5 --model vteam -o reads.yaml", monkeypatch) == 2
    assert "reads without pulses show noise and drift" in capsys.readouterr().err
    assert not Path("reads.yaml").exists()
