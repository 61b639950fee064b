"""An HDF5 file that is whole at every moment.

HDF5 changes its structure (a new dataset, a longer one, an attribute) by several writes, between
which the file cannot be read. So the structure is changed in a copy, which then takes the file's
place at once. Between two such changes only the bytes of a row and of a counter are written, in
place and straight to the operating system. Datasets double their length, so that a run of n rows
is copied about log2(n) times.

Others may replace, delete, move, cut or overwrite the file meanwhile. The open file is compared
with what has its name before each change and each synchronisation, and wherever HDF5 cannot make
sense of it; where they differ, the run does not go on.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np

from hwloop.disk import (
    LayOut,
    Placed,
    hdf5_file,
    new_hdf5_file,
    read_at,
    read_into,
    sync,
    write_at,
)
from hwloop.errors import RecordError
from hwloop.record.storage.in_place import end_place
from hwloop.record.storage.packing import Copy
from hwloop.record.storage.replacing import (
    copy_of_open,
    open_locked,
    place_beside,
    place_new,
    replace_at_once,
)
from hwloop.record.storage.write_back import WriteBack
from hwloop.settings.foreign_hdf5 import trust

_PIECE_BYTES = 2**20  # copied at a time: they stay in the processor's cache
_HEAD_BYTES = 48  # of HDF5's superblock, which no row that is written in place touches


class RecordFile:
    """File that any HDF5 reader can open, whenever the writing process is killed.

    ``begin`` writes what the file holds from the first moment that it exists, into its image in
    memory; ``lay_out`` then makes places in it that HDF5 is not asked for. ``holds``: what is safe
    in the file by now, for the message of an error. ``durable``: whether
    this is on the disk before anything else happens, or with the next :meth:`sync`. Raises
    :class:`RecordError` where the file exists already, cannot be written, or is not the one that
    has its name any more; in the last case ``path`` is that of a copy from then on.
    """

    _file: h5py.File

    def __init__(
        self,
        path: Path,
        begin: Callable[[h5py.File], None],
        *,
        lay_out: LayOut = lambda image: (len(image), []),
        holds: Callable[[], str] = lambda: "",
        durable: bool = True,
    ) -> None:
        self.path = path
        self.changes = 0
        self._descriptor = -1
        self._holds: Callable[[], str] = lambda: ""
        # The process id keeps two runs that were given one name from writing into one draft.
        self._draft = path.with_name(f"{path.name}.{os.getpid()}.new")
        self._changing: h5py.File | None = None
        self._has_durable_rows = False
        self._last: tuple[int, bytes] | None = None
        with self._our_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                raise FileExistsError
            try:
                new_hdf5_file(self._draft, begin, lay_out, durable=durable)
                place_new(self._draft, path)
            finally:
                self._draft.unlink(missing_ok=True)
            self._take(*open_locked(path))
        self._holds = holds

    @property
    def file(self) -> h5py.File:
        """Return the open file: for values written in place, not for changes of its structure."""
        return self._file

    @contextmanager
    def changing(
        self, *, room: int = 0, unused: Iterable[tuple[int, int]] = ()
    ) -> Iterator[h5py.File]:
        """Change the structure: everything done to the yielded file appears at once, or not at all.

        ``room``: bytes that the change is about to add. ``unused``: begins and ends of what
        nothing was written to.
        """
        if self._changing is not None:
            yield self._changing
            return
        with self._our_errors(), self._drafting(), self._readable():
            copy_of_open(self._descriptor, self._draft, room, unused=unused)
            with hdf5_file(self._draft, "r+") as self._changing:
                yield self._changing
            if self._has_durable_rows:
                sync(self._draft)

    @contextmanager
    def rewriting(self, *, room: int) -> Iterator[tuple[h5py.File, h5py.File, Copy]]:
        """Write the file anew: yields it as it is, and an empty one that takes its place.

        And what copies bytes from the one to the other, to where HDF5 has set room aside.
        ``room``: about how many bytes the new file is going to have.
        """
        with (
            self._our_errors(),
            self._drafting(),
            self._readable(),
            self._read_anew() as file,
            hdf5_file(self._draft, "w", durable=True, compact=True, room=room) as anew,
            self._draft.open("r+b", buffering=0) as target,
        ):
            piece = memoryview(bytearray(_PIECE_BYTES))
            write_back = WriteBack(target.fileno())

            def copy(at: int, to: int, size: int) -> None:
                for done in range(0, size, _PIECE_BYTES):
                    part = piece[: min(size - done, _PIECE_BYTES)]
                    read_into(self._stream, at + done, part)
                    write_at(target.fileno(), to + done, part)
                    write_back.wrote(part.nbytes)

            yield file, anew, copy

    def _read_anew(self) -> AbstractContextManager[h5py.File]:
        """Open the structure again: what HDF5 has read of it before may have been written since."""
        self._file.close()
        self._file = h5py.File(self.path, "r", locking=False)
        return nullcontext(self._file)

    @contextmanager
    def reading(self) -> Iterator[h5py.File]:
        """Read the structure of the open file; what is damaged in it is a :class:`RecordError`."""
        with self._our_errors(), self._readable():
            yield self._file

    def write(self, places: Iterable[Placed]) -> None:
        """Write bytes in place, in order, past HDF5, which must not have read them before.

        The operating system has them at once, and keeps them if this process is killed.
        """
        with self._our_errors():
            now = os.fstat(self._descriptor)
            if not now.st_nlink or now.st_size < self._size:
                self._refuse_displaced()
            self._last = None
            last: Placed | None = None
            for last in places:
                write_at(self._descriptor, *last)
                self._write_back.wrote(last[1].nbytes)
            if last is not None:
                self._last = last[0], last[1].tobytes()

    def cut(self, end: int) -> None:
        """Cut off what stands behind an offset: the superblock says so first.

        HDF5 refuses a file that is shorter than this says, and does not mind a longer one.
        """
        self.write([(end_place(self.bytes_at), np.array(end, "<u8").data)])
        with self._our_errors():
            os.ftruncate(self._descriptor, end)
            self._size, self._head = end, read_at(self._descriptor, 0, _HEAD_BYTES)

    def bytes_at(self, offset: int, size: int) -> bytes:
        """Return bytes of the open file."""
        with self._our_errors():
            return read_at(self._descriptor, offset, size)

    def sync(self) -> None:
        """Flush everything to the disk, so that it survives a power failure."""
        with self._our_errors():
            self._refuse_displaced()
            os.fsync(self._descriptor)
            # From now on a copy must be on the disk before it takes this file's place: else a
            # loss of power could take rows that were safe. Before, there is nothing to lose.
            self._has_durable_rows = True

    def close(self) -> None:
        """Close the file; may be called again."""
        if self._descriptor >= 0:
            self._file.close()
            self._stream.close()
            self._descriptor = -1  # its number may be another file's from now on
            trust(self.path)

    def _take(self, stream: BinaryIO, file: h5py.File) -> None:
        """Go on with another open file."""
        self._stream, self._file = stream, file
        self._descriptor = stream.fileno()
        self._write_back = WriteBack(self._descriptor)
        self._size = os.fstat(self._descriptor).st_size
        self._head = read_at(self._descriptor, 0, _HEAD_BYTES)
        self._last = None

    @contextmanager
    def _drafting(self) -> Iterator[None]:
        """Put the draft that the block writes in the place of the file."""
        self._refuse_displaced()
        try:
            yield
            self._refuse_displaced()
            self._put_in_place()
        finally:
            self._changing = None
            self.changes += 1
            self._draft.unlink(missing_ok=True)

    def _put_in_place(self) -> None:
        if sys.platform == "win32":  # which does not replace a file that is open
            self.close()
            try:
                replace_at_once(self._draft, self.path)
            finally:
                self._take(*open_locked(self.path))
            return
        # Locked before it gets its name: what others find without a lock is not being written.
        stream, file = open_locked(self._draft)
        try:
            replace_at_once(self._draft, self.path)
        except BaseException:
            file.close()
            stream.close()
            raise
        self._go_on_with(stream, file)

    def _go_on_with(self, stream: BinaryIO, file: h5py.File) -> None:
        before = self._file, self._stream
        self._take(stream, file)
        for one in before:
            one.close()

    def _refuse_displaced(self) -> None:
        """Raise unless the open file is the one that has its name, with what was written last."""
        here = os.fstat(self._descriptor)
        if here.st_size < self._size:
            raise RecordError(
                f"{self.path}: was cut from {self._size} to {here.st_size} bytes by another program"
                " while the run was in progress; what it held is lost"
            )
        for offset, values in filter(None, ((0, self._head), self._last)):
            if read_at(self._descriptor, offset, len(values)) != values:
                raise RecordError(
                    f"{self.path}: was overwritten by another program while the run was in"
                    " progress; what it held is lost"
                )
        try:
            there = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            self._keep("was deleted or moved")
        else:
            if not os.path.samestat(here, there):
                self._keep("was replaced by another file")

    def _keep(self, fate: str) -> None:
        """Copy the open file to a name of its own, go on there, and raise."""
        lost = f"{self.path}: {fate} while the run was in progress"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            copy_of_open(self._descriptor, self._draft, 0)
            sync(self._draft)
            kept = place_beside(self._draft, self.path)
        except OSError as exc:
            raise RecordError(f"{lost}; what it held cannot be kept: {exc}") from exc
        finally:
            self._draft.unlink(missing_ok=True)
        self._draft = kept.with_name(f"{kept.name}.{os.getpid()}.new")
        self._go_on_with(*open_locked(kept))
        self.path = kept
        self.changes += 1
        raise RecordError(f"{lost}; what was recorded until then is in {kept}")

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except FileExistsError:
            raise RecordError(
                f"{self.path}: exists already; choose another name with --out"
            ) from None
        except OSError as exc:
            self._refuse_where_open()
            held = self._holds()
            raise RecordError(
                f"{self.path}: cannot be written: {exc}" + (f"; {held}" if held else "")
            ) from exc

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Raise as :class:`RecordError` what HDF5 says of a file that it cannot make sense of."""
        try:
            yield
        except (KeyError, OSError, RuntimeError, ValueError) as exc:
            if isinstance(exc, OSError) and exc.errno is not None:  # of the operating system
                raise
            self._refuse_where_open()
            raise RecordError(
                f"{self.path}: is damaged, by another program while the run was in progress: {exc}"
            ) from exc

    def _refuse_where_open(self) -> None:
        """Raise as :meth:`_refuse_displaced`, unless the disk does not let us look."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                self._refuse_displaced()
