"""Parts of every report as HTML: the page, tables, figures, text."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from hwloop.plotting.style import SavedFigure
from hwloop.settings.units import without_suffix

_SHOWN = 0.75
"""Size of an image on the page: its letters are then as large as the page's."""


@dataclass(frozen=True)
class Html:
    """Text that is markup already."""

    markup: str


def text_of(value: object) -> str:
    """Return a value as markup: escaped, unless it is markup already."""
    return value.markup if isinstance(value, Html) else html.escape(str(value))


def document(title: str, body: Iterable[str]) -> str:
    """Return the whole page with its style sheet; it fetches nothing."""
    css = files("hwloop.report").joinpath("report.css").read_text(encoding="utf-8")
    lines = "\n".join(body)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text_of(title)}</title>\n"
        f"<style>\n{css}</style>\n</head>\n<body>\n{lines}\n</body>\n</html>\n"
    )


def table_of(rows: Iterable[Sequence[object]]) -> str:
    """Return a table whose rows begin with their name."""
    lines = (
        f"<tr><th>{text_of(head)}</th>{''.join(f'<td>{text_of(cell)}</td>' for cell in cells)}</tr>"
        for head, *cells in rows
    )
    return f"<table>{''.join(lines)}</table>"


def grid_of(heads: Iterable[tuple[object, object]], rows: Iterable[Iterable[object]]) -> str:
    """Return a table; ``heads``: name of each column, and its meaning in small letters."""
    head = "".join(
        f"<th>{text_of(name)}<br><small>{text_of(meaning)}</small></th>" for name, meaning in heads
    )
    body = "".join(
        f"<tr>{''.join(f'<td>{text_of(cell)}</td>' for cell in cells)}</tr>" for cells in rows
    )
    return f'<table class="grid"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def figure_of(figure: SavedFigure) -> str:
    """Return a figure and its caption, the image embedded in the page."""
    png = figure.path.read_bytes()
    data = base64.b64encode(png).decode("ascii")
    width_px = int.from_bytes(png[16:20], "big")  # PNG (ISO/IEC 15948), 11.2.2: in the header
    first, *more = figure.caption.split("\n\n")
    paragraphs = "".join(f"<p>{text_of(text)}</p>" for text in more)
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{text_of(figure.title)}"'
        f' width="{round(width_px * _SHOWN)}">'
        f"<figcaption><p><b>{text_of(figure.title)}.</b> {text_of(first)}</p>{paragraphs}"
        "</figcaption></figure>"
    )


def link(address: str, shown: object) -> Html:
    """Return ``shown`` as a link to ``address``."""
    return Html(f'<a href="{html.escape(address)}">{text_of(shown)}</a>')


def heading_of(name: str, unit: str = "") -> str:
    """Return a heading for the name of a column or a table, without the suffix of its unit."""
    words = without_suffix(name, unit).replace("_", " ")
    return words[:1].upper() + words[1:]
