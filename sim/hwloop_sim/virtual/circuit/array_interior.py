"""The array as a bench sees it: currents at its terminals, linear in their voltages.

A bench with instruments and relays around the array needs two things of it: the admittance between
its rows + cols terminals, and the voltage of each cell for given voltages at the terminals. Lines
with a resistance are solved by :mod:`hwloop_sim.circuit`, one unit vector a terminal; without any,
a cell joins its two terminals directly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hwloop.types import FloatArray
from hwloop_sim.circuit import Wires, solve


@dataclass(frozen=True)
class Interior:
    """Admittance of an array at its terminals, rows before columns, and the voltages inside.

    ``terminal_conductance_s``: (rows + cols, rows + cols), siemens, current into the array at each
    terminal for 1 V at one of them and 0 V at all others. ``cell_share``: (rows + cols, rows,
    cols), voltage of each cell for 1 V at one terminal; None for ideal lines.
    """

    shape: tuple[int, int]
    terminal_conductance_s: FloatArray
    cell_share: FloatArray | None

    def cell_v(self, terminal_v: FloatArray) -> FloatArray:
        """Return the voltage of every cell, (rows, cols), row above column.

        ``terminal_v``: (rows + cols,), volts at the terminals, rows before columns.
        """
        if self.cell_share is None:
            rows, _ = self.shape
            across: FloatArray = terminal_v[:rows, None] - terminal_v[None, rows:]
            return across
        return np.tensordot(terminal_v, self.cell_share, axes=1)


def interior(conductance_s: FloatArray, wires: Wires | None) -> Interior:
    """Return the array of linear cells ``conductance_s``, (rows, cols), as a bench sees it.

    ``wires`` None: ideal lines. Only segments and selectors count; the resistances of drivers and
    meters are left out, since the instruments of the bench have their own.
    """
    rows, cols = conductance_s.shape
    if wires is None or not (wires.row_ohm or wires.col_ohm or wires.selector_ohm):
        joined_s = np.zeros((rows + cols, rows + cols))
        joined_s[:rows, rows:] = -conductance_s
        joined_s[rows:, :rows] = -conductance_s.T
        np.fill_diagonal(joined_s[:rows, :rows], conductance_s.sum(axis=1))
        np.fill_diagonal(joined_s[rows:, rows:], conductance_s.sum(axis=0))
        return Interior((rows, cols), joined_s, None)
    terminal_v = np.eye(rows + cols)
    found = solve(
        conductance_s,
        row_v=terminal_v[:, :rows],
        col_v=terminal_v[:, rows:],
        wires=replace(wires, driver_ohm=0.0, sense_ohm=0.0),
    )
    terminal_conductance_s = np.concatenate([found.row_a, -found.col_a], axis=-1).T
    return Interior((rows, cols), terminal_conductance_s, found.cell_v)
