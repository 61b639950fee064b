"""HDF5 files of measured data: whole or not at all, and checked when read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hwloop.errors import ConfigError, RecordError


def write_complete(path: Path, fill: Callable[[Any], None]) -> None:
    """An HDF5 file that ``fill`` fills; it appears under its name when complete, or not at all."""
    import h5py

    def write(temporary: Path) -> None:
        with h5py.File(temporary, "x") as file:
            fill(file)
            file.flush()
            os.fsync(file.id.get_vfd_handle())  # on the disk before the name is

    appear_complete(path, write)


def appear_complete(path: Path, write: Callable[[Path], None]) -> None:
    """What ``write`` writes to a temporary name appears as ``path``, whole or not at all.

    Raises :class:`RecordError` when the name is taken or cannot be written.
    """
    # In the same folder: between file systems a rename would be a copy, which can break off.
    if not path.parent.is_dir():
        raise RecordError(f"{path}: there is no folder {path.parent}")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    _refuse_existing(path)
    try:
        write(temporary)
        _refuse_existing(path)  # someone may have made it meanwhile, and a rename would replace it
        temporary.rename(path)
    except OSError as exc:
        raise RecordError(f"{path}: cannot be written: {exc.strerror or exc}") from None
    finally:
        with suppress(OSError):  # gone after the rename; if not, the error above matters more
            temporary.unlink(missing_ok=True)


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise RecordError(f"{path}: exists already; choose another name")


@contextmanager
def open_dataset(path: Path, form: str, version: int) -> Iterator[Any]:
    """The HDF5 file of this format; whatever goes wrong while it is read names the file."""
    import h5py

    if not path.is_file():
        raise ConfigError("there is no such file", file=str(path))
    try:
        with h5py.File(path, "r") as file:
            _check_format(file, form, version)
            yield file
    except ConfigError as exc:
        raise exc.below(file=str(path)) from None
    # What h5py raises for a damaged file depends on where the damage is.
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, AttributeError) as exc:
        raise ConfigError(f"damaged, or not an HDF5 file: {exc}", file=str(path)) from None


def _check_format(file: Any, form: str, version: int) -> None:
    if file.attrs.get("format") != form:
        raise ConfigError(f"not a dataset file ({form}); `hwloop import` makes one")
    written = int(file.attrs.get("format_version", 0))
    if not 1 <= written <= version:
        raise ConfigError(
            f"{written}: this hwloop reads versions up to {version}", key="format_version"
        )


def attributes(item: Any) -> dict[str, Any]:
    """Attributes as plain Python values, so that the models check them like any other."""
    return {
        name: value.item() if hasattr(value, "item") and value.ndim == 0 else value
        for name, value in item.attrs.items()
    }
