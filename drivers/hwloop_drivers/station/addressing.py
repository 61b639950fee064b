"""How the lines are connected while one cell, or one column, is addressed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.station.parts import GROUND
from hwloop.station.station import Station
from hwloop.types import BoolArray

Lines = dict[str, str | None]
"""Line to output; None floats, a line that is not named is on ground."""


def cell_lines(station: Station, row: int, col: int) -> Lines:
    """The lines while the cell (row, col) is selected, by the station's scheme."""
    drive = station.wiring.drive
    rows, cols = station.wiring.count("row"), station.wiring.count("col")
    lines: Lines = {}
    match station.scheme:
        case "floating":
            lines = dict.fromkeys(station.wiring.lines)
        case "V/3":
            lines = dict.fromkeys((f"row{n}" for n in range(rows)), drive.other_rows)
            lines |= dict.fromkeys((f"col{n}" for n in range(cols)), drive.other_columns)
        case "1T1R":
            # Unselected columns follow the selected row, so that only one device sees a voltage.
            lines = dict.fromkeys((f"col{n}" for n in range(cols)), drive.rows)
            lines[f"gate{row}"] = drive.gates
    lines[f"row{row}"] = drive.rows
    lines[f"col{col}"] = drive.columns or GROUND
    return lines


def vector_lines(station: Station, rows: BoolArray, col: int) -> Lines:
    """The lines while the rows of a vector are driven at once and one column is measured.

    All others are on ground, whatever the scheme: a vector disturbs no cell.
    """
    drive = station.wiring.drive
    lines: Lines = {f"row{n}": drive.rows for n in np.flatnonzero(rows)}
    if station.scheme == "1T1R":
        lines |= {f"gate{n}": drive.gates for n in np.flatnonzero(rows)}
    lines[f"col{col}"] = drive.columns
    return lines


def in_order(mask: BoolArray) -> Iterator[tuple[int, int]]:
    """Addressed cells column by column, so that the column's relays move least."""
    for col, row in np.argwhere(mask.T):
        yield int(row), int(col)
