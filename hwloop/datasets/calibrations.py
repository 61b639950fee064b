"""Read calibration files as plain data, by a shipped name or by path.

The parameters in them mean something to the backend that emulates with them, and to no one else.
"""

from __future__ import annotations

from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from hwloop.errors import ConfigError
from hwloop.messages import nearest
from hwloop.plugins import calibration_files
from hwloop.settings.yaml import parse_yaml, read_text, read_yaml

YAML_SUFFIXES = (".yaml", ".yml")
HDF5_SUFFIXES = (".h5", ".hdf5")


def shipped() -> dict[str, Traversable]:
    """Return name → file of every calibration that an installed package ships."""
    return {file.name.removesuffix(".yaml"): file for file in calibration_files()}


def read_calibration(reference: str, folder: Path) -> tuple[str, dict[str, Any]]:
    """Return the name of a calibration for messages, and its content.

    ``reference``: a shipped name, or the path of a ``.yaml`` file relative to ``folder``. Raises
    :class:`ConfigError` with the nearest name, or with the file and what is wrong in it.
    """
    path = folder / reference
    if path.suffix in YAML_SUFFIXES:
        name, found = str(path), read_yaml(path)
    else:
        known = shipped()
        if reference not in known:
            raise ConfigError(
                f"there is no calibration {reference!r}{nearest(reference, known)}; a file of your"
                " own ends in .yaml"
            )
        name, found = reference, parse_yaml(read_text(known[reference]), file=reference)
    if not isinstance(found, dict):
        raise ConfigError("not a calibration; `hwloop calibrate` makes one", file=name)
    return name, found


def covered_range(reference: str, folder: Path) -> dict[str, Any]:
    """Return ``low_conductance_s`` and ``high_conductance_s`` that a calibration's data covered.

    They stand under ``validity`` as written there, in siemens. Raises :class:`ConfigError` where
    the calibration cannot be read or does not state them.
    """
    _, found = read_calibration(reference, folder)
    validity = found.get("validity") or {}
    ends = {key: validity.get(key) for key in ("low_conductance_s", "high_conductance_s")}
    if None in ends.values():
        raise ConfigError(
            f"{reference} does not say which conductances its data covered"
            " (validity.low_conductance_s and"
            " high_conductance_s): write the range out"
        )
    return ends
