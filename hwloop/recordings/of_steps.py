"""Results of the characterisation steps, in the columns of an import.

Each function yields kinds and columns for the field ``measured`` of a step. Cells are numbered row
by row, arrays of a population one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from hwloop.datasets.measurement import Kind
from hwloop.record.reader import Record
from hwloop.types import FloatArray

Columns = tuple[Kind, Mapping[str, FloatArray]]


def direct_sweeps(record: Record, label: str) -> Iterator[Columns]:
    """Yield the currents of a direct I-V sweep; a pulsed one holds no currents at its levels."""
    if record.settings(label)["mode"] != "direct":
        return
    rows = record.results(label)
    current_a = _by_cell(rows["current_a"])
    yield (
        "iv",
        {
            "cell": _cells(current_a),
            "sweep": _repeated(rows["cycle"] - 1.0, current_a),
            "time_s": _repeated(rows["time_s"], current_a),
            "voltage_v": _repeated(rows["level_v"], current_a),
            "current_a": current_a.ravel(),
        },
    )


def reads_of_retention(record: Record, label: str) -> Iterator[Columns]:
    """Yield the reads of a retention test, at their times after the programming."""
    rows = record.results(label)
    seen_conductance_s = _by_cell(rows["conductance_s"])
    yield "reads", _reads(rows["time_s"], seen_conductance_s)


def reads_of_noise(record: Record, label: str) -> Iterator[Columns]:
    """Yield the reads of a noise measurement, at every voltage, on the array's clock."""
    rows = record.results(label)
    for read_v, time_s, current_a in zip(
        rows["read_v"], rows["time_s"], rows["current_a"], strict=True
    ):
        yield "reads", _reads(time_s, _by_cell(current_a) / read_v)


def cycles(record: Record, label: str) -> Iterator[Columns]:
    """Yield both states of the cycles that were read: set is the high one, reset the low one."""
    rows = record.results(label)
    set_conductance_s = _by_cell(rows["high_conductance_s"])
    yield (
        "cycling",
        {
            "cell": _cells(set_conductance_s),
            "cycle": _repeated(rows["cycle"], set_conductance_s),
            "set_conductance_s": set_conductance_s.ravel(),
            "reset_conductance_s": _by_cell(rows["low_conductance_s"]).ravel(),
        },
    )


def pulse_sweeps(record: Record, label: str) -> Iterator[Columns]:
    """Yield every pulse of a sweep, with the conductances before and after it."""
    rows = record.results(label)
    before_conductance_s = _by_cell(rows["before_conductance_s"])
    settings = {name: rows[name] for name in ("width_s", "amplitude_v", "gate_v")}
    yield (
        "pulse_sweeps",
        {
            "cell": _cells(before_conductance_s),
            **{name: _repeated(column, before_conductance_s) for name, column in settings.items()},
            "before_conductance_s": before_conductance_s.ravel(),
            "after_conductance_s": _by_cell(rows["after_conductance_s"]).ravel(),
        },
    )


def _reads(time_s: FloatArray, seen_conductance_s: FloatArray) -> dict[str, FloatArray]:
    return {
        "cell": _cells(seen_conductance_s),
        "time_s": _repeated(time_s, seen_conductance_s),
        "conductance_s": seen_conductance_s.ravel(),
    }


def _by_cell(column: FloatArray) -> FloatArray:
    """Return a column of maps as (rows of the table, cells)."""
    return column.astype(np.float64).reshape(len(column), -1)


def _cells(values: FloatArray) -> FloatArray:
    return np.tile(np.arange(float(values.shape[1])), len(values))


def _repeated(column: FloatArray, values: FloatArray) -> FloatArray:
    return np.repeat(np.asarray(column, dtype=np.float64), values.shape[1])
