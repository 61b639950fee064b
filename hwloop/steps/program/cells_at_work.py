"""Cells that are still being programmed, as columns of equal length.

Most rounds are about few of the cells of an array. So what a round reads and writes of them is
taken out of the table once, made shorter as cells end, and entered in the table as they do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwloop.steps.program.cell_table import CellTable
from hwloop.steps.program.controllers.base import IntArray, Side, State
from hwloop.types import BoolArray, FloatArray

_KEPT_IN_TABLE = (
    *("seen_conductance_s", "pulses_up", "pulses_down", "energy_j", "stress_s"),
    "smallest_jump_conductance_s",
)
_COLUMNS = (
    *("index", "target_conductance_s", "low_conductance_s", "high_conductance_s"),
    *(*_KEPT_IN_TABLE, "need", "hits", "since_conductance_s", "idle"),
)


@dataclass(eq=False)
class CellsAtWork:
    """Columns (cells,) beside the state of the controller; those of the table as there.

    ``index``: flat place of a cell in the array. ``need``: 1 where the latest read is below the
    window, -1 above it, 0 within. ``hits``: reads within it in a row. ``since_conductance_s``: the
    read at the latest progress, and ``idle`` the strongest pulses since then.
    """

    index: IntArray
    state: State
    target_conductance_s: FloatArray
    low_conductance_s: FloatArray
    high_conductance_s: FloatArray
    seen_conductance_s: FloatArray
    pulses_up: IntArray
    pulses_down: IntArray
    energy_j: FloatArray
    stress_s: FloatArray
    smallest_jump_conductance_s: FloatArray
    need: Side
    hits: IntArray
    since_conductance_s: FloatArray
    idle: IntArray

    @classmethod
    def of(cls, table: CellTable, index: IntArray, state: State) -> CellsAtWork:
        """Return the cells of ``index`` as the table has them, after their first read."""
        names = ("target_conductance_s", "low_conductance_s", "high_conductance_s", *_KEPT_IN_TABLE)
        return cls(
            index=index,
            state=state,
            **{name: getattr(table, name)[index] for name in names},
            need=table.side(index),
            hits=np.zeros(index.size, np.int64),
            since_conductance_s=table.seen_conductance_s[index],
            idle=np.zeros(index.size, np.int64),
        )

    @property
    def pulses(self) -> IntArray:
        """Pulses of both polarities, (cells,)."""
        return self.pulses_up + self.pulses_down

    def judge(self) -> None:
        """Find on which side of its window the latest read of each cell is."""
        below = self.seen_conductance_s < self.low_conductance_s
        above = self.seen_conductance_s > self.high_conductance_s
        self.need = below.view(np.int8) - above.view(np.int8)

    def end(self, table: CellTable, which: BoolArray, status: IntArray | int) -> bool:
        """Enter the cells of a mask in the table as ended, and keep the others; whether any did.

        ``status``: one for all, or one a cell, (cells,).
        """
        if not which.any():
            return False
        ended = np.flatnonzero(which)
        places = self.index.take(ended)
        table.status[places] = status.take(ended) if isinstance(status, np.ndarray) else status
        for name in _KEPT_IN_TABLE:
            getattr(table, name)[places] = getattr(self, name).take(ended)
        kept = np.flatnonzero(~which)
        for name in _COLUMNS:
            setattr(self, name, getattr(self, name).take(kept))
        self.state = self.state.kept(kept)
        return True
