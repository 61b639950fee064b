"""Units of conductances that stand in a column, given by the file or by the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.table import TableColumn
from hwloop.datasets.tables.units import WrittenUnit, unit_of
from hwloop.errors import ConfigError
from hwloop.messages import nearest
from hwloop_sim.readers.tables import Table, quantity

CONDUCTANCE_UNITS = ("S", "mS", "uS", "nS", "pS", "Ohm", "kOhm", "MOhm", "GOhm")
CURRENT_UNITS = ("A", "mA", "uA", "nA", "pA")
_ROLES = {"S": "conductance_s", "ohm": "resistance_ohm", "A": "current_a"}


def is_value(column: TableColumn) -> bool:
    """Return whether a column can hold states: of that role, or one whose name says nothing.

    Counters, times, voltages and what is no measured value, such as a standard deviation, are never
    conductances, whatever the user says of the unit.
    """
    if column.is_text or column.contradictory or column.derived:
        return False
    if column.role:
        return column.role in _ROLES.values()
    return column.unit is None and not _counts(column)


def _counts(column: TableColumn) -> bool:
    """Return whether the values count the rows: 0, 1, 2, … or 1, 2, 3, …"""
    values = column.values
    return values.size > 3 and values[0] in (0, 1) and bool((np.diff(values) == 1).all())


def unit_in_file_or_given(
    source: DataFile, columns: Sequence[TableColumn], given: str | None, allowed: Sequence[str]
) -> WrittenUnit:
    """Return the one unit of columns of states.

    ``given``: the user's; ``allowed``: those that the reader takes. Raises :class:`ConfigError`
    where there is none or several, and where the user contradicts the file.
    """
    for column in columns:
        if column.unit_is_unknown:
            source.table.numbers(column)  # refuses it by its name
    wanted = None if given is None else unit_of(given)
    if given is not None and (wanted is None or wanted.dimension not in _ROLES):
        raise ConfigError(f"{given!r} is no known unit{nearest(given, allowed)}", key="unit")
    stated = {column.unit for column in columns if column.unit is not None}
    for unit in stated:
        if wanted is not None and unit != wanted:
            raise ConfigError(f"{given!r}: the file's own header says {spelled(unit)}", key="unit")
    if len(stated) > 1:
        raise ConfigError(
            f"its columns have several units: {', '.join(sorted(map(spelled, stated)))}; choose"
            " some with --set columns=…",
            file=str(source.path),
        )
    if wanted is None and not stated:
        raise ConfigError(
            f"has no unit in its header; give it as --set unit=S (or {', '.join(allowed[1:])})",
            file=str(source.path),
        )
    found = wanted or stated.pop()
    for column in columns:
        if column.role and column.role != _ROLES.get(found.dimension):
            raise ConfigError(
                f"{spelled(found)}: column {column.label!r} is a {column.role}", key="unit"
            )
    return found


def spelled(unit: WrittenUnit) -> str:
    """Return a unit as readers write it: uS, kOhm."""
    return unit.symbol.replace("ohm", "Ohm")


def in_siemens(
    source: DataFile, values: Table, unit: WrittenUnit, options: Mapping[str, str]
) -> Table:
    """Return values of a unit in siemens; currents over the read voltage, with its sign."""
    base = unit.in_si(values)
    if unit.dimension == "A":
        read_v = quantity(source.path, options, "read_v", "V")
        if read_v == 0:
            raise ConfigError("0 V: no current over it is a conductance", key="read_v")
        return np.asarray(base / read_v)
    if unit.dimension == "ohm":
        with np.errstate(divide="ignore"):
            return np.asarray(1.0 / base)
    return np.asarray(base)
