"""Bias of every line while one cell is selected, and the voltage that each cell sees from it.

For a cell selected with ``v`` volts (row above column):

========  ============  ===============  ===============  ================
scheme    selected row  selected column  other rows       other columns
========  ============  ===============  ===============  ================
V/2       v/2           −v/2             0                0
V/3       2v/3          −v/3             0                v/3
grounded  v             0                0                0
floating  v             0                not connected    not connected
1T1R      v             0                transistor off   v
========  ============  ===============  ===============  ================

:data:`SCHEMES` is this table, and the only one: the limits on half-selected cells, the levels and
routes of a bench, the drives that a station needs and the lines of the emulator follow from it.

V/2 leaves v/2 on the cells that share a line with the selected one and nothing elsewhere; V/3
leaves v/3, of either sign, on every other cell. The levels of V/3 are the published ones but for an
offset that is common to all lines, which no cell sees: so its rows rest at 0 V like the other rows,
and the selected cell itself sees no more than v/3 until its row is driven. Sources: Y.-C. Chen et
al., IEDM 2003 (V/2, V/3); A. Flocke and T. G. Noll, ESSCIRC 2007 (floating lines). A floating line
settles between the lowest and the highest driven voltage, so v itself is the bound for every cell
that it touches. In a 1T1R array the transistors of the other rows are off and take the voltage, and
the other columns are held at the selected row's potential, so that only the selected device sees
any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hwloop.types import FloatArray

Scheme = Literal["V/2", "V/3", "grounded", "floating", "1T1R"]
DriveName = Literal["rows", "columns", "other_rows", "other_columns", "gates"]
LineKind = Literal["row", "col", "gate"]

SWITCHING_ORDER: tuple[DriveName, ...] = ("other_rows", "other_columns", "columns", "rows")
"""Order in which the levels of a pulse are applied; they are taken back in reverse.

The row comes last and makes the width. Until the selected column is driven, no cell sees more than
the scheme gives it."""


@dataclass(frozen=True)
class LineBias:
    """Bias of one line while a cell is selected.

    ``fraction``: its voltage as a fraction of the selected cell's; None: not connected. ``drive``:
    the drive of a station that supplies it; None: ground, or nothing where the line floats.
    ``required``: False where ground serves as well if a station has no such drive.
    """

    fraction: Fraction | None
    drive: DriveName | None = None
    required: bool = True


@dataclass(frozen=True)
class SchemeBias:
    """Bias of the lines under one scheme, by the place of a line relative to the selected cell.

    ``gate``: the drive of the selected row's gate, which carries a voltage of its own; the other
    gates are grounded, and their transistors off. None: the cells have no gates.
    """

    selected_row: LineBias
    selected_col: LineBias
    other_rows: LineBias
    other_cols: LineBias
    gate: DriveName | None = None

    def by_kind(self) -> Iterator[tuple[LineKind, LineBias]]:
        """Yield every bias with the kind of line, "row" or "col", that carries it."""
        yield from (("row", self.selected_row), ("col", self.selected_col))
        yield from (("row", self.other_rows), ("col", self.other_cols))


# Exact: differences of rounded thirds could exceed 1/3, and 0.9 V would not fit a limit of 0.3 V.
_HALF, _THIRD, _ONE, _ZERO = Fraction(1, 2), Fraction(1, 3), Fraction(1), Fraction(0)
_GROUNDED, _OPEN = LineBias(_ZERO), LineBias(None)

SCHEMES: Mapping[Scheme, SchemeBias] = {
    "V/2": SchemeBias(
        selected_row=LineBias(_HALF, "rows"),
        selected_col=LineBias(-_HALF, "columns"),
        other_rows=_GROUNDED,
        other_cols=_GROUNDED,
    ),
    "V/3": SchemeBias(
        selected_row=LineBias(2 * _THIRD, "rows"),
        selected_col=LineBias(-_THIRD, "columns"),
        other_rows=LineBias(_ZERO, "other_rows", required=False),
        other_cols=LineBias(_THIRD, "other_columns"),
    ),
    "grounded": SchemeBias(
        selected_row=LineBias(_ONE, "rows"),
        selected_col=LineBias(_ZERO, "columns"),
        other_rows=_GROUNDED,
        other_cols=_GROUNDED,
    ),
    "floating": SchemeBias(
        selected_row=LineBias(_ONE, "rows"),
        selected_col=LineBias(_ZERO, "columns", required=False),
        other_rows=_OPEN,
        other_cols=_OPEN,
    ),
    "1T1R": SchemeBias(
        selected_row=LineBias(_ONE, "rows"),
        selected_col=LineBias(_ZERO, "columns"),
        other_rows=_GROUNDED,
        other_cols=LineBias(_ONE, "rows"),
        gate="gates",
    ),
}


def floats(scheme: Scheme) -> bool:
    """Return whether lines are left unconnected, so that one cell is driven and read at a time."""
    return any(line.fraction is None for _, line in SCHEMES[scheme].by_kind())


def loads_whole_row(scheme: Scheme) -> bool:
    """Return whether the row of a cell that is read carries the currents of its other cells too.

    Not where the other columns float, or follow the row, which leaves no voltage on these cells.
    """
    bias = SCHEMES[scheme]
    follows = bias.other_cols.drive == bias.selected_row.drive
    return not floats(scheme) and not follows


@dataclass(frozen=True)
class Stress:
    """Voltage on the cells that are not selected, as a fraction of the selected cell's.

    For a floating scheme these are bounds, not values. ``selected``: on the selected cell itself
    outside of its pulse, while other levels stand; 0 where all levels come and go together.
    """

    same_row: float
    same_col: float
    elsewhere: float
    selected: float = 0.0

    @property
    def worst(self) -> float:
        """Return the largest magnitude of them."""
        voltages = (self.same_row, self.same_col, self.elsewhere, self.selected)
        return max(abs(one) for one in voltages)


@cache
def stress(scheme: Scheme) -> Stress:
    """Return the stress of the cells that share the row, the column, or neither with the selected.

    Cells of a 1T1R array whose transistor is off see nothing.
    """
    bias = SCHEMES[scheme]
    same_row = _difference(bias, bias.selected_row, bias.other_cols)
    if bias.gate is not None:
        return Stress(same_row, 0.0, 0.0)
    return Stress(
        same_row,
        _difference(bias, bias.other_rows, bias.selected_col),
        _difference(bias, bias.other_rows, bias.other_cols),
    )


def _difference(bias: SchemeBias, row: LineBias, col: LineBias) -> float:
    """Return row minus column; where a line floats, the bound: highest minus lowest driven line."""
    if row.fraction is None or col.fraction is None:
        driven = [line.fraction for _, line in bias.by_kind() if line.fraction is not None]
        return float(max(driven) - min(driven))
    return float(row.fraction - col.fraction)


def drive_fractions(scheme: Scheme) -> dict[str, float]:
    """Return the voltage of each drive while a cell is selected, as a fraction of the cell's.

    The gate drive is not among them: its voltage is the pulse's or the read's own.
    """
    return {
        line.drive: float(line.fraction)
        for _, line in SCHEMES[scheme].by_kind()
        if line.drive is not None and line.fraction is not None
    }


def required_drives(scheme: Scheme) -> list[str]:
    """Return the drives without which a station cannot apply the scheme, in the table's order."""
    bias = SCHEMES[scheme]
    lines: list[str] = [line.drive for _, line in bias.by_kind() if line.drive and line.required]
    return list(dict.fromkeys(lines if bias.gate is None else [*lines, bias.gate]))


def driven_lines(scheme: Scheme) -> dict[str, list[LineKind]]:
    """Return for each drive of the scheme, required or not, the kinds of line that it must reach.

    Every line of a kind is selected at some time, so a drive must reach all of them.
    """
    bias = SCHEMES[scheme]
    reached: dict[str, list[LineKind]] = {}
    for kind, line in bias.by_kind():
        if line.drive is not None:
            reached.setdefault(line.drive, []).append(kind)
    if bias.gate is not None:
        reached[bias.gate] = ["gate"]
    return reached


def line_fractions(
    scheme: Scheme, shape: tuple[int, int], *, row: NDArray[np.intp], col: NDArray[np.intp]
) -> tuple[FloatArray, FloatArray]:
    """Return the line voltages while each of n cells is selected, as fractions of its pulse.

    ``row``, ``col``: (n,), of the cells. The answer: (n, rows) and (n, cols), NaN where a line is
    not connected. In a 1T1R array the transistors of the other rows are off besides.
    """
    bias = SCHEMES[scheme]
    cells = np.arange(len(row))
    rows = np.full((len(row), shape[0]), _number(bias.other_rows))
    cols = np.full((len(row), shape[1]), _number(bias.other_cols))
    rows[cells, row], cols[cells, col] = _number(bias.selected_row), _number(bias.selected_col)
    return rows, cols


def _number(line: LineBias) -> float:
    return float("nan") if line.fraction is None else float(line.fraction)


def worst_half_select_v(
    scheme: Scheme, amplitude_v: FloatArray, bound: Stress | None = None
) -> FloatArray:
    """Return the largest magnitude that each cell sees outside of its own pulse, volts.

    ``amplitude_v``: a pulse map, (..., rows, cols), the shape of the answer. Its cells are
    selected one after the other, or together where they share a line and an amplitude, which
    gives the same voltages. ``bound``: of a station's outputs; None: all hold their levels.
    """
    fractions = stress(scheme) if bound is None else bound
    magnitude = np.abs(amplitude_v)
    in_row = _largest_other(magnitude, axis=-1)
    in_col = _largest_other(magnitude, axis=-2)
    # The largest outside the cell's row, for each column; of those, outside its column.
    elsewhere = _largest_other(_largest_other(magnitude, axis=-2), axis=-1)
    worst: FloatArray = np.maximum.reduce(
        [
            abs(fractions.same_row) * in_row,
            abs(fractions.same_col) * in_col,
            abs(fractions.elsewhere) * elsewhere,
            abs(fractions.selected) * magnitude,
        ]
    )
    return worst


def _largest_other(magnitude: FloatArray, *, axis: int) -> FloatArray:
    """Return for each entry the largest of the others along ``axis``, 0 where there is none."""
    if magnitude.shape[axis] == 1:
        return np.zeros_like(magnitude)
    ordered = np.sort(magnitude, axis=axis)
    first = np.take(ordered, [-1], axis=axis)
    second = np.take(ordered, [-2], axis=axis)
    others: FloatArray = np.where(magnitude == first, second, first)
    return others
