"""Currents of one side's lines for voltage vectors on the other's: in parallel, or superposed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwloop.array.biasing import floats
from hwloop.array.blocks import DrivenLines
from hwloop.station.station import Station
from hwloop.types import BoolArray, FlagArray, FloatArray
from hwloop_drivers.roles import Measured
from hwloop_drivers.station.addressing import Lines, cell_lines, in_order, vector_lines

Measure = Callable[[Lines, list[float]], list[Measured]]
"""Measures the current into the line that the lines select, at each voltage of those driven."""


def line_currents(
    station: Station, vectors: FloatArray, measure: Measure, *, driven: DrivenLines
) -> tuple[FloatArray, FlagArray]:
    """Return amperes and flags, (vectors, measured lines), for voltages (vectors, driven lines).

    A vector with one voltage on all the lines that it drives is measured in parallel, a line at
    a time, where a meter holds that line; the others are superposed from the current of every
    cell at every level that they need. Where lines float, all are superposed: vectors without the
    sneak paths of the others could not be compared with them.
    """
    lines = station.wiring.count("col" if driven == "rows" else "row")
    current_a = np.zeros((len(vectors), lines))
    flags = np.zeros(current_a.shape, dtype=np.uint8)
    metered = station.wiring.drive.columns is not None and not floats(station.scheme)
    at_once = np.array([metered and _has_one_level(v) for v in vectors], dtype=np.bool_)
    for n in np.flatnonzero(at_once):
        used = vectors[n] != 0
        level_v = float(vectors[n][used][0])
        for line in range(lines):
            (measured,) = measure(vector_lines(station, used, line, driven=driven), [level_v])
            current_a[n, line], flags[n, line] = measured.current_a, int(measured.flags)
    _superpose(station, vectors, ~at_once, measure, current_a, flags, driven=driven)
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
) -> None:
    """Add the current of every cell to the wanted vectors, in place."""
    shape = (station.wiring.count("row"), station.wiring.count("col"))
    for row, col in in_order(np.ones(shape, dtype=np.bool_)):
        own, measured_line = (row, col) if driven == "rows" else (col, row)
        levels_v = vectors[:, own]
        used = [float(v) for v in np.unique(levels_v[wanted]) if v != 0]
        if not used:
            continue
        cell = measure(cell_lines(station, row, col), used)
        for level_v, measured in zip(used, cell, strict=True):
            here = wanted & (levels_v == level_v)
            current_a[here, measured_line] += measured.current_a
            flags[here, measured_line] |= int(measured.flags)
