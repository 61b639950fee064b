"""Columns of a LabVIEW measurement file (.lvm) by the tags above them.

Tags as in the maker's "Specification for the LabVIEW Measurement File (.lvm)", ni.com: X_Dimension
says what ``X_Value`` is, Y_Unit_Label the unit of each channel, and where X_Columns is "No", X0 and
Delta_X make up the values of ``X_Value``, which is then empty.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwloop.datasets.tables.roles import DIMENSIONS, contradicts, role_of
from hwloop.datasets.tables.table import DataTable, TableColumn
from hwloop.datasets.tables.units import UNKNOWN_UNIT, WrittenUnit, unit_of

_MARK = "LabVIEW Measurement"
_X = "X_Value"


def with_labview_tags(table: DataTable) -> DataTable:
    """Return a table of a LabVIEW measurement file with times and units; any other as it is."""
    if _MARK not in table.metadata.values():
        return table
    units = iter(_tag(table, "Y_Unit_Label"))
    columns = tuple(
        _with_x(table, column)
        if column.name.startswith(_X)
        else _with_unit(column, next(units, ""))
        for column in table.columns
    )
    return replace(table, columns=columns)


def _tag(table: DataTable, name: str) -> list[str]:
    return table.metadata.get(name, "").split("\t")


def _with_x(table: DataTable, column: TableColumn) -> TableColumn:
    if _tag(table, "X_Dimension")[0].strip() != "Time":
        return column
    second = WrittenUnit("s", 0)
    if column.missing < table.rows:
        return replace(column, role="time_s", unit=second)
    try:
        start_s, step_s = float(_tag(table, "X0")[0]), float(_tag(table, "Delta_X")[0])
    except ValueError:
        return column
    if not (np.isfinite(start_s) and step_s > 0):
        return column
    values = start_s + step_s * np.arange(table.rows, dtype=np.float64)
    return replace(column, values=values, missing=0, role="time_s", unit=second)


def _with_unit(column: TableColumn, label: str) -> TableColumn:
    """Return a channel in the unit of its label, where its name states none."""
    unit = (unit_of(label) or UNKNOWN_UNIT) if label.strip() else None
    if unit is None or column.unit is not None or column.is_text:
        return column
    role = role_of(column.name, unit)
    if role and unit.dimension not in (DIMENSIONS[role], "?"):
        return column
    return replace(column, unit=unit, role=role, contradictory=contradicts(column.name, unit))
