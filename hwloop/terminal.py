"""Output to a terminal: every text from a file or an instrument is shown, never obeyed.

A record, a procedure or an instrument of someone else's may hold escape sequences, which set the
title of a window, hide lines or answer in the user's place, and square brackets that rich would
take for markup. Everything that a command prints goes through :func:`say` or :func:`plain_console`.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_KEPT = "\n\t"
_CONTROLLING = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"  # of letters in many scripts; they move nothing


def printable(text: str) -> str:
    r"""Return a text with every control character written out, such as ``\x1b``.

    These are the control characters but newline and tab, marks that turn the direction of writing,
    separators of lines and paragraphs, and halves of surrogate pairs.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_written_out(one) for one in text)


def _written_out(one: str) -> str:
    if one in _KEPT or one in _JOINERS or unicodedata.category(one) not in _CONTROLLING:
        return one
    return one.encode("unicode_escape", "surrogatepass").decode("ascii")


def say(text: object, *, err: bool = False) -> None:
    """Print a line to the standard output, or to the standard error, with :func:`printable`."""
    import typer

    typer.echo(printable(str(text)), err=err)


def plain_console(*, stderr: bool = False, width: int | None = None) -> Console:
    """Return a console of rich for tables and colours, which reads no markup in a text.

    Text in it, also in tables, goes through :func:`printable`; a colour is given as ``style``.
    """
    from rich.console import Console
    from rich.text import Text
    from typing_extensions import override

    class _Plain(Console):
        @override
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(printable(text), **options)

    return _Plain(
        stderr=stderr, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True
    )
