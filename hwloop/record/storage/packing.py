"""The packed form of a record: what it holds, and no room for more."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TypeAlias

import h5py

from hwloop.record.storage.objects import contiguous, copy_attributes, make_group

_PIECE_BYTES = 8 * 2**20

Copy: TypeAlias = Callable[[int, int, int], None]
"""Copy bytes from an offset of the source's file to one of the target's; the third: how many."""


def pack(
    source: h5py.h5g.GroupID,
    target: h5py.h5g.GroupID,
    *,
    rows: Mapping[str, int],
    left_out: Collection[str] = (),
    copy: Copy,
    here: str = "",
) -> None:
    """Copy groups, datasets and attributes into an empty file.

    ``rows``: by the path of a group from the root, without a slash in front: how many rows of its
    datasets are complete; the others are left behind. ``left_out``: paths that are not copied; of
    a group that is in ``rows``, its own datasets. A group below another one is left out where
    nothing of it remains. ``copy``: copies between the two files past HDF5, which would pass each
    chunk through itself. ``here``: the path of ``source``.
    """
    copy_attributes(source, target)
    for name in source:
        path = f"{here}/{name.decode()}".strip("/")
        if path in left_out and path not in rows:
            continue
        item = h5py.h5o.open(source, name)
        if isinstance(item, h5py.h5g.GroupID):
            inner = make_group(target, name.decode())
            pack(item, inner, rows=rows, left_out=left_out, copy=copy, here=path)
            if here and item.get_num_objs() and not inner.get_num_objs():
                target.unlink(name)
        elif here not in rows:
            h5py.h5o.copy(source, name, target, name)
        elif here not in left_out:
            _pack_column(item, target, name, rows[here], copy)


def _pack_column(
    source: h5py.h5d.DatasetID, target: h5py.h5g.GroupID, name: bytes, rows: int, copy: Copy
) -> None:
    length, *others = source.shape
    row_bytes = math.prod(others) * source.dtype.itemsize
    # Texts are as wide as the longest one, and mostly empty.
    if source.dtype.kind == "S" and length * row_bytes > _PIECE_BYTES:
        _pack_texts(h5py.Dataset(source), h5py.Group(target), name.decode(), rows)
        return
    space = h5py.h5s.create_simple((rows, *others))
    made = h5py.h5d.create(target, name, source.get_type(), space, contiguous())
    copy_attributes(source, made)
    if rows * row_bytes:
        to = made.get_offset()
        for at, size in _places(source, rows, row_bytes):
            copy(at, to, size)
            to += size


def _pack_texts(source: h5py.Dataset, target: h5py.Group, name: str, rows: int) -> None:
    shape = (rows, *source.shape[1:])
    row_bytes = math.prod(shape[1:]) * source.dtype.itemsize
    packed = target.create_dataset(name, shape=shape, dtype=source.dtype, compression="gzip")
    chunk_rows = source.chunks[0] if source.chunks else 1
    step = -(-_PIECE_BYTES // row_bytes // chunk_rows) * chunk_rows
    for first in range(0, rows, step):
        packed[first : first + step] = source[first : min(first + step, rows)]
    copy_attributes(source.id, packed.id)


def _places(source: h5py.h5d.DatasetID, rows: int, row_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield offset and bytes of the first rows, neighbours in the file together."""
    made = source.get_create_plist()
    if made.get_layout() != h5py.h5d.CHUNKED:
        yield source.get_offset(), rows * row_bytes
        return
    chunk_rows = made.get_chunk()[0]
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
