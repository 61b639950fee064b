"""Cycling tests: both states of each cell, one row per cycle or one row per cell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hwloop.datasets.importing import Extract, Reader, first_lines
from hwloop.errors import ConfigError
from hwloop_sim.readers import program_verify
from hwloop_sim.readers.tables import (
    Table,
    cells_in,
    check_whole,
    inverse,
    starts_with_numbers,
    table_of,
)

_LONG = ("address", "resistance after SET", "resistance after RESET", "cycle")
_LEAST_WIDE = 7  # an address and three cycles; shorter rows could be another table


def recognises(path: Path) -> bool:
    """Return whether rows are address, SET, RESET, cycle, or an address and three pairs or more."""
    long = starts_with_numbers(path, columns=len(_LONG), separator="\t")
    if long is not None:
        return all(row[3] == round(row[3]) >= 0 for row in long)
    return _wide_columns(path) is not None and not program_verify.recognises(path)


def read(path: Path, options: Mapping[str, str]) -> Extract:  # noqa: ARG001 - no options
    """Return both states in siemens; cycles of a row of pairs are numbered from 1."""
    wide = _wide_columns(path)
    cell, cycle, set_conductance_s, reset_conductance_s = (
        _of_long(path) if wide is None else _of_wide(path, wide)
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
            file=str(path),
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


def _wide_columns(path: Path) -> int | None:
    lines = first_lines(path, 1)
    count = len(lines[0].split("\t")) if lines else 0
    odd = count >= _LEAST_WIDE and count % 2 == 1
    rows = starts_with_numbers(path, columns=count, separator="\t") if odd else None
    positive = rows is not None and all(value > 0 for row in rows for value in row[1:])
    return count if positive else None


def _of_long(path: Path) -> tuple[Table, Table, Table, Table]:
    table, lines = table_of(path, _LONG, "\t")
    check_whole(path, table[:, 3], lines, "cycle")
    set_conductance_s = inverse(path, table[:, 1], lines, _LONG[1])
    return table[:, 0], table[:, 3], set_conductance_s, inverse(path, table[:, 2], lines, _LONG[2])


def _of_wide(path: Path, count: int) -> tuple[Table, Table, Table, Table]:
    cycles = count // 2
    names = ["address"]
    for cycle in range(1, cycles + 1):
        names += [f"RESET of cycle {cycle}", f"SET of cycle {cycle}"]
    table, lines = table_of(path, names, "\t")
    each = np.repeat(lines, cycles)
    reset_conductance_s = inverse(path, table[:, 1::2].ravel(), each, "resistance after RESET")
    set_conductance_s = inverse(path, table[:, 2::2].ravel(), each, "resistance after SET")
    number = np.tile(np.arange(1.0, cycles + 1), len(table))
    return np.repeat(table[:, 0], cycles), number, set_conductance_s, reset_conductance_s


CYCLING = Reader(
    name="cycling",
    summary="cycling: resistance after SET and after RESET of each cell and cycle",
    recognises=recognises,
    read=read,
)
