"""Series of rows in a record: one dataset a column, and a counter of complete rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Any, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from hwloop.disk import Placed
from hwloop.errors import RecordError
from hwloop.record.storage.columns import (
    About,
    counter_path,
    make_columns,
    resize_column,
    stored_values,
    widen_column,
)
from hwloop.record.storage.file import RecordFile
from hwloop.record.storage.in_place import Read, length_place
from hwloop.record.storage.planned import Counters, Layout, PlannedColumn, PlannedSeries


class _Column:
    """Positions of a dataset's rows in the present file, whose bytes are written in place.

    HDF5 is asked for the place of a chunk only: to write a row through it, and to flush that,
    takes longer than the writing.
    """

    def __init__(self, record: RecordFile, path: str) -> None:
        self.path = path
        self._record = record
        self.reopen()
        self.dtype: np.dtype[Any] = self.id.dtype
        self.shape: tuple[int, ...] = tuple(self.id.shape[1:])
        self.row_bytes: int = math.prod(self.shape) * self.dtype.itemsize
        made = self.id.get_create_plist()
        self._is_chunked = made.get_layout() == h5py.h5d.CHUNKED
        self._chunk_rows: int = made.get_chunk()[0] if self._is_chunked else self.length

    def reopen(self) -> None:
        """Continue in a file whose structure has changed; the type of this column has not."""
        self.id = h5py.h5d.open(self._record.file.id, self.path.encode())
        self.length: int = self.id.shape[0]
        self._first, self._offset = -1, 0  # of the chunk that was written last

    @property
    def bytes(self) -> int:
        """Size of all rows that there is room for, bytes."""
        return self.length * self.row_bytes

    def like(self, value: NDArray[Any]) -> bool:
        """Return whether a value has the very type and shape of the rows."""
        return value.dtype == self.dtype and value.shape == self.shape

    def placed(self, row: int, value: NDArray[Any]) -> Placed:
        """Return the bytes of a row, of this column's shape and a type that it can hold."""
        within = row % self._chunk_rows
        if row - within != self._first:
            with self._record.reading():
                self._first, self._offset = row - within, self._offset_of(row - within)
        if value.dtype != self.dtype or not value.flags.c_contiguous:
            value = np.ascontiguousarray(value, dtype=self.dtype)
        return self._offset + within * self.row_bytes, value.data

    def _offset_of(self, row: int) -> int:
        """Return the offset of the chunk that begins with ``row``, or of an unchunked dataset."""
        if not self._is_chunked:
            offset = self.id.get_offset()
        else:
            start = (row, *(0 for _ in self.shape))
            offset = self.id.get_chunk_info_by_coord(start).byte_offset
        if offset is None:
            raise RecordError(f"{self.path}: row {row} has no place in the file")
        return int(offset)


@dataclass(eq=False)
class Series:
    """Rows of equal shape in a group: one dataset a column, and a counter of complete rows.

    Text is stored in UTF-8 of a fixed length, since text of any length would change the structure
    of the file with every row; a column is widened when a longer text comes. ``planned``: where the
    series has its places, if it is one that was planned before the run.
    """

    file: RecordFile
    path: str
    planned: InitVar[Layout | None] = None
    rows: int = 0
    counters: Counters | None = None
    number: int = 0
    _places: PlannedSeries | None = None
    _names: tuple[str, ...] = ()
    _columns: Mapping[str, _Column | PlannedColumn] = field(default_factory=dict)
    _counter: _Column | None = None
    _bound_at: int = -1
    _length: int = 0
    _written: frozenset[str] = frozenset()

    def __post_init__(self, planned: Layout | None) -> None:
        if planned is not None:
            self.counters = planned.counters
            self._places = planned.series[self.path]
            self.number, self._length = self._places.number, self._places.length
            self._columns, self._bound_at = self._places.columns, self.file.changes

    @property
    def name(self) -> str:
        """Return the last part of the path."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def counter(self) -> str:
        """Return the path of the counter."""
        return counter_path(self.path)

    @property
    def bytes(self) -> int:
        """Size of all columns at their present length, bytes: the next doubling adds as much."""
        return sum(column.bytes for column in self._columns.values())

    @property
    def row_bytes(self) -> int:
        """Size of a row, bytes; 0 where no column has been made yet."""
        return sum(column.row_bytes for column in self._columns.values())

    @property
    def unused(self) -> list[tuple[int, int]]:
        """Return begins and ends of the places in the file that its further rows will take."""
        return [] if self._places is None else self._places.unused(self.rows)

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
        odd_ones = [name for name, value in values.items() if not self._columns[name].like(value)]
        wide = [self._is_wide_enough(name, values[name]) for name in odd_ones]
        return self.rows < self._length and all(wide)

    def make_room(self, file: h5py.File, values: Mapping[str, NDArray[Any]], about: About) -> None:
        """Make the columns, or lengthen or widen them; within :meth:`RecordFile.changing`."""
        if not self._columns:
            self._written = make_columns(file, self.path, values, about)
            return
        narrow = [name for name, value in values.items() if not self._is_wide_enough(name, value)]
        if self.rows == self._length:
            self.grow(file)
        elif self._places is not None:
            self._resize(file, self._length)
        for name in narrow:
            widen_column(file[self.path], name, values[name].dtype.itemsize)
        if narrow:
            self._columns = {}  # of other types from now on

    def grow(self, file: h5py.File) -> None:
        """Double the length of every column; within :meth:`RecordFile.changing`."""
        self._resize(file, 2 * self._length)

    def leave_places(self) -> None:
        """Note that the columns have been made anew, where they were planned."""
        if self._places is not None:
            self._places, self._columns = None, {}

    def _resize(self, file: h5py.File, rows: int) -> None:
        for name in self._columns:
            resize_column(file, f"{self.path}/{name}", rows)

    def next_row(self, values: Mapping[str, NDArray[Any]]) -> list[Placed]:
        """Return the bytes of one more row, which must fit, and their offsets.

        Without those that were written when its columns were made.
        """
        self._bind()
        if self._places is not None:
            return self._places.next_row(self.rows, values)
        written, self._written = self._written, frozenset()
        return [
            column.placed(self.rows, values[name])
            for name, column in self._columns.items()
            if isinstance(column, _Column) and values[name].size and name not in written
        ]

    def next_count(self) -> Placed:
        """Return the bytes of the counter that includes one more row, and their offset.

        Of a series that was not planned; the others' are in :attr:`counters`.
        """
        assert self._counter is not None  # noqa: S101 - a row stands before it is counted
        return self._counter.placed(0, np.array(self.rows + 1, self._counter.dtype))

    def count(self) -> None:
        """Note that one more row has been written and counted."""
        self.rows += 1
        if self.counters is not None:
            self.counters.count(self.number, self.rows)

    @property
    def can_end(self) -> bool:
        """Return whether its columns can end with the last row in their places."""
        self._bind()
        return self._places is None or self._places.can_end(self.rows)

    def lengths_to_end(self, read: Read) -> list[Placed]:
        """Return the bytes that make each column end with its last row, and their offsets."""
        self._bind()
        if self._places is not None:
            return self._places.lengths_to_end(self.rows)
        rows = np.array(self.rows, np.uint64).data
        return [
            (length_place(read, column.id), rows)
            for column in self._columns.values()
            if isinstance(column, _Column)
        ]

    def _names_in(self, file: h5py.File) -> tuple[str, ...]:
        """Return the names of the columns; none where they have not been made."""
        counter = counter_path(self.path)
        if not self._names and counter in file:
            self._names = tuple(str(name) for name in file[counter].attrs["columns"])
        return self._names

    def _bind(self) -> None:
        """Bind to the datasets of the present file: each change of structure makes a new one."""
        if self._bound_at == self.file.changes:
            return
        if self._places is not None:
            with self.file.reading():
                self._places.take_headers(self.file.bytes_at)
            self._columns, self._bound_at = self._places.columns, self.file.changes
            return
        with self.file.reading() as file:
            if not self._columns and (names := self._names_in(file)):
                self._columns = {name: _Column(self.file, f"{self.path}/{name}") for name in names}
                self._counter = _Column(self.file, counter_path(self.path))
            elif self._counter is not None:
                for column in (self._counter, *self._columns.values()):
                    if isinstance(column, _Column):
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


AboutRow: TypeAlias = Callable[[], About]
NewRow: TypeAlias = tuple[Series, Mapping[str, Any], AboutRow]
"""A series, the values of its next row, and what to say of its columns where they are made."""


def write_rows(rows: Iterable[NewRow], others: Iterable[Series]) -> None:
    """Append one row to each series, after one change of the structure if any needs it.

    Then count them: a kill between two writes leaves them uncounted. ``others``: the series of the
    file, which may grow by the same change. Raises :class:`RecordError` where a row is unlike
    those before it, and then writes none.
    """
    stored = [(series, stored_values(series.path, values), about) for series, values, about in rows]
    full = [entry for entry in stored if not entry[0].fits(entry[1])]
    if full:
        _make_room(full, others)
    places = [place for series, values, _ in stored for place in series.next_row(values)]
    places += [series.next_count() for series, _, _ in stored if series.counters is None]
    planned = {one.number: one.rows + 1 for one, _, _ in stored if one.counters is not None}
    counters = next((one.counters for one, _, _ in stored if one.counters is not None), None)
    if counters is not None:
        places.append(counters.counting(planned))
    stored[0][0].file.write(places)
    for series, _, _ in stored:
        series.count()


def _make_room(
    full: list[tuple[Series, dict[str, NDArray[Any]], AboutRow]], others: Iterable[Series]
) -> None:
    making = [series for series, _, _ in full]
    # Series that are about to grow do so together: each change copies the whole file.
    others, soon = list(others), []
    if any(series.is_full for series in making):
        soon = [other for other in others if other.is_almost_full and other not in making]
    room = sum(series.bytes for series in (*making, *soon))
    unused = [part for one in (*making, *others) for part in one.unused]
    with making[0].file.changing(room=room, unused=unused) as file:
        for series, values, about in full:
            series.make_room(file, values, about())
        for series in soon:
            series.grow(file)
    for series in (*making, *soon):
        series.leave_places()
