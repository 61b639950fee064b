"""An approximation for the impatient: what wires lose to the currents of ideal wires."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hwloop.errors import Unsupported
from hwloop.types import FloatArray
from hwloop_sim.circuit.passive import checked_cells
from hwloop_sim.circuit.terminals import terminals
from hwloop_sim.circuit.wires import Wires


@dataclass(frozen=True, eq=False)
class FirstOrder:
    """Approximate voltages and currents, shaped as in a Solution.

    ``lost``: the largest voltage lost in wires, relative to the largest voltage of an ideal cell.
    ``error``: the largest error of a cell's voltage, likewise relative, as its next term; the
    error itself is smaller than twice this while ``error`` is below 0.1, and the series means
    nothing once it is near 1.
    """

    cell_v: FloatArray
    cell_a: FloatArray
    row_a: FloatArray
    col_a: FloatArray
    lost: float
    error: float


def first_order(
    conductance_s: ArrayLike, *, row_v: ArrayLike, col_v: ArrayLike = 0.0, wires: Wires
) -> FirstOrder:
    """Cell voltages less the drop that the ideal currents make in the wires.

    Shapes as in :func:`hwloop_sim.circuit.solve`; every line must be driven, else Unsupported.
    """
    cells_conductance_s = checked_cells(conductance_s)
    points = terminals(cells_conductance_s.shape, row_v, col_v)
    if points.floating:
        raise Unsupported("first_order: a floating line has no first order; use solve")
    flat_conductance_s = cells_conductance_s.reshape(-1, 1, *cells_conductance_s.shape[-2:])
    ideal_v = points.row_v[..., :, np.newaxis] - points.col_v[..., np.newaxis, :]
    lost_v = _drop_v(flat_conductance_s * ideal_v, wires)
    cell_v = ideal_v - lost_v
    next_v = _drop_v(flat_conductance_s * lost_v, wires)
    cell_a = flat_conductance_s * cell_v
    largest_v = max(float(np.abs(ideal_v).max()), 1e-300)
    rows, cols = cells_conductance_s.shape[-2:]
    return FirstOrder(
        cell_v.reshape(*points.shape, rows, cols),
        cell_a.reshape(*points.shape, rows, cols),
        cell_a.sum(axis=-1).reshape(*points.shape, rows),
        cell_a.sum(axis=-2).reshape(*points.shape, cols),
        float(np.abs(lost_v).max()) / largest_v,
        float(np.abs(next_v).max()) / largest_v,
    )


def _drop_v(cell_a: FloatArray, wires: Wires) -> FloatArray:
    """What each cell loses in its two lines if the cells take these currents."""
    left, right = wires.row_ends != "right", wires.row_ends != "left"
    top, bottom = wires.col_ends != "bottom", wires.col_ends != "top"
    along_rows = _line_drop_v(cell_a, wires.row_ohm, wires.row_lead_ohm, first=left, last=right)
    down = cell_a.swapaxes(-1, -2)
    along_cols = _line_drop_v(down, wires.col_ohm, wires.col_lead_ohm, first=top, last=bottom)
    drop_v: FloatArray = along_rows + along_cols.swapaxes(-1, -2)
    return drop_v


def _line_drop_v(
    taken_a: FloatArray, segment_ohm: float, lead_ohm: float, *, first: bool, last: bool
) -> FloatArray:
    """Along the last axis: sum over k of R[j, k] taken_a[k], R the line's resistance matrix."""
    nodes = np.arange(taken_a.shape[-1])
    from_first = lead_ohm + segment_ohm * nodes
    from_last = from_first[::-1]
    if first and last:
        whole = from_first[0] + from_last[0]
        if whole == 0:
            return np.zeros_like(taken_a)
        before, after = from_first, from_last / whole
    elif first:
        before, after = from_first, np.ones(len(nodes))
    else:
        before, after = np.ones(len(nodes)), from_last
    # R[j, k] = before[min(j, k)] after[max(j, k)]
    upto = np.cumsum(before * taken_a, axis=-1)
    above = np.cumsum((after * taken_a)[..., ::-1], axis=-1)[..., ::-1]
    drop_v: FloatArray = after * upto + before * (above - after * taken_a)
    return drop_v
