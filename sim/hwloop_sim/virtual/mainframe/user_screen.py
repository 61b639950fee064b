"""The user screen of a 2600B: two rows of text with a cursor.

Topics *display.settext()*, *display.gettext()* and *display.setcursor()* of Keithley's help.
"""

from __future__ import annotations

import re
from typing import Any

from hwloop_sim.virtual.languages.tsp_tables import as_number

COLUMNS = {1: 20, 2: 32}
CODE = re.compile(r"\$([NRBDF$])")


class UserScreen:
    """Two rows, a cursor; codes for intensity are taken out of the text."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Clear both rows, and set the cursor to their begin."""
        self._rows = {row: " " * width for row, width in COLUMNS.items()}
        self._row, self._column, self._style = 1, 1, 0.0

    def set_cursor(self, row: Any, column: Any, style: Any = 0) -> None:
        """Move the cursor; beyond the screen it goes to the last row or column."""
        wanted, place = as_number(row), as_number(column)
        self._row = int(wanted) if wanted in COLUMNS else 2
        width = COLUMNS[self._row]
        self._column = int(place) if 1 <= place <= width else width
        self._style = 1.0 if as_number(style) == 1 else 0.0

    def cursor(self) -> tuple[float, float, float]:
        """Return row, column and style of the cursor."""
        return float(self._row), float(self._column), self._style

    def write(self, text: Any) -> None:
        """Write at the cursor; what does not fit in a row is cut off."""
        place = 0
        text = str(text)
        for code in CODE.finditer(text):
            self._put(text[place : code.start()])
            place = code.end()
            if code.group(1) == "$":
                self._put("$")
            elif code.group(1) == "N":
                if self._row == max(COLUMNS):
                    return
                self._row, self._column = self._row + 1, 1
        self._put(text[place:])

    def _put(self, text: str) -> None:
        row, width = self._rows[self._row], COLUMNS[self._row]
        before = row[: self._column - 1]
        self._rows[self._row] = (before + text + row[self._column - 1 + len(text) :])[:width]
        self._column = min(self._column + len(text), width)

    def read(self, _codes: Any = False, row: Any = None, first: Any = 1, last: Any = None) -> str:
        """Return the text of a row, or of both with ``$N`` between them."""
        if row is None:
            return "$N".join(self._rows[n] for n in COLUMNS)
        n = 1 if as_number(row) == 1 else 2
        end = COLUMNS[n] if last is None else int(as_number(last))
        return self._rows[n][int(as_number(first)) - 1 : end]
