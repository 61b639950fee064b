"""Figures of an I–V sweep: loops and switching voltages."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.maps import cumulative_figure, merged
from hwloop.plotting.style import NamedFigure
from hwloop.record.reader import Record
from hwloop.types import FloatArray

_MOST_LINES = 200


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw the loops on a logarithmic axis, then the switching voltages."""
    rows = record.results(label)
    if not rows or not len(rows["point"]):
        return
    with plot.style():
        loops = _loops(rows)
    yield loops
    derived = record.results(label, "figures")
    if not derived or not len(derived["cycle"]):
        return
    with plot.style():
        voltages = cumulative_figure(
            "switching_voltages",
            "Set and reset voltages",
            "Magnitudes, over cells and cycles: where the conductance crosses the geometric mean"
            " of the cycle's lowest and highest.",
            {"set": np.abs(derived["set_v"]), "reset": np.abs(derived["reset_v"])},
            quantity="|Voltage|",
            unit="V",
        )
    if voltages is not None:
        yield voltages


def _loops(rows: dict[str, FloatArray]) -> NamedFigure:
    figure = plot.new_figure(6.4, 4.2)
    axes = figure.subplots()
    keys = sorted(set(zip(rows["cycle"], rows["point"], strict=True)))
    level_v, current_a = [], []
    for cycle, point in keys:
        mask = (rows["cycle"] == cycle) & (rows["point"] == point)
        level_v.append(rows["level_v"][mask][0])
        current_a.append(np.abs(merged(rows["current_a"][mask])).ravel())
    lines = np.stack(current_a)
    lines = lines[:, np.isfinite(lines).all(axis=0)]
    shown = lines[:, :: max(1, lines.shape[1] // _MOST_LINES)]
    axes.plot(level_v, shown, color=plot.BLUE, alpha=0.25, linewidth=0.7)
    if lines.shape[1]:
        axes.plot(level_v, np.median(lines, axis=1), color=plot.VERMILION, label="median of cells")
        axes.legend()
    axes.set_yscale("log")
    axes.set_xlabel("Level (V)")
    axes.set_ylabel("|Current| (A)")
    return NamedFigure(
        "loops",
        "I–V loops",
        "One blue line a cell, all cycles. Pulsed: current at the read voltage after a pulse of"
        " the level; direct: current at the level.",
        figure,
    )
