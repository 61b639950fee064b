"""The exact circuit of linear cells, for one array, batches of vectors and populations."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hwloop.errors import BackendError
from hwloop.messages import first_place
from hwloop.types import FloatArray
from hwloop_sim.circuit.solution import Solution
from hwloop_sim.circuit.terminals import Terminals, cut_off, terminals
from hwloop_sim.circuit.wires import Wires

STOP = 4e-12
"""Stopping criterion: residual over the least eigenvalue, relative to the voltages."""

RESIDUAL = 1e-11
"""Largest residual of an accepted solution."""

ERROR = 1e-6
"""Largest estimated error of a voltage in an accepted solution."""

STEPS = 2000
"""Iterations after which a circuit counts as not solved."""

WORTH_A_THREAD = 20_000
"""Cells times vectors below which starting a thread costs more than it saves."""


@dataclass(frozen=True, eq=False)
class Raw:
    """Fields (jobs, rows, cols) and line currents (jobs, lines) as the compiled code returns them.

    ``worst``: most steps, largest residual and largest error of any job.
    """

    word_v: FloatArray
    bit_v: FloatArray
    cell_a: FloatArray
    row_a: FloatArray
    col_a: FloatArray
    worst: tuple[int, float, float]


def solve(
    conductance_s: ArrayLike, *, row_v: ArrayLike, col_v: ArrayLike = 0.0, wires: Wires
) -> Solution:
    """Solve every voltage and current, exactly.

    ``conductance_s``: (rows, cols) or (*population, rows, cols), siemens; 0 is an open cell.
    ``row_v``: volts at the rows' terminals, (rows,), (batch, rows) or (*population, batch, rows);
    NaN leaves a line floating. ``col_v``: likewise, or one number for every column. The solution
    has the leading axes (*population, *batch). Raises ValueError for impossible values,
    :class:`hwloop.errors.BackendError` if the circuit could not be solved to 1e-11.
    """
    cells_conductance_s = checked_cells(conductance_s)
    return solve_between(
        cells_conductance_s, terminals(cells_conductance_s.shape, row_v, col_v), wires
    )


def solve_between(cells_conductance_s: FloatArray, points: Terminals, wires: Wires) -> Solution:
    """Solve the same for checked conductances between terminals that are kept for several states.

    ``cells_conductance_s``: contiguous, (*population, rows, cols), siemens, each finite and >= 0.
    """
    flat_conductance_s = cells_conductance_s.reshape(-1, *cells_conductance_s.shape[-2:])
    raw = run(flat_conductance_s, points, wires)
    undefine(raw, flat_conductance_s, points)
    return shaped(raw, points.shape)


def checked_cells(conductance_s: ArrayLike) -> FloatArray:
    """Return the conductances as a contiguous array; ValueError naming the first invalid one."""
    cells_conductance_s = np.ascontiguousarray(conductance_s, dtype=np.float64)
    if cells_conductance_s.ndim < 2 or cells_conductance_s.size == 0:
        raise ValueError(
            f"conductance_s has shape {cells_conductance_s.shape}; needs (..., rows, cols)"
        )
    if not (cells_conductance_s.min() >= 0 and cells_conductance_s.max() < np.inf):
        place = first_place(~((cells_conductance_s >= 0) & (cells_conductance_s < np.inf)))
        raise ValueError(
            f"conductance_s at {place} is {cells_conductance_s[place]}; needs a finite value of 0 S"
            " or more"
        )
    return cells_conductance_s


def run(
    cells_conductance_s: FloatArray,
    points: Terminals,
    wires: Wires,
    *,
    source_a: FloatArray | None = None,
    fields: bool = True,
) -> Raw:
    """Solve every vector of every array, (arrays, rows, cols), and check each solution.

    ``source_a``: a current source beside each cell, row to column, (arrays, rows, cols). Without
    ``fields`` only the lines' currents are kept.
    """
    from hwloop_sim.circuit.entry import solve_jobs

    rows, cols = cells_conductance_s.shape[-2:]
    jobs = points.jobs
    shape = (jobs if fields else 0, rows, cols)
    fields_v = (np.empty(shape), np.empty(shape), np.empty(shape))
    lines_a = (np.empty((jobs, rows)), np.empty((jobs, cols)))
    report = np.empty((jobs, 3))
    source = np.empty((0, 0, 0)) if source_a is None else source_a
    segment_ohm = np.array((wires.row_ohm, wires.col_ohm), dtype=np.float64)
    lead_conductance_s = np.array(wires.lead_conductance_s(), dtype=np.float64)

    def part(first: int, last: int) -> None:
        solve_jobs(
            cells_conductance_s,
            source,
            segment_ohm,
            lead_conductance_s,
            points.row_v,
            points.col_v,
            first,
            last,
            fields_v,
            lines_a,
            report,
            (STOP, STEPS),
        )

    threads = min(_processors(), jobs, jobs * rows * cols // WORTH_A_THREAD)
    if threads < 2:
        part(0, jobs)
    else:
        bounds = np.linspace(0, jobs, threads + 1).astype(int)
        # Threads of our own: numba's threading layers abort the process when two threads of a
        # program use them at once, and cost up to 8 ms a call.
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(part, bounds[:-1].tolist(), bounds[1:].tolist()))
    worst = _checked(report, points)
    if points.floating:
        # A terminal that is not connected carries no current, whatever the sums round to.
        lines_a[0][np.isnan(points.row_v).reshape(jobs, rows)] = 0.0
        lines_a[1][np.isnan(points.col_v).reshape(jobs, cols)] = 0.0
    return Raw(*fields_v, *lines_a, worst)


def _checked(report: FloatArray, points: Terminals) -> tuple[int, float, float]:
    """Return the worst of ``report``; BackendError for the first vector beyond a bound."""
    steps, residual, error = report.max(axis=0).tolist()
    if residual <= RESIDUAL and error <= ERROR:
        return int(steps), residual, error
    job = int(np.argmin((report[:, 1] <= RESIDUAL) & (report[:, 2] <= ERROR)))
    array, vector = divmod(job, points.row_v.shape[1])
    raise BackendError(
        f"array {array}, vector {vector}: the circuit is not solved: after"
        f" {int(report[job, 0])} iterations the residual is {report[job, 1]:.2g} of the largest"
        f" voltage (bound {RESIDUAL:g}), the error may be {report[job, 2]:.2g} of it (bound"
        f" {ERROR:g}); floating lines tied only by cells of next to no conductance are the usual"
        " reason"
    )


def undefine(raw: Raw, cells_conductance_s: FloatArray, points: Terminals) -> None:
    """Set the voltages of lines that no terminal reaches to NaN, in place."""
    if not points.floating:
        return
    vectors = points.row_v.shape[1]
    lines_v = np.concatenate([points.row_v, points.col_v], axis=-1)
    # Where every cell conducts, one terminal reaches every line.
    least_conductance_s = cells_conductance_s.min(axis=(-2, -1), keepdims=True)[..., 0]
    reached = np.isfinite(lines_v).any(-1) & (least_conductance_s > 0)
    floats = np.isnan(lines_v).any(-1) & ~reached
    for array, vector in np.argwhere(floats):
        rows_float = np.isnan(points.row_v[array, vector])
        cols_float = np.isnan(points.col_v[array, vector])
        lost = cut_off(cells_conductance_s[array], rows_float, cols_float)
        job = array * vectors + vector
        raw.word_v[job, lost[: len(rows_float)], :] = np.nan
        raw.bit_v[job, :, lost[len(rows_float) :]] = np.nan


def shaped(raw: Raw, leading: tuple[int, ...]) -> Solution:
    """Return the solution with the leading axes of the caller's arrays."""
    return Solution(
        raw.word_v.reshape(*leading, *raw.word_v.shape[1:]),
        raw.bit_v.reshape(*leading, *raw.bit_v.shape[1:]),
        raw.cell_a.reshape(*leading, *raw.cell_a.shape[1:]),
        raw.row_a.reshape(*leading, -1),
        raw.col_a.reshape(*leading, -1),
        *raw.worst,
    )


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
