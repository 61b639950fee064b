"""Output to a terminal: every text from a file or an instrument is shown, never obeyed.

A record, a procedure or an instrument of someone else's may hold escape sequences, which set the
title of a window, hide lines or answer in the user's place, and square brackets that rich would
take for markup. Everything that a command prints goes through :func:`say` or :func:`plain_console`.
"""

from __future__ import annotations

import io
import sys
import unicodedata
from typing import TYPE_CHECKING, Any, TextIO

from typing_extensions import override

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
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


def outlive_terminal() -> None:
    """Let this process go on when its terminal, or the reader of its pipe, has gone.

    What it prints is lost from then on: for commands whose result is a record, not their output.
    """
    sys.stdout, sys.stderr = _lasting(sys.stdout), _lasting(sys.stderr)


def _lasting(stream: TextIO) -> TextIO:
    try:
        raw = _Lasting(stream.fileno(), "w", closefd=False)
    except (OSError, ValueError, AttributeError):  # no file, as in a notebook; or closed already
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=True,
    )


class _Lasting(io.FileIO):
    """A file that throws away what it cannot write."""

    _lost = False

    @override
    def write(self, data: ReadableBuffer, /) -> int:
        if not self._lost:
            try:
                return super().write(data)
            except OSError:
                self._lost = True
        return memoryview(data).nbytes


def plain_console(*, stderr: bool = False, width: int | None = None) -> Console:
    """Return a console of rich for tables and colours, which reads no markup in a text.

    Text in it, also in tables, goes through :func:`printable`; a colour is given as ``style``.
    """
    from rich.console import Console
    from rich.text import Text

    class _Plain(Console):
        @override
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(printable(text), **options)

    return _Plain(
        stderr=stderr, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True
    )
