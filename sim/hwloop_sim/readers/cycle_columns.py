"""Endurance as columns: for each cycle what was read after SET and after RESET, under a header.

The columns say by their names which state they hold: SET, LRS, on or low resistance; RESET, HRS,
off or high resistance. Resistances, conductances, or currents at a read voltage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from hwloop.datasets.importing import Extract, Reader
from hwloop.datasets.tables.data_file import DataFile
from hwloop.datasets.tables.roles import DIMENSIONS
from hwloop.datasets.tables.table import DataTable, TableColumn
from hwloop.datasets.tables.units import WrittenUnit, unit_of
from hwloop.errors import ConfigError
from hwloop_sim.readers.ignored import left_out
from hwloop_sim.readers.tables import (
    Table,
    cells_in,
    cells_of,
    check_whole,
    nameless,
    quantity,
    readings,
)

_SET = frozenset(["set", "lrs", "on", "ron", "gon", "ion", "rlrs", "glrs", "ilrs", "lowr"])
_RESET = frozenset(["reset", "hrs", "off", "roff", "goff", "ioff", "rhrs", "ghrs", "ihrs", "highr"])
_WORD = re.compile(r"[^\W\d_]+")
_LEAST_CYCLES = 2
_OHM, _SIEMENS, _AMPERE = "ohm", "S", "A"


def states(table: DataTable) -> tuple[TableColumn, TableColumn] | str:
    """Return the columns of SET and RESET, or why a table has none."""
    found = []
    for words, what in ((_SET, "SET, LRS or on"), (_RESET, "RESET, HRS or off")):
        columns = [one for one in table.columns if _says(one, words) and not one.is_text]
        if len(columns) != 1:
            named = f" ({', '.join(one.label for one in columns)})" if columns else ""
            return f"it has {len(columns) or 'no'} columns of {what}{named}; expected one"
        found.append(columns[0])
    if found[0].label == found[1].label:
        return f"its column {found[0].label} says both states"
    return found[0], found[1]


def _says(column: TableColumn, words: frozenset[str]) -> bool:
    """Return whether the name says a state; a voltage, time or count of a state is none."""
    if column.derived or column.role not in ("", "resistance_ohm", "conductance_s", "current_a"):
        return False
    return any(word.casefold() in words for word in _WORD.findall(column.name))


def judge(source: DataFile) -> str:
    """Return "" if one column holds the state after SET and one that after RESET, else why not."""
    table = source.table
    if nameless(table):
        return nameless(table)
    found = states(table)
    if isinstance(found, str):
        return found
    if table.of_role("time_s") and not table.of_role("cycle"):
        return f"its rows have times, {table.of_role('time_s')[0].label}, and no cycles"
    return ""


def read(source: DataFile, options: Mapping[str, str]) -> Extract:
    """Return both states of each cycle in siemens; a cycle without one of them is left out.

    Raises :class:`ConfigError` with file, line and value.
    """
    table = source.table
    found = states(table)
    if isinstance(found, str):
        raise ConfigError(found, file=str(source.path))
    if table.rows < _LEAST_CYCLES:
        raise ConfigError(f"{table.rows} cycles: expected 2 or more", file=str(source.path))
    both = [_siemens(source, column, options) for column in found]
    gone = [readings(table, column)[1] for column in found]
    known = np.isfinite(both[0]) & np.isfinite(both[1])
    if known.sum() < _LEAST_CYCLES:
        row = int(np.argmax(~known))
        column = found[0] if np.isnan(both[0][row]) else found[1]
        raise table.fault(row, f"no value of {column.label}", "2 cycles or more with both states")
    used = [*found]
    cycle = np.arange(1.0, table.rows + 1)
    for column in (table.of_role("cycle") or table.of_role("index"))[:1]:
        cycle = table.numbers(column)
        check_whole(table, cycle, column.label)
        used.append(column)
    cell, told = cells_of(table, used)
    both = [one[known] for one in both]
    _check_order(table, found, both)
    columns = {
        "cell": cell[known],
        "cycle": cycle[known],
        "set_conductance_s": both[0],
        "reset_conductance_s": both[1],
    }
    messages = [
        f"{known.sum()} cycles of {cells_in(cell)}: {found[0].label} after SET,"
        f" {found[1].label} after RESET; median on/off ratio {np.median(both[0] / both[1]):.4g}",
        *told,
        *filter(None, [left_out(table, used)]),
        f"{'; '.join(filter(None, gone))}; these cycles are left out"
        if any(gone)
        else "no row of the table was dropped",
    ]
    return Extract("cycling", columns, {}, messages)


def _check_order(
    table: DataTable, found: tuple[TableColumn, TableColumn], both: list[Table]
) -> None:
    """Refuse states whose names are the wrong way round: SET leads to more conductance."""
    if np.median(both[0]) < np.median(both[1]):
        raise ConfigError(
            f"{found[0].label} conducts less than {found[1].label} in the median: are the two"
            " exchanged, or is one a resistance?",
            file=str(table.path),
        )


def _siemens(source: DataFile, column: TableColumn, options: Mapping[str, str]) -> Table:
    """Return a column of states in siemens, all above 0."""
    table = source.table
    unit = column.unit or _given_unit(source, column, options)
    values, _ = readings(table, column)  # refuses text
    if column.unit is None:
        values = unit.in_si(values)
    if unit.dimension == _AMPERE:
        values = values / quantity(source.path, options, "read_v", "V")
    wrong = values <= 0
    if wrong.any():
        row = int(np.argmax(wrong))
        raise table.fault(row, f"{column.label} {column.values[row]:g}", "a value above 0")
    return 1.0 / values if unit.dimension == _OHM else values


def _given_unit(source: DataFile, column: TableColumn, options: Mapping[str, str]) -> WrittenUnit:
    text = options.get("unit", "")
    if not text:
        raise ConfigError(
            f"column {column.label!r} has no unit; give it with --set unit=…: ohm, S or A, with a"
            " prefix or without",
            file=str(source.path),
        )
    unit = unit_of(text)
    if unit is None or unit.dimension not in (_OHM, _SIEMENS, _AMPERE):
        raise ConfigError(f"{text!r}: expected ohm, S or A, with a prefix or without", key="unit")
    if column.role and DIMENSIONS[column.role] != unit.dimension:
        raise ConfigError(f"{text!r}: column {column.label!r} is a {column.role}", key="unit")
    return unit


CYCLE_COLUMNS = Reader(
    name="cycle_columns",
    summary="endurance under a header: what was read after SET and after RESET of each cycle",
    judge=judge,
    read=read,
    options={
        "unit": "where the header has none: ohm, S or A, with a prefix or without",
        "read_v": "where the values are currents",
    },
)
