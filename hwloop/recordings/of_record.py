"""Results of a run in the columns of an import, so that both are compared and drawn alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name

import numpy as np
from numpy.typing import NDArray

from hwloop import plugins
from hwloop.array.operations import Flag, PulseMap, PulsePair, Ramp, Reading, ReadMap
from hwloop.array.read_path import ReadPath
from hwloop.datasets.measurement import Conditions, Kind, Measurement, train_columns
from hwloop.errors import ConfigError
from hwloop.record.operations import RecordedOperation
from hwloop.record.reader import Record
from hwloop.record.replay import read_path_of
from hwloop.types import BoolArray, FloatArray

_LEAST_PULSES = 2
"""Equal pulses from which on they are a train."""


def measurements_of(record: Record) -> dict[Kind, Measurement]:
    """Return what a run has measured, by kind; cells are numbered row by row, arrays one by one.

    Trains come from the operations of any step: equal single pulses of a cell, each followed by a
    read of it. The other kinds come from the steps that say how (``Step.measured``). A measurement
    holds no conductance of 0 S or less: how many reads and trains are left out for it, its note
    says.
    """
    found: dict[Kind, Measurement] = {}
    trains, left_out = _trains(record)
    if trains is not None:
        found["trains"] = _measurement(record, "trains", trains, f"{left_out} trains")
    parts: dict[Kind, list[Mapping[str, FloatArray]]] = {}
    for entry in record.resolved["steps"]:
        label = entry["label"]
        if not record.results(label):
            continue
        for kind, columns in _of_step(entry["step"], record, label):
            parts.setdefault(kind, []).append(columns)
    for kind, each in parts.items():
        columns = {name: np.concatenate([one[name] for one in each]) for name in each[0]}
        kept = _measured_rows(columns)
        if kept.any():
            dark = int(sum((column <= 0).sum() for column in _conductances(columns)))
            columns = {name: column[kept] for name, column in columns.items()}
            found[kind] = _measurement(record, kind, columns, f"{dark} reads")
    return found


def _measurement(
    record: Record, kind: Kind, columns: Mapping[str, FloatArray], left_out: str
) -> Measurement:
    """Return a measurement whose note says what was left out, such as "2 reads"."""
    note = "" if left_out.startswith("0 ") else f"{left_out} of 0 S or less left out"
    return Measurement(
        kind=kind,
        title=str(record.attrs["procedure"]),
        source="run",
        conditions=Conditions(note=note),
        columns=columns,
    )


def _conductances(columns: Mapping[str, FloatArray]) -> list[FloatArray]:
    return [column for name, column in columns.items() if name.endswith("conductance_s")]


def _of_step(
    step: str, record: Record, label: str
) -> Iterator[tuple[Kind, Mapping[str, FloatArray]]]:
    try:
        measured = plugins.load(plugins.STEPS, step).measured
    except ConfigError:  # the step's package is not installed: the rest of the record still reads
        return
    if measured:
        yield from resolve_name(measured)(record, label)


def _measured_rows(columns: Mapping[str, FloatArray]) -> BoolArray:
    """Return a mask of rows that a measurement may hold: no failed read, no conductance of 0 S."""
    kept = np.ones(len(next(iter(columns.values()))), dtype=np.bool_)
    for name, column in columns.items():
        if name != "time_s":
            kept &= np.isfinite(column)
    for column in _conductances(columns):
        kept &= column > 0
    return kept


@dataclass(frozen=True)
class _CellReads:
    """Reads of all cells with the pulses before each, in arrays of (reads, cells).

    ``pulses``: of the cell since its read before; ``which``: number of the last in ``kinds``, which
    are apart by their gate voltages too.
    ``conductance_s``: NaN where the cell was not read.
    """

    conductance_s: FloatArray
    pulses: NDArray[np.int64]
    which: NDArray[np.int64]
    kinds: list[tuple[float, float]]


def _trains(record: Record) -> tuple[dict[str, FloatArray] | None, int]:
    """Return the columns of all trains, None if there are none, and how many were left out."""
    seen, left_out = _reads(record), 0
    if seen is None:
        return None, 0
    trains: list[FloatArray] = []
    cells: list[float] = []
    pulses: list[tuple[float, float]] = []
    for cell in range(seen.conductance_s.shape[1]):
        for which, train in _trains_of_cell(seen, cell):
            if not (train > 0).all():
                left_out += 1
                continue
            trains.append(train)
            cells.append(cell)
            pulses.append(seen.kinds[which])
    if not trains:
        return None, left_out
    columns = train_columns(
        trains,
        cells=cells,
        amplitudes_v=[amplitude_v for amplitude_v, _ in pulses],
        widths_s=[width_s for _, width_s in pulses],
    )
    return columns, left_out


def _trains_of_cell(seen: _CellReads, cell: int) -> Iterator[tuple[int, FloatArray]]:
    """Yield kind of pulse and conductances, siemens, of each train of a cell.

    Reads without a pulse before them do not end a train; several pulses before a read do.
    """
    rows = np.flatnonzero(np.isfinite(seen.conductance_s[:, cell]))
    values, pulses, which = (
        array[rows, cell] for array in (seen.conductance_s, seen.pulses, seen.which)
    )
    pulsed = np.flatnonzero(pulses)
    kind = np.where(pulses[pulsed] == 1, which[pulsed], -1)
    for run in np.split(np.arange(pulsed.size), np.flatnonzero(np.diff(kind)) + 1):
        if run.size < _LEAST_PULSES or kind[run[0]] < 0 or pulsed[run[0]] == 0:
            continue
        yield int(kind[run[0]]), values[[pulsed[run[0]] - 1, *pulsed[run]]]


def _reads(record: Record) -> _CellReads | None:
    """Return the reads of a record and what was between them; None without a read."""
    path, size = read_path_of(record), int(np.prod(record.shape))
    count, last = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    kinds: dict[tuple[float, float, float], int] = {}
    rows: list[tuple[FloatArray, NDArray[np.int64], NDArray[np.int64]]] = []
    for event in _events(record):
        if isinstance(event, PulseMap):
            count += np.broadcast_to(event.addressed, record.shape).ravel() * event.count
            for key, cells in _cells_by_pulse(event, record.shape):
                last[cells] = kinds.setdefault(key, len(kinds))
        elif isinstance(event, PulsePair):
            count += 2 * np.broadcast_to(event.addressed, record.shape).ravel()
        else:
            value_conductance_s = _conductance_s(*event, path).ravel()
            is_read = np.isfinite(value_conductance_s)
            rows.append((value_conductance_s, count.copy(), last.copy()))
            count[is_read] = 0
    if not rows:
        return None
    conductance_s, pulses, which = (np.stack(part) for part in zip(*rows, strict=True))
    return _CellReads(conductance_s, pulses, which, [key[:2] for key in kinds])


def _cells_by_pulse(
    pulse: PulseMap, shape: tuple[int, ...]
) -> Iterator[tuple[tuple[float, float, float], BoolArray]]:
    """Yield (volts, seconds, volts of the gate or 0) and the cells that were given that pulse."""
    level_v = np.broadcast_to(pulse.amplitude_v, shape).ravel()
    gate_v = np.broadcast_to(0.0 if pulse.gate_v is None else pulse.gate_v, shape).ravel()
    given = level_v != 0
    for amplitude_v, of_gate_v in np.unique(np.stack([level_v, gate_v])[:, given], axis=1).T:
        cells = given & (level_v == amplitude_v) & (gate_v == of_gate_v)
        yield (float(amplitude_v), pulse.width_s, float(of_gate_v)), cells


def _events(record: Record) -> Iterator[PulseMap | PulsePair | tuple[Reading, float]]:
    """Yield pulses and reads in order, up to an operation that failed."""
    for recorded in record.operations():
        if recorded.failed:  # it may or may not have reached the cells
            return
        operation = recorded.operation
        if isinstance(operation, PulseMap | PulsePair):
            yield operation
        elif isinstance(operation, Ramp):
            yield from _of_ramp(operation, recorded)
        elif isinstance(operation, ReadMap) and recorded.reading is not None:
            yield recorded.reading, operation.read_v


def _of_ramp(ramp: Ramp, recorded: RecordedOperation) -> Iterator[PulseMap | tuple[Reading, float]]:
    if recorded.reading is None:
        return
    for number in range(ramp.steps):
        flags = recorded.reading.flags[number]
        given = (flags & Flag.NOT_ADDRESSED) == 0
        if not given.any():
            return
        yield ramp.pulse(number, given)
        yield Reading(recorded.reading.current_a[number], flags), ramp.read_v


def _conductance_s(reading: Reading, read_v: float, path: ReadPath | None) -> FloatArray:
    current_a = np.where(reading.flags == 0, reading.current_a, np.nan)
    if path is None:
        found: FloatArray = current_a / read_v
        return found
    return path.conductance_s(current_a, read_v)
