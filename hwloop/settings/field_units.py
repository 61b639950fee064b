"""The units of settings, from the types of their fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Protocol, get_args, runtime_checkable

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hwloop.settings.units import Unit


@runtime_checkable
class StatesUnits(Protocol):
    """A value of a setting that is no model itself, such as a plug-in chosen with its settings."""

    def units(self) -> Mapping[str, str]:
        """Return the unit of each of its keys, as :func:`units_of`."""


def unit_of_field(field: FieldInfo) -> str:
    """Return the unit of a field's numbers; "" where its type has none or more than one."""
    found = set(units_in(field))
    return found.pop() if len(found) == 1 else ""


def units_in(field: FieldInfo) -> Iterator[str]:
    """Yield every unit in the type of a field, those of models that stand in it left out."""
    yield from _units((field.annotation, *field.metadata))


def _units(parts: Iterable[Any]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Unit):
            yield part.symbol
        else:
            yield from _units(get_args(part))


def units_of(settings: BaseModel) -> dict[str, str]:
    """Return the unit of each setting by its path: ``{"pulse.width_s": "s", …}``.

    A path has dots between its parts, and a place in a list by its number from 0: where the
    setting stands in ``model_dump()``. Plain numbers are left out.
    """
    found: dict[str, str] = {}
    for name, unit in _units_of_fields(type(settings)).items():
        found |= below(name, _of_value(getattr(settings, name), unit))
    return found


@cache
def _units_of_fields(model: type[BaseModel]) -> dict[str, str]:
    """Return the unit of every field of a model; "" for a plain number, too."""
    units = {name: unit_of_field(field) for name, field in model.model_fields.items()}
    return {name: "" if unit == "1" else unit for name, unit in units.items()}


def below(path: str, units: Mapping[str, str]) -> dict[str, str]:
    """Return ``units`` with every path below another one."""
    return {f"{path}.{key}" if key else path: unit for key, unit in units.items()}


def _of_value(value: object, unit: str) -> dict[str, str]:
    """Return the units of a value by path from there; "" is the value itself."""
    if value is None or isinstance(value, int | float | str):  # most, and quickest to tell
        return {"": unit} if unit else {}
    if isinstance(value, BaseModel):
        return units_of(value)
    found = {"": unit} if unit else {}
    if isinstance(value, list | tuple):
        parts: Iterable[tuple[object, object]] = enumerate(value)
        unit = ""  # the numbers of a list have the unit of the list
    elif isinstance(value, StatesUnits):
        return dict(value.units())
    elif isinstance(value, Mapping):
        parts, found = value.items(), {}
    else:
        return found
    for key, item in parts:
        found |= below(str(key), _of_value(item, unit))
    return found
