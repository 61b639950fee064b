"""The tutorial's package, made from its page, is found by hwloop and passes its own test."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorials" / "add-an-instrument.md"
BLOCK = re.compile(r'```\w+ title="([^"]+)"\n(.*?)```', re.DOTALL)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The files of the page, with what ``pip install`` would say of them."""
    for name, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    installed = tmp_path / "acme-0.1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 0.1\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (installed / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def _run(package: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_instrument_of_the_tutorial_trains_the_array_and_passes_its_conformance_test(
    package: Path,
) -> None:
    assert "acme_sw32" in _run(package, "-m", "hwloop.cli", "list")
    procedure = str(ROOT / "procedures" / "manhattan_4x4.yaml")
    command = ["run", procedure, "--backend", "bench", "--station", "station.yaml"]
    said = _run(package, "-m", "hwloop.cli", *command, "--out", "r.h5")
    assert "converged at epoch 23" in said
    assert "1 passed" in _run(
        package, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_sw32.py"
    )
