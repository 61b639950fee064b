"""Currents of one side's lines for voltage vectors on the other's: in parallel, or superposed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwloop.array.biasing import floats
from hwloop.array.blocks import BlockBatch, DrivenLines
from hwloop.station.station import Station
from hwloop.types import BoolArray, FlagArray, FloatArray
from hwloop_drivers.roles import Measured
from hwloop_drivers.station.addressing import Lines, cell_lines, in_order, vector_lines

Measure = Callable[[Lines, list[float]], list[Measured]]
"""Measures the current into the line that the lines select, at each voltage of those driven."""


def block_currents(
    station: Station, batch: BlockBatch, measure: Measure
) -> tuple[FloatArray, FlagArray]:
    """Return amperes and flags, (..., vectors, columns), of blocks of one array.

    Only the lines of each block are measured.
    """
    driven_lines = station.wiring.count(batch.driven[:-1])
    current_a = np.full((*batch.outer, batch.vectors, batch.columns), np.nan)
    flags = np.zeros(current_a.shape, dtype=np.uint8)
    for part, row_v in batch.pieces(batch.samples):
        column = 0
        for block in batch.blocks:
            vectors = np.zeros((*row_v.shape[:-1], driven_lines))
            vectors[..., block.row_slice] = row_v[..., list(block.rows)]
            own_a, own_flags = line_currents(
                station,
                vectors.reshape(-1, driven_lines),
                measure,
                driven=batch.driven,
                lines=range(block.left, block.left + block.width),
            )
            own = (..., part, slice(column, column + block.width))
            current_a[own] = own_a.reshape(*row_v.shape[:-1], block.width)
            flags[own] = own_flags.reshape(*row_v.shape[:-1], block.width)
            column += block.width
    return current_a, flags


def line_currents(
    station: Station,
    vectors: FloatArray,
    measure: Measure,
    *,
    driven: DrivenLines,
    lines: range | None = None,
) -> tuple[FloatArray, FlagArray]:
    """Return amperes and flags, (vectors, measured lines), for voltages (vectors, driven lines).

    ``lines``: those that are measured; None: all of that side.

    A vector with one voltage on all the lines that it drives is measured in parallel, a line at
    a time, where a meter holds that line; the others are superposed from the current of every
    cell at every level that they need. Where lines float, all are superposed: vectors without the
    sneak paths of the others could not be compared with them.
    """
    if lines is None:
        lines = range(station.wiring.count("col" if driven == "rows" else "row"))
    current_a = np.zeros((len(vectors), len(lines)))
    flags = np.zeros(current_a.shape, dtype=np.uint8)
    metered = station.wiring.drive.columns is not None and not floats(station.scheme)
    at_once = np.array([metered and _has_one_level(v) for v in vectors], dtype=np.bool_)
    for n in np.flatnonzero(at_once):
        used = vectors[n] != 0
        level_v = float(vectors[n][used][0])
        for place, line in enumerate(lines):
            (measured,) = measure(vector_lines(station, used, line, driven=driven), [level_v])
            current_a[n, place], flags[n, place] = measured.current_a, int(measured.flags)
    _superpose(station, vectors, ~at_once, measure, current_a, flags, driven=driven, lines=lines)
    return current_a, flags


def _has_one_level(vector: FloatArray) -> bool:
    driven = vector[vector != 0]
    return bool(driven.size > 1 and np.unique(driven).size == 1)


def _superpose(
    station: Station,
    vectors: FloatArray,
    wanted: BoolArray,
    measure: Measure,
    current_a: FloatArray,
    flags: FlagArray,
    *,
    driven: DrivenLines,
    lines: range,
) -> None:
    """Add the current of every cell to the wanted vectors, in place."""
    shape = (station.wiring.count("row"), station.wiring.count("col"))
    for row, col in in_order(np.ones(shape, dtype=np.bool_)):
        own, line = (row, col) if driven == "rows" else (col, row)
        if line not in lines:
            continue
        place = lines.index(line)
        levels_v = vectors[:, own]
        used = [float(v) for v in np.unique(levels_v[wanted]) if v != 0]
        if not used:
            continue
        cell = measure(cell_lines(station, row, col), used)
        for level_v, measured in zip(used, cell, strict=True):
            here = wanted & (levels_v == level_v)
            current_a[here, place] += measured.current_a
            flags[here, place] |= int(measured.flags)
