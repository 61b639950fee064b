"""Connection of the lines while one cell, or one column, is addressed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.array.biasing import SCHEMES, LineBias
from hwloop.array.blocks import DrivenLines
from hwloop.station.parts import GROUND
from hwloop.station.station import Station
from hwloop.types import BoolArray

Lines = dict[str, str | None]
"""Line to output; None floats, a line that is not named is on ground."""


def cell_lines(station: Station, row: int, col: int) -> Lines:
    """Return the lines while the cell (row, col) is selected, by the station's scheme."""
    bias = SCHEMES[station.scheme]
    lines: Lines = {}
    for kind, other in (("row", bias.other_rows), ("col", bias.other_cols)):
        names = [f"{kind}{n}" for n in range(station.wiring.count(kind))]
        lines |= dict.fromkeys(names, _end(station, other))
    lines[f"row{row}"] = _end(station, bias.selected_row)
    lines[f"col{col}"] = _end(station, bias.selected_col)
    if bias.gate is not None:
        lines[f"gate{row}"] = station.wiring.drive.named()[bias.gate]
    return lines


def _end(station: Station, line: LineBias) -> str | None:
    """Return the output that a line is connected to; ground, or None where it floats."""
    if line.fraction is None:
        return None
    output = None if line.drive is None else station.wiring.drive.named().get(line.drive)
    return output or GROUND


def vector_lines(station: Station, used: BoolArray, line: int, *, driven: DrivenLines) -> Lines:
    """Return the lines while those ``used`` of one side are driven at once, one of the other read.

    All others are on ground, whatever the scheme: a vector disturbs no cell.
    """
    drive = station.wiring.drive
    rows = np.flatnonzero(used) if driven == "rows" else [line]
    cols = [line] if driven == "rows" else np.flatnonzero(used)
    lines: Lines = {f"row{n}": drive.rows for n in rows}
    if SCHEMES[station.scheme].gate is not None:
        lines |= {f"gate{n}": drive.gates for n in rows}
    return lines | {f"col{n}": drive.columns for n in cols}


def in_order(mask: BoolArray) -> Iterator[tuple[int, int]]:
    """Yield the addressed cells (row, col) column by column, so that column relays move least."""
    for col, row in np.argwhere(mask.T):
        yield int(row), int(col)
