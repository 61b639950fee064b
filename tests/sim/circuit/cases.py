"""Arrays, wires and biasing schemes that the solvers are compared on."""

from __future__ import annotations

import numpy as np

from hwloop.types import FloatArray
from hwloop_sim.circuit import Wires

SCHEMES = ("multiply", "V/2", "V/3", "grounded", "floating", "half floating")


def four_decades(rows: int, cols: int, seed: int = 0) -> FloatArray:
    """Conductances from 0.1 µS to 1 mS, evenly spread over the decades."""
    return 10 ** np.random.default_rng(seed).uniform(-7, -3, (rows, cols))


def with_faults(rows: int, cols: int, seed: int = 0) -> FloatArray:
    """10 % of the cells at 100 ohm, 5 % open."""
    draw = np.random.default_rng(seed).random((rows, cols))
    cells_conductance_s = four_decades(rows, cols, seed + 1)
    cells_conductance_s[draw < 0.1] = 1e-2
    cells_conductance_s[draw > 0.95] = 0.0
    return cells_conductance_s


def biased(scheme: str, rows: int, cols: int, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """Terminal voltages: cell (rows // 2, cols // 3) selected at 1 V, or a vector at the rows."""
    selected, unselected = 1.0, {"V/2": (0.5, 0.5), "V/3": (1 / 3, 2 / 3), "grounded": (0.0, 0.0)}
    if scheme == "multiply":
        return np.random.default_rng(seed).uniform(-0.2, 0.2, rows), np.zeros(cols)
    row, col = unselected.get(scheme, (np.nan, np.nan))
    row_v, col_v = np.full(rows, row), np.full(cols, col)
    if scheme == "half floating":
        row_v[::2], col_v[1::2] = 0.0, 0.1
    row_v[rows // 2], col_v[cols // 3] = selected, 0.0
    return row_v, col_v


def wires(ohm: float, *, ends: str = "one") -> Wires:
    """The same resistance along both lines; drivers, meters and selectors that are not ideal."""
    both = ends == "both"
    return Wires(
        row_ohm=ohm,
        col_ohm=ohm,
        driver_ohm=50.0,
        sense_ohm=10.0,
        selector_ohm=5.0,
        row_ends="both" if both else "left",
        col_ends="both" if both else "bottom",
    )
