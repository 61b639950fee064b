"""The reference of the device models names every model and every key, and no others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.device_models import TRIALS, row
from hwloop import plugins
from hwloop_sim.devices.common.state_device import StateSettings
from tests.docs.test_emulator_reference import rows_of
from tests.sim.devices.models import names

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference" / "devices.md").read_text("utf-8")
SECTIONS = dict(
    re.findall(
        r"^### `(\w+)`\n(.*?)(?=^##|\Z)", REFERENCE.split("## Models")[1], re.MULTILINE | re.DOTALL
    )
)
COMMON = set(StateSettings.model_fields)


def settings_of(name: str) -> Any:
    return plugins.load(plugins.DEVICES, name).settings


def test_every_model_has_its_section_and_its_line_in_the_table() -> None:
    assert set(SECTIONS) == set(names())
    assert set(names()) <= set(rows_of(REFERENCE.split("## States")[0]))


@pytest.mark.parametrize("name", names())
def test_a_section_has_the_keys_of_the_settings_with_their_defaults(name: str) -> None:
    model = settings_of(name)
    fields = dict(model.model_fields)
    if issubclass(model, StateSettings):
        fields = {key: field for key, field in fields.items() if key not in COMMON}
    rows = {key.replace("` *", ""): row for key, row in rows_of(SECTIONS[name]).items()}
    assert set(rows) == set(fields)
    for key, field in fields.items():
        default = rows[key][-1].strip("`")
        if field.is_required():
            assert default == "", key
        elif isinstance(field.default, str):
            assert default == field.default
        elif isinstance(field.default, int | float):
            assert float(default) == field.default, key
        elif field.default is None:
            assert default == "none", key
        elif key == "window":
            assert default == field.default.name


@pytest.mark.parametrize(
    "name", [name for name in names() if issubclass(settings_of(name), StateSettings)]
)
def test_the_parameters_that_can_be_spread_are_the_marked_ones(name: str) -> None:
    marked = re.findall(r"^\| `(\w+)` \* \|", SECTIONS[name], re.MULTILINE)
    assert set(marked) == set(settings_of(name).spreadable)


def test_the_keys_that_models_share_are_all_there() -> None:
    shared = rows_of(REFERENCE.split("## States")[1].split("### Windows")[0])
    assert set(shared) >= COMMON


def test_the_table_of_trainings_has_every_model_that_makes_small_steps() -> None:
    without = {"jart_vcm", "one_transistor", "schottky", "stochastic_switch"}
    assert set(TRIALS) == set(names()) - without


@pytest.mark.parametrize("name", ["pulse_table", "soft_bounds", "vteam"])
def test_a_row_of_the_table_of_trainings_is_what_its_script_prints(name: str) -> None:
    assert row(name) in REFERENCE
