"""Walk HDF5 files from elsewhere, as a process of its own: the child of :mod:`.foreign_hdf5`.

The library for HDF5, written in C, can loop or crash on a damaged file, and what a file claims can
take any memory; here that harms nobody. Started by its path, so that it imports h5py and no more.
The input is a JSON list: seconds of processor time for all, whether claims beyond the bound are
refused, and the files. Each line of the output is what is wrong with one of them, as JSON, "" if
nothing.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

NOT_HDF5 = "cannot be read as HDF5: damaged, or not an HDF5 file"

LEAST_CLAIMED_BYTES = 512 * 2**20
CLAIMED_PER_BYTE = 4
"""What the datasets of a file may claim together: the larger of these two bounds."""

MAX_OBJECTS = 100_000
MAX_LEVELS = 64
READ_WHOLE_BYTES = 256 * 2**20
"""Bytes of a file's data that are read; of what lies beyond, the ends and the index of chunks."""

_BLOCK_BYTES = 2**20
_MEMORY_BYTES = 2 * 2**30
_TEXT_BYTES = 16  # of one entry whose length varies, before its text is read


class Refused(Exception):
    """Error: a file holds what is not read from elsewhere; says where and what."""


class Walk:
    """Walk over every object, attribute and dataset that an open HDF5 file holds itself.

    Without ``refuses_claims`` a dataset that claims too much is passed by: who reads it bounds it.
    """

    def __init__(self, file: Any, size: int, *, refuses_claims: bool) -> None:
        self._file = file
        self._refuses_claims = refuses_claims
        self._bound = max(LEAST_CLAIMED_BYTES, CLAIMED_PER_BYTE * size)
        self._size = size
        self._claimed = 0
        self._read = 0

    def run(self) -> None:
        """Walk the whole file; raises :class:`Refused`, or what h5py raises, with the place."""
        waiting = [(self._file, "", 0)]
        seen = {_address(self._file)}
        while waiting:
            group, place, level = waiting.pop()
            self._attributes(group, place or "/")
            for name, item in self._members(group, place):
                below = f"{place}/{name}" if place else name
                if _address(item) in seen:
                    continue
                seen.add(_address(item))
                if len(seen) > MAX_OBJECTS:
                    raise Refused(f"holds more than {MAX_OBJECTS} objects")
                if hasattr(item, "keys"):
                    if level == MAX_LEVELS:
                        raise Refused(f"{below}: lies more than {MAX_LEVELS} groups deep")
                    waiting.append((item, below, level + 1))
                elif hasattr(item, "chunks"):
                    self._attributes(item, below)
                    _at(below, self._dataset, item, below)

    def _members(self, group: Any, place: str) -> Iterator[tuple[str, Any]]:
        import h5py

        if len(group) > MAX_OBJECTS:
            raise Refused(f"{place or '/'}: claims {len(group)} members; at most {MAX_OBJECTS}")
        for name in _at(place or "/", list, group):
            below = f"{place}/{name}" if place else name
            link = _at(below, lambda name=name: group.get(name, getlink=True))
            if isinstance(link, h5py.ExternalLink):
                raise Refused(f"{below}: is a link to another file, {link.filename}")
            if not isinstance(link, h5py.HardLink):
                raise Refused(f"{below}: is a soft link, to {getattr(link, 'path', '?')}")
            yield name, _at(below, lambda name=name: group[name])

    def _attributes(self, item: Any, place: str) -> None:
        for name in _at(place, list, item.attrs):
            where = f"{place}, attribute {name}"
            found = _at(where, item.attrs.get_id, name)
            if found.shape is not None:
                self._claim(where, found.shape, found.dtype.itemsize)
            _at(where, item.attrs.__getitem__, name)

    def _dataset(self, item: Any, place: str) -> None:
        if item.external:
            raise Refused(f"{place}: has its data in another file, {item.external[0][0]}")
        if item.is_virtual:
            raise Refused(f"{place}: has its data in other datasets (a virtual dataset)")
        if item.shape is None:
            return
        is_text = item.dtype.hasobject
        row_bytes = max(item.dtype.itemsize, _TEXT_BYTES if is_text else 0)
        needed = math.prod(item.shape) * row_bytes
        needed += math.prod(item.chunks or ()) * item.dtype.itemsize
        if not self._refuses_claims and self._claimed + needed > self._bound:
            return
        self._claim(place, item.shape, row_bytes)
        if item.chunks:
            self._claim(f"a chunk of {place}", item.chunks, item.dtype.itemsize)
        if not item.shape:
            item[()]
        elif math.prod(item.shape):
            self._rows(item, place, row_bytes * math.prod(item.shape[1:]), is_text=is_text)

    def _rows(self, item: Any, place: str, row_bytes: int, *, is_text: bool) -> None:
        rows = item.shape[0]
        at_once = max(_BLOCK_BYTES // max(row_bytes, 1), 1)
        is_packed = item.id.get_create_plist().get_nfilters() > 0
        whole = is_text or is_packed or self._read + rows * row_bytes <= READ_WHOLE_BYTES
        for first in range(0, rows, at_once) if whole else (0, rows - 1):
            block = item[first : first + at_once]
            if item.dtype.kind == "O":
                self._claim(f"text of {place}", (sum(map(_length, block.flat)),), 1)
        if whole:
            self._read += rows * row_bytes
        elif item.chunks:
            places: list[tuple[int, ...]] = []
            item.id.chunk_iter(lambda chunk: places.append(chunk.chunk_offset))
            for at in places:
                item.id.get_chunk_info_by_coord(at)

    def _claim(self, place: str, shape: tuple[int, ...], item_bytes: int) -> None:
        self._claimed += math.prod(shape) * item_bytes
        if self._claimed > self._bound:
            raise Refused(
                f"{place}: claims the shape {shape}, {math.prod(shape) * item_bytes} bytes; a file"
                f" of {self._size} bytes may claim {self._bound} in all"
            )


def _at(place: str, read: Any, *arguments: Any) -> Any:
    """Return what ``read`` returns; an error of h5py names the place."""
    try:
        return read(*arguments)
    except Refused:
        raise
    except Exception as exc:
        raise Refused(f"{place}: {str(exc) or type(exc).__name__}") from exc


def _length(entry: Any) -> int:
    """Return the size of a text or of an array of any length, about, bytes."""
    return int(getattr(entry, "nbytes", 0)) or (len(entry) if isinstance(entry, bytes | str) else 0)


def _address(item: Any) -> tuple[int, int]:
    import h5py

    about = h5py.h5o.get_info(item.id)
    return about.fileno, about.addr


def bound_process(cpu_s: int) -> None:
    """Bound the memory and the processor time of this process where the system can."""
    if sys.platform == "win32":
        return
    import resource

    used_s = math.ceil(time.process_time())
    bounds = {
        resource.RLIMIT_AS: (_MEMORY_BYTES, _MEMORY_BYTES),
        resource.RLIMIT_CPU: (cpu_s + used_s, cpu_s + used_s + 1),
        resource.RLIMIT_CORE: (0, 0),  # no image of the memory of each crash
    }
    for kind, bound in bounds.items():
        with suppress(OSError, ValueError):  # macOS refuses that of memory
            resource.setrlimit(kind, bound)


def fault_of(path: str, *, refuses_claims: bool) -> str:
    """Return what is wrong with a file, with its place; "" if nothing is."""
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as file:  # its writer and readers go on meanwhile
            size = os.stat(path).st_size  # noqa: PTH116 - pathlib would be imported late
            Walk(file, size, refuses_claims=refuses_claims).run()
    except Refused as exc:
        return str(exc)
    except MemoryError:
        return f"needs more than {_MEMORY_BYTES} bytes of memory to be read"
    except Exception as exc:  # noqa: BLE001 - what h5py raises depends on where the damage is
        return f"{NOT_HDF5}: {str(exc) or type(exc).__name__}"
    return ""


def main(cpu_s: int, refuses_claims: bool, *paths: str) -> None:
    """Write what is wrong with each file, a line each, as soon as it is known."""
    import h5py  # noqa: F401 - imported before memory is bounded

    bound_process(cpu_s)
    for path in paths:
        print(json.dumps(fault_of(path, refuses_claims=refuses_claims)), flush=True)


if __name__ == "__main__":
    main(*json.load(sys.stdin))
