"""Workbook of Excel 97 in a few bytes: sheets of text and numbers, in an OLE container."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_SECTOR = 512


Rows = Sequence[Sequence[str | float]]


def old_workbook(sheets: Mapping[str, Rows]) -> bytes:
    """Return the bytes of a .xls file, by [MS-CFB] and [MS-XLS]."""
    begin = _record(0x809, struct.pack("<HHHHII", 0x600, 5, 0, 0, 0, 0))
    parts = [_sheet(rows) for rows in sheets.values()]
    offset = len(begin) + sum(12 + len(title) for title in sheets) + 4
    bounds = b""
    for title, part in zip(sheets, parts, strict=True):
        name = title.encode("latin-1")
        bounds += _record(0x85, struct.pack("<IBBBB", offset, 0, 0, len(name), 0) + name)
        offset += len(part)
    return container("Workbook", begin + bounds + _record(0x0A, b"") + b"".join(parts))


def _sheet(rows: Rows) -> bytes:
    found = _record(0x809, struct.pack("<HHHHII", 0x600, 0x10, 0, 0, 0, 0))
    for place, row in enumerate(rows):
        for column, value in enumerate(row):
            where = struct.pack("<HHH", place, column, 0)
            if isinstance(value, str):
                text = struct.pack("<HB", len(value), 0) + value.encode("latin-1")
                found += _record(0x204, where + text)
            else:
                found += _record(0x203, where + struct.pack("<d", value))
    return found + _record(0x0A, b"")


def container(name: str, stream: bytes) -> bytes:
    """Return an OLE container with one stream of that name."""
    stream = stream.ljust(4096, b"\0")  # a shorter one would be in a container of its own
    stream += b"\0" * (-len(stream) % _SECTOR)
    count = len(stream) // _SECTOR
    fat = [_FAT, _END, *range(3, count + 2), _END]
    fat += [_FREE] * (_SECTOR // 4 - len(fat))
    header = bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 16
    header += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, _END, 0, _END, 0)
    header += struct.pack("<I", 0) + struct.pack("<I", _FREE) * 108
    entries = _entry("Root Entry", 5, 1, _END, 0) + _entry(name, 2, _FREE, 2, len(stream))
    return header + struct.pack("<128I", *fat) + entries.ljust(_SECTOR, b"\0") + stream


def _record(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    text = (name + "\0").encode("utf-16-le")
    links = struct.pack("<HBBIII", len(text), kind, 1, _FREE, _FREE, child)
    return text.ljust(64, b"\0") + links + b"\0" * 36 + struct.pack("<IQ", start, size)
