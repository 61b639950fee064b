"""Columns that are planned before a run, laid out in the new file as the run will write them.

HDF5 makes their datasets without a place. The places are chosen in the image of the new file: the
counters of all series side by side, and the narrow columns of each series, so that a row of them is
one write. Every wide column stands by itself behind them, and has neither rows nor a place at
first: its header is written anew with each row, so that nothing has to be filled before the run. A
series that outgrows its place is made anew, as those that were not planned.

HDF5 refuses a dataset that has a place and no rows. In a header the number of rows stands before
the place, and behind it the size of the values, which must not be less than that of the rows, and
is the same wherever a header lies within one page. A kill may come between two pages of one write:
a header that they part has the size of all rows until the end, and where they part the bytes of the
place itself, the column has it from the begin, with one row of filler.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hwloop.disk import Placed
from hwloop.record.storage.columns import (
    About,
    counter_path,
    filler,
    first_rows,
    stored_values,
    wide_type,
)
from hwloop.record.storage.in_place import DatasetPlaces, Read, dataset_places, end_place
from hwloop.record.storage.objects import group_at, kind_of, placeless, set_attributes

_TOGETHER_BYTES = 16384
"""Of the narrow columns of a series: all rows that there is room for."""
_LINE_BYTES = 64  # of the processor's cache: wide columns begin with one
_PAGE_BYTES, _PIECE_BYTES = 4096, 2**20
_NUMBER = "<Q"
_NOWHERE = 2**64 - 1  # the place of values that have none


@dataclass(eq=False)
class PlannedColumn:
    """A column with room for ``length`` rows of ``shape`` at ``place``, an offset in the file.

    ``header``: where the number of its rows and this offset stand in the file.
    """

    dataset: h5py.h5d.DatasetID
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    length: int
    is_wide: bool = True
    place: int = _NOWHERE
    header: DatasetPlaces = field(default_factory=lambda: DatasetPlaces(0, 0))

    @property
    def begins_with_filler(self) -> bool:
        """Return whether a wide column has its place and a row from the begin."""
        return self.header.storage % _PAGE_BYTES + 8 > _PAGE_BYTES

    @property
    def is_parted(self) -> bool:
        """Return whether two pages part the number of rows, the place and the size."""
        return self.header.length // _PAGE_BYTES != (self.header.storage + 15) // _PAGE_BYTES

    def __post_init__(self) -> None:
        self.row_bytes = math.prod(self.shape) * self.dtype.itemsize

    @property
    def bytes(self) -> int:
        """Size of all rows that there is room for, bytes."""
        return self.length * self.row_bytes

    def like(self, value: NDArray[Any]) -> bool:
        """Return whether a value has the very type and shape of the rows."""
        same = value.dtype is self.dtype or value.dtype == self.dtype
        return same and value.shape == self.shape


class PlannedSeries:
    """Rows whose columns stand in places that were planned.

    ``columns``: by name, in the order of a row. ``number``: of their counter.
    """

    def __init__(
        self, path: str, length: int, columns: Mapping[str, PlannedColumn], number: int
    ) -> None:
        self.path, self.length, self.columns, self.number = path, length, dict(columns), number
        stored = {name: column for name, column in columns.items() if column.row_bytes}
        self._wide = {name: one for name, one in stored.items() if one.is_wide}
        self._narrow = {name: one for name, one in stored.items() if not one.is_wide}
        self._narrow_at = self._headers_at = 0
        self._narrow_ends: tuple[tuple[int, int], tuple[int, int]] = (0, 0), (0, 0)
        self._narrow_bytes, self._headers = bytearray(), bytearray()
        self._narrow_rows: list[tuple[str, NDArray[Any]]] = []

    @property
    def wide(self) -> Collection[PlannedColumn]:
        """Return the columns that become longer with each row."""
        return self._wide.values()

    def put_narrow(self, at: int) -> bytearray:
        """Give the narrow columns their places, from an offset on; return their bytes, filler."""
        self._narrow_at, kept = at, self._narrow_bytes
        for column in self._narrow.values():
            kept += bytes(-len(kept) % 8)
            column.place = at + len(kept)
            kept += filler(column.dtype, column.bytes).data
        for name, one in self._narrow.items():
            rows = np.frombuffer(kept, one.dtype, one.bytes // one.dtype.itemsize, one.place - at)
            self._narrow_rows.append((name, rows.reshape(-1, *one.shape)))
        if self._narrow:
            first, last = (list(self._narrow.values())[index] for index in (0, -1))
            end = last.place - at + last.row_bytes
            self._narrow_ends = (0, first.row_bytes), (end, last.row_bytes)
        return kept

    def enter(self, image: bytearray) -> list[Placed]:
        """Enter the places of the columns in the image of the file; return filler for it."""
        read, fillers = _reader(image), []
        for column in self.columns.values():
            column.header = found = dataset_places(read, column.dataset)
            filled = column.begins_with_filler
            if column in self.wide:
                struct.pack_into(_NUMBER, image, found.length, int(filled))
                size = column.bytes if column.is_parted else 0
                struct.pack_into(_NUMBER, image, found.storage + 8, size)
            if column not in self.wide or filled:
                _enter(image, found, column.place)
            if column in self.wide and filled:
                fillers += _filled(column.dtype, column.place, column.place + column.row_bytes)
        self.take_headers(read)
        return fillers

    def take_headers(self, read: Read) -> None:
        """Read the part of the file with the headers, which HDF5 may have written anew.

        Raises :class:`ValueError` where the file is shorter.
        """
        begin, end = _span(self.columns.values())
        self._headers_at, self._headers = begin, bytearray(read(begin, end - begin))
        if len(self._headers) < end - begin:
            raise ValueError(f"{self.path}: the headers of its columns are cut off")

    def next_row(self, row: int, values: Mapping[str, NDArray[Any]]) -> list[Placed]:
        """Return the bytes of a row, then those that make the wide columns as long, and offsets."""
        places: list[Placed] = []
        for name, column in self._wide.items():
            value = values[name]
            if value.dtype != column.dtype or not value.flags.c_contiguous:
                value = np.ascontiguousarray(value, dtype=column.dtype)
            places.append((column.place + row * column.row_bytes, value.data))
        if self._wide:
            places.append(self._lengthened(self.wide, row + 1))
        if self._narrow:
            for name, rows in self._narrow_rows:
                rows[row] = values[name]
            begin, end = (one[0] + row * one[1] for one in self._narrow_ends)
            places.append((self._narrow_at + begin, memoryview(self._narrow_bytes)[begin:end]))
        return places

    def unused(self, rows: int) -> list[tuple[int, int]]:
        """Return begins and ends of the places of further rows than so many, in wide columns."""
        return [
            (one.place + max(rows, one.begins_with_filler) * one.row_bytes, one.place + one.bytes)
            for one in self.wide
        ]

    def can_end(self, rows: int) -> bool:
        """Return whether each column can end with so many rows in its place."""
        return rows > 0 or not (
            self._narrow or any(column.begins_with_filler for column in self.wide)
        )

    def lengths_to_end(self, rows: int) -> list[Placed]:
        """Return the bytes that make each column end with the last row, and their offset."""
        return [self._lengthened(self.columns.values(), rows, ends=True)] if rows else []

    def _lengthened(
        self, columns: Collection[PlannedColumn], rows: int, *, ends: bool = False
    ) -> Placed:
        """Return the headers in which these columns have so many rows, from first to last."""
        at = self._headers_at
        for column in columns:
            is_size_known = ends or not column.is_parted
            size = rows * column.row_bytes if is_size_known else column.bytes
            struct.pack_into(_NUMBER, self._headers, column.header.length - at, rows)
            struct.pack_into("<QQ", self._headers, column.header.storage - at, column.place, size)
        begin, end = _span(columns)
        return begin, memoryview(self._headers)[begin - at : end - at]


@dataclass(eq=False)
class PlannedMap:
    """A map of the array at ``place``, an offset in the file; ``number``: of its counter."""

    dataset: h5py.h5d.DatasetID
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    number: int
    place: int = _NOWHERE


class Counters:
    """Counters of all planned series, side by side: those of a few are one write."""

    def __init__(self) -> None:
        self.place = 0
        self._counts: NDArray[np.int64] = np.empty(0, np.int64)

    def put(self, at: int, count: int) -> bytes:
        """Take an offset for so many counters; return their bytes."""
        self.place, self._counts = at, np.zeros(count, np.int64)
        return self._counts.tobytes()

    def counting(self, rows: Mapping[int, int]) -> Placed:
        """Return the bytes of the counters from the first to the last of ``rows``, and the offset.

        ``rows``: the number of a counter → what it is going to be.
        """
        first, last = min(rows), max(rows)
        counts = self._counts[first : last + 1].copy()
        for number, count in rows.items():
            counts[number - first] = count
        return self.place + 8 * first, counts.data

    def count(self, number: int, rows: int) -> None:
        """Note what a counter in the file is."""
        self._counts[number] = rows


class Layout:
    """Places of the planned series, and of maps, in a file that is about to be begun."""

    def __init__(self) -> None:
        self.series: dict[str, PlannedSeries] = {}
        self.counters = Counters()
        self.maps: dict[str, PlannedMap] = {}
        self._of_counters: list[h5py.h5d.DatasetID] = []
        self._last: tuple[str, PlannedColumn] | None = None

    def add(
        self,
        file: h5py.File,
        path: str,
        values: Mapping[str, Any],
        about: About,
        *,
        planned: int | None = None,
        certain: bool = False,
    ) -> None:
        """Make the columns of a series for rows like ``values``, and its counter.

        ``planned``: rows that are expected at most; see
        :func:`hwloop.record.storage.columns.first_rows`. ``certain``: whether all of them will
        come, and have room at once.
        """
        group, stored = group_at(file.id, path), stored_values(path, values)
        length = planned if certain and planned else first_rows(stored, planned)
        columns = {}
        # Rows with text are few, and there may be none.
        together = _TOGETHER_BYTES * any(array.dtype.kind == "S" for array in stored.values())
        for name, array in sorted(stored.items(), key=lambda item: item[1].nbytes):
            dtype = wide_type(array.dtype)
            made = _make(group, name, dtype, (length, *array.shape))
            set_attributes(made, about.get(name, {}))
            columns[name] = column = PlannedColumn(made, dtype, array.shape, length)
            together += column.bytes
            column.is_wide = together > _TOGETHER_BYTES
        set_attributes(self._counter(file, path), {"columns": list(stored)})
        self.series[path] = PlannedSeries(
            path, length, {name: columns[name] for name in stored}, len(self._of_counters)
        )

    def add_map(
        self,
        file: h5py.File,
        path: str,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        about: Mapping[str, str],
    ) -> None:
        """Make a map of the array: NaN until it is written, or 0 where its type has none.

        And a counter of it, 0 or 1.
        """
        made = _make(file.id, path, dtype, shape)
        set_attributes(made, about)
        self._counter(file, path)
        self.maps[path] = PlannedMap(made, dtype, shape, len(self._of_counters))

    def _counter(self, file: h5py.File, path: str) -> h5py.h5d.DatasetID:
        counter = _make(file.id, counter_path(path), np.dtype(np.int64), (1,))
        self._of_counters.append(counter)
        return counter

    def used_end(self, rows: Mapping[str, int]) -> int | None:
        """Return where the last of the largest column's rows ends, which stands behind all else.

        ``rows``: by the path of a series. None where no column is wide.
        """
        if self._last is None:
            return None
        path, column = self._last
        return column.place + rows[path] * column.row_bytes

    def lay_out(self, image: bytearray) -> tuple[int, list[Placed]]:
        """Give everything its place behind the image of the file, and enter it there.

        Return the size of the file, and what is to be written besides its image.
        """
        read = _reader(image)
        # One page, as far as they fit: a kill may come between two pages of a write. And that of
        # the first series, the table of the operations, behind those of the operations' own.
        image += bytes(_to_one_page(len(image), 8 * len(self._of_counters)))
        image += self.counters.put(len(image), len(self._of_counters))
        counted: list[PlannedSeries | PlannedMap] = [*self.series.values(), *self.maps.values()]
        for each in counted:
            each.number = len(self._of_counters) - each.number
        for series in self.series.values():
            image += series.put_narrow(len(image))
        end, fillers = len(image), []
        for one in self.maps.values():
            one.place = end = _rounded(end)
            end += math.prod(one.shape) * one.dtype.itemsize
            _enter(image, dataset_places(read, one.dataset), one.place)
            if one.dtype.kind == "f":
                fillers += _filled(one.dtype, one.place, end)
        wide = [(column, series) for series in self.series.values() for column in series.wide]
        for column, series in sorted(wide, key=lambda pair: pair[0].bytes):
            column.place = end = _rounded(end)
            end += column.bytes
            self._last = series.path, column
        for number, counter in enumerate(reversed(self._of_counters)):
            _enter(image, dataset_places(read, counter), self.counters.place + 8 * number)
        for series in self.series.values():
            fillers += series.enter(image)
        struct.pack_into(_NUMBER, image, end_place(read), end)
        return end, fillers


def _make(
    group: h5py.h5g.GroupID, path: str, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> h5py.h5d.DatasetID:
    space = h5py.h5s.create_simple(shape)
    return h5py.h5d.create(group, path.encode(), kind_of(dtype), space, placeless())


def _span(columns: Collection[PlannedColumn]) -> tuple[int, int]:
    """Return begin and end of the part of the file with what changes in their headers."""
    headers = [column.header for column in columns]
    return min(one.length for one in headers), max(one.storage for one in headers) + 16


def _enter(image: bytearray, places: DatasetPlaces, place: int) -> None:
    struct.pack_into(_NUMBER, image, places.storage, place)


def _reader(image: bytearray) -> Read:
    def read(at: int, size: int) -> bytes:
        with memoryview(image) as whole:
            return bytes(whole[at : at + size])

    return read


def _to_one_page(offset: int, size: int) -> int:
    """Return how far behind an offset so many bytes stand in one page."""
    ahead = -offset % _LINE_BYTES
    within = (offset + ahead) % _PAGE_BYTES
    return ahead if within + size <= _PAGE_BYTES else ahead + _PAGE_BYTES - within


def _rounded(offset: int) -> int:
    return offset + -offset % _LINE_BYTES


def _filled(dtype: np.dtype[Any], place: int, end: int) -> list[Placed]:
    """Return filler for the bytes of a map, in pieces."""
    piece = filler(dtype, min(end - place, _PIECE_BYTES)).data
    return [(at, piece[: min(_PIECE_BYTES, end - at)]) for at in range(place, end, _PIECE_BYTES)]
