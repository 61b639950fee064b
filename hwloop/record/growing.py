"""Read a record while a run writes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hwloop.errors import RecordError
from hwloop.file_lock import is_held
from hwloop.record.reader import Record

_ATTEMPTS, _PAUSE_S = 5, 0.1

T = TypeVar("T")


def read_growing(path: Path, read: Callable[[Record], T]) -> T:
    """Return what ``read`` makes of a record, whose run may still be in progress.

    A run that ends changes the file below its readers: then ``read`` is called again, with the
    ended record, so it must not print or keep anything. Raises :class:`RecordError` as
    :class:`Record` does, and what ``read`` raises of a record that did not change meanwhile.
    """
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_S)
        before = _stamp(path)
        try:
            with Record(path, allow_running=True) as record:
                found = read(record)
        except (OSError, RecordError) as exc:
            if _stamp(path) == before:
                raise
            error = exc
            continue
        if record.status != "running" or is_held(path):
            return found
        error = RecordError(f"{path}: changes faster than it can be read; try again")
    if isinstance(error, OSError):
        raise RecordError(f"{path}: cannot be read: {error}") from error
    raise error


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return what tells whether a file has changed; None where it is gone."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_ino, about.st_size, about.st_mtime_ns
