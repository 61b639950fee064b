"""HDF5 files on a disk that may fail, be full or be taken away.

HDF5 cannot let go of a file whose last bytes it could not write: it keeps the file open, tries once
more when the process ends, and crashes it then. So its bytes go through :class:`_Through`, which
tells HDF5 that all went well, and the error is raised when HDF5 has closed the file. What was
written until then is to be thrown away.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from hwloop.errors import RecordError

if TYPE_CHECKING:
    import h5py

_STRUCTURE_BYTES = 2**18
"""Of a file's structure, as many bytes are kept in memory; HDF5 itself would keep up to 32 MiB."""
_COLLECTED_BYTES = 2**16
"""Of neighbouring small writes, about as many bytes are collected before they are written."""
_IMAGE_STEP_BYTES = 2**17  # by which the image of a new file grows in memory
_OF_SYSTEM = {"r": "rb", "r+": "r+b", "w": "w+b", "x": "x+b"}


Placed: TypeAlias = tuple[int, memoryview]
"""An offset in a file, bytes, and what stands there."""

LayOut: TypeAlias = Callable[[bytearray], tuple[int, list[Placed]]]
"""Change the image of a file; the size of the file, and what it holds besides the image."""


def new_hdf5_file(
    path: Path, begin: Callable[[h5py.File], None], lay_out: LayOut, *, durable: bool
) -> None:
    """Write a new HDF5 file of the oldest format, made in memory, in room that is set aside.

    So its structure is written by one call of the system, not by some hundreds. ``begin`` makes
    what HDF5 makes, and ``lay_out`` what is to be changed in the image then, while HDF5 can tell
    where its structure stands. ``durable``: whether the file is on the disk at the end. Raises
    :class:`OSError`.
    """
    import h5py

    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    access.set_libver_bounds(h5py.h5f.LIBVER_EARLIEST, h5py.h5f.LIBVER_V18)
    access.set_fapl_core(_IMAGE_STEP_BYTES, False)
    with h5py.File(h5py.h5f.create(b"image", h5py.h5f.ACC_TRUNC, fapl=access)) as file:
        begin(file)
        file.flush()
        image = bytearray(file.id.get_file_image())
        size, others = lay_out(image)
    with path.open("wb", buffering=0) as stream:
        os.ftruncate(stream.fileno(), size)
        set_aside(stream.fileno(), size)
        for at, values in ((0, memoryview(image)), *others):
            write_at(stream.fileno(), at, values)
        if durable:
            os.fsync(stream.fileno())


@contextmanager
def hdf5_file(
    path: Path,
    mode: Literal["r", "r+", "w", "x"],
    *,
    durable: bool = False,
    compact: bool = False,
    room: int = 0,
) -> Iterator[h5py.File]:
    """Open an HDF5 file; an error of the disk is raised when the block has ended.

    ``mode``: as that of :class:`h5py.File`. ``durable``: whether the file is on the disk at the
    end. ``compact``: in the format of HDF5 1.8, whose groups and attributes take less room than
    those of the oldest one; by default in that, whatever the version of HDF5. ``room``: bytes that
    the block is about to write, see :func:`set_aside`. Raises :class:`OSError` as the operating
    system gave it, in place of whatever the block raised because of it.
    """
    with path.open(_OF_SYSTEM[mode], buffering=0) as stream:
        through = _Through(stream)
        try:
            with _open(through, mode, compact=compact) as file:
                if room:  # not before: HDF5 takes what is in the file already for one of its own
                    set_aside(stream.fileno(), room)
                yield file
        finally:
            through.pass_on()
            if through.error is not None:
                raise through.error
        if durable:
            os.fsync(stream.fileno())


def set_aside(descriptor: int, size: int) -> None:
    """Set room on the disk aside for ``size`` bytes of an open file, where the system can.

    Writing into it takes little more than half of the time, and a full disk shows before anything
    is written. The file has that length from then on.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as exc:
        if exc.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # a file system without it
            raise


def with_bounded_cache(file: h5py.File) -> h5py.File:
    """Bound what HDF5 keeps in memory of a file's structure, which grows with its chunks."""
    config = file.id.get_mdc_config()
    config.set_initial_size = True
    config.initial_size = config.min_size = config.max_size = _STRUCTURE_BYTES
    file.id.set_mdc_config(config)
    return file


def _open(through: _Through, mode: str, *, compact: bool) -> h5py.File:
    import h5py

    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    try:
        access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
        oldest, newest = h5py.h5f.LIBVER_EARLIEST, h5py.h5f.LIBVER_V18
        access.set_libver_bounds(newest if compact else oldest, newest)
        access.set_fileobj_driver(h5py.h5fd.fileobj_driver, through)
        name = hex(id(through)).encode("ascii")
        if mode in ("w", "x"):
            made = h5py.h5f.create(name, h5py.h5f.ACC_TRUNC, fapl=access)
            return with_bounded_cache(h5py.File(made))
        flags = h5py.h5f.ACC_RDONLY if mode == "r" else h5py.h5f.ACC_RDWR
        return with_bounded_cache(h5py.File(h5py.h5f.open(name, flags, fapl=access)))
    finally:
        # Else it would be freed when the process ends, after Python has: where a file could not
        # be opened, h5py leaves that to HDF5.
        access.close()


class _Through:
    """A file in the form that h5py takes, which keeps the first error and goes on.

    HDF5 writes its structure in some hundreds of small pieces, most of them neighbours: these are
    collected, and given to the operating system together.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._descriptor = stream.fileno()
        self._at = 0
        self._collected, self._collected_at = bytearray(), 0
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        """Return nothing: h5py asks for the method, and calls :meth:`readinto`."""
        raise NotImplementedError(size)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; with zeros where the file has ended or cannot be read."""
        self.pass_on()
        into = memoryview(buffer).cast("B")
        done = 0
        with self._kept_error():
            self._stream.seek(self._at)
            while count := _some_into(self._stream, into[done:]):
                done += count
        into[done:] = bytes(into.nbytes - done)
        self._at += into.nbytes
        return into.nbytes

    def write(self, values: Any) -> int:
        """Write bytes, at the latest with the next :meth:`pass_on`, unless an error came before."""
        view = memoryview(values).cast("B")
        at, size = self._at, view.nbytes
        self._at = at + size
        if self.error is not None:
            return size
        try:
            collected = self._collected
            if at != self._collected_at + len(collected) or len(collected) > _COLLECTED_BYTES:
                self.pass_on()
                self._collected_at = at
            if size > _COLLECTED_BYTES:
                self.pass_on()
                write_at(self._descriptor, at, view)
                self._collected_at = at + size
            else:
                collected += view
        except BaseException as exc:  # noqa: BLE001 - as in _kept_error
            self._keep(exc)
        return size

    def pass_on(self) -> None:
        """Give what is collected to the operating system."""
        if not self._collected:
            return
        with self._kept_error():
            try:
                if self.error is None:
                    write_at(
                        self._descriptor, self._collected_at, memoryview(bytes(self._collected))
                    )
            finally:
                self._collected_at += len(self._collected)
                self._collected.clear()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position of the next call; from the end with ``os.SEEK_END``."""
        if whence == os.SEEK_END:
            end = self._collected_at + len(self._collected)
            with self._kept_error():
                end = max(end, os.fstat(self._descriptor).st_size)
            offset += end
        self._at = offset
        return offset

    def tell(self) -> int:
        """Return the position of the next call."""
        return self._at

    def truncate(self, size: int) -> int:
        """Set the size of the file, unless an error came before."""
        self.pass_on()
        if self.error is None:
            with self._kept_error():
                os.ftruncate(self._descriptor, size)
        return size

    def flush(self) -> None:
        """Give what is collected to the operating system."""
        self.pass_on()

    @contextmanager
    def _kept_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException as exc:  # noqa: BLE001 - also Ctrl-C: raised when HDF5 has closed
            self._keep(exc)

    def _keep(self, error: BaseException) -> None:
        self.error = self.error or error


def _some_into(stream: Any, buffer: memoryview) -> int:
    return int(stream.readinto(buffer))


def read_into(stream: Any, offset: int, buffer: memoryview) -> None:
    """Fill a buffer from an offset of an unbuffered stream.

    Raises :class:`OSError` where that cannot be read, or the file ends before.
    """
    done = 0
    stream.seek(offset)
    while done < buffer.nbytes:
        count = _some_into(stream, buffer[done:])
        if not count:
            raise OSError(errno.EIO, f"the file ends at {offset + done} bytes")
        done += count


def write_at(descriptor: int, offset: int, values: memoryview) -> None:
    """Write values at an offset of an open file; raises :class:`OSError`."""
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


def read_at(descriptor: int, offset: int, size: int) -> bytes:
    """Return at most ``size`` bytes at an offset of an open file; raises :class:`OSError`."""
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, size)


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Raise an error of the disk in the block as :class:`RecordError`, with the file's name."""
    try:
        yield
    except OSError as exc:
        raise RecordError(f"{path}: cannot be written: {exc.strerror or exc}") from exc


def sync(path: Path) -> None:
    """Flush a file from the operating system's memory to the disk."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
