"""A lock on a file between processes, which the operating system releases with the process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hwloop.errors import RecordError

# Windows keeps others from reading what is locked: a byte beyond any content.
_BEYOND = 2**40

if sys.platform == "win32":
    import msvcrt

    def lock(stream: IO[bytes]) -> None:
        """Hold a file for this process alone; raises :class:`OSError` where another holds it."""
        stream.seek(_BEYOND)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)

    def _unlock(stream: IO[bytes]) -> None:
        stream.seek(_BEYOND)
        msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)

    _share = lock  # there is no lock that several hold

else:
    import fcntl

    def lock(stream: IO[bytes]) -> None:
        """Hold a file for this process alone; raises :class:`OSError` where another holds it."""
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(stream: IO[bytes]) -> None:
        fcntl.flock(stream, fcntl.LOCK_UN)

    def _share(stream: IO[bytes]) -> None:
        fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)


def try_lock(stream: IO[bytes]) -> bool:
    """Lock an open file for this process, until it is closed; return False where another has it.

    The content can be read by others meanwhile. The lock belongs to this opening of the file: a
    second one, of the same process too, is refused.
    """
    try:
        lock(stream)
    except (BlockingIOError, PermissionError):
        return False
    return True


def is_held(path: Path) -> bool:
    """Return whether some process holds a file by :func:`lock`; False where there are no locks.

    Raises :class:`OSError` where the file cannot be opened.
    """
    with path.open("rb") as stream:
        try:
            _share(stream)
        except (BlockingIOError, PermissionError):
            return True
        except OSError:  # a file system without locks
            return False
        _unlock(stream)
        return False


@contextmanager
def lock_file(path: Path, in_use: str) -> Iterator[None]:
    """Hold a file, made if need be, for this process alone.

    Raises :class:`RecordError` with the text ``in_use`` where another holds it.
    """
    with path.open("ab") as stream:
        if not try_lock(stream):
            raise RecordError(f"{path}: {in_use}; wait for its end")
        try:
            yield
        finally:
            _unlock(stream)
