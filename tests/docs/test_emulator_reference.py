"""The reference of the emulator names every effect and every key, and no others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from hwloop import plugins
from hwloop_sim.emulator.backend import SimSettings
from hwloop_sim.emulator.converters import Adc, Dac
from hwloop_sim.emulator.readout import Tiles
from hwloop_sim.emulator.wire_settings import WireSettings

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference" / "emulator.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", REFERENCE, re.MULTILINE | re.DOTALL))
SETTINGS: dict[str, Any] = {
    **{
        name: plugins.load(plugins.EFFECTS, name).settings
        for name in plugins.names(plugins.EFFECTS)
    },
    "dac": Dac,
    "adc": Adc,
    "tiles": Tiles,
    "wires": WireSettings,
}


def rows_of(text: str) -> dict[str, list[str]]:
    """First column → the others, of the tables in a text."""
    lines = [line.strip() for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    return {row[0].strip("`"): row[1:] for row in rows if row[0].startswith("`")}


def test_every_effect_and_converter_has_its_section_and_nothing_else_has() -> None:
    assert set(SETTINGS) <= set(SECTIONS)
    assert set(plugins.names(plugins.EFFECTS)) | {"dac", "adc", "tiles", "wires"} == set(SECTIONS)


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_a_section_has_the_keys_of_the_settings_with_their_defaults(name: str) -> None:
    fields = SETTINGS[name].model_fields
    rows = {key: row for key, row in rows_of(SECTIONS[name]).items() if not key.startswith("{")}
    assert set(rows) == set(fields)
    for key, field in fields.items():
        *_, default = rows[key]
        if field.is_required():
            assert default == "", key
        elif isinstance(field.default, str | bool):
            assert default.strip("`") == str(field.default).lower()
        elif isinstance(field.default, int | float):
            assert float(default) == field.default, key


@pytest.mark.parametrize("name", plugins.names(plugins.EFFECTS))
def test_the_order_of_an_effect_is_the_documented_one(name: str) -> None:
    assert f"| {plugins.load(plugins.EFFECTS, name).order} | `{name}` |" in REFERENCE


def test_the_keys_of_the_backend_are_all_there() -> None:
    assert set(SimSettings.model_fields) <= set(rows_of(REFERENCE.split("## Effects")[0]))
