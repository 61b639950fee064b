"""Series of rows in a record: one dataset a column, and a counter of complete rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hwloop.errors import RecordError
from hwloop.record.attributes import set_texts
from hwloop.record.file import Placed, RecordFile

_CHUNK_BYTES = 2**20
_LEAST_BYTES = 16384
_FIRST_BYTES, _FIRST_ROWS = 6 * 2**20, 16
_MOST_PLANNED_BYTES, _MOST_PLANNED_ROWS = 24 * 2**20, 64
_MOST_CHUNK_ROWS = 256
_LEAST_TEXT_BYTES, _MOST_TEXT_BYTES = 64, 65536

About = Mapping[str, Mapping[str, str]]


class _Column:
    """Positions of a dataset's rows in the present file, whose bytes are written in place.

    HDF5 is asked for the place of a chunk only: to write a row through it, and to flush that,
    takes longer than the writing.
    """

    def __init__(self, record: RecordFile, path: str) -> None:
        self.path = path
        self._record = record
        self.reopen()
        self.dtype: np.dtype[Any] = self._id.dtype
        self.shape: tuple[int, ...] = tuple(self._id.shape[1:])
        self._row_bytes: int = math.prod(self.shape) * self.dtype.itemsize
        made = self._id.get_create_plist()
        self._is_chunked = made.get_layout() == h5py.h5d.CHUNKED
        self._chunk_rows: int = made.get_chunk()[0] if self._is_chunked else self.length

    def reopen(self) -> None:
        """Continue in a file whose structure has changed; the type of this column has not."""
        self._id = h5py.h5d.open(self._record.file.id, self.path.encode())
        self.length: int = self._id.shape[0]
        self._first, self._offset = -1, 0  # of the chunk that was written last

    @property
    def bytes(self) -> int:
        """Size of all rows that there is room for, bytes."""
        return self.length * self._row_bytes

    def placed(self, row: int, value: NDArray[Any]) -> Placed:
        """Return the bytes of a row, of this column's shape and a type that it can hold."""
        stored = np.ascontiguousarray(value, dtype=self.dtype)
        first = row - row % self._chunk_rows
        if first != self._first:
            with self._record.reading():
                self._first, self._offset = first, self._offset_of(first)
        return self._offset + (row - first) * self._row_bytes, stored.data

    def _offset_of(self, row: int) -> int:
        """Return the offset of the chunk that begins with ``row``, or of an unchunked dataset."""
        if not self._is_chunked:
            offset = self._id.get_offset()
        else:
            start = (row, *(0 for _ in self.shape))
            offset = self._id.get_chunk_info_by_coord(start).byte_offset
        if offset is None:
            raise RecordError(f"{self.path}: row {row} has no place in the file")
        return int(offset)


@dataclass(eq=False)
class Series:
    """Rows of equal shape in a group: one dataset a column, and a counter of complete rows.

    Text is stored in UTF-8 of a fixed length, since text of any length would change the structure
    of the file with every row; a column is widened when a longer text comes.
    """

    file: RecordFile
    path: str
    rows: int = 0
    _names: tuple[str, ...] = ()
    _columns: dict[str, _Column] = field(default_factory=dict)
    _counter: _Column | None = None
    _bound_at: int = -1
    _length: int = 0

    @property
    def name(self) -> str:
        """Return the last part of the path."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def bytes(self) -> int:
        """Size of all columns at their present length, bytes: the next doubling adds as much."""
        return sum(column.bytes for column in self._columns.values())

    @property
    def is_full(self) -> bool:
        """Return whether the next row needs longer columns."""
        self._bind()
        return bool(self._columns) and self.rows == self._length

    @property
    def is_almost_full(self) -> bool:
        """Return whether the next few rows need longer columns; not where none has come yet."""
        if not self.rows:
            return False
        self._bind()
        return bool(self._columns) and self.rows >= self._length - max(self._length // 4, 1)

    def fits(self, values: Mapping[str, NDArray[Any]]) -> bool:
        """Return whether a row can be written without a change of the structure.

        Raises :class:`RecordError` where the row is unlike the rows before it.
        """
        self._bind()
        if not self._columns:
            return False
        if values.keys() != self._columns.keys():
            odd = ", ".join(sorted(values.keys() ^ self._columns.keys()))
            raise RecordError(f"{self.path}: every row needs the same columns; these differ: {odd}")
        wide = [self._is_wide_enough(name, value) for name, value in values.items()]
        return self.rows < self._length and all(wide)

    def make_room(self, file: h5py.File, values: Mapping[str, NDArray[Any]], about: About) -> None:
        """Make the columns, or lengthen or widen them; within :meth:`RecordFile.changing`."""
        if not self._columns:
            make_columns(file, self.path, values, about)
            return
        if self.rows == self._length:
            self.grow(file)
        narrow = [name for name, value in values.items() if not self._is_wide_enough(name, value)]
        for name in narrow:
            _widen(file[self.path], name, values[name].dtype.itemsize)
        if narrow:
            self._columns = {}  # of other types from now on

    def grow(self, file: h5py.File) -> None:
        """Double the length of every column; within :meth:`RecordFile.changing`."""
        for name in self._columns:
            _resize(file, f"{self.path}/{name}", 2 * self._length)

    def append(self, values: Mapping[str, NDArray[Any]]) -> Iterator[Placed]:
        """Return the bytes of one more row, which must fit, and their offsets."""
        self._bind()
        for name, value in values.items():
            if value.size:
                yield self._columns[name].placed(self.rows, value)
        self.rows += 1

    def count(self) -> Iterator[Placed]:
        """Return the bytes of the counter of rows, to be written after the rows."""
        if self._counter is not None:
            yield self._counter.placed(0, np.array(self.rows))

    def columns_in(self, file: h5py.File) -> list[str]:
        """Return the paths of the columns; none where they have not been made."""
        return [f"{self.path}/{name}" for name in self._names_in(file)]

    def _names_in(self, file: h5py.File) -> tuple[str, ...]:
        """Return the names of the columns; none where they have not been made."""
        counter = f"recorder/{counter_name(self.path)}"
        if not self._names and counter in file:
            self._names = tuple(str(name) for name in file[counter].attrs["columns"])
        return self._names

    def _bind(self) -> None:
        """Bind to the datasets of the present file: each change of structure makes a new one."""
        if self._bound_at == self.file.changes:
            return
        with self.file.reading() as file:
            if not self._columns and (names := self._names_in(file)):
                self._columns = {name: _Column(self.file, f"{self.path}/{name}") for name in names}
                self._counter = _Column(self.file, f"recorder/{counter_name(self.path)}")
            elif self._counter is not None:
                for column in (self._counter, *self._columns.values()):
                    column.reopen()
        if self._columns:
            self._length = next(iter(self._columns.values())).length
        self._bound_at = self.file.changes

    def _is_wide_enough(self, name: str, value: NDArray[Any]) -> bool:
        dtype, shape = self._columns[name].dtype, self._columns[name].shape
        if value.dtype.kind == dtype.kind == "S" and value.shape == shape:
            return bool(value.dtype.itemsize <= dtype.itemsize)
        if value.shape != shape or not np.can_cast(value.dtype, dtype, "safe"):
            raise RecordError(
                f"{self.path}/{name}: a row of {value.dtype} {value.shape} does not fit the rows"
                f" before it, {dtype} {shape}"
            )
        return True


def write_rows(
    rows: Iterable[tuple[Series, Mapping[str, Any], About]], others: Iterable[Series]
) -> None:
    """Append one row to each series, after one change of the structure if any needs it.

    Then count them: a kill between the two leaves them uncounted. ``others``: the series of the
    file, which may grow by the same change. Raises :class:`RecordError` where a row is unlike
    those before it, and then writes none.
    """
    stored = [(series, stored_values(series.path, values), about) for series, values, about in rows]
    full = [entry for entry in stored if not entry[0].fits(entry[1])]
    if full:
        _make_room(full, others)
    file = stored[0][0].file
    file.write(place for series, values, _ in stored for place in series.append(values))
    file.write(place for series, _, _ in stored for place in series.count())


def _make_room(
    full: list[tuple[Series, dict[str, NDArray[Any]], About]], others: Iterable[Series]
) -> None:
    making = [series for series, _, _ in full]
    # Series that are about to grow do so together: each change copies the whole file.
    soon = []
    if any(series.is_full for series in making):
        soon = [other for other in others if other.is_almost_full and other not in making]
    room = sum(series.bytes for series in (*making, *soon))
    with making[0].file.changing(room=room) as file:
        for series, values, about in full:
            series.make_room(file, values, about)
        for series in soon:
            series.grow(file)


def make_columns(
    file: h5py.File,
    path: str,
    values: Mapping[str, Any],
    about: About,
    *,
    planned: int | None = None,
) -> None:
    """Make the columns of a series for rows like ``values``, and its counter.

    ``planned``: rows that are expected at most; there is room for these at first, unless they are
    many or large. Only within :meth:`RecordFile.changing`, or while the file is begun.
    """
    group = file.require_group(path)
    stored = stored_values(path, values)
    largest = max(max(array.nbytes, 1) for array in stored.values())
    row_bytes = max(sum(array.nbytes for array in stored.values()), 1)
    least = min(max(_LEAST_BYTES // largest, 1), _MOST_CHUNK_ROWS)
    if planned is None:
        length = max(least, min(_FIRST_BYTES // row_bytes, _FIRST_ROWS))
    else:
        most = min(_MOST_PLANNED_BYTES // row_bytes, _MOST_PLANNED_ROWS)
        length = max(least, min(planned, most))
    for name, array in stored.items():
        chunk_rows = _chunk_rows(array.nbytes, length)
        column = _dataset(group, name, array.dtype, (length, *array.shape), chunk_rows)
        set_texts(column, about.get(name, {}))
    counter = file["recorder"].create_dataset(counter_name(path), data=[0])
    counter.attrs["columns"] = list(stored)


def counter_name(path: str) -> str:
    """Return the name below ``/recorder`` of the counter of the series at ``path``."""
    return path.replace("/", ".")


def stored_values(path: str, values: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return the values of a row as they are stored: numbers stay, text becomes bytes."""
    if not values:
        raise RecordError(f"{path}: a row without columns cannot be recorded")
    stored: dict[str, NDArray[Any]] = {}
    for name, value in values.items():
        array = np.asarray(value)
        if array.dtype.kind == "U":
            array = np.char.encode(array, "utf-8", "backslashreplace")
        if array.dtype.kind == "S" and array.dtype.itemsize > _MOST_TEXT_BYTES:
            raise RecordError(
                f"{path}/{name}: a text of {array.dtype.itemsize} bytes; at most"
                f" {_MOST_TEXT_BYTES} are recorded, since every row is as wide as the longest"
            )
        if array.dtype.kind not in "biufSV":
            raise RecordError(
                f"{path}/{name}: {array.dtype} cannot be recorded; a column holds numbers,"
                " truth values or text"
            )
        stored[name] = array
    return stored


def _chunk_rows(row_bytes: int, length: int) -> int:
    """Return the rows of a chunk: few chunks, since each is written and indexed by itself."""
    most = min(max(_CHUNK_BYTES // max(row_bytes, 1), 1), _MOST_CHUNK_ROWS, length)
    chunks = -(-length // most)
    return -(-length // chunks)


def _dataset(
    group: h5py.Group, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], chunk_rows: int
) -> h5py.h5d.DatasetID:
    """Make a dataset of ``shape`` (rows, ...) that can grow, filled and allocated at once."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_obj_track_times(False)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    if dtype.kind == "S":
        # A power of two, so that a column is widened rarely.
        wanted = max(dtype.itemsize, _LEAST_TEXT_BYTES)
        dtype = h5py.string_dtype("utf-8", 1 << (wanted - 1).bit_length())
    if dtype.kind == "f":
        plist.set_fill_value(np.array(np.nan, dtype))
    _, *row = shape
    # HDF5 has chunks of at least one entry, and none that are larger than a fixed axis.
    plist.set_chunk((chunk_rows, *(max(size, 1) for size in row)))
    unlimited = h5py.h5s.UNLIMITED
    space = h5py.h5s.create_simple(shape, (unlimited, *(size or unlimited for size in row)))
    kind = h5py.h5t.py_create(dtype, logical=True)
    return h5py.h5d.create(group.id, name.encode(), kind, space, plist)


def _resize(file: h5py.File, path: str, rows: int) -> None:
    column = h5py.h5d.open(file.id, path.encode())
    column.set_extent((rows, *column.shape[1:]))


def _widen(group: h5py.Group, name: str, text_bytes: int) -> None:
    narrow = group[name]
    texts, about = narrow[()], dict(narrow.attrs)
    chunk_rows = narrow.chunks[0]
    del group[name]
    _dataset(group, name, np.dtype(f"S{text_bytes}"), texts.shape, chunk_rows)
    wide = group[name]
    wide[()] = texts
    wide.attrs.update(about)
