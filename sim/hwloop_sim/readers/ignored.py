"""Columns that a reader does not use, but that say which rows belong together.

An address, a counter, a polarity or a gate that varies divides the rows: a reader that leaves it
out would join several cells, trains or polarities into one. Every reader of tables with names asks
:func:`left_out` before it returns data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwloop.datasets.tables.table import DataTable, TableColumn
from hwloop.errors import ConfigError

_ADDRESSES = frozenset(
    (
        *("cell", "device", "dut", "chip", "die", "wafer", "site", "subsite", "address"),
        *("row", "col", "column", "wl", "bl", "sl", "wordline", "bitline", "sourceline"),
        *("word", "bit", "crosspoint", "junction", "memristor", "pad", "pixel", "sample", "dev"),
        *("cellid", "cellno", "cellname", "deviceid", "deviceno", "devicename", "devid"),
        *("sampleid", "samplename", "sampleno", "chipid", "dieid", "location", "position"),
        *("sweep", "scan", "run", "train", "cycle"),
    )
)
_COLUMNS = frozenset(("col", "column", "bitline", "bit"))
_NUMBERED = _COLUMNS | frozenset(
    (
        "cell",
        "device",
        "dut",
        "sample",
        "chip",
        "die",
        "wafer",
        "site",
        "subsite",
        "row",
        "wordline",
        "word",
    )
)
_POLARITIES = frozenset(("polarity", "sign", "type", "kind", "operation", "op", "pulsetype"))
_DIVIDING = frozenset(("cell", "train", "cycle", "gate_v"))
_RESTARTING = frozenset(("pulse", "index"))
_TEMPERATURE = re.compile(r"(t|temp|temperature)\s*[(\[_ ]\s*(k|°?\s*c|deg\s*c)\W*$", re.IGNORECASE)
_LEAST_AT_ONE = 3
_NOT_A_WORD = re.compile(r"[^\w#]+|_")

Keys = NDArray[np.int64]


def left_out(
    table: DataTable,
    used: Sequence[TableColumn],
    *,
    polarity: NDArray[np.float64] | None = None,
) -> str:
    """Return "columns left out: …", after a check that none of them divides the rows.

    ``used``: the columns that the reader takes. ``polarity``: sign of the pulse of each row, where
    rows are pulses. A column whose value follows from these is left out without harm. Raises
    :class:`ConfigError` with the column and what to do.
    """
    kept = {column.label for column in used}
    others = [column for column in table.columns if column.label not in kept]
    names = _ADDRESSES if polarity is None else _ADDRESSES | _POLARITIES
    suspects = [one for one in others if _may_divide(one, names) and _varies(one)]
    suspects += [one for one in others if _is_set_temperature(one)]
    if suspects:
        signs = [] if polarity is None else [_coded(polarity)]
        groups = _joined([*(_keys(one) for one in used if _is_address(one)), *signs])
        for column in suspects:
            _refuse_division(table, column, groups)
    return table.left_out(used)


def _is_set_temperature(column: TableColumn) -> bool:
    """Return whether a column holds several temperatures, each set for rows in a row.

    One that was measured changes from row to row and divides nothing.
    """
    named = column.role == "temperature_k" or _TEMPERATURE.match(column.name.strip())
    values = column.values
    if not named or column.is_text or values.size < 2 * _LEAST_AT_ONE or np.isnan(values).any():
        return False
    changes = np.flatnonzero(np.diff(values)) + 1
    lengths = np.diff(np.concatenate([[0], changes, [values.size]]))
    return bool(changes.size and lengths.min() >= _LEAST_AT_ONE)


def is_address(column: TableColumn) -> bool:
    """Return whether a column says by its role or its name which cell a row is of."""
    return column.role == "cell" or (not column.role and _plain(column.name) in _ADDRESSES)


def numbered_addresses(table: DataTable) -> list[TableColumn]:
    """Return the columns of whole numbers that address cells, such as row and column of each.

    A column that never changes says nothing, and one that counts rows or points is no address:
    that of a row or a sample is one beside a column of columns, or where it keeps its value.
    """
    found = [
        one
        for one in table.columns
        if one.role in ("", "index", "cell") and one.texts is None
        if _plain(one.name) in _NUMBERED and _varies(one) and _is_whole(one.values)
    ]
    by_column = any(_plain(one.name) in _COLUMNS for one in found)
    return [one for one in found if by_column or one.role != "index" or _keeps_its_value(one)]


def _keeps_its_value(column: TableColumn) -> bool:
    return bool((np.diff(column.values) == 0).any())


def _is_whole(values: NDArray[np.float64]) -> bool:
    return bool((values == np.round(values)).all() and (values >= 0).all())


def _plain(name: str) -> str:
    return _NOT_A_WORD.sub("", name.strip().casefold())


def _is_address(column: TableColumn) -> bool:
    return column.role in ("cell", "train", "cycle") or is_address(column)


def _may_divide(column: TableColumn, names: frozenset[str]) -> bool:
    if column.role in _DIVIDING or column.role in _RESTARTING:
        return True
    return not column.role and _plain(column.name) in names


def _varies(column: TableColumn) -> bool:
    if column.texts is not None:
        return len(set(column.texts)) > 1
    known = column.values[np.isfinite(column.values)]
    return bool(known.size > 1 and np.ptp(known) > 0)


def _keys(column: TableColumn) -> Keys:
    if column.texts is None:
        return _coded(column.values)
    places: dict[str, int] = {}
    return np.array([places.setdefault(text, len(places)) for text in column.texts])


def _coded(values: NDArray[np.float64]) -> Keys:
    _, codes = np.unique(values, return_inverse=True)
    return np.asarray(codes.ravel(), dtype=np.int64)


def _joined(keys: Sequence[Keys]) -> Keys | None:
    """Return one number for each combination of keys; None where there are none."""
    if not keys:
        return None
    found = keys[0]
    for one in keys[1:]:
        _, found = np.unique(found * (int(one.max()) + 1) + one, return_inverse=True)
    return np.asarray(found.ravel(), dtype=np.int64)


def _refuse_division(table: DataTable, column: TableColumn, groups: Keys | None) -> None:
    keys = _keys(column)
    if column.role in _RESTARTING or (column.role == "" and _counts_on(column)):
        same = np.ones(keys.size - 1, dtype=bool) if groups is None else np.diff(groups) == 0
        back = (np.diff(column.values) < 0) & same
        if not back.any():
            return
        row = int(np.argmax(back)) + 1
        what = f"{column.label} begins again"
    else:
        if groups is None:
            groups = np.zeros(keys.size, dtype=np.int64)
        _, first = np.unique(groups, return_index=True)
        of_group = np.empty(int(groups.max()) + 1, dtype=np.int64)
        of_group[groups[first]] = keys[first]
        other = keys != of_group[groups]
        if not other.any():
            return
        row = int(np.argmax(other))
        what = f"{column.label} changes to {_shown(column, row)}"
    raise ConfigError(
        f"{what}, and this reader does not use it: rows of several cells, trains,"
        " polarities or temperatures would become one; divide the file by it, or say what it is,"
        f" such as --column cell={column.label!r}, or choose another reader with --reader",
        key=table.place_of(row),
        file=str(table.path),
    )


def _counts_on(column: TableColumn) -> bool:
    """Return whether a column without a role counts the rows, as ``row`` may: 0, 1, 2, …"""
    return column.texts is None and bool((np.diff(column.values) == 1).all())


def _shown(column: TableColumn, row: int) -> str:
    return repr(column.texts[row]) if column.texts is not None else f"{column.values[row]:g}"
