"""Output to a terminal: every text from a file or an instrument is shown, never obeyed.

A record, a procedure or an instrument of someone else's may hold escape sequences, which set the
title of a window, hide lines or answer in the user's place, and square brackets that rich would
take for markup. Everything that a command prints goes through :func:`say` or :func:`plain_console`.
"""

from __future__ import annotations

import io
import os
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

    # Into the stream itself: left to typer, what ASCII lacks would come as UTF-8.
    typer.echo(printable(str(text)), file=sys.stderr if err else sys.stdout)


def prepare_streams() -> None:
    """Give a process streams to which every text can be printed: at its entry, before all else.

    A missing one (a service, ``pythonw``, ``2>&-``) is replaced by the null device, so that no file
    that is opened later gets its number and, with it, what others print. A letter that the encoding
    does not have is written out. Where the reader of a pipe has gone (``| head``), the rest of the
    standard output is lost; other errors are raised.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)  # children are to have it
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            # By its number, which stays open whatever becomes of this object.
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    sys.stdout = _lasting(sys.stdout, BrokenPipeError)


def outlive_terminal() -> None:
    """Let this process go on when its terminal, or the reader of its pipe, has gone.

    What it prints is lost from then on: for commands whose result is a record, not their output.
    """
    sys.stdout, sys.stderr = _lasting(sys.stdout, OSError), _lasting(sys.stderr, OSError)


def _lasting(stream: TextIO, lost: type[OSError]) -> TextIO:
    try:
        raw = _Lasting(stream.fileno(), "w", closefd=False)
        raw.lost = lost
    except (OSError, ValueError, AttributeError):  # no file, as in a notebook; or closed already
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=True,
    )


class _Lasting(io.FileIO):
    """A file that throws away what it cannot write; ``lost``: the error by which it learns that."""

    lost: type[OSError] = OSError
    _is_lost = False

    @override
    def write(self, data: ReadableBuffer, /) -> int:
        if not self._is_lost:
            try:
                return super().write(data)
            except self.lost:
                self._is_lost = True
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
