"""Write the record of a run.

A row counts once its series' counter below ``/recorder`` includes it, and the counter is written
after the row. The tail of an interrupted file beyond the counters is NaN, never
a number; when a run ends in order the tail is cut off. How the file stays whole meanwhile is told
in :mod:`hwloop.record.file`.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hwloop.array.operations import Operation, PulseMap, Ramp, Reading, ReadMap, VectorBatch
from hwloop.backend.base import Description
from hwloop.procedure.procedure import Procedure
from hwloop.record.file import RecordFile
from hwloop.record.operations import columns_of
from hwloop.record.series import About, Series, counter_name, make_columns, write_rows
from hwloop.steps.rows import Row
from hwloop.types import FloatArray

FORMAT = "hwloop-record"
FORMAT_VERSION = 1
OPERATION = np.dtype(
    [
        ("kind", "S8"),
        ("series", "S16"),
        ("item", "<i8"),
        ("outcome", "S8"),
        ("started_s", "<f8"),
        ("ended_s", "<f8"),
        ("array_time_s", "<f8"),
    ]
)
OPERATIONS, OUTCOMES, LOG = "operations", "outcomes", "log"
CONDUCTANCES = ("initial_conductance_s", "final_conductance_s")
_SYNC_INTERVAL_S = 1.0
_USUAL_TEXT = " " * 256
_READS_OF_A_RUN = len(CONDUCTANCES)  # besides those of its steps


@dataclass(frozen=True)
class RunHeader:
    """Head of a record: run, procedure, seed, population and backend."""

    run_id: str
    procedure: Procedure
    seed: int
    population: int | None
    description: Description


class RecordWriter:
    """Writer of the record of one run; refuses to overwrite an existing file."""

    def __init__(self, path: Path, header: RunHeader) -> None:
        self.path = path
        self._began = self._synced = time.monotonic()
        self._file = RecordFile(path, lambda file: _write_header(file, header))
        self._operations = Series(self._file, OPERATIONS)
        self._outcomes = Series(self._file, OUTCOMES)
        self._log = Series(self._file, LOG)
        self._results: dict[str, Series] = {}
        self._measured: dict[tuple[Any, ...], Series] = {}
        for kind, columns, _ in _expected(header):
            self._series_for(kind, columns)
        for place, _, _ in _announced(header):
            self._results[place] = Series(self._file, place)

    def now_s(self) -> float:
        """Return the seconds since the record was begun, from a monotonic clock."""
        return time.monotonic() - self._began

    def operation(
        self,
        operation: Operation,
        reading: Reading | None,
        *,
        started_s: float,
        array_time_s: float,
        failed: bool = False,
    ) -> None:
        """Write an operation with what it measured."""
        kind, columns = columns_of(operation, reading)
        series = self._series_for(kind, columns)
        entry = np.zeros((), OPERATION)
        entry["kind"], entry["series"], entry["item"] = kind, series.name, series.rows
        entry["outcome"] = "failed" if failed else "done"
        entry["started_s"], entry["ended_s"] = started_s, self.now_s()
        entry["array_time_s"] = array_time_s
        self._write((series, columns, {}), (self._operations, {"table": entry}, {}))

    def row(self, label: str, row: Row) -> None:
        """Write a row that a step yielded."""
        path = row.place(label)
        series = self._results.setdefault(path, Series(self._file, path))
        self._write((series, row.columns(), _about(row)))

    def outcome(self, label: str, *, reached: bool, message: str) -> None:
        """Write how a step ended."""
        self._write((self._outcomes, {"label": label, "reached": reached, "message": message}, {}))

    def log(self, level: str, message: str) -> None:
        """Write a line of the log."""
        self._write((self._log, {"time_utc": utc_now(), "level": level, "message": message}, {}))

    def conductance(self, name: str, conductance_s: FloatArray) -> None:
        """Write a conductance map, one of :data:`CONDUCTANCES`, (..., rows, cols)."""
        file = self._file.file
        whole, counter = file[f"array/{name}"], file[f"recorder/{counter_name(f'array/{name}')}"]
        stored = np.ascontiguousarray(np.broadcast_to(conductance_s, whole.shape), np.float64)
        self._file.write([(whole.id.get_offset(), stored.data)])
        self._file.write([(counter.id.get_offset(), np.array(1).data)])

    def finish(
        self, status: str, *, pulses: np.ndarray, in_ledger: np.ndarray | None = None
    ) -> None:
        """Cut off the unused rows, write the status and close the file.

        ``pulses``: of each cell in its life. ``in_ledger``: those of them that the ledger of the
        array had counted before the run.
        """
        try:
            with self._file.changing() as file:
                for series in self._all_series():
                    series.trim(file)
                for series in (*self._results.values(), *self._measured.values()):
                    series.drop_if_empty(file)
                for name in CONDUCTANCES:
                    if not file[f"recorder/{counter_name(f'array/{name}')}"][0]:
                        del file[f"array/{name}"]
                dataset = file["array"].create_dataset("pulses", data=pulses)
                about = {"units": "1", "meaning": "pulses each device has had in its life"}
                dataset.attrs.update(about)
                if in_ledger is not None:
                    earlier = file["array"].create_dataset("pulses_in_ledger", data=in_ledger)
                    earlier.attrs.update({"units": "1", "meaning": "pulses in earlier runs"})
                file.attrs["ended_utc"] = utc_now()
                file.attrs["status"] = status
            self._file.sync()
        finally:
            self._file.close()

    def _series_for(self, kind: str, columns: Mapping[str, Any]) -> Series:
        """Return the series for operations of this kind and shape, made when first needed."""
        signature = _signature(kind, columns)
        if signature not in self._measured:
            self._measured[signature] = Series(self._file, _series_path(signature, self._measured))
        return self._measured[signature]

    def _all_series(self) -> Iterator[Series]:
        yield from (self._operations, self._outcomes, self._log)
        yield from self._results.values()
        yield from self._measured.values()

    def _write(self, *rows: tuple[Series, Mapping[str, Any], About]) -> None:
        write_rows(rows, self._all_series())
        if time.monotonic() - self._synced > _SYNC_INTERVAL_S:
            self._file.sync()
            self._synced = time.monotonic()


def _write_header(file: h5py.File, header: RunHeader) -> None:
    procedure = header.procedure
    file.create_group("recorder").attrs["about"] = (
        "complete rows of each series; what lies beyond them in an interrupted record is filler"
    )
    file.attrs.update(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "run_id": header.run_id,
            "started_utc": utc_now(),
            "ended_utc": "",
            "status": "running",
            "hwloop_version": version("hwloop"),
            "procedure": procedure.name,
            "seed": header.seed,
            "population": header.population or 0,
            "backend": header.description.name,
            "multiply": header.description.multiply,
            "verify_steps": header.description.verify_steps,
            **_read_path(header.description),
            "host": platform.node(),
            "platform": platform.platform(),
            "python_version": platform.python_version(),
            "numpy_version": np.__version__,
        }
    )
    texts = file.create_group("procedure")
    texts["text"] = procedure.text
    texts["overrides"] = list(procedure.overrides) or h5py.Empty(h5py.string_dtype())
    texts["resolved"] = json.dumps(procedure.resolved)
    texts["units"] = json.dumps(procedure.units)
    instruments = file.create_group("instruments")
    instruments["identity"] = json.dumps(dict(header.description.identity))
    instruments["units"] = json.dumps(dict(header.description.units))
    _write_array(file.create_group("array"), procedure)
    _prepare(file, header.description)
    known: list[tuple[Any, ...]] = []
    for (signature, columns), rows in _expected_rows(header):
        make_columns(file, _series_path(signature, known), columns, {}, rows=rows)
        known.append(signature)
    for path, row, rows in _announced(header):
        make_columns(file, path, row.columns(), _about(row), rows=rows)


def _read_path(description: Description) -> dict[str, float | str | bool]:
    """Return the known resistors that reads pass, and what is corrected for them; {} without."""
    path = description.read_path
    if path is None:
        return {}
    return {
        "read_rows_ohm": path.rows_ohm,
        "read_cols_ohm": path.cols_ohm,
        "read_path_exact": path.exact,
        "conductance_corrected": path.correction,
    }


def _announced(header: RunHeader) -> Iterator[tuple[str, Row, int]]:
    """Yield the tables that the steps will fill, their place, and their number of rows.

    One row of those beside the main table: their maps are large, and often there is no other.
    """
    for prepared in header.procedure.steps:
        for row in prepared.step.tables(header.description.shape) if prepared.step.tables else ():
            yield row.place(prepared.label), row, 1 if row.table else prepared.plan.rows


def _about(row: Row) -> dict[str, dict[str, str]]:
    return {
        name: {"units": field["unit"], "meaning": field["meaning"]}
        for name, field in row.describe().items()
    }


def _signature(kind: str, columns: Mapping[str, Any]) -> tuple[Any, ...]:
    return (kind, *((name, np.shape(value)) for name, value in columns.items()))


def _series_path(signature: tuple[Any, ...], known: Collection[tuple[Any, ...]]) -> str:
    """Return the path of operations of a kind and shape: the kind, or kind_2, kind_3, …"""
    kind = signature[0]
    earlier = sum(1 for other in known if other[0] == kind)
    return f"operations/{kind}" if earlier == 0 else f"operations/{kind}_{earlier + 1}"


def _expected(header: RunHeader) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Return the operations that the steps plan, and their highest count.

    Made at the begin, it needs no change of the file later.
    """
    *population, _, cols = shape = header.description.shape
    for prepared in header.procedure.steps:
        for planned in prepared.plan.operations:
            match planned.operation:
                case PulseMap() as pulse if pulse.amplitude_v.shape == shape:
                    if pulse.gate_v is None:  # else it may be one for all cells, or a map
                        yield *columns_of(pulse, None), planned.at_most
                case ReadMap() as read:
                    yield *columns_of(read, _blank(tuple(shape))), planned.at_most
                case Ramp() as ramp:
                    yield *columns_of(ramp, ramp.blank(tuple(shape))), planned.at_most
                case VectorBatch() as batch:
                    vectors = batch.voltage_v.shape[-2]
                    blank = _blank((*population, vectors, cols))
                    yield *columns_of(batch, blank), planned.at_most


def _expected_rows(
    header: RunHeader,
) -> Iterator[tuple[tuple[tuple[Any, ...], dict[str, Any]], int]]:
    """Yield signature, columns and highest number of rows of each expected series."""
    columns_by: dict[tuple[Any, ...], dict[str, Any]] = {}
    rows_by: dict[tuple[Any, ...], int] = {}
    for kind, columns, at_most in _expected(header):
        signature = _signature(kind, columns)
        columns_by.setdefault(signature, columns)
        rows_by[signature] = rows_by.get(signature, _READS_OF_A_RUN) + at_most
    for signature, columns in columns_by.items():
        yield (signature, columns), rows_by[signature]


def _blank(shape: tuple[int, ...]) -> Reading:
    return Reading(np.full(shape, np.nan), np.zeros(shape, dtype=np.uint8))


def _prepare(file: h5py.File, description: Description) -> None:
    """Make what every run writes, so that writing it changes no structure."""
    file.create_group("results")
    log = {"time_utc": utc_now(), "level": "warning", "message": _USUAL_TEXT}
    outcome = {"label": _USUAL_TEXT, "reached": True, "message": _USUAL_TEXT}
    firsts: dict[str, dict[str, Any]] = {
        OPERATIONS: {"table": np.zeros((), OPERATION)},
        OUTCOMES: outcome,
        LOG: log,
    }
    for path, values in firsts.items():
        make_columns(file, path, values, {})
    for name in CONDUCTANCES:
        unmeasured = np.full(description.shape, np.nan)
        file["array"].create_dataset(name, data=unmeasured).attrs["units"] = "S"
        file["recorder"].create_dataset(counter_name(f"array/{name}"), data=[0])


def _write_array(group: h5py.Group, procedure: Procedure) -> None:
    array = procedure.array
    group.attrs.update(
        {"rows": array.rows, "cols": array.cols, "cell": array.cell, "biasing": array.biasing}
    )
    limits = group.create_group("limits")
    limits.attrs.update(array.limits.model_dump(exclude_none=True))
    read = group.create_group("read")
    read.attrs.update(array.read.model_dump(exclude_none=True))


def utc_now() -> str:
    """Return the time of day, ISO 8601, in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
