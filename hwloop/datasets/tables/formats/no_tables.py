"""Files that hold no table to be read: pictures, documents, archives, files of other programs."""

from __future__ import annotations

import codecs
import re

_UNPACK = "unpack it"
_PICTURE = "; export the numbers that it shows"
_BEGINS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", f"a picture (PNG){_PICTURE}"),
    (b"\xff\xd8\xff", f"a picture (JPEG){_PICTURE}"),
    (b"GIF8", f"a picture (GIF){_PICTURE}"),
    (b"II*\0", f"a picture (TIFF){_PICTURE}"),
    (b"MM\0*", f"a picture (TIFF){_PICTURE}"),
    (b"\xd7\xcd\xc6\x9a", f"a picture (WMF){_PICTURE}"),
    (b"%PDF", "a PDF document; export its table as CSV"),
    (b"%!PS", "a PostScript document; export its table as CSV"),
    (b"{\\rtf", "an RTF document; save its table as CSV"),
    (b"7z\xbc\xaf", f"an archive (7z); {_UNPACK}"),
    (b"Rar!", f"an archive (RAR); {_UNPACK}"),
    (b"BZh", f"packed with bzip2; {_UNPACK}"),
    (b"\xfd7zXZ", f"packed with xz; {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"packed with zstd; {_UNPACK}"),
    (b"PAR1", "a Parquet file; save it as CSV"),
    (b"ARROW1", "an Arrow file; save it as CSV"),
    (b"TDSm", "a LabVIEW TDMS file; save it as text (.lvm) or CSV"),
    (b"TDSh", "the index of a LabVIEW TDMS file; save the .tdms file as text (.lvm) or CSV"),
    (b"RSRC\r\n", "a LabVIEW program (.vi), no data"),
    (b"CPYA ", "an Origin project; export its worksheet as CSV"),
    (b"CPYUA ", "an Origin project; export its worksheet as CSV"),
    (b"\x0e\x03\x13\x01", "an HDF4 file; convert it to HDF5"),
    (b"\x80\x04\x95", "a Python pickle, which can hold a program and is not read; save it as CSV"),
    (b"\x80\x05\x95", "a Python pickle, which can hold a program and is not read; save it as CSV"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
)
_TEXT_BEGINS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), what)
    for pattern, what in (
        (
            r"(<\?xml.*?)?(<!--.*?-->\s*|<!DOCTYPE svg[^>]*>\s*)*<svg\b",
            f"a picture (SVG){_PICTURE}",
        ),
        (r"<\?xml.*<\?mso-application", "an Excel workbook as XML; save it as .xlsx or CSV"),
        (
            r"<\?xml|<!--.*?-->\s*<\w|<[a-z][\w:.-]*[^<>]*>\s*<",
            "an XML file; export its table as CSV",
        ),
        (r"<(!DOCTYPE\s+)?html", "an HTML page; save its table as CSV"),
        (r'\{\s*("[^"]*"\s*:|\})', "a JSON file; save its table as CSV"),
        (r'\[\s*([\[{"]|[-\d.eE+]+\s*,\s*[-\d[{"]|\])', "a JSON file; save its table as CSV"),
        (r"\\documentclass|\\begin\{", "a LaTeX document; save its table as CSV"),
    )
)
"""Begins of text, in this order: HTML is looked for last among what begins with "<"."""


def kind_without_table(begin: bytes) -> str:
    """Return what a file is and what to do, by its first bytes; "" if it may hold a table."""
    for mark, what in _BEGINS:
        if begin.startswith(mark):
            return what
    if begin[257:262] == b"ustar":
        return f"an archive (tar); {_UNPACK}"
    if begin.startswith(b"RIFF") and begin[8:12] in (b"WAVE", b"AVI ", b"WEBP"):
        return "a sound, film or picture (RIFF), no table"
    text = _as_text(begin).lstrip("\ufeff \t\r\n")
    if re.match(r"<(!DOCTYPE\s+)?html", text, re.IGNORECASE):
        return "an HTML page; save its table as CSV"
    return next((what for pattern, what in _TEXT_BEGINS if pattern.match(text)), "")


def _as_text(begin: bytes) -> str:
    if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return begin.decode("utf-16", "replace")
    return begin.decode("utf-8", "replace")
