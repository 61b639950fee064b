"""Reads of cells over time: address, time, resistance, conductance, current, shunt voltage."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwloop.datasets.importing import Extract, Reader
from hwloop.datasets.tables.data_file import DataFile
from hwloop_sim.readers.tables import (
    cells_in,
    check_times,
    first_rows,
    inverse,
    table_of,
    unlike,
)

_NAMES = ("address", "time", "resistance", "conductance", "current", "shunt voltage")
_SAME = 1e-6  # relative difference of 1/resistance and conductance: the printed digits


def judge(source: DataFile) -> str:
    """Return "" if rows are six numbers, the fourth of which is the inverse of the third."""
    rows = first_rows(source, columns=len(_NAMES))
    if rows is None:
        return unlike(source, _NAMES)
    if (np.abs(rows[:, 2] * rows[:, 3] - 1) >= _SAME).any():
        return "column 4, conductance, is not the inverse of column 3, resistance"
    return ""


def read(source: DataFile, options: Mapping[str, str]) -> Extract:  # noqa: ARG001 - no options
    """Return conductances, checked against the resistances, and times from the first read."""
    table, written = table_of(source, _NAMES)
    conductance_s = inverse(written, table[:, 2], "resistance")
    wrong = np.abs(table[:, 2] * table[:, 3] - 1) >= _SAME
    if wrong.any():
        row = int(np.argmax(wrong))
        raise written.fault(
            row,
            f"conductance {table[row, 3]:g} S",
            f"{conductance_s[row]:g} S, the inverse of the resistance",
        )
    for cell in np.unique(table[:, 0]):
        rows = np.flatnonzero(table[:, 0] == cell)
        check_times(written, table[rows, 1], rows)
    time_s = table[:, 1] - table[:, 1].min()
    columns = {"cell": table[:, 0], "time_s": time_s, "conductance_s": conductance_s}
    messages = [
        f"{len(table)} reads of {cells_in(table[:, 0])} over {time_s.max():.4g} s; conductance in"
        " siemens, the inverse of the resistance in each row",
        f"mean {conductance_s.mean():.4g} S, deviation {conductance_s.std(ddof=1):.3g} S"
        if len(table) > 1
        else f"one read of {conductance_s[0]:.4g} S",
        "columns 5 and 6, current and shunt voltage, left out; no row was dropped",
    ]
    return Extract("reads", columns, {}, messages)


READ_SERIES = Reader(
    name="read_series",
    summary="reads of cells over time: address, time, resistance, conductance, current",
    judge=judge,
    read=read,
)
