"""The geometry of an array: rows, columns and the kind of cell."""

from __future__ import annotations

from typing import Literal, TypeAlias

from hwloop.settings.model import Settings
from hwloop.settings.units import Count

Cell: TypeAlias = Literal["1R", "1T1R"]
"""Kind of cell: one device, or one transistor and one device."""


class Geometry(Settings):
    """``rows`` word lines × ``cols`` bit lines; a cell is one device, or a transistor and one."""

    rows: Count
    cols: Count
    cell: Cell = "1R"

    @property
    def shape(self) -> tuple[int, int]:
        """Return (rows, cols), the shape of a map over one array."""
        return (self.rows, self.cols)
