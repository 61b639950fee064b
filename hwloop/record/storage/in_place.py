"""Places in an HDF5 file of the oldest format where a value is changed by one write, without HDF5.

Objects of that format have no checksums: the length of a dataset is one number in its header, and
a text of an attribute a reference of 16 bytes to where it stands. Source: HDF5 File Format
Specification 3.0, sections II.A (superblock), III.E (global heap), IV.A.1.a (version 1 object
header), IV.A.2.b (dataspace message), IV.A.2.i (data layout message) and IV.A.2.m (attribute
message). What is not of that format is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import h5py

from hwloop.errors import RecordError

Read: TypeAlias = Callable[[int, int], bytes]
"""Read bytes of the file: an offset and how many."""

REFERENCE_BYTES, _PAGE_BYTES = 16, 4096
_DATASPACE, _LAYOUT, _ATTRIBUTE, _CONTINUATION = 0x01, 0x08, 0x0C, 0x10
_CONTIGUOUS = b"\x03\x01"  # version 3 of a data layout message, and the class of the layout
_END_PLACE = 40
_HEAP_HEAD, _ENTRY_HEAD = 16, 16


class UnknownPlace(RecordError):
    """Error: a file has another form than the one in which values are changed in place."""


class DatasetPlaces(NamedTuple):
    """Offsets of what is changed in the header of a dataset.

    ``length``: of its first axis, 8 bytes. ``storage``: of the offset of its values, 8 bytes, and
    of their size behind it, 8 more.
    """

    length: int
    storage: int


def length_place(read: Read, dataset: h5py.h5d.DatasetID) -> int:
    """Return the offset of the length of a dataset, its first axis, 8 bytes."""
    for kind, place, body in _messages(read, dataset):
        if kind == _DATASPACE and _is_of(body, dataset):
            return place + 8
    raise UnknownPlace("the place of the length of a dataset is not known")


def dataset_places(read: Read, dataset: h5py.h5d.DatasetID) -> DatasetPlaces:
    """Return the places in the header of a dataset whose values stand together, in this order."""
    length = storage = 0
    for kind, place, body in _messages(read, dataset):
        if kind == _DATASPACE and _is_of(body, dataset):
            length = place + 8
        if kind == _LAYOUT and body[:2] == _CONTIGUOUS:
            storage = place + 2
        if 0 < length < storage:
            return DatasetPlaces(length, storage)
    raise UnknownPlace("the place of the values of a dataset is not known")


def end_place(read: Read) -> int:
    """Return the offset of the number in the superblock that says where the file ends."""
    if read(0, 9) != b"\x89HDF\r\n\x1a\n\0":  # the last byte: the version
        raise UnknownPlace("the place of the end of the file is not known")
    return _END_PLACE


def _is_of(dataspace: bytes, dataset: h5py.h5d.DatasetID) -> bool:
    """Return whether a dataspace message of version 1 has the shape of a dataset."""
    (length,) = struct.unpack_from("<Q", dataspace, 8)
    shape = dataset.shape
    return dataspace[0] == 1 and dataspace[1] == len(shape) and bool(length == shape[0])


def reference_place(read: Read, owner: Any, name: str) -> int:
    """Return the offset of the reference to the text of an attribute; see REFERENCE_BYTES."""
    wanted = name.encode() + b"\0"
    for kind, place, body in _messages(read, owner):
        if kind != _ATTRIBUTE or body[0] != 1:
            continue
        name_bytes, type_bytes, space_bytes = struct.unpack_from("<HHH", body, 2)
        found = place + 8 + sum(map(_padded, (name_bytes, type_bytes, space_bytes)))
        # A kill may come between two pages of one write.
        within = found % _PAGE_BYTES + REFERENCE_BYTES <= _PAGE_BYTES
        if within and body[8 : 8 + name_bytes] == wanted:
            return found
    raise UnknownPlace(f"the place of the attribute {name} is not known")


def text_place(read: Read, reference: bytes) -> tuple[int, int]:
    """Return offset and length, bytes, of the text that a reference stands for."""
    length, heap, wanted = struct.unpack("<IQI", reference)
    head = read(heap, _HEAP_HEAD)
    if head[:5] == b"GCOL\1":
        (heap_bytes,) = struct.unpack_from("<Q", head, 8)
        body, at = read(heap, heap_bytes), _HEAP_HEAD
        while at + _ENTRY_HEAD <= len(body):
            index, size = struct.unpack_from("<H6xQ", body, at)
            if index == wanted and size == length:
                return heap + at + _ENTRY_HEAD, length
            if not index:  # free space, which ends a heap
                break
            at += _ENTRY_HEAD + _padded(size)
    raise UnknownPlace("the place of a text is not known")


def _messages(read: Read, owner: Any) -> Iterator[tuple[int, int, bytes]]:
    """Yield kind, offset and bytes of each message in the header of a group or dataset."""
    address = h5py.h5o.get_info(owner).addr
    version, _, count, _, size = struct.unpack("<BBHII", read(address, 12))
    if version != 1:
        raise UnknownPlace(f"a header of version {version}; only version 1 is changed in place")
    blocks = [(address + 16, size)]
    while blocks and count:
        first, size = blocks.pop(0)
        block, at = read(first, size), 0
        while at + 8 <= len(block) and count:
            kind, length = struct.unpack_from("<HH", block, at)
            body = block[at + 8 : at + 8 + length]
            if kind == _CONTINUATION:
                blocks.append(struct.unpack_from("<QQ", body))
            yield kind, first + at + 8, body
            at += 8 + length
            count -= 1


def _padded(size: int) -> int:
    """Return a size rounded up to whole numbers of 8 bytes."""
    return -(-size // 8) * 8
