"""The core decides nothing by the name of a backend, a device model or a key of an emulator."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import hwloop
from hwloop import plugins
from hwloop.backend.registered import emulator

CORE = Path(hwloop.__file__).parent
OWN = {
    # Registered here and nowhere else: the name is the registration.
    "record/replay.py": {"replay"},
}


def _forbidden() -> set[str]:
    """Names of backends, device models and settings of the emulator that no step shares."""
    names = {
        *plugins.names(plugins.BACKENDS),
        *plugins.names(plugins.DEVICES),
        *emulator().settings.model_fields,
    }
    # A measurement is made on a device, too.
    return names - {*plugins.names(plugins.STEPS), "device"}


def _strings(source: str) -> Iterator[str]:
    """Every string literal that is not a docstring."""
    tree = ast.parse(source)
    documentation = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        literal = isinstance(node, ast.Constant) and id(node) not in documentation
        if literal and isinstance(node.value, str):
            yield node.value


def _named(source: str, names: set[str]) -> set[str]:
    """Names that a literal is, or that stand in one as a section of a procedure."""
    found = set()
    for text in _strings(source):
        found |= names & {text}
        found |= names & set(re.findall(r"backends\.(\w+)", text))
    return found


@pytest.mark.parametrize(
    "path", sorted(CORE.rglob("*.py")), ids=lambda path: path.relative_to(CORE).as_posix()
)
def test_no_literal_of_the_core_names_a_backend_or_a_device_model(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    allowed = OWN.get(path.relative_to(CORE).as_posix(), set())
    assert _named(source, _forbidden()) - allowed == set()


@pytest.mark.parametrize(
    "source",
    [
        'kind = load("backends", "sim")',
        'if device["model"] == "pulse_table": pass',
        'given = f"backends.bench.station={path}"',
        'for key in ("effects", "cell_law"): section.pop(key)',
    ],
)
def test_the_search_finds_what_the_core_used_to_say(source: str) -> None:
    assert _named(source, _forbidden())


def test_the_search_covers_backends_devices_and_settings() -> None:
    assert {"sim", "bench", "replay", "pulse_table", "effects", "cell_law"} <= _forbidden()
    assert _named('"""Run on the sim."""', _forbidden()) == set()
