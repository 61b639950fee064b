"""The changelog's fragments, the oldest dependencies and the checks are what they claim to be."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
FRAGMENTS = sorted((ROOT / "changelog.d").glob("*.md"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines]
    return {canonical(r.name): str(r.specifier).removeprefix("==") for r in requirements}


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda fragment: fragment.name)
def test_each_change_is_one_line_of_a_known_kind(fragment: Path) -> None:
    assert re.fullmatch(r"[a-z0-9-]+\.(added|changed|fixed|removed)\.md", fragment.name)
    assert re.fullmatch(r"\S[^\n]*\.\n", fragment.read_text(encoding="utf-8"))


def test_a_release_joins_every_fragment(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9.9"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "## 9.9.9" in done.stdout
    for fragment in FRAGMENTS:
        assert f"- {fragment.read_text(encoding='utf-8').strip()}\n" in done.stdout
    assert "joined here at a release" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", PROJECT["dependencies"])
def test_oldest_constraints_are_the_lower_bounds(text: str) -> None:
    requirement = Requirement(text)
    bound = str(requirement.specifier).removeprefix(">=")
    oldest = pinned("constraints-oldest.txt")[canonical(requirement.name)]
    assert oldest == bound or oldest.removesuffix(".0") == bound


def test_every_dependency_is_pinned() -> None:
    extras = PROJECT["optional-dependencies"]
    names = {
        canonical(Requirement(text).name) for text in [*PROJECT["dependencies"], *extras["dev"]]
    }
    assert names <= pinned("constraints.txt").keys()


def test_workflow_runs_on_three_systems_and_every_python_from_the_lowest() -> None:
    text = (ROOT / ".github/workflows/check.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    matrix = jobs["tests"]["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu-latest", "windows-latest", "macos-latest"]
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert PROJECT["requires-python"] == ">=3.11"
    assert "constraints-oldest.txt" in text
