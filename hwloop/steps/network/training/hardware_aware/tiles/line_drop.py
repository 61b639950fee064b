"""Drop along the lines of a block: what of each cell's conductance reaches its column.

The nodes of rows and columns, with linear cells between them, are one sparse system of Kirchhoff's
current law; rows are driven from the left, columns held at 0 V below. By superposition the currents
are I_j = Σ T_ij V_i, with T the transfer conductance, found by one solution for each column.
Source: A. Chen, IEEE Trans. Electron Devices 60, 1318 (2013), doi:10.1109/TED.2013.2246791.
"""

from __future__ import annotations

import numpy as np

from hwloop.steps.network.training.hardware_aware.tiles.settings import TileWires
from hwloop.types import FloatArray

_LEAST_OHM = 1e-3
"""Of a segment: a line without resistance is computed with this much, 1e-7 of a cell of 10 kΩ."""


def transfer_conductance_s(
    conductance_s: FloatArray, wires: TileWires, *, left: int = 0, below: int = 0
) -> FloatArray:
    """Return T (rows, cols), siemens, of cells (rows, cols), siemens.

    ``left``: cells of each row between the driver and the block; ``below``: cells of each column
    between the block and the meter. They are taken as 0 S, as are all other cells of the tile.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import splu

    shape = conductance_s.shape
    row = np.arange(conductance_s.size).reshape(shape)
    col = row + conductance_s.size
    row_conductance_s, col_conductance_s = _inverse(wires.row_ohm), _inverse(wires.col_ohm)
    driver_conductance_s = _inverse(wires.driver_ohm + wires.row_ohm * (1 + left))
    meter_conductance_s = _inverse(wires.sense_ohm + wires.col_ohm * (1 + below))
    edges = [
        (row, col, conductance_s),
        (row[:, :-1], row[:, 1:], np.full((shape[0], shape[1] - 1), row_conductance_s)),
        (col[:-1], col[1:], np.full((shape[0] - 1, shape[1]), col_conductance_s)),
    ]
    one = np.concatenate([a.ravel() for a, _, _ in edges])
    other = np.concatenate([b.ravel() for _, b, _ in edges])
    between_s = np.concatenate([between.ravel() for _, _, between in edges])
    to_zero_s = np.zeros(2 * conductance_s.size)
    to_zero_s[row[:, 0]] += driver_conductance_s
    to_zero_s[col[-1]] += meter_conductance_s
    nodes = np.arange(to_zero_s.size)
    matrix = coo_array(
        (
            np.concatenate([-between_s, -between_s, between_s, between_s, to_zero_s]),
            (
                np.concatenate([one, other, one, other, nodes]),
                np.concatenate([other, one, one, other, nodes]),
            ),
        )
    )
    driven = np.zeros((to_zero_s.size, shape[1]))
    driven[col[-1], np.arange(shape[1])] = meter_conductance_s
    # The matrix is symmetric: a column driven in place of its meter shows what each row gives it.
    return np.asarray(driver_conductance_s * splu(matrix.tocsc()).solve(driven)[row[:, 0]])


def _inverse(ohm: float) -> float:
    return 1.0 / max(ohm, _LEAST_OHM)
