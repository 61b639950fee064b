"""Calibration files as plain data, by a shipped name or by path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwloop.errors import ConfigError
from hwloop.messages import nearest
from hwloop.plugins import calibration_files
from hwloop.settings.yaml import parse_yaml

_YAML = {".yaml", ".yml"}


def read_calibration(reference: str, folder: Path) -> dict[str, Any]:
    """Read a calibration by its shipped name, or by a path relative to ``folder``.

    Raises :class:`ConfigError` if there is none, or if the file is not a YAML mapping.
    """
    path = folder / reference
    if path.suffix in _YAML:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
            raise ConfigError(f"calibration {path} cannot be read: {reason}") from None
    else:
        known = {file.name.removesuffix(".yaml"): file for file in calibration_files()}
        if reference not in known:
            raise ConfigError(
                f"there is no calibration {reference!r}{nearest(reference, known)}; a file of your"
                " own ends in .yaml"
            )
        text = known[reference].read_text(encoding="utf-8")
    try:
        found = parse_yaml(text)
    except ConfigError as exc:
        raise exc.below(file=reference) from None
    if not isinstance(found, dict):
        raise ConfigError("not a calibration; `hwloop calibrate` makes one", file=reference)
    return found
