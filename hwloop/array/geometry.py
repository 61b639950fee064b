"""The geometry of an array: rows, columns and the kind of cell."""

from __future__ import annotations

from typing import Literal

from hwloop.settings.model import Settings
from hwloop.settings.units import Count


class Geometry(Settings):
    """``rows`` word lines × ``cols`` bit lines; a cell is one device, or a transistor and one."""

    rows: Count
    cols: Count
    cell: Literal["1R", "1T1R"] = "1R"

    @property
    def shape(self) -> tuple[int, int]:
        """Return (rows, cols), the shape of a map over one array."""
        return (self.rows, self.cols)
