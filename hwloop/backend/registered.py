"""Backends found by what they can do, so that no caller names one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hwloop import plugins
from hwloop.backend.kind import BackendKind
from hwloop.errors import ConfigError


def backend_kind(name: str) -> BackendKind[Any]:
    """Return the backend registered as ``name``; raises :class:`ConfigError` if there is none."""
    kind: BackendKind[Any] = plugins.load(plugins.BACKENDS, name)
    return kind


def emulator(preferred: str | None = None) -> BackendKind[Any]:
    """Return the backend that emulates twins of an array.

    ``preferred``: the backend that was named, taken where it emulates. Raises
    :class:`ConfigError` where no installed backend emulates, or several do.
    """
    return _only(lambda kind: kind.twins, preferred, "emulates an array")


def backend_taking(setting: str, preferred: str | None = None) -> BackendKind[Any]:
    """Return the backend that has a setting of this name, such as ``"station"``.

    ``preferred``: the backend that was named, taken where it has the setting. Raises
    :class:`ConfigError` where no installed backend has it, or several do.
    """
    return _only(lambda kind: kind.takes(setting), preferred, f"has a setting {setting!r}")


def backend_for(named: str | None, files: Mapping[str, Path | None]) -> str:
    """Return the backend of a run: the one that was named, that of the files, or the emulator.

    ``files``: given on the command line, by the setting that each is for, such as ``"station"``.
    Raises :class:`ConfigError` where a file is for another backend than the one chosen.
    """
    given = [setting for setting, file in files.items() if file is not None]
    chosen = named or (backend_taking(given[0]).name if given else emulator().name)
    for setting in given:
        if not backend_kind(chosen).takes(setting):
            taking = backend_taking(setting).name
            other = f"--backend {chosen}" if named else f"--{given[0]}"
            raise ConfigError(
                f"--{setting} is for backend {taking!r}, which {other} contradicts: leave one out"
            )
    return chosen


def _only(
    fits: Callable[[BackendKind[Any]], bool], preferred: str | None, ability: str
) -> BackendKind[Any]:
    if preferred is not None and fits(named := backend_kind(preferred)):
        return named
    found = [kind for kind in _loadable() if fits(kind)]
    if not found:
        raise ConfigError(f"no installed backend {ability}")
    if len(found) > 1:
        names = ", ".join(kind.name for kind in found)
        raise ConfigError(f"more than one backend {ability}: {names}; choose one with --backend")
    return found[0]


def _loadable() -> Iterator[BackendKind[Any]]:
    """Yield every registered backend, except those whose package cannot be imported."""
    for name in plugins.names(plugins.BACKENDS):
        try:
            kind = backend_kind(name)
        except ConfigError:
            continue
        yield kind
