"""Contents of data files, kept for the next run of the same process, such as the next of a sweep.

A file is known by its path, size and time of change: one that has changed is read again. What is
kept is bounded; the longest unused goes first.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

from hwloop.settings.array_files import read_arrays
from hwloop.types import FloatArray

KEPT_BYTES = 500_000_000
T = TypeVar("T")
_Identity = tuple[str, int, int]


class Kept(Generic[T]):
    """Values read from files, of ``size(value)`` each, together at most ``bound``."""

    def __init__(self, read: Callable[[Path], T], size: Callable[[T], int], bound: int) -> None:
        self._read, self._size, self._bound = read, size, bound
        self._values: OrderedDict[_Identity, T] = OrderedDict()
        self._lock = Lock()

    def get(self, path: Path) -> T:
        """Return the value of a file, read anew where the file is not the one that was read."""
        known = _identity(path)
        with self._lock:
            if known in self._values:
                self._values.move_to_end(known)
                return self._values[known]
        value = self._read(path)
        if _identity(path) == known and self._size(value) <= self._bound:
            with self._lock:
                self._values[known] = value
                while sum(map(self._size, self._values.values())) > self._bound:
                    self._values.popitem(last=False)
        return value


def _identity(path: Path) -> _Identity:
    found = path.stat()
    return str(path), found.st_size, found.st_mtime_ns


def _read_only(path: Path) -> dict[str, FloatArray]:
    arrays = read_arrays(path)
    for one in arrays.values():
        one.setflags(write=False)
    return arrays


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


_ARRAYS: Kept[dict[str, FloatArray]] = Kept(
    _read_only, lambda arrays: sum(one.nbytes for one in arrays.values()), KEPT_BYTES
)
_DIGESTS: Kept[str] = Kept(_sha256, len, 64 * 1000)


def kept_arrays(path: Path) -> dict[str, FloatArray]:
    """Return every array of a file by name, read-only; see :func:`read_arrays`."""
    return dict(_ARRAYS.get(path))


def kept_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    return _DIGESTS.get(path)
