"""Find which keys a settings model knows at a place of a file, to suggest the right one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel


def known_keys(model: type[BaseModel], place: Sequence[str | int]) -> list[str]:
    """Return the keys that ``model`` knows at ``place``, sorted; none where anything is allowed.

    ``place``: keys and list indices from the top of the model down, as pydantic reports the
    location of an error; the names and tags with which it marks the member of a union are skipped.

    >>> known_keys(ArraySettings, ("limits",))
    ['current_a', 'gate_v', 'half_select_v', …]
    """
    return sorted({name for found in _models_at(model, tuple(place)) for name in _names(found)})


def _names(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name


def _models_at(annotation: Any, place: tuple[str | int, ...]) -> Iterator[type[BaseModel]]:
    """Yield every model that a mapping at ``place`` below ``annotation`` may be of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _below_model(annotation, place)
        return
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (None, Literal):
        return
    if isinstance(origin, type) and issubclass(origin, Mapping | Sequence):
        if place and str(place[0]).startswith(f"{origin.__name__}["):  # marks a union's member
            place = place[1:]
        if place:  # one part of the place is the key or the index
            for argument in arguments:
                yield from _models_at(argument, place[1:])
        return
    for argument in arguments:  # a union, or an annotated type and its validators
        yield from _models_at(argument, place)


def _below_model(model: type[BaseModel], place: tuple[str | int, ...]) -> Iterator[type[BaseModel]]:
    if place and (place[0] == model.__name__ or _has_tag(model, place[0])):
        place = place[1:]
    if not place:
        yield model
        return
    field = model.model_fields.get(str(place[0]))
    if field is not None:
        yield from _models_at(field.annotation, place[1:])


def _has_tag(model: type[BaseModel], part: str | int) -> bool:
    """Return whether a field of ``model`` can only be ``part``, as the tag of a union is."""
    return part not in model.model_fields and any(
        get_args(field.annotation) == (part,)
        for field in model.model_fields.values()
        if get_origin(field.annotation) is Literal
    )
