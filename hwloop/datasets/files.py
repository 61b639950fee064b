"""HDF5 files of measured data: written complete or not at all, and checked when read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hwloop.disk import hdf5_file
from hwloop.errors import ConfigError, RecordError
from hwloop.settings.foreign_hdf5 import open_foreign, trust


def write_complete(path: Path, fill: Callable[[Any], None]) -> None:
    """Create an HDF5 file with ``fill``; it appears under its name only when it is complete.

    Raises :class:`RecordError` if the name is taken or the file cannot be written.
    """

    def write(temporary: Path) -> None:
        with hdf5_file(temporary, "x", durable=True) as file:
            fill(file)

    appear_complete(path, write)


def appear_complete(path: Path, write: Callable[[Path], None]) -> None:
    """Rename what ``write`` writes to a temporary file to ``path`` once it is complete.

    Raises :class:`RecordError` if the name is taken or the file cannot be written.
    """
    # In the same folder: between file systems a rename would be a copy, which can break off.
    if not path.parent.is_dir():
        raise RecordError(f"{path}: there is no folder {path.parent}")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    _refuse_existing(path)
    try:
        write(temporary)
        _refuse_existing(path)  # created in the meantime: a rename would replace it
        temporary.rename(path)
        trust(path)
    except OSError as exc:
        raise RecordError(f"{path}: cannot be written: {exc.strerror or exc}") from None
    finally:
        with suppress(OSError):  # missing after the rename; else the error above matters more
            temporary.unlink(missing_ok=True)


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise RecordError(f"{path}: exists already; choose another name")


@contextmanager
def open_dataset(path: Path, form: str, version: int) -> Iterator[Any]:
    """Open an HDF5 file of the format ``form`` for reading; errors in the block name the file.

    Raises :class:`ConfigError` if the file is missing, damaged, of another format or of a version
    later than ``version``.
    """
    if not path.exists():
        raise ConfigError("there is no such file", file=str(path))
    with open_foreign(path) as file:
        _check_format(file, form, version)
        yield file


def _check_format(file: Any, form: str, version: int) -> None:
    if file.attrs.get("format") != form:
        raise ConfigError(f"not a dataset file ({form}); `hwloop import` makes one")
    written = int(file.attrs.get("format_version", 0))
    if not 1 <= written <= version:
        raise ConfigError(
            f"{written}: this hwloop reads versions up to {version}", key="format_version"
        )


def format_of(path: Path) -> str:
    """Return the attribute ``format`` of an HDF5 file; "" if it has none, or is damaged, or none.

    Whoever then opens a damaged one is told.
    """
    try:
        with open_foreign(path) as file:
            return str(file.attrs.get("format", ""))
    except ConfigError:
        return ""


def attributes(item: Any) -> dict[str, Any]:
    """Return HDF5 attributes as plain Python values, which the settings models validate."""
    return {
        name: value.item() if hasattr(value, "item") and value.ndim == 0 else value
        for name, value in item.attrs.items()
    }
