"""Reads that can only come back limited: warnings of a check, before anything is measured."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.array.biasing import loads_whole_row
from hwloop.array.blocks import BlockBatch
from hwloop.array.operations import Operation, Ramp, ReadMap, VectorBatch, limited
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import CrossbarBackend, Description
from hwloop.backend.guard import line_bounds
from hwloop.procedure.procedure import Procedure
from hwloop.settings.units import format_quantity


def limited_reads(procedure: Procedure, description: Description) -> list[str]:
    """Return a line about every planned read whose current may be beyond the compliance.

    Every cell counts with the highest conductance of ``array.range``; without a range nothing is
    known. ``description``: of the backend. The output on a row supplies all cells of the row whose
    columns are held at 0 V, a meter of a product all cells of a column.
    """
    array = procedure.array
    if array.range is None:
        return []
    lines = line_bounds(description, array)
    most_conductance_s = array.range.high_conductance_s
    cells = array.cols if loads_whole_row(array.biasing) else 1
    read_conductance_s = cells * most_conductance_s
    if lines is not None:
        read_conductance_s = lines.reading_conductance_s()
    every = ReadMap.every_cell(array.geometry.shape, read_v=array.read.read_v)
    planned: list[tuple[str, Operation]] = [("before and after the steps", every)]
    planned += [
        (prepared.label, one.operation)
        for prepared in procedure.steps
        for one in prepared.plan.operations
    ]
    found = [
        f"{label}: {_message(what, current_a, array)}"
        for label, operation in planned
        for what, current_a in _currents(operation, read_conductance_s, most_conductance_s)
        if current_a > array.limits.current_a
    ]
    return list(dict.fromkeys(found))


def limited_at_first(array: ArraySettings, emulated: CrossbarBackend) -> list[str]:
    """Return a line if the first read of an emulated array would come back limited, else none.

    For arrays without ``array.range``: then its initial conductances are what is known.
    """
    if array.range is not None:
        return []
    read = array.read
    every = ReadMap.every_cell(
        array.geometry.shape, read_v=read.read_v, both_polarities=read.both_polarities
    )
    cells = limited(emulated.read(every).flags)
    if not cells.any():
        return []
    return [
        f"before and after the steps: a read at {format_quantity(read.read_v, 'V')} would come back"
        f" as limited for {int(cells.sum())} of {cells.size} cells, whose rows take more than"
        f" limits.current_a {format_quantity(array.limits.current_a, 'A')}"
    ]


def _currents(
    operation: Operation, read_conductance_s: float, most_conductance_s: float
) -> Iterator[tuple[str, float]]:
    """Yield each read of an operation, and the most that an output or meter carries, amperes."""
    match operation:
        case ReadMap() | Ramp():
            read_v = abs(operation.read_v)
            yield f"a read at {format_quantity(read_v, 'V')}", read_v * read_conductance_s
        case VectorBatch() if operation.voltage_v.size:
            sum_v = float(np.abs(operation.voltage_v).sum(axis=-1).max())
            yield "the product of a vector", sum_v * most_conductance_s
        case BlockBatch():
            for _, row_v in operation.pieces(operation.samples):
                sum_v = max(
                    float(np.abs(row_v[..., list(block.rows)]).sum(axis=-1).max())
                    for block in operation.blocks
                )
                yield "the product of a vector", sum_v * most_conductance_s


def _message(what: str, current_a: float, array: ArraySettings) -> str:
    return (
        f"{what} may take {format_quantity(current_a, 'A')} with cells at"
        f" array.range.high_conductance_s, beyond limits.current_a"
        f" {format_quantity(array.limits.current_a, 'A')}: it would only come back as limited"
    )
