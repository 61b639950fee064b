"""The page on better settings: its commands end as it says they do."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "find-better-settings.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^\$ hwloop run (.*)\n(train_manhattan: .*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("command", "words"), SHOWN, ids=["both ways", "alone"])
def test_a_population_ends_as_the_page_shows(tmp_path: Path, command: str, words: str) -> None:
    file, option, population, *rest = shlex.split(command)
    assert option == "--population"
    assert rest[0::2] == ["--set"] * (len(rest) // 2)
    procedure = load_procedure(ROOT / file, rest[1::2])
    options = RunOptions("sim", tmp_path / "run.h5", population=int(population))
    assert run_procedure(procedure, options).outcome_text("train_manhattan") == words


def test_the_table_gives_what_the_commands_gave() -> None:
    (row,) = (line for line in PAGE.splitlines() if line.startswith("| 6e7 (shipped) |"))
    for (_, words), cell in zip(SHOWN, row.split("|")[2:], strict=False):
        part, low, high = re.findall(r"([\d.]+)%", words)
        assert cell.strip() == f"{part} % ({low} to {high})"
