"""Find and read calibrations: shipped ones by name, one's own by path."""

from __future__ import annotations

from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, ValidationInfo

from hwloop.config import parse_yaml
from hwloop.dataset import ConductanceTable, read_dataset
from hwloop.errors import ConfigError, HwloopError
from hwloop.naming import nearest
from hwloop.plugins import calibration_files


def shipped() -> dict[str, Traversable]:
    """Name → file of every calibration that an installed package brings."""
    return {file.name.removesuffix(".yaml"): file for file in calibration_files()}


def load_table(reference: str, folder: Path) -> ConductanceTable:
    """A pulse table by its shipped name, or from a ``.yaml`` or ``.h5`` file.

    A path is relative to ``folder``. Raises :class:`ConfigError` with the nearest name, or with
    the file and what is wrong in it.
    """
    path = folder / reference
    if path.suffix in {".yaml", ".yml"}:
        return _parse(_text(path), str(path))
    if path.suffix in {".h5", ".hdf5"}:
        return read_dataset(path)
    known = shipped()
    if reference not in known:
        raise ConfigError(f"there is no calibration {reference!r}{nearest(reference, known)}")
    return _parse(known[reference].read_text(encoding="utf-8"), reference)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"cannot be read: {exc.strerror}", file=str(path)) from None
    except UnicodeDecodeError:
        raise ConfigError("cannot be read: it is not UTF-8 text", file=str(path)) from None


def _parse(text: str, name: str) -> ConductanceTable:
    try:
        return ConductanceTable.parse(parse_yaml(text))
    except ConfigError as exc:
        raise exc.below(file=name) from None


def _load(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    try:
        return load_table(value, Path((info.context or {}).get("folder", ".")))
    except HwloopError as exc:
        raise ValueError(str(exc)) from None


TableReference = Annotated[ConductanceTable, BeforeValidator(_load)]
"""A pulse table: by name, by path, or written out."""
