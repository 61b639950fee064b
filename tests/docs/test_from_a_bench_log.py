"""The tutorial from a log to a training can be followed as it stands, and shows what comes."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from hwloop.cli import main as cli

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorials" / "from-a-bench-log-to-a-training.md").read_text("utf-8")
BLOCKS = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)


def sessions() -> list[tuple[str, list[str]]]:
    """Every command of the page with the lines that are shown below it."""
    found: list[tuple[str, list[str]]] = []
    for line in "".join(BLOCKS).splitlines():
        if re.match(r"(\$ )?(hwloop|python) ", line):
            found.append((line.removeprefix("$ "), []))
        elif line != "…":
            found[-1][1].append(line)
    return found


def without_figures(text: str) -> str:
    """Numbers may differ in their last digits from one platform to another."""
    return re.sub(r"\s+", " ", re.sub(r"[\d.]+(e[+-]\d+)?", "#", text))


def follow(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program, *words = shlex.split(command)
    if program == "python":
        monkeypatch.setattr(sys, "argv", words)
        runpy.run_path(words[0], run_name="__main__")
        return
    monkeypatch.setattr(sys, "argv", ["hwloop", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0, command


def test_the_commands_of_the_page_work_in_their_order_and_say_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("docs/tutorials/from-a-bench-log", "procedures", "stations"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    said = {}
    for command, shown in sessions():
        follow(command, monkeypatch)
        said[command.split()[1]] = output = capsys.readouterr().out
        there = {without_figures(line) for line in output.splitlines()}
        assert {without_figures(line) for line in shown} <= there, command
    low, high = _interval(said["forecast"])
    shown_low, shown_high = _interval(PAGE)
    assert max(low, shown_low) < min(high, shown_high)
    # Trainings with the very model that made the logs: 182 of 200 converged.
    assert low < 91 < high
    for name in ("twin_paths.png", "forecast/cells.png", "compared/final_conductance_s.png"):
        assert (tmp_path / "runs" / name).is_file()


def _interval(text: str) -> tuple[float, float]:
    low, high = re.findall(r"95 % interval ([\d.]+)% to ([\d.]+)%", text)[0]
    return float(low), float(high)
