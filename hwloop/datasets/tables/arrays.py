"""Arrays of a file as tables: those of one length stand side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hwloop.datasets.tables.cells import OVER_RANGE, OVER_RANGE_EXPECTED
from hwloop.datasets.tables.roles import says_spread
from hwloop.datasets.tables.table import (
    CellFault,
    DataTable,
    TableColumn,
    labelled,
    with_meaning,
)
from hwloop.errors import ConfigError
from hwloop.messages import one_line

_WIDEST = 4096
_MOST_TEXT = 200
_MOST_NAMED = 3
_NO_NUMBERS = {
    "b": "truth values", "c": "complex numbers", "S": "text", "U": "text", "O": "text or cells",
    "V": "records", "M": "dates", "m": "durations",
}  # fmt: skip
"""Kinds of NumPy arrays that hold no numbers to be read."""


@dataclass(frozen=True)
class StoredArray:
    """Array of a file: ``values`` as they are meant, with NaN for what is no value.

    ``unit``: as written. ``meaning``: longer name, for people. ``said``: what was done to the
    values. ``reason``: why it holds no numbers, such as "truth values"; "" if it does.
    """

    values: Any
    unit: str = ""
    meaning: str = ""
    said: str = ""
    reason: str = ""


_Members = list[tuple[str, StoredArray]]


def tables_of_arrays(
    path: Path,
    arrays: Mapping[str, StoredArray],
    *,
    kind: str,
    metadata: Mapping[str, str] | None = None,
) -> list[DataTable]:
    """Return tables of the arrays of one folder and length, the longest first.

    ``arrays``: a vector is a column, (rows, columns) several; single numbers are metadata.
    ``kind``: what the file is, for people.

    Raises :class:`ConfigError` where there is no array of two numbers or more.
    """
    notes: dict[str, str] = dict(metadata or {})
    groups: dict[tuple[str, int], _Members] = {}
    skipped: dict[str, list[str]] = {}
    for name, array in arrays.items():
        value = np.asarray(array.values)
        reason = array.reason or _NO_NUMBERS.get(value.dtype.kind, "")
        if reason:
            skipped.setdefault(reason, []).append(name)
        elif value.size == 1:
            notes[name] = f"{value.item():.12g}" if value.dtype.kind == "f" else str(value.item())
        elif value.size and not _sort_in(groups, name, replace(array, values=value)):
            skipped.setdefault("more than two axes", []).append(name)
    left_out = [f"left out: {', '.join(map(_left_out, skipped.items()))}"] if skipped else []
    if not groups:
        raise ConfigError("; ".join(["holds no columns of numbers", *left_out]), file=str(path))
    found = []
    for (folder, length), members in sorted(groups.items(), key=lambda one: -_numbers(one[1])):
        columns = _columns(members)
        many = "1 column" if len(columns) == 1 else f"{len(columns)} columns"
        done = [f"{name}: {array.said}" for name, array in members if array.said]
        found.append(
            DataTable(
                path=path,
                columns=columns,
                recognised="; ".join([kind, f"{many} of {length} rows", *done]),
                name=folder or columns[0].label,
                metadata=notes,
                notes=tuple(left_out),
                has_header=any(not column.name.startswith("column ") for column in columns),
            )
        )
    return found


def _left_out(skipped: tuple[str, list[str]]) -> str:
    reason, names = skipped
    return f"{', '.join(names[:_MOST_NAMED])}{', …' if names[_MOST_NAMED:] else ''} ({reason})"


def _numbers(members: _Members) -> int:
    return sum(array.values.size for _, array in members)


def _sort_in(groups: dict[tuple[str, int], _Members], name: str, array: StoredArray) -> bool:
    """Put an array to those of its folder and length; False where it has more than two axes."""
    folder, _, short = name.rpartition("/")
    value = np.squeeze(array.values)
    key = (folder, value.size)
    if value.ndim == 2 and value.shape[1] <= _WIDEST and value.shape[0] > value.shape[1]:
        key = (name, len(value))
    elif value.ndim == 2 and value.shape[0] <= _WIDEST:
        value = value.T
        key = (name, len(value))
    elif value.ndim != 1:
        return False
    groups.setdefault(key, []).append((short, replace(array, values=value)))
    return True


def _columns(members: _Members) -> tuple[TableColumn, ...]:
    named = []
    for name, array in members:
        value = array.values
        if value.ndim == 1:
            named.append((name, array))
        else:  # of a matrix the place alone is known
            named += [(f"column {i + 1}", StoredArray(value[:, i])) for i in range(value.shape[1])]
    labels = labelled([name for name, _ in named])
    columns = []
    for label, (name, array) in zip(labels, named, strict=True):
        column = with_meaning(_column(name, label, array.values), array.unit)
        if says_spread(array.meaning):  # "standard deviation of the current"
            column = replace(column, role="", derived=True)
        columns.append(column)
    return tuple(columns)


def _column(name: str, label: str, value: Any) -> TableColumn:
    values = np.asarray(value, np.float64)
    over = np.abs(values) >= OVER_RANGE
    faults: list[CellFault] = []
    if over.any():
        values = values.copy()
        faults = [
            CellFault(int(row), f"{values[row]:g}", OVER_RANGE_EXPECTED, is_over_range=True)
            for row in np.flatnonzero(over)[:5]
        ]
        values[over] = np.nan
    missing = int(np.isnan(values).sum()) - int(over.sum())
    return TableColumn(
        name=name,
        label=label,
        values=values,
        missing=missing,
        faults=tuple(faults),
        fault_count=int(over.sum()),
        over_count=int(over.sum()),
    )


def text_of(value: Any) -> str:
    """Return an attribute as one line of text; "" where there is none."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return one_line(str(value), _MOST_TEXT)
