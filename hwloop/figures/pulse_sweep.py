"""Figures of a pulse sweep: paths, switching voltages, maps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.maps import cumulative_figure, first_array, map_panel
from hwloop.plotting.style import NamedFigure
from hwloop.record.reader import Record
from hwloop.steps.characterise.pulse_sweep import LINES
from hwloop.steps.common.cells import filled
from hwloop.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DOES = {"gate": "set", "line": "reset"}
_AXES = {"gate": "Gate voltage", "line": "Source-line voltage"}
_MOVES = {"gate": "gained", "line": "lost"}


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw the sweeps, the distribution of the half-change voltages, and their map."""
    rows = record.results(label)
    if not rows or not len(rows["pulse"]):
        return
    kind = record.settings(label)["sweep"]
    with plot.style():
        paths = _paths(rows, kind)
    yield paths
    derived, spread = record.results(label, "figures"), record.results(label, "spread")
    if not derived or not len(derived["cycle"]) or not spread or not len(spread["never"]):
        return
    with plot.style():
        voltages = cumulative_figure(
            f"{_DOES[kind]}_voltages",
            f"Voltages at which half is {_MOVES[kind]}",
            f"Voltage of the {LINES[kind]} at which half of the conductance is {_MOVES[kind]}:"
            " every sweep, and the median of each cell over its cycles.",
            {"sweeps": derived["half_v"], "cells": spread["cell_half_v"]},
            quantity=_AXES[kind],
            unit="V",
        )
        shown = _map(spread, kind)
    if voltages is not None:
        yield voltages
    yield shown


def carried_on(rows: dict[str, FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Return swept volts (levels,) and siemens after each pulse, (levels, cycles, cells).

    A sweep that ended early keeps its last conductance at the higher levels, one without a pulse
    its first; NaN where a cell was not swept in a cycle.
    """
    levels_v = np.unique(rows["swept_v"])
    before_conductance_s, after_conductance_s = (
        rows[n].reshape(len(rows["pulse"]), -1)
        for n in ("before_conductance_s", "after_conductance_s")
    )
    cycles = int(rows["cycle"].max())
    seen_conductance_s = np.full((levels_v.size + 1, cycles, after_conductance_s.shape[1]), np.nan)
    for row, (level, cycle) in enumerate(
        zip(np.searchsorted(levels_v, rows["swept_v"]), rows["cycle"] - 1, strict=True)
    ):
        if rows["pulse"][row] == 1:
            seen_conductance_s[0, cycle] = _filled(
                seen_conductance_s[0, cycle], before_conductance_s[row]
            )
        seen_conductance_s[level + 1, cycle] = _filled(
            seen_conductance_s[level + 1, cycle], after_conductance_s[row]
        )
    for earlier, later in pairwise(seen_conductance_s):
        later[:] = _filled(earlier, later)
    return levels_v, seen_conductance_s[1:]


def _filled(into: FloatArray, values: FloatArray) -> FloatArray:
    return filled(into, values, np.isfinite(values))


def _paths(rows: dict[str, FloatArray], kind: str) -> NamedFigure:
    """Draw two panels: cells, each at the median of its cycles; and cycles about their cell."""
    levels_v, seen_conductance_s = carried_on(rows)
    seen_conductance_s = seen_conductance_s[
        :, :, np.isfinite(seen_conductance_s).all(axis=0).any(axis=0)
    ]
    of_cells = np.nanmedian(seen_conductance_s, axis=1)
    middle = np.median(of_cells, axis=1)
    around = (seen_conductance_s / of_cells[:, None]).reshape(levels_v.size, -1) * middle[:, None]
    around = around[:, np.isfinite(around).all(axis=0)]
    figure = plot.new_figure(8.0, 3.8)
    left, right = figure.subplots(1, 2, sharey=True)
    _panel(left, levels_v, of_cells, middle, f"over {of_cells.shape[1]} cells")
    _panel(right, levels_v, around, middle, f"over {seen_conductance_s.shape[1]} cycles of a cell")
    left.set_ylabel("Conductance (S)")
    for axes in (left, right):
        axes.set_xlabel(f"{_AXES[kind]} (V)")
    return NamedFigure(
        f"{_DOES[kind]}_paths",
        f"Conductance against the voltage of the {LINES[kind]}",
        "After each pulse; the line is the median of all cells. Left, the bands hold 50 and 90 %"
        " of the cells, each at the median of its cycles; right, of the cycles, each about its"
        " cell. A sweep that ended early keeps its last conductance.",
        figure,
    )


def _panel(
    axes: Axes,
    levels_v: FloatArray,
    values_conductance_s: FloatArray,
    middle_conductance_s: FloatArray,
    title: str,
) -> None:
    for inside, alpha in ((90, 0.18), (50, 0.25)):
        low_conductance_s, high_conductance_s = np.percentile(
            values_conductance_s, (50 - inside / 2, 50 + inside / 2), axis=1
        )
        axes.fill_between(
            levels_v,
            low_conductance_s,
            high_conductance_s,
            color=plot.BLUE,
            alpha=alpha,
            linewidth=0,
        )
    axes.plot(levels_v, middle_conductance_s, color=plot.BLUE, marker=".")
    axes.set_yscale("log")
    axes.set_title(title)


def _map(spread: dict[str, FloatArray], kind: str) -> NamedFigure:
    """Draw the half-change voltage of each cell of the first array, and its deviation."""
    cell_v, sigma_v, never = (
        first_array(spread[name][0]) for name in ("cell_half_v", "cell_sigma_v", "never")
    )
    several = bool(np.isfinite(sigma_v).any())
    figure = plot.new_figure(9.2 if several else 4.8, 3.6)
    panels = figure.subplots(1, 2 if several else 1, squeeze=False)[0]
    marks = np.where(never, "never", "–")
    map_panel(panels[0], cell_v, _AXES[kind], "V", marks=marks)
    if several:
        map_panel(panels[1], sigma_v, "Deviation over cycles", "V", marks=marks)
    return NamedFigure(
        f"{_DOES[kind]}_map",
        f"Voltage at which half is {_MOVES[kind]}, by cell",
        'Median over the cycles, and their standard deviation; "never": in no cycle.',
        figure,
    )
