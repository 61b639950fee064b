"""The outputs that drive a pulse, and for which cells one of them is at its compliance.

While a cell is selected, the output on its row carries the current of the row's cells, the one on
its column that of the column's, and an output on the parked columns (V/3) that of all these. One
whose current exceeds the compliance does not hold its level: not all of the pulse reaches the cell.
The lines are taken without their resistances, which only lessen the currents; of a floating line
the current is not known and counts as none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from hwloop.array.biasing import SCHEMES, Scheme
from hwloop.array.operations import PulseMap
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.cells.device import Device
from hwloop_sim.emulator.tile import Tile

CurrentAt = Callable[[float], FloatArray]
"""The current of every cell at a fraction of the selected one's voltage, (..., rows, cols)."""


class PulseLimits:
    """The outputs of a scheme on the lines of each tile; ``bound_a``: the compliance, amperes."""

    def __init__(self, tiles: Sequence[Tile], scheme: Scheme, *, bound_a: float) -> None:
        self._tiles, self._bound_a = tiles, bound_a
        bias = SCHEMES[scheme]
        row, col = bias.selected_row.fraction, bias.selected_col.fraction
        other_row, other_col = bias.other_rows.fraction, bias.other_cols.fraction
        self._in_row = self._in_col = self._elsewhere = 0.0
        if row is not None and other_col is not None:
            self._in_row = float(row - other_col)
        if bias.gate is None and col is not None and other_row is not None:
            self._in_col = float(other_row - col)
        self._parked = bias.other_cols.drive == "other_columns"
        if self._parked and other_row is not None and other_col is not None:
            self._elsewhere = float(other_row - other_col)

    def limited(self, cells: Device, pulse: PulseMap) -> BoolArray | None:
        """Return the selected cells of which an output is at its compliance, or None.

        (..., rows, cols), in the state that the cells have now.
        """
        highest_v = pulse.largest_v
        if not highest_v or self._most_a(cells, highest_v) <= self._bound_a:
            return None
        limited: BoolArray = np.zeros(cells.conductance_s.shape, dtype=np.bool_)
        for chosen, per, current_at in _alike(cells, pulse.amplitude_v):
            for output_a in self._outputs_a(current_at):
                limited |= chosen & (np.abs(output_a * per) > self._bound_a)
        return limited if limited.any() else None

    def _outputs_a(self, current_at: CurrentAt) -> Iterator[FloatArray]:
        """Yield the current of each output while each cell is selected, (..., rows, cols)."""
        own_a, in_row_a = current_at(1.0), current_at(self._in_row)
        row_others_a = self._sum(in_row_a, (-1,)) - in_row_a
        yield own_a + row_others_a
        in_col_a = current_at(self._in_col)
        yield own_a + self._sum(in_col_a, (-2,)) - in_col_a
        if self._parked:
            away_a = current_at(self._elsewhere)
            beside_a = self._sum(away_a, (-1,)) + self._sum(away_a, (-2,)) - away_a
            yield row_others_a + self._sum(away_a, (-2, -1)) - beside_a

    def _most_a(self, cells: Device, highest_v: float) -> float:
        """Return a bound of the current of any output, amperes: every cell at the whole voltage."""
        shape = cells.conductance_s.shape
        if cells.linear:  # first without a sum over any line
            rows, cols = shape[-2:]
            sums = rows * cols if self._parked else max(rows, cols)
            most_a: float = float(cells.conductance_s.max(initial=0.0)) * highest_v * sums
            if most_a <= self._bound_a:
                return most_a
        every_a = np.abs(cells.current_a(np.full(shape, highest_v)))
        if not cells.linear:
            every_a = np.maximum(every_a, np.abs(cells.current_a(np.full(shape, -highest_v))))
        axes: list[tuple[int, ...]] = [()]
        axes += [(-1,)] * bool(self._in_row) + [(-2,)] * bool(self._in_col)
        axes += [(-2, -1)] * self._parked
        return max(float(every_a.sum(axis=axis).max(initial=0.0)) for axis in axes)

    def _sum(self, current_a: FloatArray, axis: tuple[int, ...]) -> FloatArray:
        """Return the sum over the cells of each one's lines in its tile, at every cell."""
        total_a = np.empty_like(current_a)
        for tile in self._tiles:
            total_a[tile.place] = current_a[tile.place].sum(axis=axis, keepdims=True)
        return total_a


def _alike(
    cells: Device, amplitude_v: FloatArray
) -> Iterator[tuple[BoolArray, FloatArray | float, CurrentAt]]:
    """Yield masks of cells that are pulsed alike, what to multiply with, and the cells' currents.

    Currents of linear cells are in proportion to the voltage: all amplitudes come together.
    """
    if cells.linear:
        yield amplitude_v != 0, amplitude_v, lambda fraction: fraction * cells.conductance_s
        return
    for level_v in np.unique(amplitude_v[amplitude_v != 0]):
        yield amplitude_v == level_v, 1.0, _law(cells, float(level_v))


def _law(cells: Device, level_v: float) -> CurrentAt:
    return lambda fraction: cells.current_a(np.full(cells.conductance_s.shape, fraction * level_v))
