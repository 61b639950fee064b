"""Open, copy, place and replace the file of a record, so that its name always has a whole one."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import h5py

from hwloop.disk import set_aside, with_bounded_cache
from hwloop.file_lock import lock

_REPLACE_PATIENCE_S = 2.0


def copy_of_open(
    source: int, target: Path, room: int, *, unused: Iterable[tuple[int, int]] = ()
) -> None:
    """Copy an open file into space that is set aside first, with ``room`` for what is to be added.

    ``unused``: begins and ends of what nothing was written to, which need not be copied.

    ext4 begins to write a file out when it replaces another by rename, unless its place on the
    disk is known by then; setting it aside takes a quarter of that time. Where the disk is full,
    it also shows before anything is copied.
    """
    with target.open("wb") as taken:
        if not sys.platform.startswith("linux"):
            os.lseek(source, 0, os.SEEK_SET)
            with os.fdopen(source, "rb", closefd=False) as given:
                shutil.copyfileobj(given, taken)
            return
        size = os.fstat(source).st_size
        set_aside(taken.fileno(), size + room)
        if os.fstat(taken.fileno()).st_size < size:  # where no space can be set aside
            os.ftruncate(taken.fileno(), size)
        for begin, end in _used(size, unused):
            os.lseek(taken.fileno(), begin, os.SEEK_SET)
            done = begin
            while done < end:
                sent = os.sendfile(taken.fileno(), source, done, end - done)
                if not sent:
                    raise OSError(
                        errno.EIO, f"the file ended at {done} of {size} bytes while copied"
                    )
                done += sent


def _used(size: int, unused: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield begins and ends of what lies between the unused parts of a file, in order."""
    done = 0
    for begin, end in sorted(unused):
        if begin > done:
            yield done, min(begin, size)
        done = max(done, end)
    if done < size:
        yield done, size


def open_locked(path: Path) -> tuple[BinaryIO, h5py.File]:
    """Open a file for writing in place, locked, and its structure for reading.

    HDF5 itself has it open for reading only: on closing it would write once more.
    """
    stream = path.open("r+b", buffering=0)
    try:
        # Someone may read the file just now, or the file system has no locks. The run must not end
        # for that, and the reader comes to no harm: the structure does not change below it.
        with contextlib.suppress(OSError):
            lock(stream)
        return stream, with_bounded_cache(h5py.File(path, "r", locking=False))
    except BaseException:
        stream.close()
        raise


def place_new(draft: Path, path: Path) -> None:
    """Move a draft to ``path``; raises :class:`FileExistsError` where a file is there."""
    try:
        os.link(draft, path)  # the one move that never overwrites, on any platform
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if path.exists():
            raise FileExistsError from None
        replace_at_once(draft, path)


def place_beside(draft: Path, path: Path) -> Path:
    """Move a draft to a free name beside ``path``, and return it."""
    for number in itertools.count(1):
        kept = path.with_name(f"{path.stem}.kept{number}{path.suffix}")
        try:
            place_new(draft, kept)
        except FileExistsError:
            continue
        return kept
    raise AssertionError("numbers do not end")


def replace_at_once(draft: Path, path: Path) -> None:
    """Put a draft in the place of a file, at once."""
    give_up = time.monotonic() + _REPLACE_PATIENCE_S
    while True:
        try:
            draft.replace(path)
        except PermissionError:
            # On Windows, as long as a virus scanner or an indexer looks at the file.
            if time.monotonic() > give_up:
                raise
            time.sleep(0.02)
        else:
            return
