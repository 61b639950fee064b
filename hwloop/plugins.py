"""Find backends, steps, device models, calibrations and readers: ours and a lab's, one door."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from hwloop.errors import ConfigError
from hwloop.messages import nearest

__all__ = [
    "BACKENDS",
    "CALIBRATIONS",
    "COMMANDS",
    "DEVICES",
    "EFFECTS",
    "EVIDENCE",
    "INSTRUMENTS",
    "READERS",
    "STEPS",
    "calibration_files",
    "load",
    "load_all",
    "names",
]

BACKENDS = "hwloop.backends"


STEPS = "hwloop.steps"


DEVICES = "hwloop.devices"


EFFECTS = "hwloop.effects"


READERS = "hwloop.readers"


CALIBRATIONS = "hwloop.calibrations"


INSTRUMENTS = "hwloop.instruments"


COMMANDS = "hwloop.commands"


EVIDENCE = "hwloop.evidence"


@cache
def _points(group: str) -> tuple[EntryPoint, ...]:
    """Return the entry points of every installed package; cached, since reading takes 20 ms."""
    return tuple(entry_points(group=group))


def names(group: str) -> list[str]:
    """Return the names registered in an entry point group, sorted."""
    return sorted({point.name for point in _points(group)})


def load(group: str, name: str) -> Any:
    """Return the object that is registered as ``name``.

    Raises :class:`ConfigError` with the nearest name when there is none, and with the reason
    when its package cannot be imported.
    """
    found = [point for point in _points(group) if point.name == name]
    kind = group.removeprefix("hwloop.").removesuffix("s")
    if not found:
        raise ConfigError(f"there is no {kind} {name!r}{nearest(name, names(group))}")
    if len({point.value for point in found}) > 1:
        places = ", ".join(sorted({point.value for point in found}))
        raise ConfigError(f"{kind} {name!r} is registered more than once: {places}")
    return _load(found[0], kind)


def load_all(group: str) -> dict[str, Any]:
    """Return every object of a group by its name."""
    return {name: load(group, name) for name in names(group)}


def calibration_files() -> Iterator[Traversable]:
    """Yield the calibration files of every package registered to hold some, sorted by name."""
    for point in sorted(_points(CALIBRATIONS), key=lambda point: point.value):
        folder = files(point.value)
        yield from sorted(
            (file for file in folder.iterdir() if file.name.endswith(".yaml")),
            key=lambda file: file.name,
        )


def _load(point: EntryPoint, kind: str) -> Any:
    try:
        return point.load()
    except (ImportError, AttributeError) as exc:
        raise ConfigError(f"{kind} {point.name!r} ({point.value}) cannot be loaded: {exc}") from exc
