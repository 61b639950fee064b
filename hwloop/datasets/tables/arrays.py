"""Arrays of a file as tables: those of one length stand side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwloop.datasets.tables.cells import OVER_RANGE
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


def tables_of_arrays(
    path: Path,
    arrays: Mapping[str, Any],
    *,
    kind: str,
    units: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> list[DataTable]:
    """Return tables of the arrays of one folder and length, the longest first.

    ``arrays``: a vector is a column, (rows, columns) several; single numbers are metadata.
    ``kind``: what the file is, for people. ``units``: name → unit.

    Raises :class:`ConfigError` where there is no array of two numbers or more.
    """
    notes: dict[str, str] = dict(metadata or {})
    groups: dict[tuple[str, int], list[tuple[str, Any]]] = {}
    skipped: list[str] = []
    for name, array in arrays.items():
        value = np.asarray(array)
        if value.dtype.kind not in "biuf":
            skipped.append(name)
        elif value.size == 1:
            notes[name] = f"{value.item():.12g}" if value.dtype.kind == "f" else str(value.item())
        elif value.size:
            _sort_in(groups, skipped, name, value)
    if not groups:
        raise ConfigError("holds no columns of numbers", file=str(path))
    found = []
    for (folder, length), members in sorted(groups.items(), key=lambda one: -_numbers(one[1])):
        columns = _columns(members, units or {})
        about = [f"{len(skipped)} arrays of another shape left out: {', '.join(skipped[:3])}"]
        found.append(
            DataTable(
                path=path,
                columns=columns,
                recognised=f"{kind}; {len(columns)} columns of {length} rows",
                name=folder or columns[0].label,
                metadata=notes,
                notes=tuple(about) if skipped else (),
                has_header=any(not column.name.startswith("column ") for column in columns),
            )
        )
    return found


def _numbers(members: list[tuple[str, Any]]) -> int:
    return sum(value.size for _, value in members)


def _sort_in(
    groups: dict[tuple[str, int], list[tuple[str, Any]]], skipped: list[str], name: str, value: Any
) -> None:
    folder, _, short = name.rpartition("/")
    value = np.squeeze(value)
    if value.ndim == 1:
        groups.setdefault((folder, value.size), []).append((short, value))
    elif value.ndim == 2 and value.shape[1] <= _WIDEST and value.shape[0] > value.shape[1]:
        groups.setdefault((name, len(value)), []).append((short, value))
    elif value.ndim == 2 and value.shape[0] <= _WIDEST:
        groups.setdefault((name, value.shape[1]), []).append((short, value.T))
    else:
        skipped.append(name)


def _columns(members: list[tuple[str, Any]], units: Mapping[str, str]) -> tuple[TableColumn, ...]:
    named = []
    for name, value in members:
        if value.ndim == 1:
            named.append((name, value, units.get(name, "")))
        else:  # of a matrix the place alone is known
            named += [(f"column {i + 1}", value[:, i], "") for i in range(value.shape[1])]
    labels = labelled([name for name, _, _ in named])
    return tuple(
        with_meaning(_column(name, label, value), unit)
        for label, (name, value, unit) in zip(labels, named, strict=True)
    )


def _column(name: str, label: str, value: Any) -> TableColumn:
    values = np.asarray(value, np.float64)
    over = np.abs(values) >= OVER_RANGE
    faults: list[CellFault] = []
    if over.any():
        values = values.copy()
        expected = "a measured value: this one says that the meter was over range"
        faults = [
            CellFault(int(row), f"{values[row]:g}", expected) for row in np.flatnonzero(over)[:5]
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
    )


def text_of(value: Any) -> str:
    """Return an attribute as one line of text for the metadata."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return one_line(str(value), _MOST_TEXT)
