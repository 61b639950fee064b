"""The disk at work while a run goes on, so that little is left for the synchronisation at the end.

The operating system itself keeps what is written in memory for half a minute before it begins to
write it out. Linux begins at once where asked by ``sync_file_range`` with
``SYNC_FILE_RANGE_WRITE``, which neither waits nor makes anything safe: an error of the disk stays
with the open file until its next ``fsync``, which raises it. Source: sync_file_range(2) and
fsync(2), Linux man-pages 6.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache

_WRITE = 2  # SYNC_FILE_RANGE_WRITE
_STEP_BYTES = 4 * 2**20
"""Bytes between two requests."""


class WriteBack:
    """Count of the bytes written to an open file, which the disk begins to take every few MB.

    ``descriptor``: of the file. On a system without such a request nothing is asked for.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._waiting_bytes = descriptor, 0

    def wrote(self, count: int) -> None:
        """Take note of so many more bytes; ask the system to begin with them where it is due."""
        self._waiting_bytes += count
        if self._waiting_bytes >= _STEP_BYTES:
            self._waiting_bytes = 0
            if begin := _sync_file_range():
                begin(self._descriptor, 0, 0, _WRITE)  # its failure is that of the next fsync


@cache
def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    """Return the request of the C library of Linux; None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    try:
        found = ctypes.CDLL(None).sync_file_range
    except (AttributeError, OSError):
        return None
    found.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    request: Callable[[int, int, int, int], int] = found
    return request
