"""Output of the command line about the life of arrays over all their runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from hwloop.cli.printing import print_unbroken, table_of
from hwloop.errors import ConfigError, RecordError
from hwloop.record.life import NO_NAME, LifeSoFar, life_paths, read_life
from hwloop.record.reader import Record
from hwloop.settings.units import format_quantity
from hwloop.terminal import plain_console

_CELLS_SHOWN = 16


def print_lives(place: Path) -> None:
    """Print the ledgers of a record's array, a ledger by its file, or all ledgers of a folder.

    Raises :class:`RecordError` where there is none, and :class:`ConfigError` where the array of
    the record has no name.
    """
    paths = life_paths(place)
    if place.suffix in {".h5", ".hdf5"}:
        with Record(place) as record:
            name = record.resolved["array"].get("name")
        if name is None:
            raise ConfigError(f"{place}: {NO_NAME}")
        paths = life_paths(place.parent, name)
    if not all(path.is_file() for path in paths) or not paths:
        raise RecordError(f"{place}: there is no ledger of an array here")
    console = plain_console()
    for path in paths:
        _print_life(console, read_life(path))


def _print_life(console: Console, life: LifeSoFar) -> None:
    console.print(f"ledger       {life.path}")
    entries = (*life.entries, *life.running)
    if not entries:
        console.print("no run has pulsed this array")
        return
    array = entries[0]
    console.print(f"array        {array.array}, {array.rows} × {array.cols}")
    runs = table_of("run", "ended", "time", "cells", "pulses", "energy at most", "formings")
    for entry in entries:
        pulses, energy_j, formings = entry.totals()
        runs.add_row(
            entry.run,
            entry.status if entry in life.entries else "in progress, or killed",
            entry.ended_utc,
            str(len(entry.cells)),
            str(pulses),
            format_quantity(energy_j, "J"),
            str(formings),
        )
    print_unbroken(runs)
    _print_cells(console, life.table((array.rows, array.cols)))


def _print_cells(console: Console, total: np.ndarray) -> None:
    """Print the cells with most pulses, and how many cells have fewer."""
    order = np.argsort(-total["pulses"], axis=None, kind="stable")[:_CELLS_SHOWN]
    cells: Table = table_of("cell", "pulses", "energy at most", "formings")
    for index in order:
        cell = total.flat[index]
        row, col = np.unravel_index(index, total.shape)
        energy = format_quantity(float(cell["energy_j"]), "J")
        cells.add_row(f"({row}, {col})", str(cell["pulses"]), energy, str(cell["formings"]))
    console.print(cells)
    if total.size > len(order):
        console.print(f"{total.size - len(order)} more cells, none with more pulses")
