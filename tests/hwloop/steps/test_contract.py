"""Steps say what they import while they run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import hwloop.steps
from hwloop.plugins import STEPS
from hwloop.steps.contract import Step


def imported_in_functions(path: Path) -> Iterator[str]:
    """Yield the modules from outside of the project that functions of a file import."""
    tree = ast.parse(path.read_text())
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("hwloop"):
                yield str(node.module)
            elif isinstance(node, ast.Import):
                yield from (name.name for name in node.names)


def test_every_library_that_a_step_imports_in_mid_run_is_loaded_before_it() -> None:
    [folder] = hwloop.steps.__path__
    imported = {name for path in Path(folder).rglob("*.py") for name in imported_in_functions(path)}
    steps: list[Step[object]] = [point.load() for point in entry_points(group=STEPS)]
    assert imported == {library for step in steps for library in step.libraries}
    assert "scipy.optimize" in imported  # the scan sees something
