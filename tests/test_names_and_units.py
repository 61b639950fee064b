"""A name that ends in a unit and the type that has the unit say the same, everywhere."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import hwloop
import hwloop_drivers
import hwloop_sim
from hwloop import plugins
from hwloop.datasets.measurement import LAYOUTS
from hwloop.procedure.procedure import ProcedureFile
from hwloop.settings.field_units import units_in
from hwloop.settings.model import Settings
from hwloop.settings.units import (
    SUFFIXES,
    Ampere,
    Number,
    PositiveSiemens,
    Second,
    Siemens,
    SiemensPerVolt,
    Volt,
)
from hwloop.station.station import Station
from hwloop.steps.rows import Row, column
from hwloop_drivers.roles.read_back import READ_BACK_UNITS

PACKAGES = (hwloop, hwloop_drivers, hwloop_sim)
PLUG_INS = (
    plugins.BACKENDS,
    plugins.STEPS,
    plugins.DEVICES,
    plugins.EFFECTS,
    plugins.INSTRUMENTS,
)
_BY_LENGTH = sorted(SUFFIXES.items(), key=lambda item: -len(item[1]))


def unit_of_name(name: str) -> str:
    """Return the unit that a name ends in, by the convention; "" where it ends in none."""
    for unit, suffix in _BY_LENGTH:
        if name.endswith(suffix):
            siemens = "conductance" in name
            return ("S" if siemens else "s") if suffix == "_s" else unit
    return ""


def wrong(name: str, units: set[str], *, alternatives: bool = False) -> str:
    """Return what a name and the units of its type contradict each other in; "" if nothing.

    ``alternatives``: something else than numbers of this unit may stand there, so that the name
    need not have the unit; one that it has must be right all the same.
    """
    named = unit_of_name(name)
    if len(units) == 1 and not alternatives:
        (unit,) = units
        if unit != "1" and unit not in SUFFIXES:
            return f"{name}: {unit} has no suffix"
        if unit.startswith("S") and "conductance" not in name:
            return f"{name}: in {unit}, and without the word conductance"
        if named != ("" if unit == "1" else unit):
            return f"{name}: in {unit}, and its name says {named or 'nothing'}"
    elif named and units != {named}:
        return f"{name}: its name says {named}, its type {units or 'nothing'}"
    return ""


def wrong_fields(model: type[BaseModel]) -> Iterator[str]:
    """Yield what is wrong with the fields of a model of settings."""
    for name, field in model.model_fields.items():
        found = wrong(name, set(units_in(field)), alternatives=_has_model(field))
        if found:
            yield f"{model.__module__}.{model.__name__}.{found}"


def _has_model(field: FieldInfo) -> bool:
    return any(isinstance(one, type) and issubclass(one, BaseModel) for one in _leaves(field))


def _leaves(field: FieldInfo) -> Iterator[Any]:
    parts: list[Any] = [field.annotation, *field.metadata]
    while parts:
        part = parts.pop()
        yield part
        parts += get_args(part)


def wrong_columns(row: type[Row]) -> Iterator[str]:
    """Yield what is wrong with the columns of a row."""
    for name, about in row.describe().items():
        if found := wrong(name, {about["unit"]}):
            yield f"{row.__module__}.{row.__name__}.{found}"


def in_packages(base: type[Any]) -> list[type[Any]]:
    """Return every subclass of ``base`` that the three packages define."""
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    names = tuple(f"{package.__name__}." for package in PACKAGES)
    return [one for one in _subclasses(base) if one.__module__.startswith(names)]


def _subclasses(base: type[Any]) -> Iterator[type[Any]]:
    for one in base.__subclasses__():
        yield one
        yield from _subclasses(one)


def registered() -> set[type[Settings]]:
    """Return the settings of everything that is registered, a lab's own included."""
    return {kind.settings for group in PLUG_INS for kind in plugins.load_all(group).values()}


def _listed(found: Iterable[str]) -> list[str]:
    return sorted(set(found))


def test_names_and_types_of_all_settings_agree() -> None:
    models = {*in_packages(Settings), *registered(), ProcedureFile, Station}
    assert len(models) > 100
    assert _listed(line for model in models for line in wrong_fields(model)) == []


def test_names_and_units_of_all_columns_of_results_agree() -> None:
    rows = in_packages(Row)
    assert len(rows) > 30
    assert _listed(line for row in rows for line in wrong_columns(row)) == []


def test_names_and_units_of_measured_columns_and_of_what_instruments_say_agree() -> None:
    columns = {(name, unit) for layout in LAYOUTS.values() for name, unit in layout.columns.items()}
    declared = columns | set(READ_BACK_UNITS.items())
    assert len(declared) > 20
    assert _listed(line for name, unit in declared if (line := wrong(name, {unit}))) == []


class Right(Settings):
    """Names that keep to the convention."""

    width_s: Second
    target_conductance_s: Siemens | None = None
    slope_conductance_s_per_v: SiemensPerVolt = 0.0
    fraction: Number = 0.0
    either: PositiveSiemens | Right | None = None
    curve: tuple[tuple[Siemens, Volt], ...] = ()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("target_s", Siemens),
        ("target_conductance", Siemens),
        ("conductance_s", Second),
        ("width_s", Number),
        ("width_s", float),
        ("width_s", float | None),
        ("width_s", tuple[float, ...]),
        ("width", Second),
        ("amplitude_v", Ampere),
        ("target_s", PositiveSiemens | Right),
        ("k_s_per_v", SiemensPerVolt),
        ("curve_v", tuple[tuple[Siemens, Volt], ...]),
    ],
)
def test_a_name_or_a_type_that_is_changed_is_found(name: str, kind: Any) -> None:
    assert list(wrong_fields(Right)) == []
    changed = type("Changed", (Settings,), {"__annotations__": {name: kind}})
    (line,) = wrong_fields(changed)
    assert f"Changed.{name}: " in line


@pytest.mark.parametrize(("name", "unit"), [("low_s", "S"), ("conductance_s", "s"), ("a_v", "A")])
def test_a_column_whose_name_or_unit_is_changed_is_found(name: str, unit: str) -> None:
    changed = type("Changed", (Row,), {"__annotations__": {name: "float"}, name: column(unit, "")})
    (line,) = wrong_columns(dataclass(frozen=True, eq=False)(changed))
    assert f"Changed.{name}: in {unit}" in line
