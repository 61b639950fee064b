"""Column currents for row voltage vectors: in parallel where one output can, else superposed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwloop.array.biasing import floats
from hwloop.station.station import Station
from hwloop.types import BoolArray, FlagArray, FloatArray
from hwloop_drivers.roles import Measured
from hwloop_drivers.station.addressing import Lines, cell_lines, in_order, vector_lines

Measure = Callable[[Lines, list[float]], list[Measured]]
"""Measures the current into the column that the lines select, at each voltage of the rows."""


def column_currents(
    station: Station, vectors: FloatArray, measure: Measure
) -> tuple[FloatArray, FlagArray]:
    """Return amperes and flags, (vectors, cols), for voltages (vectors, rows).

    A vector with one voltage on all the rows that it drives is measured in parallel, a column at
    a time, where a meter holds the column; the others are superposed from the current of every
    cell at every level that they need. Where lines float, all are superposed: vectors without the
    sneak paths of the others could not be compared with them.
    """
    cols = station.wiring.count("col")
    current_a = np.zeros((len(vectors), cols))
    flags = np.zeros(current_a.shape, dtype=np.uint8)
    metered = station.wiring.drive.columns is not None and not floats(station.scheme)
    at_once = np.array([metered and _has_one_level(v) for v in vectors], dtype=np.bool_)
    for n in np.flatnonzero(at_once):
        driven = vectors[n] != 0
        level_v = float(vectors[n][driven][0])
        for col in range(cols):
            (measured,) = measure(vector_lines(station, driven, col), [level_v])
            current_a[n, col], flags[n, col] = measured.current_a, int(measured.flags)
    _superpose(station, vectors, ~at_once, measure, current_a, flags)
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
) -> None:
    """Add the current of every cell to the wanted vectors, in place."""
    shape = (vectors.shape[-1], current_a.shape[-1])
    for row, col in in_order(np.ones(shape, dtype=np.bool_)):
        column = vectors[:, row]
        used = [float(v) for v in np.unique(column[wanted]) if v != 0]
        if not used:
            continue
        cell = measure(cell_lines(station, row, col), used)
        for level_v, measured in zip(used, cell, strict=True):
            here = wanted & (column == level_v)
            current_a[here, col] += measured.current_a
            flags[here, col] |= int(measured.flags)
