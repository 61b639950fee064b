"""The head of a record: what was run, and the empty series that the run is going to fill."""

from __future__ import annotations

import json
import platform
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

import h5py
import numpy as np

from hwloop.array.operations import PulseMap, Ramp, Reading, ReadMap, VectorBatch
from hwloop.backend.base import Description
from hwloop.backend.origin import Origin
from hwloop.procedure.procedure import Procedure
from hwloop.record.operations import columns_of
from hwloop.record.series import counter_name, make_columns
from hwloop.steps.rows import Row

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
STATUS, STATUS_TEXT = "recorder/status", np.dtype("S16")
STATUSES = ("running", "completed", "stopped", "failed")
CONDUCTANCES = ("initial_conductance_s", "final_conductance_s")
_USUAL_TEXT = " " * 256
_SIDE_BYTES = 3 * 2**16
_READS_OF_A_RUN = len(CONDUCTANCES)  # besides those of its steps


@dataclass(frozen=True)
class RunHeader:
    """Head of a record: run, procedure, seed, population, backend, and where numbers come from."""

    run_id: str
    procedure: Procedure
    seed: int
    population: int | None
    description: Description
    origin: Origin


def write_header(file: h5py.File, header: RunHeader) -> None:
    """Write what is known before the run, and make what it will fill, into an empty file."""
    procedure = header.procedure
    file.create_group("recorder").attrs["about"] = (
        "complete rows of each series; what lies beyond them in an interrupted record is filler"
    )
    file.create_dataset(STATUS, data=b"running", dtype=STATUS_TEXT)
    file.attrs.update(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "run_id": header.run_id,
            "started_utc": utc_now(),
            "ended_utc": "",
            "status": "running",
            "hwloop_version": _version(),
            "procedure": procedure.name,
            "seed": header.seed,
            "population": header.population or 0,
            "backend": header.description.name,
            "origin": header.origin,
            "multiply": header.description.multiply,
            "verify_steps": header.description.verify_steps,
            "code_bits": header.description.code_bits or 0,
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
    if header.description.station:
        instruments["station"] = header.description.station
    _write_array(file.create_group("array"), procedure)
    _prepare(file, header.description)
    known: list[tuple[Any, ...]] = []
    for (signature, columns), rows in _expected_rows(header):
        make_columns(file, series_path(signature, known), columns, {}, planned=rows)
        known.append(signature)
    for path, row, rows in announced(header):
        make_columns(file, path, row.columns(), about_columns(row), planned=rows)


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


def announced(header: RunHeader) -> Iterator[tuple[str, Row, int]]:
    """Yield the tables that the steps will fill, their place, and their number of rows.

    Of those beside the main table one row, or some small ones: often there is no other, and their
    maps may be large.
    """
    shape = header.description.shape
    for prepared in header.procedure.steps:
        tables = prepared.step.tables
        for row in tables(prepared.settings, shape) if tables else ():
            few = max(_SIDE_BYTES // _bytes_of(row), 1)
            yield row.place(prepared.label), row, few if row.table else prepared.plan.rows


def _bytes_of(row: Row) -> int:
    return max(sum(np.asarray(value).nbytes for value in row.columns().values()), 1)


def about_columns(row: Row) -> dict[str, dict[str, str]]:
    """Return the unit and the meaning of each column of a row."""
    return {
        name: {"units": field["unit"], "meaning": field["meaning"]}
        for name, field in row.describe().items()
    }


def signature_of(kind: str, columns: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the kind and the shapes of operations that share a series."""
    return (kind, *((name, np.shape(value)) for name, value in columns.items()))


def series_path(signature: tuple[Any, ...], known: Collection[tuple[Any, ...]]) -> str:
    """Return the path of operations of a kind and shape: the kind, or kind_2, kind_3, …"""
    kind = signature[0]
    earlier = sum(1 for other in known if other[0] == kind)
    return f"operations/{kind}" if earlier == 0 else f"operations/{kind}_{earlier + 1}"


def expected_operations(header: RunHeader) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Return the operations that the steps plan, and their highest count.

    Made at the begin, it needs no change of the file later.
    """
    *population, _, cols = shape = tuple(header.description.shape)
    for prepared in header.procedure.steps:
        for planned in prepared.plan.operations:
            match planned.operation:
                case PulseMap() as pulse if pulse.gate_v is None:  # else one for all, or a map
                    # A step that picks the cells by what it reads picks them for every array.
                    amplitude_v = pulse.amplitude_v
                    if prepared.plan.any_cell and amplitude_v.shape == shape[-2:]:
                        amplitude_v = np.broadcast_to(amplitude_v, shape)
                    if amplitude_v.shape == shape:
                        each = replace(pulse, amplitude_v=amplitude_v)
                        yield *columns_of(each, None), planned.at_most
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
    for kind, columns, at_most in expected_operations(header):
        signature = signature_of(kind, columns)
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


@cache  # of the installed package: its description is parsed to tell it
def _version() -> str:
    return version("hwloop")


def utc_now() -> str:
    """Return the time of day, ISO 8601, in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
