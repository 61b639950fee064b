"""Figure of a disturb test: map of the changes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.maps import first_array, map_panel
from hwloop.plotting.style import NamedFigure
from hwloop.record.reader import Record


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw the map of the relative changes of the neighbours, with the aggressors marked."""
    derived = record.results(label, "figures")
    if not derived or not len(derived["change"]):
        return
    settings = record.settings(label)
    change = 100 * np.array(first_array(derived["change"][0]))
    for row, col in settings["aggressors"]:
        change[row, col] = np.nan
    with plot.style():
        figure = plot.new_figure(5.0, 4.0)
        axes = figure.subplots()
        map_panel(axes, change, "Relative change (%)", "", diverging=True)
        for row, col in settings["aggressors"]:
            axes.plot(col, row, marker="s", color=plot.BLACK, markersize=14)
        drawn = NamedFigure(
            "map",
            "Disturbance of the neighbours",
            f"Change of the conductance by {settings['rounds'] * settings['count']} pulses of the"
            " cells that are marked black, under the biasing of the array.",
            figure,
        )
    yield drawn
