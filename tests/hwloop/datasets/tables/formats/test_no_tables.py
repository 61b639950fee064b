"""A file that holds no table is named by its begin, and a table is never taken for one."""

from __future__ import annotations

import pytest

from hwloop.datasets.tables.formats.no_tables import kind_without_table


@pytest.mark.parametrize(
    ("begin", "what"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "a picture (PNG)"),
        (b"%PDF-1.7\n1 2 3", "a PDF document"),
        (b"<?xml version='1.0'?>\n<svg width='9'>\n<path d='M 1,2'/>", "a picture (SVG)"),
        (b"<!-- made by a program -->\n<svg>\n1,2\n3,4\n</svg>", "a picture (SVG)"),
        (b"<?xml version='1.0'?>\n<?mso-application progid='Excel.Sheet'?>", "an Excel workbook"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><a><b>1,2</b></a>", "an XML file"),
        ("<?xml version='1.0'?><a>".encode("utf-16"), "an XML file"),
        (b"<data>\n<row>1,2</row>\n</data>", "an XML file"),
        (b"<!DOCTYPE html>\n<html><td>1</td></html>", "an HTML page"),
        (b"  <HTML><table>\n1,2\n", "an HTML page"),
        (b'{"t": [0, 1],\n"g": [1, 2]}', "a JSON file"),
        (b"[[0, 1],\n[2, 3]]", "a JSON file"),
        (b'[{"t": 0}]', "a JSON file"),
        (b"[\n 0,\n 1,\n 2]\n", "a JSON file"),
        (b"{\\rtf1 1 2}", "an RTF document"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "a sound"),
        (b"CPYUA 4.3", "an Origin project"),
        (b"\0" * 257 + b"ustar", "an archive (tar)"),
    ],
)
def test_what_a_file_is_stands_in_its_first_bytes(begin: bytes, what: str) -> None:
    assert what in kind_without_table(begin)


@pytest.mark.parametrize(
    "begin",
    [
        b"Time (s),G (uS)\n0,1\n",
        b"[Data]\n0,1\n",
        b"[2024-01-01]\n0,1\n",
        b"<Header>\nTime,G\n0,1\n",
        b"<I>/mA\tEwe/V\n1\t2\n",
        b"# {unit: S}\n1\n",
        b"[V],[A]\n0,1\n",
        b"-1.5 2\n",
        "Zeit (s);G (µS)\n".encode("utf-16"),
        b"",
    ],
)
def test_a_table_with_brackets_is_no_document(begin: bytes) -> None:
    assert kind_without_table(begin) == ""
