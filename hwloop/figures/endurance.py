"""Figure of an endurance test: both states over the cycles."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.plotting import style as plot
from hwloop.plotting.maps import band, merged
from hwloop.plotting.style import NamedFigure
from hwloop.record.reader import Record


def figures(record: Record, label: str) -> Iterator[NamedFigure]:
    """Draw the conductances of both states over the cycles."""
    rows = record.results(label)
    if not rows or not len(rows["cycle"]):
        return
    with plot.style():
        figure = plot.new_figure(6.4, 4.0)
        axes = figure.subplots()
        cycles = np.unique(rows["cycle"])
        scale = plot.AxisScale.of(rows["high_conductance_s"], "S")
        for name, label_, colour in (
            ("high_conductance_s", "after up", plot.VERMILION),
            ("low_conductance_s", "after down", plot.BLUE),
        ):
            values = np.stack([merged(rows[name][rows["cycle"] == cycle]) for cycle in cycles])
            band(axes, cycles, values * scale.factor, colour=colour, label=label_)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("Cycle")
        axes.set_ylabel(scale.label("Conductance"))
        axes.legend()
        drawn = NamedFigure(
            "endurance",
            "Both states against the cycle",
            "Median over the cells; the band holds 90 % of them.",
            figure,
        )
    yield drawn
