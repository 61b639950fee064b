"""The run file: one HDF5 file that survives a kill at any moment.

How: datasets are grown in steps that double their length, allocated and filled at once, so that
between two growths a row changes raw data only and no structure of the file. A row counts once
its series' counter below ``/recorder`` includes it, and the counter is written after the row has
been flushed. So an interrupted file opens in any HDF5 viewer, and its tail beyond the counters
is NaN, never a number. When a run ends in order the tail is cut off.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hwloop.backend import Description
from hwloop.config import Procedure
from hwloop.errors import RecordError
from hwloop.operations import FloatArray, Operation, PulseMap, Reading, ReadMap, VectorBatch
from hwloop.step import Row

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
_CHUNK_BYTES = 16384
_SYNC_INTERVAL_S = 1.0


@dataclass(frozen=True)
class RunHeader:
    """What a record says of its run."""

    run_id: str
    procedure: Procedure
    seed: int
    population: int | None
    description: Description


class Series:
    """Rows of equal shape in a group: one dataset a column, and a counter of complete rows."""

    def __init__(self, file: h5py.File, path: str) -> None:
        self._file = file
        self._path = path
        self.name = path.rsplit("/", 1)[-1]
        self._columns: dict[str, h5py.Dataset] = {}
        self._length = 0
        self.rows = 0
        # Not extensible and written in place: the counter never changes the file's structure.
        self._counter = file["recorder"].create_dataset(path.replace("/", "."), data=[0])

    def append(
        self, values: Mapping[str, Any], about: Mapping[str, Mapping[str, str]] | None = None
    ) -> int:
        """Write one row, to be counted by :meth:`commit`; returns its index.

        ``about``: attributes of the columns, used when the first row makes them.
        """
        if not self._columns:
            self._make(values, about or {})
        if self.rows == self._length:
            self._grow()
        for name, value in values.items():
            self._columns[name][self.rows] = value
        self.rows += 1
        return self.rows - 1

    def commit(self) -> None:
        """Count the rows that have been appended; call it after they were flushed."""
        self._counter[0] = self.rows

    def trim(self) -> None:
        """Cut the allocated tail off."""
        for column in self._columns.values():
            column.resize(self.rows, axis=0)

    def _make(self, values: Mapping[str, Any], about: Mapping[str, Mapping[str, str]]) -> None:
        group = self._file.require_group(self._path)
        arrays = {name: np.asarray(value) for name, value in values.items()}
        largest = max(max(array.nbytes, 1) for array in arrays.values())
        self._length = min(max(_CHUNK_BYTES // largest, 1), 256)
        for name, array in arrays.items():
            column = _dataset(group, name, array, self._length)
            column.attrs.update(about.get(name, {}))
            self._columns[name] = column
        # What readers of a killed file need must be on disk before a row is.
        self._file.flush()

    def _grow(self) -> None:
        self._length *= 2
        for column in self._columns.values():
            column.resize(self._length, axis=0)
        self._file.flush()


def _dataset(group: h5py.Group, name: str, first: np.ndarray, length: int) -> h5py.Dataset:
    text = first.dtype.kind in "UO"
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    return group.create_dataset(
        name,
        shape=(length, *first.shape),
        maxshape=(None, *first.shape),
        chunks=(length, *first.shape) if first.size else None,
        dtype=h5py.string_dtype() if text else first.dtype,
        fillvalue=np.nan if first.dtype.kind == "f" else None,
        dcpl=plist,
    )


class RecordWriter:
    """Writes the record of one run; refuses to overwrite an existing file."""

    def __init__(self, path: Path, header: RunHeader) -> None:
        self.path = path
        self._began = time.monotonic()
        self._synced = self._began
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = h5py.File(path, "x")
        except FileExistsError:
            raise RecordError(f"{path}: exists already; choose another name with --out") from None
        except OSError as exc:
            raise RecordError(f"{path}: cannot be written: {exc}") from None
        self._series: dict[str, Series] = {}
        self._operation_series: dict[tuple[Any, ...], Series] = {}
        self._write_header(header)
        self._operations = Series(self._file, "operations")
        self._log = Series(self._file, "log")
        self._sync()

    def now_s(self) -> float:
        """Seconds since the record was begun, from a monotonic clock."""
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
        kind, columns = _columns(operation, reading)
        series, name = self._series_for(kind, columns)
        entry = np.zeros((), OPERATION)
        entry["kind"], entry["series"], entry["item"] = kind, name, series.append(columns)
        entry["outcome"] = "failed" if failed else "done"
        entry["started_s"], entry["ended_s"] = started_s, self.now_s()
        entry["array_time_s"] = array_time_s
        self._operations.append({"table": entry})
        self._commit(self._operations)

    def row(self, label: str, row: Row) -> None:
        """Write a row that a step yielded."""
        path = "/".join(part for part in ("results", label, row.table) if part)
        if path not in self._series:
            self._series[path] = Series(self._file, path)
        about = {
            name: {"units": field["unit"], "meaning": field["meaning"]}
            for name, field in row.describe().items()
        }
        self._series[path].append(row.columns(), about)
        self._commit(self._series[path])

    def outcome(self, label: str, *, reached: bool, words: str) -> None:
        """Write how a step ended."""
        group = self._file.require_group(f"results/{label}")
        group.attrs["reached"] = reached
        group.attrs["outcome"] = words
        self._file.flush()

    def log(self, level: str, message: str) -> None:
        """Write a line of the log."""
        self._log.append({"time_utc": utc_now(), "level": level, "message": message})
        self._commit(self._log)

    def conductance(self, name: str, conductance_s: FloatArray) -> None:
        """Write a conductance map, ``initial_conductance_s`` or ``final_conductance_s``."""
        dataset = self._file["array"].create_dataset(name, data=conductance_s)
        dataset.attrs["units"] = "S"
        self._file.flush()

    def finish(self, status: str, *, pulses: np.ndarray) -> None:
        """Cut the tails off, write the status and close the file."""
        self._file.flush()
        for series in (self._operations, self._log, *self._series.values()):
            series.trim()
        for series in self._operation_series.values():
            series.trim()
        dataset = self._file["array"].create_dataset("pulses", data=pulses)
        dataset.attrs.update({"units": "1", "meaning": "pulses each device has had in its life"})
        self._file.attrs["ended_utc"] = utc_now()
        self._file.attrs["status"] = status
        self._sync()
        self._file.close()

    def _series_for(self, kind: str, columns: Mapping[str, Any]) -> tuple[Series, str]:
        """The series for operations of this kind and these shapes, made when first needed."""
        signature = (kind, *((name, np.shape(value)) for name, value in columns.items()))
        if signature not in self._operation_series:
            earlier = sum(1 for known in self._operation_series if known[0] == kind)
            name = kind if earlier == 0 else f"{kind}_{earlier + 1}"
            self._operation_series[signature] = Series(self._file, f"operations/{name}")
        series = self._operation_series[signature]
        return series, series.name

    def _commit(self, series: Series) -> None:
        self._file.flush()
        series.commit()
        self._file.flush()
        if time.monotonic() - self._synced > _SYNC_INTERVAL_S:
            self._sync()

    def _sync(self) -> None:
        """Bring the file from the operating system's memory to the disk."""
        self._file.flush()
        os.fsync(self._file.id.get_vfd_handle())
        self._synced = time.monotonic()

    def _write_header(self, header: RunHeader) -> None:
        file, procedure = self._file, header.procedure
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
        file.create_group("instruments")["identity"] = json.dumps(dict(header.description.identity))
        _write_array(file.create_group("array"), procedure)
        for group in ("operations", "results"):
            file.create_group(group)


def _write_array(group: h5py.Group, procedure: Procedure) -> None:
    array = procedure.array
    group.attrs.update(
        {"rows": array.rows, "cols": array.cols, "cell": array.cell, "biasing": array.biasing}
    )
    limits = group.create_group("limits")
    limits.attrs.update(array.limits.model_dump(exclude_none=True))
    read = group.create_group("read")
    read.attrs.update(array.read.model_dump())


def _columns(operation: Operation, reading: Reading | None) -> tuple[str, dict[str, Any]]:
    """The kind of an operation, and the columns of its series."""
    match operation:
        case PulseMap():
            gate_v = np.nan if operation.gate_v is None else operation.gate_v
            return "pulse", {
                "amplitude_v": operation.amplitude_v,
                "width_s": np.float64(operation.width_s),
                "count": np.int64(operation.count),
                "gate_v": np.float64(gate_v),
            }
        case ReadMap():
            columns = {
                "addressed": operation.addressed,
                "read_v": np.float64(operation.read_v),
                "both_polarities": np.bool_(operation.both_polarities),
            }
            return "read", columns | _measured(reading)
        case VectorBatch():
            return "multiply", {"voltage_v": operation.voltage_v} | _measured(reading)
        case _:
            return "wait", {"duration_s": np.float64(operation.duration_s)}


def _measured(reading: Reading | None) -> dict[str, Any]:
    """What was measured; a read that failed has no such columns."""
    return {} if reading is None else {"current_a": reading.current_a, "flags": reading.flags}


def utc_now() -> str:
    """The time of day, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
