"""Pulse sweeps by address: six columns with the resistance before and after each pulse."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hwloop.datasets.importing import Extract, Reader
from hwloop.errors import ConfigError
from hwloop_sim.readers.tables import cells_in, inverse, starts_with_numbers, table_of

_NAMES = ("address", "pulse width", "line voltage", "gate voltage", "before", "after")
_SIGNS = {"bit": 1.0, "source": -1.0}


def recognises(path: Path) -> bool:
    """Return whether rows are six numbers separated by tabs."""
    return starts_with_numbers(path, columns=len(_NAMES), separator="\t") is not None


def read(path: Path, options: Mapping[str, str]) -> Extract:
    """Return widths in seconds, conductances, and source-line voltages as negative amplitudes."""
    line = options.get("line")
    if line not in _SIGNS:
        raise ConfigError(
            "does not say which line the voltage of column 3 is on; give --set line=bit, or"
            " --set line=source, which RESETs and counts as negative",
            file=str(path),
        )
    table, lines = table_of(path, _NAMES, "\t")
    if (table[:, 1] <= 0).any():
        row = int(np.argmax(table[:, 1] <= 0))
        raise ConfigError(
            f"pulse width {table[row, 1]:g} ns: expected a value above 0",
            key=f"line {lines[row]}",
            file=str(path),
        )
    columns = {
        "cell": table[:, 0],
        "width_s": table[:, 1] / 1e9,
        "amplitude_v": _SIGNS[line] * table[:, 2],
        "gate_v": table[:, 3],
        "before_conductance_s": inverse(path, table[:, 4], lines, "resistance before"),
        "after_conductance_s": inverse(path, table[:, 5], lines, "resistance after"),
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
    recognises=recognises,
    read=read,
    options={"line": "which the voltage of column 3 is on: bit, source"},
)
