"""Figure of the measured table and of the positions of emulated cells along it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwloop.figures.manhattan.data import PulseTable, Training
from hwloop.plotting import style as plot
from hwloop.plotting.style import NamedFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_BARS = 40


def table_figure(training: Training) -> NamedFigure | None:
    """Draw the table against the pulse number, and below it the path of each cell along it."""
    table = training.table
    if table is None:
        return None
    cells = training.pulses[..., 0].size * training.pulses.shape[-1]
    bars = cells <= _MOST_BARS
    lower_in = max(0.17 * cells, 0.9) if bars else 1.8
    figure = plot.new_figure(7.5, 3.3 + lower_in)
    heights = (2.6, lower_in)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=heights)
    _table_curve(above, training, table)
    (_cell_bars if bars else _histogram)(below, training)
    end = table.conductance_s.size - 1
    reached = int(training.pulses.max())
    above.set_xlim(-0.02 * max(end, reached), 1.03 * max(end, reached))
    if reached > end:
        for axes in (above, below):
            axes.axvspan(end, 1.03 * reached, color=plot.GREY, alpha=0.18, linewidth=0)
        above.set_title("shaded: past the end of the table", loc="right", color=plot.GREY)
    below.set_xlabel("Pulses given to the cell")
    plot.whole_numbers(below, at_most=11)
    return NamedFigure(
        "table", "The measured table, and the path of the cells", _says(table), figure
    )


def _says(table: PulseTable) -> str:
    return (
        f"Above: {table.title} (source: {table.source}), as measured on one device; triangles mark"
        " the states in which cells ended, the larger the more cells. Below: how far each came."
        f" An emulated cell has {table.gain:g} times the rise of the table, plus an offset of its"
        " own; beyond the last state pulses change nothing."
    )


def _table_curve(axes: Axes, training: Training, table: PulseTable) -> None:
    scale = plot.AxisScale.of(table.conductance_s, "S")
    values = table.conductance_s * scale.factor
    axes.plot(np.arange(values.size), values, color=plot.BLACK, linewidth=1, label="measured")
    # Beside the curve, not on it: cells of both signs often end in the same state.
    beside = 0.035 * float(np.ptp(values)) or 1.0
    for sign, colour, marker, name in (
        (0, plot.BLUE, "v", "G⁺ ended here"),
        (1, plot.VERMILION, "^", "G⁻ ended here"),
    ):
        ended = np.minimum(training.pulses[..., sign::2], values.size - 1)
        states, counts = np.unique(ended, return_counts=True)
        axes.scatter(
            states,
            values[states] + (-beside if sign else beside),
            s=16 + 160 * np.minimum(counts / ended.size, 0.4),
            color=colour,
            marker=marker,
            zorder=3,
            label=name,
        )
    axes.set_ylabel(scale.label("Table conductance"))
    axes.legend(loc="lower right")


def _cell_bars(axes: Axes, training: Training) -> None:
    rows, cols = training.pulses.shape[-2:]
    pulses = training.pulses.reshape(-1)
    colours = [plot.VERMILION if index % 2 else plot.BLUE for index in range(cols)] * (
        pulses.size // cols
    )
    axes.barh(np.arange(pulses.size), pulses, color=colours, height=0.7)
    for index, count in enumerate(pulses):
        axes.annotate(
            str(count),
            (count, index),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
    arrays = pulses.size // (rows * cols)
    names = [
        f"({row}, {col})" if arrays == 1 else f"array {array}: ({row}, {col})"
        for array in range(arrays)
        for row in range(rows)
        for col in range(cols)
    ]
    axes.set_yticks(np.arange(pulses.size), names, fontsize=7)
    axes.set_ylim(pulses.size - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_ylabel("Cell")


def _histogram(axes: Axes, training: Training) -> None:
    top = int(training.pulses.max())
    width = max(1, -(-(top + 1) // 60))
    edges = np.arange(0, top + width + 1, width) - 0.5
    axes.hist(
        [training.pulses[..., 0::2].ravel(), training.pulses[..., 1::2].ravel()],
        bins=edges.tolist(),
        stacked=True,
        color=[plot.BLUE, plot.VERMILION],
        label=["G⁺", "G⁻"],
    )
    axes.set_ylabel("Cells")
    axes.legend(loc="upper center", ncols=2)
