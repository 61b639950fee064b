"""Wire resistance: what the lines take from the currents of cells that stand in one state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from hwloop.array import Array, ArraySettings
from hwloop.errors import ConfigError
from hwloop.measuring import conductance_s, median_words, planned_read
from hwloop.operations import FloatArray
from hwloop.settings import Settings
from hwloop.step import NamedFigure, Outcome, Plan, Row, Step, Yield, column
from hwloop.units import Count

if TYPE_CHECKING:
    from hwloop.record_reader import Record


class WireResistanceSettings(Settings):
    """All cells must stand in one state. ``row_ends``, ``col_ends``: where rows are driven and
    columns are read. ``repeats``: maps that are averaged.
    """

    row_ends: Literal["left", "right"] = "left"
    col_ends: Literal["bottom", "top"] = "bottom"
    repeats: Count = 1


@dataclass(frozen=True, eq=False)
class ApparentRow(Row):
    """One map of what the cells seem to be through the lines."""

    repeat: int = column("1", "which map, counted from 1")
    conductance_s: FloatArray = column("S", "I / read_v; (..., rows, cols)")

    def headline(self) -> dict[str, str | float | int]:
        """Which map."""
        return {"map": self.repeat}


@dataclass(frozen=True, eq=False)
class WireFigures(Row):
    """Resistance of a segment of a line, with its standard error; (...)."""

    table: ClassVar[str] = "figures"

    row_ohm: FloatArray = column("ohm", "of a word line, from cell to cell")
    row_error_ohm: FloatArray = column("ohm", "standard error")
    col_ohm: FloatArray = column("ohm", "of a bit line, from cell to cell")
    col_error_ohm: FloatArray = column("ohm", "standard error")
    cell_s: FloatArray = column("S", "a cell without the segments, with drivers and meters")
    apparent_s: FloatArray = column("S", "mean of the maps; (..., rows, cols)")


def run(settings: WireResistanceSettings, array: Array) -> Iterator[Yield]:
    """Read the maps and fit; a failed read is an error."""
    every = np.ones(array.geometry.shape, dtype=np.bool_)
    maps = []
    for repeat in range(1, settings.repeats + 1):
        maps.append(conductance_s(array, every, step="wire_resistance"))
        yield ApparentRow(repeat=repeat, conductance_s=maps[-1])
    found = wire_figures(np.mean(maps, axis=0), settings)
    yield found
    yield Outcome(
        True,
        f"row {median_words(found.row_ohm, 'ohm')}, standard error"
        f" {float(np.mean(found.row_error_ohm)):.2g} ohm; column"
        f" {median_words(found.col_ohm, 'ohm')}, standard error"
        f" {float(np.mean(found.col_error_ohm)):.2g} ohm, from cell to cell",
    )


def wire_figures(apparent_s: FloatArray, settings: WireResistanceSettings) -> WireFigures:
    """Fit g = G (1 - r_row A - r_col B) to (..., rows, cols), to first order in the drops.

    While a row is read all other lines are at 0 V: the row carries the currents of all its cells,
    and the other cells of the column lead part of the current away to their rows. So A is the sum
    over the cells of the row of the segments that they share with the cell, times their g, and B
    the same along the column, as reciprocity has it.
    """
    rows, cols = apparent_s.shape[-2:]
    along = np.arange(cols) if settings.row_ends == "left" else np.arange(cols)[::-1]
    down = np.arange(rows)[::-1] if settings.col_ends == "bottom" else np.arange(rows)
    shared = np.minimum(along[:, None], along[None, :])
    row_part = apparent_s @ shared
    col_part = np.minimum(down[:, None], down[None, :]) @ apparent_s
    outer = apparent_s.shape[:-2]
    parts = [p.reshape(-1, rows * cols) for p in (apparent_s, row_part, col_part)]
    fits = [_fit(*values) for values in zip(*parts, strict=True)]
    row, row_error, col, col_error, cell = (
        np.array(values).reshape(outer) for values in zip(*fits, strict=True)
    )
    return WireFigures(
        row_ohm=row,
        row_error_ohm=row_error,
        col_ohm=col,
        col_error_ohm=col_error,
        cell_s=cell,
        apparent_s=apparent_s,
    )


def _fit(
    apparent_s: FloatArray, row_part: FloatArray, col_part: FloatArray
) -> tuple[float, float, float, float, float]:
    """Least squares of 1/g = (1/G)(1 + r_row A + r_col B): row, its error, column, its, G."""
    matrix = np.stack([np.ones_like(apparent_s), row_part / apparent_s, col_part / apparent_s], 1)
    wanted = 1 / apparent_s
    solution, *_ = np.linalg.lstsq(matrix, wanted, rcond=None)
    rest = wanted - matrix @ solution
    variance = float(rest @ rest) / (len(wanted) - 3)
    errors = np.sqrt(variance * np.diag(np.linalg.inv(matrix.T @ matrix)))
    return (
        float(solution[1]),
        float(errors[1]),
        float(solution[2]),
        float(errors[2]),
        float(1 / solution[0]),
    )


def plan(settings: WireResistanceSettings, array: ArraySettings) -> Plan:
    """The maps; refuses an array in which the lines cannot be told from the cells."""
    if min(array.rows, array.cols) < 3:
        raise ConfigError(
            f"an array of {array.rows} × {array.cols} is too small: wire_resistance needs 3 rows"
            " and 3 columns"
        )
    return Plan([planned_read(array, None, settings.repeats)], rows=settings.repeats)


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """The apparent conductances, and how they fall along the lines."""
    from hwloop.plots.wire_resistance import figures as draw

    return draw(record, label)


WIRE_RESISTANCE = Step(
    name="wire_resistance",
    summary="Ohm per segment of rows and columns, from cells in one state",
    settings=WireResistanceSettings,
    run=run,
    plan=plan,
    figures=figures,
)
