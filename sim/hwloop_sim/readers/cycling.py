"""Cycling tests: both states of each cell, one row per cycle or one row per cell."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwloop.datasets.importing import Extract, Reader
from hwloop.datasets.tables.data_file import DataFile
from hwloop.errors import ConfigError
from hwloop_sim.readers import program_verify
from hwloop_sim.readers.tables import (
    Table,
    cells_in,
    check_whole,
    first_rows,
    inverse,
    table_of,
    unlike,
)

_LONG = ("address", "resistance after SET", "resistance after RESET", "cycle")
_LEAST_WIDE = 7  # an address and three cycles; shorter rows could be another table


def judge(source: DataFile) -> str:
    """Return "" if rows are address, SET, RESET, cycle, or an address and three pairs or more."""
    rows = first_rows(source, columns=len(_LONG))
    if rows is not None:
        return _unlike_cycles(rows)
    columns = len(source.table.columns)
    if columns < _LEAST_WIDE or columns % 2 == 0:
        return unlike(source, _LONG)
    rows = first_rows(source, columns=columns)
    if rows is None:
        return unlike(source, ["address", *["RESET, SET"] * (columns - 1)])
    if (rows[:, 1:] <= 0).any():
        return "not every value after the address is above 0: no pairs of resistances"
    if not program_verify.judge(source):
        return "its columns are those of program_verify"
    return _no_addresses(rows)


def _unlike_cycles(rows: Table) -> str:
    cycle = rows[:, 3]
    if (cycle != np.round(cycle)).any() or (cycle < 0).any():
        return f"column 4 holds {cycle[0]:g}: no number of a cycle"
    steps = np.diff(rows[:, 1:3], axis=0)
    if (
        len(steps) > 1
        and (steps != 0).all()
        and np.allclose(steps[0], steps[1:], rtol=1e-9, atol=0)
    ):
        return "columns 2 and 3 go in equal steps, as times and counters: no resistances"
    return _no_addresses(rows)


def _no_addresses(rows: Table) -> str:
    address = rows[:, 0]
    if (address != np.round(address)).any() or (address < 0).any():
        return f"column 1 holds {address[0]:g}: no address"
    return ""


def read(source: DataFile, options: Mapping[str, str]) -> Extract:  # noqa: ARG001 - no options
    """Return both states in siemens; cycles of a row of pairs are numbered from 1."""
    wide = len(source.table.columns) != len(_LONG)
    cell, cycle, set_conductance_s, reset_conductance_s = (
        _of_wide(source) if wide else _of_long(source)
    )
    columns = {
        "cell": cell,
        "cycle": cycle,
        "set_conductance_s": set_conductance_s,
        "reset_conductance_s": reset_conductance_s,
    }
    swapped = float((set_conductance_s < reset_conductance_s).mean())
    if np.median(set_conductance_s) <= np.median(reset_conductance_s):
        raise ConfigError(
            f"after SET it conducts {np.median(set_conductance_s):.4g} S, less than the"
            f" {np.median(reset_conductance_s):.4g} S after RESET (medians): the columns are the"
            " other way"
            " round than this reader takes them",
            file=str(source.path),
        )
    messages = [
        f"{cell.size} cycles of {cells_in(cell)}, cycle {cycle.min():g} to {cycle.max():g};"
        " resistances from ohm to siemens",
        f"medians {np.median(1 / set_conductance_s):.4g} ohm after SET,"
        f" {np.median(1 / reset_conductance_s):.4g} ohm after"
        f" RESET; {swapped:.2%} of the cycles have SET above RESET in resistance",
        "no row was dropped",
    ]
    return Extract("cycling", columns, {}, messages)


def _of_long(source: DataFile) -> tuple[Table, Table, Table, Table]:
    table, written = table_of(source, _LONG)
    check_whole(written, table[:, 3], "cycle")
    set_conductance_s = inverse(written, table[:, 1], _LONG[1])
    return table[:, 0], table[:, 3], set_conductance_s, inverse(written, table[:, 2], _LONG[2])


def _of_wide(source: DataFile) -> tuple[Table, Table, Table, Table]:
    cycles = len(source.table.columns) // 2
    names = ["address"]
    for cycle in range(1, cycles + 1):
        names += [f"RESET of cycle {cycle}", f"SET of cycle {cycle}"]
    table, written = table_of(source, names)
    reset_conductance_s = inverse(
        written, table[:, 1::2].ravel(), "resistance after RESET", rows_each=cycles
    )
    set_conductance_s = inverse(
        written, table[:, 2::2].ravel(), "resistance after SET", rows_each=cycles
    )
    number = np.tile(np.arange(1.0, cycles + 1), len(table))
    return np.repeat(table[:, 0], cycles), number, set_conductance_s, reset_conductance_s


CYCLING = Reader(
    name="cycling",
    summary="cycling: resistance after SET and after RESET of each cell and cycle",
    judge=judge,
    read=read,
)
