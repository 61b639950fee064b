"""The packed form of a record: what it holds, and no room for more."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TypeAlias

import h5py

from hwloop.record.attributes import copy_attributes

_PIECE_BYTES = 8 * 2**20

Copy: TypeAlias = Callable[[int, int, int], None]
"""Copy bytes from an offset of the source's file to one of the target's; the third: how many."""


def pack(
    source: h5py.Group,
    target: h5py.Group,
    *,
    rows: Mapping[str, int],
    left_out: Collection[str] = (),
    copy: Copy,
) -> None:
    """Copy groups, datasets and attributes into an empty file.

    ``rows``: by the path of a group from the root, without a slash in front: how many rows of its
    datasets are complete; the others are left behind. ``left_out``: paths that are not copied. A
    group below another one is left out where nothing of it remains. ``copy``: copies between the
    two files past HDF5, which would pass each chunk through itself.
    """
    copy_attributes(source.id, target.id)
    here = source.name.strip("/")
    for name in source:
        path = f"{here}/{name}".strip("/")
        if path in left_out:
            continue
        item = source[name]
        if isinstance(item, h5py.Dataset):
            if here in rows:
                _pack_column(item, target, name, rows[here], copy)
            else:
                h5py.h5o.copy(source.id, name.encode(), target.id, name.encode())
            continue
        inner = target.create_group(name)
        pack(item, inner, rows=rows, left_out=left_out, copy=copy)
        if here and len(item) and not len(inner):
            del target[name]


def _pack_column(
    source: h5py.Dataset, target: h5py.Group, name: str, rows: int, copy: Copy
) -> None:
    shape = (rows, *source.shape[1:])
    row_bytes = math.prod(shape[1:]) * source.dtype.itemsize
    # Texts are as wide as the longest one, and mostly empty.
    if source.dtype.kind == "S" and len(source) * row_bytes > _PIECE_BYTES:
        packed = target.create_dataset(name, shape=shape, dtype=source.dtype, compression="gzip")
        step = -(-_PIECE_BYTES // row_bytes // source.chunks[0]) * source.chunks[0]
        for first in range(0, rows, step):
            packed[first : first + step] = source[first : min(first + step, rows)]
        copy_attributes(source.id, packed.id)
        return
    made = _contiguous(source.id, target, name, shape)
    copy_attributes(source.id, made)
    if rows * row_bytes:
        to = made.get_offset()
        for at, size in _places(source.id, rows, row_bytes):
            copy(at, to, size)
            to += size


def _contiguous(
    source: h5py.h5d.DatasetID, target: h5py.Group, name: str, shape: tuple[int, ...]
) -> h5py.h5d.DatasetID:
    """Make a dataset like another one, with room in the file that holds nothing yet."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_obj_track_times(False)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple(shape)
    return h5py.h5d.create(target.id, name.encode(), source.get_type(), space, plist)


def _places(source: h5py.h5d.DatasetID, rows: int, row_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield offset and bytes of the first rows, neighbours in the file together."""
    chunk_rows = source.get_create_plist().get_chunk()[0]
    begin = end = 0
    for first in range(0, rows, chunk_rows):
        start = (first, *(0 for _ in source.shape[1:]))
        offset = source.get_chunk_info_by_coord(start).byte_offset
        if offset != end:
            if end > begin:
                yield begin, end - begin
            begin = offset
        end = offset + min(chunk_rows, rows - first) * row_bytes
    yield begin, end - begin
