"""The head of a record: what was run, and the empty series that the run is going to fill."""

from __future__ import annotations

import json
import platform
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any, TypeAlias

import h5py
import numpy as np

from hwloop.array.operations import (
    Answer,
    Hold,
    Operation,
    PulseMap,
    PulsePair,
    Ramp,
    Reading,
    ReadMap,
    VectorBatch,
)
from hwloop.backend.base import Description
from hwloop.backend.origin import Origin
from hwloop.procedure.procedure import Procedure
from hwloop.record.blocks import planned_block_columns
from hwloop.record.operations import columns_of
from hwloop.record.storage.columns import About
from hwloop.record.storage.objects import (
    make_dataset,
    make_group,
    make_text,
    make_texts,
    set_attributes,
)
from hwloop.record.storage.planned import Layout
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
PULSES, PULSES_ABOUT = "pulses", {"units": "1", "meaning": "pulses each device has had in its life"}
END_TEXTS = {"status": "completed", "ended_utc": "0000-00-00T00:00:00.000+00:00"}
"""Attributes of the file that change as a run ends; and texts of their length at the end.

They stand as attributes of ``/recorder``, so that only references change at the end.
"""
_USUAL_TEXT = " " * 256
_SIDE_BYTES = 3 * 2**16
_READS_OF_A_RUN = len(CONDUCTANCES)  # besides those of its steps

Signature: TypeAlias = tuple[Any, ...]
"""Kind and shapes of operations that share a series."""


@dataclass(frozen=True)
class RunHeader:
    """Head of a record: run, procedure, seed, population, backend, and where numbers come from."""

    run_id: str
    procedure: Procedure
    seed: int
    population: int | None
    description: Description
    origin: Origin


@dataclass(frozen=True)
class ExpectedSeries:
    """A series that the steps are going to fill, with at most so many rows like ``values``.

    ``signature``: see :func:`signature_of`; None for a table of results. ``is_certain``: whether
    all these rows will come.
    """

    path: str
    values: Mapping[str, Any]
    about: About
    rows: int
    signature: Signature | None = None
    is_certain: bool = False


def write_header(
    file: h5py.File, header: RunHeader, expected: Iterable[ExpectedSeries], layout: Layout
) -> None:
    """Write what is known before the run, and make what it will fill, into an empty file."""
    procedure, root = header.procedure, file.id
    about = "complete rows of each series; what lies beyond them in an interrupted record is filler"
    set_attributes(make_group(root, "recorder"), {"about": about, **END_TEXTS})
    make_dataset(root, STATUS, np.array(b"running", STATUS_TEXT))
    set_attributes(root, _of_run(header))
    texts = make_group(root, "procedure")
    make_text(texts, "text", procedure.text)
    make_texts(texts, "overrides", procedure.overrides)
    make_text(texts, "resolved", json.dumps(procedure.resolved))
    make_text(texts, "units", json.dumps(procedure.units))
    instruments = make_group(root, "instruments")
    make_text(instruments, "identity", json.dumps(dict(header.description.identity)))
    make_text(instruments, "units", json.dumps(dict(header.description.units)))
    if header.description.station:
        make_text(instruments, "station", header.description.station)
    _write_array(make_group(root, "array"), procedure)
    _prepare(file, header.description, layout)
    for one in expected:
        layout.add(file, one.path, one.values, one.about, planned=one.rows, certain=one.is_certain)


def _of_run(header: RunHeader) -> dict[str, Any]:
    """Return the attributes of the file."""
    description = header.description
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "run_id": header.run_id,
        "started_utc": utc_now(),
        "ended_utc": "",
        "status": "running",
        "hwloop_version": _version(),
        "procedure": header.procedure.name,
        "seed": header.seed,
        "population": header.population or 0,
        "backend": description.name,
        "origin": header.origin,
        "multiply": description.multiply,
        "verify_steps": description.verify_steps,
        "code_bits": description.code_bits or 0,
        **_read_path(description),
        "host": platform.node(),
        "platform": platform.platform(),
        "python_version": platform.python_version(),
        "numpy_version": np.__version__,
    }


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


def expected_series(header: RunHeader) -> list[ExpectedSeries]:
    """Return what the steps are going to fill: made at the begin, it needs no change later."""
    found: dict[Signature, ExpectedSeries] = {}
    for kind, columns, at_most in _expected_operations(header):
        signature = signature_of(kind, columns)
        if signature in found:
            known = found[signature]
            found[signature] = replace(known, rows=known.rows + at_most)
        else:
            path, rows = series_path(signature, found), _READS_OF_A_RUN + at_most
            found[signature] = ExpectedSeries(path, columns, {}, rows, signature)
    for columns, count in _foreseen_batches(header):
        signature = signature_of("blocks", columns)
        if signature not in found:
            path = series_path(signature, found)
            found[signature] = ExpectedSeries(path, columns, {}, count, signature, is_certain=True)
        else:
            known = found[signature]
            longest = max(columns["layout"], known.values["layout"], key=len)
            values = {**columns, "layout": longest}
            found[signature] = replace(known, rows=known.rows + count, values=values)
    return [*found.values(), *_announced(header)]


def _announced(header: RunHeader) -> Iterator[ExpectedSeries]:
    """Yield the tables that the steps will fill.

    Of those beside the main table one row, or some small ones: often there is no other, and their
    maps may be large.
    """
    shape = header.description.shape
    for prepared in header.procedure.steps:
        tables = prepared.step.tables
        for row in tables(prepared.settings, shape) if tables else ():
            rows = max(_SIDE_BYTES // _bytes_of(row), 1) if row.table else prepared.plan.rows
            place = row.place(prepared.label)
            yield ExpectedSeries(place, row.columns(), about_columns(row), rows)
        if prepared.plan.foreseen is not None:
            for row, rows in prepared.plan.foreseen(header.description).tables:
                place = row.place(prepared.label)
                yield ExpectedSeries(
                    place, row.columns(), about_columns(row), rows, is_certain=True
                )


def _foreseen_batches(header: RunHeader) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the columns of the batches that the steps will make, and how many of each."""
    description = header.description
    for prepared in header.procedure.steps:
        if prepared.plan.foreseen is None:
            continue
        for planned in prepared.plan.foreseen(description).batches:
            tiles = planned.batch.tiles > 1
            outer = description.population[:-1] if tiles else description.population
            columns = planned_block_columns(planned, tuple(outer), description.code_bits)
            yield columns, planned.count


def _bytes_of(row: Row) -> int:
    return max(sum(np.asarray(value).nbytes for value in row.columns().values()), 1)


def about_columns(row: Row) -> dict[str, dict[str, str]]:
    """Return the unit and the meaning of each column of a row."""
    return {
        name: {"units": field["unit"], "meaning": field["meaning"]}
        for name, field in row.describe().items()
    }


def signature_of(kind: str, columns: Mapping[str, Any]) -> Signature:
    """Return the kind and the shapes of operations that share a series."""
    shapes = [getattr(value, "shape", ()) for value in columns.values()]
    return (kind, *columns, *shapes)


def series_path(signature: Signature, known: Collection[Signature]) -> str:
    """Return the path of operations of a kind and shape: the kind, or kind_2, kind_3, …"""
    kind = signature[0]
    earlier = sum(1 for other in known if other[0] == kind)
    return f"operations/{kind}" if earlier == 0 else f"operations/{kind}_{earlier + 1}"


def _expected_operations(header: RunHeader) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Yield kind and columns of the operations that the steps plan, and their highest count."""
    shape = tuple(header.description.shape)
    for prepared in header.procedure.steps:
        for planned in prepared.plan.operations:
            known = _whole(planned.operation, shape, any_cell=prepared.plan.any_cell)
            if known is not None:
                yield *columns_of(*known), planned.at_most


def _whole(
    operation: Operation, shape: tuple[int, ...], *, any_cell: bool
) -> tuple[Operation, Answer] | None:
    """Return a planned operation as an array of ``shape`` will get it, and an answer of its shape.

    None where it is not known before. ``any_cell``: see :class:`hwloop.steps.contract.Plan`.
    """
    match operation:
        case PulseMap() as pulse if pulse.gate_v is None:  # else one for all, or a map
            # A step that picks the cells by what it reads picks them for every array.
            amplitude_v = pulse.amplitude_v
            if any_cell and amplitude_v.shape == shape[-2:]:
                amplitude_v = np.broadcast_to(amplitude_v, shape)
            whole = replace(pulse, amplitude_v=amplitude_v) if amplitude_v.shape == shape else None
            return None if whole is None else (whole, None)
        case PulsePair() as pair if pair.gate_v is None and pair.first_v.shape == shape:
            return pair, None
        case Hold() as hold:
            held_conductance_s = np.broadcast_to(hold.conductance_s, shape)
            return Hold(held_conductance_s, np.broadcast_to(hold.addressed, shape)), None
        case ReadMap() as read:
            return read, _blank(shape)
        case Ramp() as ramp:
            return ramp, ramp.blank(shape)
        case VectorBatch() as batch:
            *population, rows, cols = shape
            vectors = batch.voltage_v.shape[-2]
            return batch, _blank((*population, vectors, batch.measured((rows, cols))))
    return None


def _blank(shape: tuple[int, ...]) -> Reading:
    return Reading(np.full(shape, np.nan), np.zeros(shape, dtype=np.uint8))


def _prepare(file: h5py.File, description: Description, layout: Layout) -> None:
    """Make what every run writes, so that writing it changes no structure."""
    make_group(file.id, "results")
    log = {"time_utc": utc_now(), "level": "warning", "message": _USUAL_TEXT}
    outcome = {"label": _USUAL_TEXT, "reached": True, "message": _USUAL_TEXT}
    firsts: dict[str, dict[str, Any]] = {
        OPERATIONS: {"table": np.zeros((), OPERATION)},
        OUTCOMES: outcome,
        LOG: log,
    }
    for path, values in firsts.items():
        layout.add(file, path, values, {})
    shape = tuple(description.shape)
    for name in CONDUCTANCES:
        layout.add_map(file, f"array/{name}", np.dtype(np.float64), shape, {"units": "S"})
    layout.add_map(file, f"array/{PULSES}", np.dtype(np.int64), shape, PULSES_ABOUT)


def _write_array(group: h5py.h5g.GroupID, procedure: Procedure) -> None:
    array = procedure.array
    size = {"rows": array.rows, "cols": array.cols, "cell": array.cell, "biasing": array.biasing}
    set_attributes(group, size)
    for name, settings in (("limits", array.limits), ("read", array.read)):
        set_attributes(make_group(group, name), settings.model_dump(exclude_none=True))


@cache  # of the installed package: its description is parsed to tell it
def _version() -> str:
    return version("hwloop")


def utc_now() -> str:
    """Return the time of day, ISO 8601, in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
