"""Every rule and step of learning: a procedure, a population that replays, and a place on a page."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from hwloop.execution.reproduce import reproduce
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import from_data
from hwloop.record.reader import Record
from hwloop.steps.learning.rules import AnyRule

ROOT = Path(__file__).parents[2]
RULES = sorted(
    get_args(rule.model_fields["name"].annotation)[0] for rule in get_args(get_args(AnyRule)[0])
)
FAMILIES = ("hwloop.steps.learning.", "hwloop.steps.plasticity.", "hwloop.steps.network.spiking.")
STEPS = sorted(
    one.name
    for one in entry_points(group="hwloop.steps")
    if one.value.startswith(FAMILIES) and one.name != "train_in_situ"
)
NEEDS_TORCH = {"infer_spiking": "tests/hwloop/steps/network/spiking runs it without"}
SHORT: dict[str, dict[str, Any]] = {
    "program_lms": {"max_updates": 2},
}
"""Settings that make the run of a step short."""
FIRST = 40
"""Samples that are taken of data in a file."""


TEXTS = {
    file: file.read_text(encoding="utf-8") for file in sorted((ROOT / "procedures").rglob("*.yaml"))
}


def _procedure(name: str) -> tuple[Path, str]:
    """The first procedure that runs a rule of ``train_in_situ``, or a step; without data if any."""
    found = [
        (file, text)
        for file, text in TEXTS.items()
        if f": {name}" in text
        for one in yaml.safe_load(text).get("steps", [])
        if name in (one["step"], one.get("settings", {}).get("rule", {}).get("name"))
    ]
    assert found, f"no procedure runs {name}"
    return min(found, key=lambda one: "/data/" in one[1])


def _first_samples(settings: Any) -> None:
    if isinstance(settings, dict):
        for key, value in settings.items():
            if key in ("data", "test"):
                settings[key] = value | {"first": FIRST}
            _first_samples(value)


def test_rules_and_steps_are_those_of_the_registry() -> None:
    assert {"manhattan", "gate_voltage", "tiki_taka"} < set(RULES)
    assert {"program_lms", "infer_spiking", "stdp"} < set(STEPS)


@pytest.mark.parametrize("name", [*RULES, *STEPS])
def test_a_procedure_runs_it_on_a_population_which_replays_to_the_last_bit(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    file, text = _procedure(name)
    if name in NEEDS_TORCH:
        pytest.importorskip("torch", reason=f"{file.name} needs PyTorch: {NEEDS_TORCH[name]}")
    if "/data/" in text:
        shared_data: Path = request.getfixturevalue("shared_data")
        text = text.replace("../../data", shared_data.as_posix())
    data = yaml.safe_load(text)
    for one in data["steps"]:
        if one["step"] in ("train_in_situ", "program_lms", "infer_spiking"):
            _first_samples(one["settings"])
        one.setdefault("settings", {}).update(SHORT.get(name, {}))
    if name in RULES:
        data["steps"][0]["settings"]["max_epochs"] = 2
    record = tmp_path / "run.h5"
    run_procedure(from_data(data, folder=file.parent), RunOptions("sim", record, population=2))
    with Record(record) as found:
        assert found.population == 2
        operations = len(found)
    assert (same := reproduce(record)).complete
    assert same.operations == operations > 2


@pytest.mark.parametrize("name", [*RULES, *STEPS])
def test_a_page_says_what_its_paper_does_what_is_done_here_and_why_it_differs(name: str) -> None:
    header = re.compile(
        r"^\|.*\b(paper|review)\b.*\|.*\bhere\b.*\|.*\bwhy different\b", re.MULTILINE
    )
    sections = [
        section
        for page in (ROOT / "docs").rglob("*.md")
        for section in re.split(r"^#+ ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    ]
    assert any(f"`{name}`" in section and header.search(section) for section in sections)
