"""The voltages that the published biasing schemes put on every cell, written out by hand.

Independent of :mod:`hwloop.array.biasing`. V/2 and V/3: Y.-C. Chen et al., IEDM 2003. Floating: the
bound, A. Flocke and T. G. Noll, ESSCIRC 2007.
"""

from __future__ import annotations

import numpy as np

# Of the cells in the same row, in the same column, and elsewhere, for 1 V on the selected one.
UNSELECTED_V = {
    "V/2": (1 / 2, 1 / 2, 0.0),
    "V/3": (1 / 3, 1 / 3, -1 / 3),
    "grounded": (1.0, 0.0, 0.0),
    "floating": (1.0, 1.0, 1.0),
    "1T1R": (0.0, 0.0, 0.0),
}


def cell_voltages_v(
    scheme: str, shape: tuple[int, int], *, row: int, col: int, amplitude_v: float
) -> np.ndarray:
    """(rows, cols), while the cell (row, col) is selected with ``amplitude_v``."""
    same_row, same_col, elsewhere = UNSELECTED_V[scheme]
    cells_v = np.full(shape, elsewhere)
    cells_v[row, :], cells_v[:, col] = same_row, same_col
    cells_v[row, col] = 1.0
    return cells_v * amplitude_v
