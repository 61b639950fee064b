"""Parts of messages: the nearest known name, a long text, a cell, the first few of many cells."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'form'?"``, else the list of known names, else nothing."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are: {', '.join(known)}" if known else ""


def shortened(text: str, at_most: int) -> str:
    """Return a text of about ``at_most`` characters: of a longer one its begin, length and end."""
    if len(text) <= at_most:
        return text
    end = at_most // 4
    return f"{text[: at_most - end]} … ({len(text)} characters) … {text[-end:]}"


def one_line(text: str, at_most: int) -> str:
    """Return a text of about ``at_most`` characters whose line ends are blanks."""
    return shortened(" ".join(text.split()), at_most)


def cell_name(place: tuple[int, ...]) -> str:
    """Return ``"cell (3, 7)"``, or ``"array 12, cell (3, 7)"`` in a population; from 0."""
    *array, row, col = place
    prefix = f"array {', '.join(map(str, array))}, " if array else ""
    return f"{prefix}cell ({row}, {col})"


def cell_names(mask: NDArray[np.bool_], *, at_most: int = 3) -> Iterator[str]:
    """Yield the names of the first cells that are True in ``mask``, (..., rows, cols)."""
    for place in np.argwhere(mask)[:at_most]:
        yield cell_name(tuple(int(i) for i in place))


def first_place(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the index of the first entry that is True in ``mask``, of any shape.

    Raises :class:`ValueError` where none is: test ``mask.any()`` first.
    """
    first = int(mask.argmax())
    if not mask.flat[first]:
        raise ValueError("no entry is True")
    return tuple(int(i) for i in np.unravel_index(first, mask.shape))
