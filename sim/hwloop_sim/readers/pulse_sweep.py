"""Pulse sweeps by address: six columns with the resistance before and after each pulse."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwloop.datasets.importing import Extract, Reader
from hwloop.datasets.tables.data_file import DataFile
from hwloop.errors import ConfigError
from hwloop_sim.readers.tables import (
    HIGHEST_LINE_V,
    Table,
    cells_in,
    check_below,
    check_whole,
    first_rows,
    inverse,
    table_of,
    unlike,
)

_NAMES = ("address", "pulse width", "line voltage", "gate voltage", "before", "after")
_SIGNS = {"bit": 1.0, "source": -1.0}


def judge(source: DataFile) -> str:
    """Return "" if rows are six numbers that can be these: an address, a width, two voltages, …"""
    rows = first_rows(source, columns=len(_NAMES))
    return unlike(source, _NAMES) if rows is None else _implausible(rows)


def _implausible(rows: Table) -> str:
    if (rows[:, 0] != np.round(rows[:, 0])).any() or (rows[:, 0] < 0).any():
        return f"column 1 holds {rows[0, 0]:g}: no address"
    if (rows[:, 1] <= 0).any():
        return f"column 2 holds {rows[:, 1].min():g}: no width of a pulse"
    for column in (2, 3):
        worst = rows[np.argmax(np.abs(rows[:, column])), column]
        if abs(worst) > HIGHEST_LINE_V:
            return f"column {column + 1} holds {worst:g}: no {_NAMES[column]} in volts"
    if (rows[:, 4:] <= 0).any():
        return f"columns 5 and 6 hold {rows[:, 4:].min():g}: no resistances"
    if (np.abs(rows[:, 2] * rows[:, 3] - 1) < 1e-6).all():
        return "column 4 is the inverse of column 3: resistance and conductance, no voltages"
    return ""


def read(source: DataFile, options: Mapping[str, str]) -> Extract:
    """Return widths in seconds, conductances, and source-line voltages as negative amplitudes."""
    line = options.get("line")
    if line not in _SIGNS:
        raise ConfigError(
            "does not say which line the voltage of column 3 is on; give --set line=bit, or"
            " --set line=source, which RESETs and counts as negative",
            file=str(source.path),
        )
    table, written = table_of(source, _NAMES)
    check_whole(written, table[:, 0], "address")
    for column in (2, 3):
        check_below(written, table[:, column], HIGHEST_LINE_V, _NAMES[column], "V")
    if (table[:, 1] <= 0).any():
        row = int(np.argmax(table[:, 1] <= 0))
        raise written.fault(row, f"pulse width {table[row, 1]:g} ns", "a value above 0")
    columns = {
        "cell": table[:, 0],
        "width_s": table[:, 1] / 1e9,
        "amplitude_v": _SIGNS[line] * table[:, 2],
        "gate_v": table[:, 3],
        "before_conductance_s": inverse(written, table[:, 4], "resistance before"),
        "after_conductance_s": inverse(written, table[:, 5], "resistance after"),
    }
    messages = [
        f"{len(table)} pulses on {cells_in(table[:, 0])}; widths from nanoseconds to seconds,"
        " resistances from ohm to siemens",
        f"{line} line {table[:, 2].min():g} to {table[:, 2].max():g} V, gate"
        f" {table[:, 3].min():g} to {table[:, 3].max():g} V; the sign is that of the cell",
        "no row was dropped",
    ]
    return Extract("pulse_sweeps", columns, {}, messages)


PULSE_SWEEP = Reader(
    name="pulse_sweep",
    summary="pulse sweeps by address: width, line and gate voltage, resistance before and after",
    judge=judge,
    read=read,
    options={"line": "which the voltage of column 3 is on: bit, source"},
)
