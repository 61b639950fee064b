"""The packed form of a record: what it holds, and no room for more."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import h5py

_PIECE_BYTES = 8 * 2**20


def pack(
    source: h5py.Group,
    target: h5py.Group,
    *,
    rows: Mapping[str, int],
    left_out: Collection[str] = (),
) -> None:
    """Copy groups, datasets and attributes into an empty file.

    ``rows``: by the path of a group from the root, without a slash in front: how many rows of its
    datasets are complete; the others are left behind. ``left_out``: paths that are not copied. A
    group below another one is left out where nothing of it remains.
    """
    target.attrs.update(source.attrs)
    here = source.name.strip("/")
    for name, item in source.items():
        path = f"{here}/{name}".strip("/")
        if path in left_out:
            continue
        if isinstance(item, h5py.Dataset):
            _pack_dataset(item, target, name, rows.get(here))
            continue
        inner = target.create_group(name)
        pack(item, inner, rows=rows, left_out=left_out)
        if here and len(item) and not len(inner):
            del target[name]


def _pack_dataset(source: h5py.Dataset, target: h5py.Group, name: str, rows: int | None) -> None:
    if source.shape is None or not source.ndim:
        value = h5py.Empty(source.dtype) if source.shape is None else source[()]
        packed = target.create_dataset(name, data=value, dtype=source.dtype)
    else:
        length, *row = source.shape
        kept = length if rows is None else rows
        # Texts are as wide as the longest one, and mostly empty.
        squeeze = "gzip" if source.dtype.kind == "S" and source.nbytes > _PIECE_BYTES else None
        packed = target.create_dataset(
            name, shape=(kept, *row), dtype=source.dtype, compression=squeeze
        )
        row_bytes = max(math.prod(row) * source.dtype.itemsize, 1)
        step = max(_PIECE_BYTES // row_bytes, 1)
        if source.chunks:  # whole chunks: each is read once
            step = -(-step // source.chunks[0]) * source.chunks[0]
        for first in range(0, kept, step):
            packed[first : first + step] = source[first : min(first + step, kept)]
    packed.attrs.update(source.attrs)
