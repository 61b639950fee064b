"""The form of a record, checked when it is opened: nothing of it is believed before.

A record may come from elsewhere, or be damaged. What each part must be is written here once, so
that whoever reads a record may rely on it.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

import h5py
import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
)

from hwloop.array.settings import outer_shape
from hwloop.errors import RecordError
from hwloop.record.header import (
    FORMAT,
    FORMAT_VERSION,
    LOG,
    OPERATION,
    OPERATIONS,
    OUTCOMES,
    STATUS,
    STATUSES,
)
from hwloop.record.storage.columns import counter_name
from hwloop.settings.foreign_files import MAX_NUMBERS
from hwloop.types import LARGEST_INTEGER

_COLUMNS = {
    OUTCOMES: {"label": "S", "reached": "b", "message": "S"},
    LOG: {"time_utc": "S", "level": "S", "message": "S"},
}
"""Kinds of the columns of the tables that every record has."""

_TEXTS = (
    *("run_id", "started_utc", "ended_utc", "status", "hwloop_version", "procedure", "backend"),
    *("multiply", "host", "platform", "python_version", "numpy_version"),
)
_COUNTS = {"format_version": 1, "seed": 0, "population": 0, "verify_steps": 1, "code_bits": 0}
"""Attributes that are whole numbers, and the least of each."""

_LATER = {"verify_steps": 1, "code_bits": 0}
"""Attributes that earlier records do not have, and what they would have said."""


class _Step(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    label: Annotated[str, Field(min_length=1, pattern="^[^/]*$")]
    step: str
    settings: dict[str, JsonValue]


class _Limits(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    pulses_per_device: int


class _Array(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    name: str | None = None
    rows: Annotated[int, Field(ge=1)]
    cols: Annotated[int, Field(ge=1)]
    tiles: Annotated[int, Field(ge=1)] = 1
    cell: str
    pulses_before: Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
    limits: _Limits


def _distinct(steps: list[_Step]) -> list[_Step]:
    if len({one.label for one in steps}) < len(steps):
        raise ValueError("two steps have one label")
    return steps


class _Resolved(BaseModel):
    """Parts of a resolved procedure that the readers of a record use."""

    model_config = ConfigDict(extra="allow", strict=True)
    name: str
    about: str
    array: _Array
    steps: Annotated[list[_Step], AfterValidator(_distinct)]


_RESOLVED: TypeAdapter[Any] = TypeAdapter(_Resolved)
_IDENTITY: TypeAdapter[Any] = TypeAdapter(dict[str, JsonValue])
_UNITS: TypeAdapter[Any] = TypeAdapter(dict[str, str])


def check_form(file: h5py.File) -> None:
    """Check the form of a record.

    Raises :class:`RecordError` with the place: an attribute, a dataset, or a key of its JSON.
    """
    if file.attrs.get("format") != FORMAT:
        raise RecordError("is not a record of hwloop")
    _check_attributes(file)
    procedure = _group(file, "procedure")
    text_of(procedure, "text")
    overrides = _dataset(procedure, "overrides")
    if overrides.shape is not None and (overrides.ndim != 1 or not _is_text(overrides)):
        raise RecordError("procedure/overrides: expected a list of texts")
    resolved = _check_json(file, "procedure/resolved", _RESOLVED)
    _check_json(file, "instruments/identity", _IDENTITY)
    for place in ("procedure/units", "instruments/units"):
        if place in file:
            _check_json(file, place, _UNITS)
    _check_array(_group(file, "array"), resolved, int(file.attrs["population"]))
    _check_tables(file)
    _check_recorder(file)


def _check_json(file: h5py.File, place: str, form: TypeAdapter[Any]) -> Any:
    """Return the value of a dataset of JSON, checked by ``form``."""
    text = text_of(file, place)
    try:
        checked = form.validate_json(text)
        json.loads(text)  # as it is read later: whole numbers of many digits
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, (place, *first["loc"])))
        raise RecordError(f"{where}: {first['msg']}") from None
    except (RecursionError, ValueError) as exc:
        raise RecordError(f"{place}: {exc}") from None
    return checked


def text_of(group: h5py.Group, place: str) -> str:
    """Return the text of a dataset; raises :class:`RecordError` where it is none in UTF-8."""
    dataset = _dataset(group, place)
    where = dataset.name.strip("/")
    if dataset.shape != () or not _is_text(dataset):
        raise RecordError(f"{where}: expected a text")
    try:
        text: str = dataset[()].decode()
    except UnicodeDecodeError as exc:
        raise RecordError(f"{where}: is not UTF-8 text: {exc}") from None
    return text


def _check_attributes(file: h5py.File) -> None:
    for name in _TEXTS:
        if not isinstance(file.attrs.get(name), str):
            raise RecordError(f"attribute {name}: expected a text; it is {file.attrs.get(name)!r}")
    for name, least in _COUNTS.items():
        value = file.attrs.get(name, _LATER.get(name))
        whole = isinstance(value, np.integer | int) and not isinstance(value, bool)
        if not whole or not least <= int(value) <= LARGEST_INTEGER:
            raise RecordError(
                f"attribute {name}: expected a whole number from {least} on; it is {value!r}"
            )
    if int(file.attrs["format_version"]) > FORMAT_VERSION:
        newer = file.attrs["hwloop_version"]
        raise RecordError(f"was written by the newer hwloop {newer}; update this one")


def _check_array(group: h5py.Group, resolved: _Resolved, population: int) -> None:
    """Check that the maps of an array have its shape, (..., rows, cols)."""
    array = resolved.array
    for name in ("rows", "cols"):
        value, asked = group.attrs.get(name), getattr(array, name)
        if not isinstance(value, np.integer | int) or value != asked:
            raise RecordError(f"array, attribute {name}: is {value}; the procedure has {asked}")
    shape = (*outer_shape(population or None, array.tiles), array.rows, array.cols)
    if math.prod(shape) > MAX_NUMBERS:
        raise RecordError(f"array: claims the shape {shape}; at most {MAX_NUMBERS} cells are read")
    for name, item in group.items():
        if isinstance(item, h5py.Dataset) and (item.shape != shape or item.dtype.kind not in "iuf"):
            raise RecordError(
                f"array/{name}: has the shape {item.shape} of {item.dtype}; expected numbers of"
                f" {shape}"
            )


def _check_tables(file: h5py.File) -> None:
    table = _dataset(file, f"{OPERATIONS}/table")
    fields = {name: table.dtype[name].kind for name in table.dtype.names or ()}
    if table.ndim != 1 or any(fields.get(n) != OPERATION[n].kind for n in OPERATION.names or ()):
        raise RecordError(f"{OPERATIONS}/table: is no table of operations, {table.dtype}")
    for place, kinds in _COLUMNS.items():
        group = _group(file, place)
        for name, kind in kinds.items():
            column = _dataset(group, name)
            if column.ndim != 1 or column.dtype.kind != kind:
                raise RecordError(f"{place}/{name}: is no such column: {column.dtype}")
        _check_rows(file, place)
    _check_rows(file, OPERATIONS)
    for name in _groups_in(file[OPERATIONS]):
        _check_rows(file, f"{OPERATIONS}/{name}")
    results = _group(file, "results")
    for label in results:
        step = _group(results, label)
        for place in ("", *(f"/{name}" for name in _groups_in(step))):
            _check_rows(file, f"results/{label}{place}")
            _check_about(file[f"results/{label}{place}"])


def _check_recorder(file: h5py.File) -> None:
    """Check that whatever is counted is there, and the status."""
    there: list[str] = []
    file.visit(there.append)
    counted = {counter_name(place) for place in there}
    for name in _group(file, "recorder"):
        if f"recorder/{name}" == STATUS:
            continue
        rows = _count(file, f"recorder/{name}")
        if rows and name not in counted:
            raise RecordError(f"recorder/{name}: counts {rows} rows of what is not there")
    if STATUS in file and text_of(file, STATUS) not in STATUSES:
        raise RecordError(f"{STATUS}: is none of {', '.join(STATUSES)}")


def _check_rows(file: h5py.File, place: str) -> None:
    """Check that each column of a table has the rows that its counter counts."""
    name = f"recorder/{counter_name(place)}"
    columns = {key: one for key, one in file[place].items() if isinstance(one, h5py.Dataset)}
    if name not in file:
        if columns:
            raise RecordError(f"{name}: is missing, but {place} has columns")
        return
    rows = _count(file, name)
    for key, column in columns.items():
        there = column.shape[0] if column.shape else 0
        if not column.shape or not 0 <= rows <= there:
            raise RecordError(f"{place}/{key}: has {there} rows; {name} counts {rows}")


def _count(file: h5py.File, place: str) -> int:
    """Return the number of complete rows of a series."""
    counter = _dataset(file, place)
    if counter.shape != (1,) or counter.dtype.kind not in "iu":
        raise RecordError(f"{place}: expected one whole number")
    return int(counter[0])


def _check_about(table: h5py.Group) -> None:
    for column in table.values():
        if not isinstance(column, h5py.Dataset):
            continue
        for about in ("units", "meaning"):
            if not isinstance(column.attrs.get(about, "" if about == "meaning" else None), str):
                where = column.name.strip("/")
                raise RecordError(f"{where}, attribute {about}: expected a text")
        if column.dtype.kind not in "biufS":
            raise RecordError(f"{column.name.strip('/')}: {column.dtype} is no type of a result")


def _groups_in(group: h5py.Group) -> list[str]:
    return [name for name, item in group.items() if isinstance(item, h5py.Group)]


def _group(parent: h5py.Group, name: str) -> h5py.Group:
    found = parent.get(name)
    if not isinstance(found, h5py.Group):
        raise RecordError(f"{name}: there is no such group")
    return found


def _dataset(parent: h5py.Group, name: str) -> h5py.Dataset:
    found = parent.get(name)
    if not isinstance(found, h5py.Dataset):
        raise RecordError(f"{f'{parent.name}/{name}'.strip('/')}: there is no such dataset")
    return found


def _is_text(dataset: h5py.Dataset) -> bool:
    return h5py.check_string_dtype(dataset.dtype) is not None
