"""An HDF5 file that is whole at every moment.

HDF5 changes its structure (a new dataset, a longer one, an attribute) by several writes, between
which the file cannot be read. So the structure is changed in a copy, which then takes the file's
place at once. Between two such changes only the bytes of a row and of a counter are written, in
place and straight to the operating system. Datasets double their length, so that a run of n rows
is copied about log2(n) times.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from hwloop.errors import RecordError
from hwloop.settings.foreign_hdf5 import trust

_REPLACE_PATIENCE_S = 2.0

Placed = tuple[int, memoryview]
"""An offset in the file, bytes, and what stands there."""


class RecordFile:
    """File that any HDF5 reader can open, whenever the writing process is killed.

    ``begin`` writes what the file holds from the first moment that it exists. Raises
    :class:`RecordError` where the file exists already or cannot be written.
    """

    def __init__(self, path: Path, begin: Callable[[h5py.File], None]) -> None:
        self.path = path
        self.changes = 0
        # The process id keeps two runs that were given one name from writing into one draft.
        self._draft = path.with_name(f"{path.name}.{os.getpid()}.new")
        self._changing: h5py.File | None = None
        self._has_durable_rows = False
        with self._our_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                raise FileExistsError
            try:
                with h5py.File(self._draft, "w") as file:
                    begin(file)
                sync(self._draft)
                _place_new(self._draft, path)
            finally:
                self._draft.unlink(missing_ok=True)
            self._file = _open(path)

    @property
    def file(self) -> h5py.File:
        """Return the open file: for values written in place, not for changes of its structure."""
        return self._file

    @contextmanager
    def changing(self, *, room: int = 0) -> Iterator[h5py.File]:
        """Change the structure: everything done to the yielded file appears at once, or not at all.

        ``room``: bytes that the change is about to add.
        """
        if self._changing is not None:
            yield self._changing
            return
        with self._our_errors():
            # Closed first: Windows neither copies nor replaces a file that is locked.
            self._file.close()
            try:
                _copy(self.path, self._draft, room)
                with h5py.File(self._draft, "r+") as self._changing:
                    yield self._changing
                if self._has_durable_rows:
                    sync(self._draft)
                _replace(self._draft, self.path)
            finally:
                self._changing = None
                self.changes += 1
                self._draft.unlink(missing_ok=True)
                self._file = _open(self.path)

    def write(self, places: Iterable[Placed]) -> None:
        """Write bytes in place, in order, past HDF5, which must not have read them before.

        The operating system has them at once, and keeps them if this process is killed.
        """
        with self._our_errors():
            descriptor = self._file.id.get_vfd_handle()
            for offset, values in places:
                _write_at(descriptor, offset, values)

    def sync(self) -> None:
        """Flush everything to the disk, so that it survives a power failure."""
        with self._our_errors():
            sync(self.path)
            # From now on a copy must be on the disk before it takes this file's place: else a
            # loss of power could take rows that were safe. Before, there is nothing to lose.
            self._has_durable_rows = True

    def close(self) -> None:
        """Close the file; may be called again."""
        if self._file:
            self._file.close()
            trust(self.path)

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except FileExistsError:
            raise RecordError(
                f"{self.path}: exists already; choose another name with --out"
            ) from None
        except OSError as exc:
            raise RecordError(f"{self.path}: cannot be written: {exc}") from exc


def _copy(source: Path, target: Path, room: int) -> None:
    """Copy a file into space that is set aside first, with ``room`` for what is to be added.

    ext4 begins to write a file out when it replaces another by rename, unless its place on the
    disk is known by then; setting it aside takes a quarter of that time. Where the disk is full,
    it also shows before anything is copied.
    """
    if not sys.platform.startswith("linux"):
        shutil.copyfile(source, target)
        return
    with source.open("rb") as given, target.open("wb") as taken:
        size, done = os.fstat(given.fileno()).st_size, 0
        try:
            os.posix_fallocate(taken.fileno(), 0, size + room)
        except OSError as exc:
            if exc.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # a file system without it
                raise
        while done < size:
            sent = os.sendfile(taken.fileno(), given.fileno(), done, size - done)
            if not sent:
                raise OSError(errno.EIO, f"{source} ended at {done} of {size} bytes while copied")
            done += sent


def _write_at(descriptor: int, offset: int, values: memoryview) -> None:
    """Write values at an offset of an open file."""
    written = _pwrite(descriptor, values, offset)
    if written < values.nbytes:  # interrupted, or the disk is full, as the next attempt will tell
        whole = values.tobytes()
        while written < len(whole):
            written += _pwrite(descriptor, whole[written:], offset + written)


def _seek_and_write(descriptor: int, values: bytes | memoryview, offset: int) -> int:
    """Write at an offset and restore the position, as ``os.pwrite``, which Windows lacks."""
    position = os.lseek(descriptor, 0, os.SEEK_CUR)
    try:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.write(descriptor, values)
    finally:
        os.lseek(descriptor, position, os.SEEK_SET)


_pwrite: Callable[[int, bytes | memoryview, int], int] = getattr(os, "pwrite", _seek_and_write)


def sync(path: Path) -> None:
    """Flush a file from the operating system's memory to the disk."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def _open(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r+")
    except BlockingIOError:
        # Someone reads the file just now. The run must not end for that, and the reader comes to
        # no harm, since the structure does not change below it.
        return h5py.File(path, "r+", locking=False)


def _place_new(draft: Path, path: Path) -> None:
    """Move a draft to ``path``; raises :class:`FileExistsError` where a file is there."""
    try:
        os.link(draft, path)  # the one move that never overwrites, on any platform
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if path.exists():
            raise FileExistsError from None
        _replace(draft, path)


def _replace(draft: Path, path: Path) -> None:
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
