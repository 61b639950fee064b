"""Reads of cells over time: address, time, resistance, conductance, current, shunt voltage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hwloop.datasets.importing import Extract, Reader, fault
from hwloop_sim.readers.tables import cells_in, inverse, starts_with_numbers, table_of

_NAMES = ("address", "time", "resistance", "conductance", "current", "shunt voltage")
_SAME = 1e-6  # relative difference of 1/resistance and conductance: the printed digits


def recognises(path: Path) -> bool:
    """Return whether rows are six numbers, the fourth of which is the inverse of the third."""
    rows = starts_with_numbers(path, columns=len(_NAMES), separator=",")
    return rows is not None and all(abs(row[2] * row[3] - 1) < _SAME for row in rows)


def read(path: Path, options: Mapping[str, str]) -> Extract:  # noqa: ARG001 - no options
    """Return conductances, checked against the resistances, and times from the first read."""
    table, lines = table_of(path, _NAMES, ",")
    conductance_s = inverse(path, table[:, 2], lines, "resistance")
    wrong = np.abs(table[:, 2] * table[:, 3] - 1) >= _SAME
    if wrong.any():
        row = int(np.argmax(wrong))
        raise fault(
            path,
            int(lines[row]),
            f"conductance {table[row, 3]:g} S",
            f"{conductance_s[row]:g} S, the inverse of the resistance",
        )
    for cell in np.unique(table[:, 0]):
        _check_times(path, table[table[:, 0] == cell, 1], lines[table[:, 0] == cell])
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


def _check_times(path: Path, time_s: np.ndarray, lines: np.ndarray) -> None:
    back = np.diff(time_s) < 0
    if back.any():
        row = int(np.argmax(back)) + 1
        raise fault(
            path, int(lines[row]), f"time {time_s[row]:.6f} s", f"{time_s[row - 1]:.6f} s or later"
        )


READ_SERIES = Reader(
    name="read_series",
    summary="reads of cells over time: address, time, resistance, conductance, current",
    recognises=recognises,
    read=read,
)
