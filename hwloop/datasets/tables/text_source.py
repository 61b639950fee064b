"""Lines of a text file in its own encoding, piece by piece, packed with gzip or not."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hwloop.errors import ConfigError
from hwloop.settings.foreign_files import GZIP_BEGIN, file_bytes, first_bytes

MAX_TEXT_CHARACTERS = 2**33
"""Most characters that are read from one text of measured data, packed or not."""

_HEAD_BYTES = 2**20
_PIECE_CHARACTERS = 2**20
_MAX_LINE_CHARACTERS = 2**24
_END_MARK = "\x1a"
"""Ctrl-Z, with which programs of DOS end a text; the file may be filled up with it."""

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NAMES = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "utf-32": "UTF-32",
    "utf-32-le": "UTF-32",
    "utf-32-be": "UTF-32",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "cp1252": "Windows-1252",
    "ascii": "ASCII",
}


@dataclass(frozen=True)
class LineBatch:
    """Lines without their ends; ``first``: number of the first, counted from 1.

    ``unfinished``: the only line is the last of the file and has no line end.
    """

    first: int
    lines: list[str]
    unfinished: bool = False


@dataclass(frozen=True)
class TextSource:
    """A text file whose encoding and line ends are known."""

    path: Path
    encoding: str
    line_end: str

    @property
    def encoding_name(self) -> str:
        """Return the name of the encoding for people."""
        return _NAMES[self.encoding]

    def batches(self) -> Iterator[LineBatch]:
        """Yield the lines piece by piece; the last batch is unfinished where no line end follows.

        Raises :class:`ConfigError` with the line where one is too long, or a carriage return
        stands within it, and UnicodeDecodeError where a later byte is not of the encoding.
        """
        rest, number, count = "", 1, 0
        for piece in self._pieces():
            count += len(piece)
            if count > MAX_TEXT_CHARACTERS:
                raise ConfigError(
                    f"holds more than {MAX_TEXT_CHARACTERS} characters; divide it",
                    file=str(self.path),
                )
            whole = self._with_one_end(rest + piece)
            *lines, rest = whole.split(self.line_end)
            if len(rest) > _MAX_LINE_CHARACTERS:
                raise ConfigError(
                    f"has more than {_MAX_LINE_CHARACTERS} characters: no table of numbers has",
                    key=f"line {number + len(lines)}",
                    file=str(self.path),
                )
            if lines:
                if self.line_end == "\n" and "\r" in whole:
                    self._refuse_stray_returns(lines, number)
                yield LineBatch(number, lines)
            number += len(lines)
        text = rest.rstrip(_END_MARK)
        if text:
            last = [text.removesuffix("\r")]
            self._refuse_stray_returns(last, number)
            yield LineBatch(number, last, unfinished=text == rest)

    def lines(self) -> list[str]:
        """Return all lines; the last is "" where the file ends in a line end."""
        found: list[str] = []
        unfinished = False
        for batch in self.batches():
            found += batch.lines
            unfinished = batch.unfinished
        return found if unfinished else [*found, ""]

    def _pieces(self) -> Iterator[str]:
        try:
            with self.path.open("rb") as raw:
                packed = raw.read(2) == GZIP_BEGIN
                raw.seek(0)
                stream = gzip.GzipFile(fileobj=raw) if packed else raw
                with io.TextIOWrapper(stream, encoding=self.encoding, newline="") as text:
                    while piece := text.read(_PIECE_CHARACTERS):
                        yield piece
        except (OSError, EOFError, zlib.error) as exc:
            kind = (
                "unpacked as gzip" if not isinstance(exc, OSError) or exc.errno is None else "read"
            )
            raise ConfigError(f"cannot be {kind}: {exc}", file=str(self.path)) from None

    def _with_one_end(self, text: str) -> str:
        both = self.line_end == "\n" and "\r\n" in text
        return text.replace("\r\n", "\n") if both else text

    def _refuse_stray_returns(self, lines: list[str], first: int) -> None:
        for number, line in enumerate(lines, start=first):
            if "\r" in line:
                raise ConfigError(
                    "a carriage return stands within the line; other lines end in a line feed",
                    key=f"line {number}",
                    file=str(self.path),
                )


def open_text(path: Path) -> TextSource:
    """Return the source of a text file after a look at its begin.

    Raises :class:`ConfigError` where it is not text.
    """
    head = first_bytes(path, _HEAD_BYTES)
    encoding = _encoding(head, path)
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        raise not_text(path) from None
    only_returns = "\r" in text and "\n" not in text
    return TextSource(path, encoding, "\r" if only_returns else "\n")


def begin_of_text(path: Path) -> list[str]:
    """Return the lines of the first piece of a text file.

    Raises :class:`ConfigError` where it is not text.
    """
    try:
        first = next(open_text(path).batches(), None)
    except UnicodeDecodeError:
        raise not_text(path) from None
    return first.lines if first is not None else []


def read_whole(path: Path) -> list[str]:
    """Return all lines of a text file; bytes that are not UTF-8 make it Windows-1252.

    Raises :class:`ConfigError` where it is not text.
    """
    source = open_text(path)
    try:
        return source.lines()
    except UnicodeDecodeError:
        try:
            return TextSource(path, "cp1252", source.line_end).lines()
        except UnicodeDecodeError:
            raise not_text(path) from None


def not_text(path: Path) -> ConfigError:
    """Return the error about a file that is no text."""
    return ConfigError("cannot be read: it is not text", file=str(path))


def _encoding(head: bytes, path: Path) -> str:
    for bom, name in _BOMS:
        if head.startswith(bom):
            return name
    if all(_mostly_zero(head[i::4]) for i in (1, 2, 3)) and not _mostly_zero(head[::4]):
        return "utf-32-le"
    if all(_mostly_zero(head[i::4]) for i in (0, 1, 2)) and not _mostly_zero(head[3::4]):
        return "utf-32-be"
    if _mostly_zero(head[1::2]) and not _mostly_zero(head[::2]):
        return "utf-16-le"
    if _mostly_zero(head[::2]) and not _mostly_zero(head[1::2]):
        return "utf-16-be"
    if _CONTROL.search(head.rstrip(b"\x1a\r\n")):
        raise not_text(path)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252"
    # A head in ASCII may go on in either; UTF-8 is tried first.
    return "utf-8"


def _mostly_zero(half: bytes) -> bool:
    return len(half) > 1 and half.count(0) > 0.7 * len(half)


def size_and_time(path: Path) -> tuple[int, int]:
    """Return size and time of change of a file, by which a file that still grows is known."""
    return file_bytes(path), path.stat().st_mtime_ns
