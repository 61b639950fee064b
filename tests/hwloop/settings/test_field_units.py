"""Units of settings, from the types of their fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest

from hwloop.settings.field_units import unit_of_field, units_of
from hwloop.settings.model import Settings
from hwloop.settings.tables import NumberTable
from hwloop.settings.units import Count, Number, PositiveSecond, PositiveSiemens, Unit, Volt


class Pulse(Settings):
    """A pulse whose names say nothing of its units."""

    height: Volt
    duration: PositiveSecond | None = None


class Chosen:
    """A plug-in with its settings."""

    def units(self) -> dict[str, str]:
        """Return the units of a pulse."""
        return units_of(Pulse(height=1.0))


class Everything(Settings):
    """Each way in which a number may stand in a model."""

    aim: PositiveSiemens | Literal["auto"] = "auto"
    widths: tuple[tuple[PositiveSecond, ...], ...] = ((1.0,),)
    curve: tuple[tuple[PositiveSiemens, Volt], ...] = ((1.0, 1.0),)
    table: Annotated[NumberTable, Unit("S")] = ((1.0,),)
    leads: Mapping[str, Volt] = {"smu.a": 1.0}
    pulse: Pulse | Volt = Pulse(height=1.0)
    pulses: tuple[Pulse, ...] = (Pulse(height=1.0), Pulse(height=2.0))
    named: Mapping[str, Pulse] = {"set": Pulse(height=1.0)}
    plug_in: Any = Chosen()
    count: Count = 1
    ratio: Number = 1.0
    width_s: float = 1.0


def test_units_come_from_types_by_the_path_of_the_setting() -> None:
    assert units_of(Everything()) == {
        "aim": "S",
        "widths": "s",
        "table": "S",
        "leads.smu.a": "V",
        "pulse.height": "V",
        "pulse.duration": "s",
        "pulses.0.height": "V",
        "pulses.0.duration": "s",
        "pulses.1.height": "V",
        "pulses.1.duration": "s",
        "named.set.height": "V",
        "named.set.duration": "s",
        "plug_in.height": "V",
        "plug_in.duration": "s",
    }


def test_a_number_in_place_of_a_model_has_the_unit_of_its_alternative() -> None:
    assert units_of(Everything(pulse=2.0))["pulse"] == "V"


@pytest.mark.parametrize(
    ("name", "unit"), [("aim", "S"), ("curve", ""), ("ratio", "1"), ("width_s", ""), ("count", "")]
)
def test_a_field_has_a_unit_where_its_type_has_just_one(name: str, unit: str) -> None:
    assert unit_of_field(Everything.model_fields[name]) == unit


def test_the_json_schema_names_the_unit() -> None:
    properties = Pulse.model_json_schema()["properties"]
    assert properties["height"]["unit"] == "V"
    assert {part.get("unit") for part in properties["duration"]["anyOf"]} == {"s", None}
