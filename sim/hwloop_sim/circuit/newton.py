"""The exact circuit of nonlinear cells: Newton's method around the linear solution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from hwloop.errors import BackendError
from hwloop.messages import first_place
from hwloop.types import FloatArray
from hwloop_sim.circuit.cells import CellLaw
from hwloop_sim.circuit.passive import RESIDUAL, Raw, checked_cells, run, shaped, undefine
from hwloop_sim.circuit.solution import Solution
from hwloop_sim.circuit.terminals import Terminals, terminals
from hwloop_sim.circuit.wires import Wires

STEPS = 200
SETTLED = 1e-12

MOVED = 1e-7
"""Last step, relative to the voltages applied: the remaining error is about its square."""

STEEPER = 10.0
"""Largest growth of a cell's slope in one step, so that an exponential law converges."""


def solve_cells(
    conductance_s: ArrayLike,
    law: CellLaw,
    *,
    row_v: ArrayLike,
    col_v: ArrayLike = 0.0,
    wires: Wires,
) -> Solution:
    """Solve every voltage and current, exactly, where each cell's current follows ``law``.

    Shapes as in :func:`hwloop_sim.circuit.solve`. ``residual`` of the solution: the largest
    difference between the law's current and that of the last linear circuit, relative to the
    largest current. Raises BackendError if that does not fall to 1e-11, or if the law falls at a
    voltage reached.
    """
    cells_conductance_s = checked_cells(conductance_s)
    asked = terminals(cells_conductance_s.shape, row_v, col_v)
    flat_conductance_s = cells_conductance_s.reshape(-1, *cells_conductance_s.shape[-2:])
    every_conductance_s = np.repeat(flat_conductance_s, asked.row_v.shape[1], axis=0)
    points = _one_by_one(asked)
    raw, steps, residual = _newton(every_conductance_s, law, points, wires)
    undefine(raw, every_conductance_s, points)
    return replace(shaped(raw, asked.shape), steps=steps, residual=residual)


def _one_by_one(points: Terminals) -> Terminals:
    """Make every vector an array of its own, since each has another linear circuit."""
    row_v = points.row_v.reshape(points.jobs, 1, -1)
    return Terminals(row_v, points.col_v.reshape(points.jobs, 1, -1), (), points.floating)


def _newton(
    cells_conductance_s: FloatArray, law: CellLaw, points: Terminals, wires: Wires
) -> tuple[Raw, int, float]:
    span_v = _span_v(points)
    cell_v = np.zeros(cells_conductance_s.shape)
    residual = moved = np.inf
    steps = 0
    while residual > SETTLED or moved > MOVED:
        steps += 1
        current_a, slope_conductance_s = _checked(law, cells_conductance_s, cell_v)
        raw = run(
            slope_conductance_s, points, wires, source_a=current_a - slope_conductance_s * cell_v
        )
        linear_v = raw.word_v - raw.bit_v
        new_v = _limited(
            law,
            cells_conductance_s,
            cell_v,
            slope_conductance_s,
            np.clip(linear_v, -span_v, span_v),
        )
        moved = np.abs(linear_v - cell_v).max() / max(float(span_v.max()), 1e-300)
        linear_a = current_a + slope_conductance_s * (linear_v - cell_v)
        cell_v = new_v
        raw.cell_a[:] = law.at(cells_conductance_s, cell_v)[0]
        largest_a = np.abs(raw.cell_a).max(axis=(-2, -1), keepdims=True)
        off = np.abs(raw.cell_a - linear_a) / np.where(largest_a > 0, largest_a, 1.0)
        residual = float(off.max())
        if steps == STEPS:
            break
    if residual > RESIDUAL or moved > MOVED:
        job = int(off.max(axis=(-2, -1)).argmax())
        raise BackendError(
            f"vector {job}: the circuit of {law} is not solved: after {STEPS} iterations the"
            f" currents differ by {residual:.2g} of the largest (bound {RESIDUAL:g}), the voltages"
            f" move by {moved:.2g} of the applied (bound {MOVED:g})"
        )
    # The law's currents, so that cells, rows and columns agree to the last digits.
    raw.row_a[:] = np.where(np.isnan(points.row_v[:, 0]), 0.0, raw.cell_a.sum(axis=-1))
    raw.col_a[:] = np.where(np.isnan(points.col_v[:, 0]), 0.0, raw.cell_a.sum(axis=-2))
    return raw, steps, residual


def _limited(
    law: CellLaw,
    cells_conductance_s: FloatArray,
    cell_v: FloatArray,
    slope_conductance_s: FloatArray,
    wanted_v: FloatArray,
) -> FloatArray:
    """Step from ``cell_v`` as far towards ``wanted_v`` as the slopes allow, cell by cell."""
    new_v = wanted_v
    for _ in range(60):
        with np.errstate(over="ignore"):
            steep = law.at(cells_conductance_s, new_v)[1] > STEEPER * slope_conductance_s
        if not steep.any():
            break
        new_v = np.where(steep, 0.5 * (new_v + cell_v), new_v)
    return new_v


def _span_v(points: Terminals) -> FloatArray:
    """Return the largest difference between the terminals of each vector, (jobs, 1, 1), volts.

    No cell of a passive circuit has a larger voltage.
    """
    lines_v = np.concatenate([points.row_v[:, 0], points.col_v[:, 0]], axis=-1)
    connected = ~np.isnan(lines_v)
    high = np.where(connected, lines_v, -np.inf).max(axis=-1)
    low = np.where(connected, lines_v, np.inf).min(axis=-1)
    span: FloatArray = np.where(connected.any(axis=-1), high - low, 0.0)
    return span[:, np.newaxis, np.newaxis]


def _checked(
    law: CellLaw, cells_conductance_s: FloatArray, cell_v: FloatArray
) -> tuple[FloatArray, FloatArray]:
    current_a, slope_conductance_s = law.at(cells_conductance_s, cell_v)
    wrong = ~(
        (slope_conductance_s >= 0) & np.isfinite(slope_conductance_s) & np.isfinite(current_a)
    )
    if wrong.any():
        job, row, col = first_place(wrong)
        raise BackendError(
            f"vector {job}, cell ({row}, {col}): at {cell_v[job, row, col]:g} V the slope of {law}"
            f" is {slope_conductance_s[job, row, col]:.3g} S; needs a finite one of 0 or more"
        )
    return current_a, np.ascontiguousarray(slope_conductance_s)
