"""Bytes of files from elsewhere: ordinary files only, and never more than a bound.

Sizes are looked at before memory is taken; a packed file is unpacked piece by piece.
"""

from __future__ import annotations

import gzip
import io
import math
import stat
import zlib
from collections.abc import Mapping
from pathlib import Path

from hwloop.errors import ConfigError

MAX_DATA_TEXT_BYTES = 128 * 2**20
"""Largest text of measured data, packed or unpacked."""

MAX_NUMBERS = 2**28
"""Most numbers that are read from one file: 2 GiB as doubles."""

MAX_FIELDS = 2**23
"""Most fields of a text of measured data: a million rows of eight columns."""

GZIP_BEGIN = b"\x1f\x8b"
"""First bytes of a gzip file."""

_PIECE_BYTES = 2**20
_MOST_NAMES = 5  # of files that are named in a message
_SEPARATORS = ("\n", ",", ";", "\t")


def file_bytes(path: Path) -> int:
    """Return the size of an ordinary file, bytes.

    Raises :class:`ConfigError` where there is none, or it is a folder, a pipe or a device, whose
    reading may never end.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as exc:  # ValueError: a zero byte in the name
        reason = getattr(exc, "strerror", None) or exc
        meant = _longer_names(path) if isinstance(exc, FileNotFoundError) else ""
        raise ConfigError(f"cannot be read: {reason}{meant}", file=str(path)) from None
    if stat.S_ISDIR(found.st_mode):
        raise ConfigError("is a folder; name a file in it", file=str(path))
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError("is a pipe or a device; name an ordinary file", file=str(path))
    return found.st_size


def _longer_names(path: Path) -> str:
    """Return ``"; beside it: a_x.yaml, b_x.yaml"`` for a missing x.yaml; "" where none is so."""
    try:
        beside = sorted(one.name for one in path.parent.iterdir() if one.suffix == path.suffix)
    except OSError:
        return ""
    longer = [name for name in beside if path.stem in name][:_MOST_NAMES]
    return f"; beside it: {', '.join(longer)}" if longer else ""


def read_bounded(path: Path, at_most: int) -> bytes:
    """Return the content of an ordinary file of at most ``at_most`` bytes.

    Raises :class:`ConfigError` with the size and the bound, before anything is read.
    """
    size = file_bytes(path)
    if size > at_most:
        raise ConfigError(_too_large(size, at_most), file=str(path))
    try:
        with path.open("rb") as stream:
            raw = stream.read(size + 1)
            if len(raw) > size:  # files below /proc have no size until they are read
                raw += stream.read(at_most + 1 - len(raw))
    except OSError as exc:
        raise ConfigError(f"cannot be read: {exc.strerror}", file=str(path)) from None
    if len(raw) > at_most:
        raise ConfigError(_too_large(len(raw), at_most), file=str(path))
    return raw


def unpack_gzip(packed: bytes, at_most: int, path: Path) -> bytes:
    """Return unpacked bytes; raises :class:`ConfigError` where they are more than ``at_most``.

    ``path``: for the message.
    """
    unpacked = bytearray()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            while piece := stream.read(_PIECE_BYTES):
                unpacked += piece
                if len(unpacked) > at_most:
                    raise ConfigError(
                        f"unpacks to more than {_size(at_most)}, from {_size(len(packed))}",
                        file=str(path),
                    )
    except (OSError, EOFError, zlib.error) as exc:
        raise ConfigError(f"cannot be unpacked as gzip: {exc}", file=str(path)) from None
    return bytes(unpacked)


def first_bytes(path: Path, count: int) -> bytes:
    """Return the first ``count`` bytes of an ordinary file, unpacked if it is a gzip file.

    Fewer where it is shorter. Raises :class:`ConfigError` as :func:`file_bytes` does, and where
    they cannot be read or unpacked.
    """
    file_bytes(path)
    try:
        with path.open("rb") as stream:
            packed = stream.read(2) == GZIP_BEGIN
            stream.seek(0)
            if not packed:
                return stream.read(count)
            with gzip.GzipFile(fileobj=stream) as unpacked:
                return unpacked.read(count)
    except (OSError, EOFError, zlib.error) as exc:
        raise ConfigError(f"cannot be read: {exc}", file=str(path)) from None


def refuse_claims(shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse the shapes that the arrays of a file claim to have where they are too many numbers.

    A few bytes can claim any shape, and memory would be taken for it. Raises :class:`ValueError`
    with the largest array, its shape and the bound.
    """
    counts = {name: math.prod(shape) for name, shape in shapes.items()}
    if sum(counts.values()) > MAX_NUMBERS:
        name = max(counts, key=lambda one: counts[one])
        raise ValueError(
            f"{name} claims the shape {shapes[name]}; at most {MAX_NUMBERS} numbers are read from"
            " a file"
        )


def refuse_many_fields(text: str, path: Path) -> None:
    """Raise :class:`ConfigError` where a text has more than :data:`MAX_FIELDS` fields.

    Each takes some 60 bytes as text of its own. ``path``: for the message.
    """
    fields = sum(map(text.count, _SEPARATORS))
    if fields > MAX_FIELDS:
        raise ConfigError(
            f"has {fields} fields; at most {MAX_FIELDS} are read from a text: divide it, or save"
            " its numbers as NPZ",
            file=str(path),
        )


def _too_large(size: int, at_most: int) -> str:
    """Return the message about a content of ``size`` bytes where ``at_most`` are allowed."""
    return f"has {_size(size)}; at most {_size(at_most)} are read"


def _size(count: int) -> str:
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 2**power:
            return f"{count / 2**power:.4g} {unit}"
    return f"{count} bytes"
