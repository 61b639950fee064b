"""Figures of forming: ramps, voltages and maps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.maps import cumulative_figure, first_array, map_panel
from hwloop.plotting.style import NamedFigure
from hwloop.record.reader import Record
from hwloop.steps.characterise.form import FAILED, FORMED
from hwloop.types import FloatArray


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw the ramps, the distribution of the forming voltages, and the maps."""
    rows = record.results(label)
    if not rows or not len(rows["pulse"]):
        return
    with plot.style():
        ramp = _ramp(rows)
    yield ramp
    derived = record.results(label, "figures")
    if not derived or not len(derived["status"]):
        return
    with plot.style():
        voltages = cumulative_figure(
            "forming_voltages",
            "Forming voltages",
            "Over the cells that formed on the ramp.",
            {"cells": np.abs(derived["form_v"])},
            quantity="|Forming voltage|",
            unit="V",
        )
        maps = _map(derived)
    if voltages is not None:
        yield voltages
    yield maps


def _ramp(rows: dict[str, FloatArray]) -> NamedFigure:
    figure = plot.new_figure(6.4, 4.0)
    axes = figure.subplots()
    values = rows["conductance_s"].reshape(len(rows["pulse"]), -1)
    for group in np.unique(rows["group"]):
        mask = rows["group"] == group
        axes.plot(rows["pulse"][mask], values[mask], color=plot.BLUE, linewidth=0.8, alpha=0.5)
    axes.set_yscale("log")
    axes.set_xlabel("Pulse of the ramp")
    axes.set_ylabel("Conductance (S)")
    plot.whole_numbers(axes)
    return NamedFigure(
        "ramp",
        "Conductance along the ramp",
        "One line a cell, after each pulse; it ends where the cell formed or could not be"
        " measured.",
        figure,
    )


def _map(derived: dict[str, FloatArray]) -> NamedFigure:
    """Draw the forming voltage of each cell of the first array, or why a cell has none."""
    status, form_v = (first_array(derived[name][0]) for name in ("status", "form_v"))
    figure = plot.new_figure(5.2, 4.2)
    marks = np.where(status == FAILED, "failed", np.where(status == FORMED, "was", "not"))
    map_panel(figure.subplots(), form_v, "Forming voltage", "V", marks=marks)
    return NamedFigure(
        "map",
        "Forming voltage of each cell",
        '"was": formed before the ramp began; "not": not formed when it ended or the budget was'
        ' used up; "failed": a read failed.',
        figure,
    )
