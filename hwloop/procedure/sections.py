"""Options of the command line that belong into a backend's section of the procedure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwloop.backend.registered import backend_taking, emulator
from hwloop.errors import ConfigError


def file_override(setting: str, file: Path, backend: str | None = None) -> str:
    """Return the override that gives a file to the backend that has such a setting.

    ``file_override("station", path)`` is ``"backends.NAME.station=/full/path"``. ``backend``: the
    backend that was named, preferred where it has the setting. Raises :class:`ConfigError` where
    no backend has it.
    """
    kind = backend_taking(setting, backend)
    return f"backends.{kind.name}.{setting}={file.resolve().as_posix()}"


def calibration_override(
    data: Mapping[str, Any], reference: str, backend: str | None = None
) -> str:
    """Return the override that puts a calibration in the place of the emulated device.

    ``data``: the procedure as plain data, whose section of the emulator is taken over as far as
    the emulator says. ``reference``: a shipped name, or a path. ``backend``: the backend that was
    named, preferred where it emulates. Raises :class:`ConfigError` where there is no such
    calibration.
    """
    kind = emulator(backend)
    if kind.with_calibration is None:
        raise ConfigError(f"backend {kind.name!r} takes no calibration")
    section = (data.get("backends") or {}).get(kind.name) or {}
    return f"backends.{kind.name}={json.dumps(kind.with_calibration(section, reference))}"
