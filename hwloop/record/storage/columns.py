"""The columns of a series in a record: datasets with room for rows, and a counter of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hwloop.errors import RecordError
from hwloop.record.storage.objects import (
    copy_attributes,
    group_at,
    kind_of,
    make_dataset,
    set_attributes,
)

_CHUNK_BYTES = 2**20
_LEAST_BYTES = 16384
_FIRST_BYTES, _FIRST_ROWS = 6 * 2**20, 16
_MOST_PLANNED_BYTES, _MOST_PLANNED_ROWS = 24 * 2**20, 64
_FIRST_OF_MANY_ROWS = 48  # where not all that are planned get room at first, few runs need them all
_MOST_CHUNK_ROWS = 256
_LEAST_TEXT_BYTES, _MOST_TEXT_BYTES = 64, 65536

_NUMBERS = "biufV"  # kinds of types: numbers, truth, and rows of several

About = Mapping[str, Mapping[str, str]]


def make_columns(
    file: h5py.File,
    path: str,
    values: Mapping[str, Any],
    about: About,
) -> frozenset[str]:
    """Make the columns of a series that was not planned, with its counter.

    ``values``: the first row. Where it is large and the only one that
    there is room for, its numbers are written at once, without NaN first. Their names are returned.
    Only within :meth:`RecordFile.changing`.
    """
    group = group_at(file.id, path)
    stored = stored_values(path, values)
    length = first_rows(stored, None)
    written = set()
    for name, array in stored.items():
        shape, chunk_rows = (length, *array.shape), _chunk_rows(array.nbytes, length)
        alone = length == 1 and array.nbytes >= _CHUNK_BYTES
        whole = alone and array.dtype.kind in "biuf"
        column = _dataset(group, name, array.dtype, shape, chunk_rows)
        if whole:
            column.write_direct_chunk((0,) * len(shape), np.ascontiguousarray(array))
            written.add(name)
        else:
            _fill(column, 0, length)
        set_attributes(column, about.get(name, {}))
    make_dataset(file.id, counter_path(path), [0], {"columns": list(stored)})
    return frozenset(written)


def counter_name(path: str) -> str:
    """Return the name below ``/recorder`` of the counter of the series at ``path``."""
    return path.replace("/", ".")


def first_rows(stored: Mapping[str, NDArray[Any]], planned: int | None) -> int:
    """Return the rows that there is room for at first.

    ``planned``: rows that are expected at most; there is room for these, unless they are many or
    large.
    """
    largest = max(max(array.nbytes, 1) for array in stored.values())
    row_bytes = max(sum(array.nbytes for array in stored.values()), 1)
    least = min(max(_LEAST_BYTES // largest, 1), _MOST_CHUNK_ROWS)
    if planned is None:
        return max(least, min(_FIRST_BYTES // row_bytes, _FIRST_ROWS))
    most = min(_FIRST_OF_MANY_ROWS, _MOST_PLANNED_ROWS)
    rows = planned if planned <= _MOST_PLANNED_ROWS else most
    return max(least, min(rows, _MOST_PLANNED_BYTES // row_bytes))


def counter_path(path: str) -> str:
    """Return the path of the counter of the series, or of the map, at ``path``."""
    return f"recorder/{counter_name(path)}"


def stored_values(path: str, values: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return the values of a row as they are stored: numbers stay, text becomes bytes."""
    if not values:
        raise RecordError(f"{path}: a row without columns cannot be recorded")
    stored: dict[str, NDArray[Any]] = {}
    for name, value in values.items():
        stored[name] = array = np.asarray(value)
        if array.dtype.kind in _NUMBERS:
            continue
        if array.dtype.kind == "U":
            array = np.char.encode(array, "utf-8", "backslashreplace")
        if array.dtype.kind == "S" and array.dtype.itemsize > _MOST_TEXT_BYTES:
            raise RecordError(
                f"{path}/{name}: a text of {array.dtype.itemsize} bytes; at most"
                f" {_MOST_TEXT_BYTES} are recorded, since every row is as wide as the longest"
            )
        if array.dtype.kind != "S":
            raise RecordError(
                f"{path}/{name}: {array.dtype} cannot be recorded; a column holds numbers,"
                " truth values or text"
            )
        stored[name] = array
    return stored


def wide_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of a column for values of a type: for texts as wide as a power of two."""
    if dtype.kind != "S":
        return dtype
    wanted = max(dtype.itemsize, _LEAST_TEXT_BYTES)  # so that a column is widened rarely
    text: np.dtype[Any] = h5py.string_dtype("utf-8", 1 << (wanted - 1).bit_length())
    return text


def _chunk_rows(row_bytes: int, length: int) -> int:
    """Return the rows of a chunk: few chunks, since each is written and indexed by itself."""
    most = min(max(_CHUNK_BYTES // max(row_bytes, 1), 1), _MOST_CHUNK_ROWS, length)
    chunks = -(-length // most)
    return -(-length // chunks)


def _dataset(
    group: h5py.h5g.GroupID,
    name: str,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    chunk_rows: int,
) -> h5py.h5d.DatasetID:
    """Make a dataset of ``shape`` (rows, ...) that can grow: allocated at once, but not filled."""
    dtype = wide_type(dtype)
    _, *row = shape
    # HDF5 has chunks of at least one entry, and none that are larger than a fixed axis.
    chunk = (chunk_rows, *(max(size, 1) for size in row))
    plist = _properties(chunk, dtype if dtype.kind == "f" else None)
    return h5py.h5d.create(group, name.encode(), kind_of(dtype), _space(shape), plist)


# Spaces and properties do not change once they are made: columns of equal rows share them, since
# making one takes as long as the dataset.
@lru_cache(maxsize=64)
def _space(shape: tuple[int, ...]) -> h5py.h5s.SpaceID:
    _, *row = shape
    unlimited = h5py.h5s.UNLIMITED
    return h5py.h5s.create_simple(shape, (unlimited, *(size or unlimited for size in row)))


@lru_cache(maxsize=64)
def _properties(chunk: tuple[int, ...], filler: np.dtype[Any] | None) -> h5py.h5p.PropDCID:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    plist.set_obj_track_times(False)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    if filler is not None:
        plist.set_fill_value(np.array(np.nan, filler))
    plist.set_chunk(chunk)
    return plist


def resize_column(file: h5py.File, path: str, rows: int) -> None:
    """Give a column a number of rows; within :meth:`RecordFile.changing`.

    One that was planned is made anew, so that it can grow from then on.
    """
    column = h5py.h5d.open(file.id, path.encode())
    before = column.shape[0]
    if column.get_create_plist().get_layout() != h5py.h5d.CHUNKED:
        _make_anew(file, path, rows)
        return
    column.set_extent((rows, *column.shape[1:]))
    _fill(column, before, rows)


def _make_anew(file: h5py.File, path: str, rows: int) -> None:
    """Make a planned column anew in chunks, with the rows that it has and room for others."""
    group, name = file[path].parent, path.rsplit("/", 1)[-1]
    planned = group[name]
    held, shape = planned.shape[0], (rows, *planned.shape[1:])
    chunk_rows = _chunk_rows(planned.dtype.itemsize * math.prod(shape[1:]), rows)
    del group[name]  # its values stand until it is closed
    made = _dataset(group.id, name, planned.dtype, shape, chunk_rows)
    copy_attributes(planned.id, made)
    _fill(made, 0, rows)
    for first in range(0, held, chunk_rows):
        end = min(first + chunk_rows, held)
        group[name][first:end] = planned[first:end]


def _fill(column: h5py.h5d.DatasetID, first: int, end: int) -> None:
    """Fill the chunks of rows from ``first`` to ``end`` with NaN, or with 0 what has none.

    HDF5 itself would make and fill memory for each column anew. Rows without an entry have no
    chunk in the file that could be filled: HDF5 would write where other things are.
    """
    if 0 in column.shape[1:]:
        return
    chunk, dtype = column.get_create_plist().get_chunk(), column.dtype
    size = math.prod(chunk) * dtype.itemsize
    unused = filler(dtype, size)
    # The chunk in which the rows before end is filled already, beyond them too.
    begin = -(-first // chunk[0]) * chunk[0]
    for row in range(begin, end, chunk[0]):
        column.write_direct_chunk((row, *(0 for _ in chunk[1:])), unused)


def filler(dtype: np.dtype[Any], size: int) -> NDArray[np.uint8]:
    """Return so many bytes of NaN of a float type, or of 0 for any other."""
    return _filler(dtype.char if dtype.kind == "f" else "B", max(size, _CHUNK_BYTES))[:size]


@lru_cache(maxsize=4)
def _filler(kind: str, size: int) -> NDArray[np.uint8]:
    """Return bytes of NaN of a float type, or of 0."""
    dtype = np.dtype(kind)
    return np.full(size // dtype.itemsize, np.nan if dtype.kind == "f" else 0, dtype).view(np.uint8)


def widen_column(group: h5py.Group, name: str, text_bytes: int) -> None:
    """Make a column of texts anew, for texts of so many bytes; as :func:`resize_column`."""
    narrow = group[name]
    texts, about = narrow[()], dict(narrow.attrs)
    chunk_rows = narrow.chunks[0]
    del group[name]
    made = _dataset(group.id, name, np.dtype(f"S{text_bytes}"), texts.shape, chunk_rows)
    _fill(made, 0, len(texts))
    wide = group[name]
    wide[()] = texts
    wide.attrs.update(about)
