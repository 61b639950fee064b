"""An entry of a ledger, what one run did to an array, and the sums of many.

Counts, shapes and sums are bounded: a ledger may come from anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, model_validator

from hwloop.errors import RecordError
from hwloop.settings.model import Settings
from hwloop.settings.units import Count

CELL = np.dtype([("pulses", "<i8"), ("energy_j", "<f8"), ("formings", "<i8")])
MAX_CELLS = 2**22
"""Most cells of an array with a ledger: 2048 × 2048, 100 MB of counts."""
_MOST = 2**53
"""Most of each count of a cell in its life, and of joules: int64 holds the sum of two."""
_CountOfCell = Annotated[NonNegativeInt, Field(le=_MOST)]
_EnergyOfCell = Annotated[float, Field(ge=0, le=_MOST)]


class LifeEntry(Settings):
    """Entry of a ledger: what one run did to the cells that it pulsed.

    ``status``: how the run ended; "killed" where it could not say so itself. ``key``: tells runs
    of one name apart. ``cells``: row, column, pulses, joules at most (at the compliance) and
    formings, each cell once.
    """

    array: str
    run: str
    key: str
    status: str
    ended_utc: str
    rows: Count
    cols: Count
    cells: tuple[
        tuple[NonNegativeInt, NonNegativeInt, _CountOfCell, _EnergyOfCell, _CountOfCell], ...
    ]

    @model_validator(mode="after")
    def _inside(self) -> LifeEntry:
        refuse_many_cells((self.rows, self.cols))
        for row, col, *_ in self.cells:
            if row >= self.rows or col >= self.cols:
                raise ValueError(f"cell ({row}, {col}) is outside {self.rows} × {self.cols}")
        if len({(row, col) for row, col, *_ in self.cells}) < len(self.cells):
            raise ValueError("a cell stands twice in it")
        return self

    def totals(self) -> tuple[int, float, int]:
        """Return the pulses, joules and formings of all its cells together."""
        return (
            sum(cell[2] for cell in self.cells),
            sum(cell[3] for cell in self.cells),
            sum(cell[4] for cell in self.cells),
        )

    def add_to(self, total: NDArray[np.void]) -> None:
        """Add the entry to a map of :data:`CELL`, (rows, cols), whose values are within bounds.

        Raises :class:`ValueError` with the cell whose sum is not.
        """
        if not self.cells:
            return
        rows, cols, *values = (np.array(column) for column in zip(*self.cells, strict=True))
        for name, value in zip(CELL.names or (), values, strict=True):
            summed = total[name][rows, cols] + value
            if (summed > _MOST).any():
                worst = int(summed.argmax())
                raise ValueError(
                    f"{name} of cell ({rows[worst]}, {cols[worst]}) add up to {summed[worst]};"
                    f" at most {_MOST} are a life's"
                )
            total[name][rows, cols] = summed


def refuse_many_cells(shape: tuple[int, int]) -> None:
    """Raise :class:`ValueError` where an array of ``shape`` has too many cells for a ledger."""
    if shape[0] * shape[1] > MAX_CELLS:
        raise ValueError(f"has {shape[0]} × {shape[1]} cells; at most {MAX_CELLS} have a ledger")


@dataclass(frozen=True)
class LifeSoFar:
    """Entries of a ledger, and the counts of its runs that have not been appended yet."""

    path: Path
    entries: tuple[LifeEntry, ...]
    running: tuple[LifeEntry, ...] = ()

    def table(self, shape: tuple[int, int]) -> NDArray[np.void]:
        """Return the sums of every cell as a map of :data:`CELL` of an array of ``shape``.

        Raises :class:`RecordError` where an entry is of an array of another shape, or the array or
        a sum is beyond the bounds of a ledger.
        """
        try:
            refuse_many_cells(shape)
        except ValueError as exc:
            raise RecordError(f"{self.path}: its array {exc}") from None
        total = np.zeros(shape, CELL)
        for entry in (*self.entries, *self.running):
            if (entry.rows, entry.cols) != shape:
                raise RecordError(
                    f"{self.path}: run {entry.run} was on {entry.rows} × {entry.cols} cells; the"
                    f" array {entry.array} has {shape[0]} × {shape[1]}: give it another array.name"
                )
            try:
                entry.add_to(total)
            except ValueError as exc:
                raise RecordError(f"{self.path}: with run {entry.run}, {exc}") from None
        return total


def entry_of(
    table: NDArray[np.void], names: tuple[str, str, str], status: str, ended: datetime
) -> LifeEntry:
    """Return the entry of a run from its counts, a map of :data:`CELL`, (rows, cols).

    ``names``: of the array and of the run, and its key. Raises :class:`ConfigError` where a count
    is none.
    """
    array, run, key = names
    rows, cols = table.shape
    used = zip(*np.nonzero((table["pulses"] != 0) | (table["formings"] != 0)), strict=True)
    cells = [(row, col, *table[row, col].tolist()) for row, col in used]
    return LifeEntry.parse(
        {
            "array": array,
            "run": run,
            "key": key,
            "status": status,
            "ended_utc": ended.isoformat(timespec="seconds"),
            "rows": rows,
            "cols": cols,
            # Taking spared pulses back may leave a rounding error below zero.
            "cells": [
                (int(row), int(col), pulses, max(float(f"{energy_j:.6g}"), 0.0), formings)
                for row, col, pulses, energy_j, formings in cells
            ],
        }
    )
