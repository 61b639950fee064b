"""Wire resistance: ohms per segment of word and bit lines, from cells in one state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from typing_extensions import override

from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError
from hwloop.settings.model import Settings
from hwloop.settings.units import Count, Resistance
from hwloop.steps.array import Array
from hwloop.steps.characterise.line_circuit import LineResistances, conductance_through_lines_s
from hwloop.steps.common.cells import conductance_s, planned_read
from hwloop.steps.common.summaries import median_text
from hwloop.steps.contract import Plan, Step
from hwloop.steps.rows import Outcome, Row, Yield, column
from hwloop.types import FloatArray

_ROUNDS = 30
_SMALL = 1e-6


class WireResistanceSettings(Settings):
    """Settings of the measurement; all cells must be in one state.

    ``row_ends``, ``col_ends``: the ends at which rows are driven and columns are read.
    ``driver_ohm``, ``sense_ohm``: known series resistance there; if left out, it becomes part of
    the cell. ``repeats``: number of maps to average.
    """

    row_ends: Literal["left", "right"] = "left"
    col_ends: Literal["bottom", "top"] = "bottom"
    driver_ohm: Resistance = 0.0
    sense_ohm: Resistance = 0.0
    repeats: Count = 1


@dataclass(frozen=True, eq=False)
class ApparentRow(Row):
    """Map of the apparent conductance of the cells, lines included."""

    repeat: int = column("1", "which map, counted from 1")
    conductance_s: FloatArray = column("S", "I / read_v; (..., rows, cols)")

    @override
    def headline(self) -> dict[str, str | float | int]:
        return {"map": self.repeat}


@dataclass(frozen=True, eq=False)
class WireFigures(Row):
    """Resistance of a segment of a line, with its standard error; (...)."""

    table: ClassVar[str] = "figures"

    row_ohm: FloatArray = column("ohm", "of a word line, from cell to cell")
    row_error_ohm: FloatArray = column("ohm", "standard error")
    col_ohm: FloatArray = column("ohm", "of a bit line, from cell to cell")
    col_error_ohm: FloatArray = column("ohm", "standard error")
    cell_conductance_s: FloatArray = column(
        "S", "a cell, with what stands in series and is not given"
    )
    apparent_conductance_s: FloatArray = column("S", "mean of the maps; (..., rows, cols)")


def run(settings: WireResistanceSettings, array: Array) -> Iterator[Yield]:
    """Read the maps and fit the segment resistances.

    Raises :class:`hwloop.errors.StepError` where a read failed.
    """
    every = np.ones(array.geometry.shape, dtype=np.bool_)
    maps = []
    for repeat in range(1, settings.repeats + 1):
        maps.append(conductance_s(array, every, step="wire_resistance"))
        yield ApparentRow(repeat=repeat, conductance_s=maps[-1])
    found = wire_figures(np.mean(maps, axis=0), settings)
    yield found
    yield Outcome(
        True,
        f"row {median_text(found.row_ohm, 'ohm')}, standard error"
        f" {float(np.mean(found.row_error_ohm)):.2g} ohm; column"
        f" {median_text(found.col_ohm, 'ohm')}, standard error"
        f" {float(np.mean(found.col_error_ohm)):.2g} ohm, from cell to cell",
    )


def wire_figures(
    apparent_conductance_s: FloatArray, settings: WireResistanceSettings
) -> WireFigures:
    """Find the resistances whose exact map, (..., rows, cols), has the same first-order fit.

    The fit to first order in the voltage drops is quick and its standard errors are those of the
    noise, but it is biased where the drops are large. So the fit is also made to the exact map of
    the resistances found, and these are corrected by the difference of the two fits, until nothing
    changes.
    """
    rows, cols = apparent_conductance_s.shape[-2:]
    outer = apparent_conductance_s.shape[:-2]
    fits = [_exact(one, settings) for one in apparent_conductance_s.reshape(-1, rows, cols)]
    values = np.array([fit.values for fit in fits]).T.reshape(3, *outer)
    errors = np.array([fit.errors for fit in fits]).T.reshape(3, *outer)
    return WireFigures(
        row_ohm=values[1],
        row_error_ohm=errors[1],
        col_ohm=values[2],
        col_error_ohm=errors[2],
        cell_conductance_s=1 / values[0],
        apparent_conductance_s=apparent_conductance_s,
    )


@dataclass(frozen=True)
class _Fit:
    """Fitted 1/G, ohms of a row segment and of a column segment, with standard errors."""

    values: FloatArray
    errors: FloatArray


def _exact(apparent_conductance_s: FloatArray, settings: WireResistanceSettings) -> _Fit:
    """Fit one map, (rows, cols), by corrections from the exact map of the circuit.

    The map is turned so that rows are driven before column 0, columns read after the last row.
    """
    turned_conductance_s = (
        apparent_conductance_s if settings.row_ends == "left" else apparent_conductance_s[:, ::-1]
    )
    turned_conductance_s = (
        turned_conductance_s if settings.col_ends == "bottom" else turned_conductance_s[::-1]
    )
    seen = _first_order(turned_conductance_s)
    values = seen.values
    for _ in range(_ROUNDS):
        series_ohm, row_ohm, col_ohm = map(float, values)
        lines = LineResistances(row_ohm, col_ohm, settings.driver_ohm, settings.sense_ohm)
        model_conductance_s = conductance_through_lines_s(
            1 / series_ohm, turned_conductance_s.shape, lines
        )
        change = seen.values - _first_order(model_conductance_s).values
        values = values + change
        if (np.abs(change) <= _SMALL * np.abs(values)).all():
            break
    return _Fit(values, seen.errors)


def _first_order(apparent_conductance_s: FloatArray) -> _Fit:
    """Fit 1/g = 1/G + r_row A/g + r_col B/g by least squares.

    While a row is read all other lines are at 0 V: the row carries the currents of all its cells,
    and the other cells of the column lead part of the current away to their rows. So A is the sum,
    over the cells of the row, of the number of segments shared with the cell times their g; B is
    the same along the column, by reciprocity.
    """
    rows, cols = apparent_conductance_s.shape
    along, down = np.arange(cols), np.arange(rows)[::-1]
    row_part = apparent_conductance_s @ np.minimum(along[:, None], along[None, :])
    col_part = np.minimum(down[:, None], down[None, :]) @ apparent_conductance_s
    parts = (
        np.ones_like(apparent_conductance_s),
        row_part / apparent_conductance_s,
        col_part / apparent_conductance_s,
    )
    matrix = np.stack([part.ravel() for part in parts], axis=1)
    wanted = 1 / apparent_conductance_s.ravel()
    solution, *_ = np.linalg.lstsq(matrix, wanted, rcond=None)
    rest = wanted - matrix @ solution
    variance = float(rest @ rest) / (len(wanted) - 3)
    errors = np.sqrt(variance * np.diag(np.linalg.inv(matrix.T @ matrix)))
    return _Fit(np.asarray(solution, dtype=np.float64), errors)


def plan(settings: WireResistanceSettings, array: ArraySettings) -> Plan:
    """Return the plan: the maps.

    Raises :class:`ConfigError` for fewer than 3 rows or columns: lines and cells cannot be
    separated.
    """
    if min(array.rows, array.cols) < 3:
        raise ConfigError(
            f"an array of {array.rows} × {array.cols} is too small: wire_resistance needs 3 rows"
            " and 3 columns"
        )
    return Plan([planned_read(array, None, settings.repeats)], rows=settings.repeats)


WIRE_RESISTANCE = Step(
    name="wire_resistance",
    summary="Ohm per segment of rows and columns, from cells in one state",
    settings=WireResistanceSettings,
    run=run,
    plan=plan,
    figures="hwloop.figures.wire_resistance:figures",
    libraries=("scipy.sparse", "scipy.sparse.linalg"),
)
